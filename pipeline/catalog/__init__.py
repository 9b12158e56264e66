"""The lakehouse as data: external locations, streaming tables, views and queries.

| module or folder | holds                                                                    |
|------------------|--------------------------------------------------------------------------|
| `locations`      | external locations, one per bucket                                       |
| `tables`         | streaming tables, with columns, types and units of `pipeline.records`    |
| `statements`     | the SQL files, in the order in which they are created                    |
| `ledger`         | options of Auto Loader and `read_files`, with their effect on each engine |
| `views/`         | one `CREATE OR REPLACE VIEW` per file, in Databricks SQL                 |
| `queries/`       | the architecture's three queries as written, and the third corrected     |

The same files run on Databricks, on open Spark and, through sqlglot, on DuckDB (`windfleet query`).
"""
