"""`windfleet query --engine spark`: the catalogue's SQL on Spark Declarative Pipelines, on this machine.

| module                     | subject                                                            |
|----------------------------|--------------------------------------------------------------------|
| `home`                     | the environment that `make spark` makes, and the machine's Java    |
| `settings`                 | a lake's S3 as Spark's settings; nothing leaves the machine else    |
| `engine`                   | one call: pipeline, views, queries, in a process of its own        |
| `driver`                   | the program of that process; imports PySpark only                  |
| `WindfleetExtensions.java` | `read_files` and the clock                                         |

Not covered: Unity Catalog, a cluster, evolution of columns (see the parity ledger).
"""
