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
| `LakeParquet.java`         | objects in the form of their table; other columns and types        |
| `Values.java`, `Fit.java`  | values of an object, and in the form of their column               |
| `Json.java`                | `_rescued_data`                                                    |
| `Trust.java`               | the authorities of `AWS_CA_BUNDLE`                                 |

The rows of all tables, views and queries are those of the embedded tier, doubles within 1e-9, since
the engines add in other orders. Schemas evolve alike in all four modes. With `addNewColumns`, a new
column stops the pipeline, as in Auto Loader; the driver reads the schemas of the micro-batch, and
the same call goes on with wider tables. Where the engines differ:

| subject                       | embedded                       | spark                           |
|-------------------------------|--------------------------------|---------------------------------|
| order of columns added at once| by the objects' names          | the same, within a micro-batch  |
| `1/0`                         | infinity                       | an error                        |
| `SUM` of whole numbers        | a decimal                      | a whole number                  |
| a column without a name       | as DuckDB names it             | as Spark names it               |
| rows that `ORDER BY` leaves   | in any order                   | in any order, perhaps another   |
| `DESCRIBE`                    | six columns                    | three, units as comments        |
| a warehouse that was moved    | is read                        | is refused                      |

Not covered: Unity Catalog, a cluster, a proxy reached by TLS.
"""
