"""`windfleet dashboard`: one offline page over the three views of the lakehouse.

| module      | subject                                                                          |
|-------------|----------------------------------------------------------------------------------|
| `arguments` | options of the command                                                           |
| `command`   | arguments to lake, page and file                                                 |
| `views`     | SQL of the page (`queries/`) on the embedded engine, and its refusals            |
| `data`      | contents of the page: units, series, rankings, episodes                          |
| `series`    | figures by turbine and step, in a grid that fits the page                        |
| `trends`    | daily deviations behind a rank, from the view's own SQL                          |
| `focus`     | readings around an episode, in full detail                                       |
| `columns`   | arrays as small integers, and all contents as one compressed block               |
| `page`      | the HTML: template, styles, scripts (`static/`) and contents in one file         |

Exact places of turbines are private and not in the lake, so its map is a scheme: units by farm, in
the order of their names.
"""
