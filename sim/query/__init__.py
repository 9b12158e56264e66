"""`windfleet query`: the lakehouse's tables, views and queries on this machine.

| module       | subject                                                                       |
|--------------|-------------------------------------------------------------------------------|
| `command`    | arguments to lake, warehouse, SQL and output                                  |
| `warehouse`  | the folder of Delta tables: one lake, one owner at a time                     |
| `loader`     | new objects of the lake into Delta tables, each exactly once                  |
| `offsets`    | the log of batches: which objects belong to which Delta transaction           |
| `conform`    | an object's columns in the form of its table: evolution, rescued values       |
| `engine`     | Databricks SQL on DuckDB, through sqlglot                                     |
| `sql`        | statements of a text, and their syntax                                        |
| `spark/`     | the other engine: Spark Declarative Pipelines                                 |
| `output`     | rows as table, CSV, JSON or Parquet                                           |

Not covered: Unity Catalog itself, time travel, writes from SQL.
"""
