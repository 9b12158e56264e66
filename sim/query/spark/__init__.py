"""`windfleet query --engine spark`: the catalogue's SQL on Spark Declarative Pipelines.

| module                     | subject                                                            |
|----------------------------|--------------------------------------------------------------------|
| `home`                     | the environment that `make spark` makes, and the machine's Java    |
| `settings`                 | a lake's S3 as Spark's settings; every server on 127.0.0.1         |
| `state`                    | the folder of a warehouse's rows and checkpoints                   |
| `engine`                   | one call: pipeline, views, queries, in a process of its own        |
| `messages`                 | Spark's errors as one line each, with the fix                      |
| `driver`                   | the program of that process; imports PySpark only                  |
| `WindfleetExtensions.java` | `read_files` and the clock                                         |

Not covered: Unity Catalog, a cluster, evolution of columns (see the parity ledger).
"""
