"""The lakehouse as data: external locations, streaming tables, views and queries.

| module or folder | holds                                                                         |
|------------------|-------------------------------------------------------------------------------|
| `names`          | rules for names: Unity Catalog's, S3's, IAM's                                 |
| `locations`      | external locations, one per bucket, and the names around them                 |
| `tables`         | streaming tables; columns, types and units come from `pipeline.records`       |
| `ddl`            | the `CREATE STREAMING TABLE` statements of the tables                         |
| `securables`     | statements of locations, catalogue, schema and grants                         |
| `ledger`         | options of `read_files`, and the effect of each on each engine                |
| `statements`     | the SQL files, in the order in which they are created                         |
| `views/`         | one `CREATE OR REPLACE VIEW` per file, in Databricks SQL                      |
| `queries/`       | the architecture's three queries as written, and the third corrected          |

The same files run on Databricks, on open Spark and, through sqlglot, on DuckDB (`windfleet query`).
"""
