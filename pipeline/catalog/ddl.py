"""`CREATE STREAMING TABLE` statements, generated from `tables`.

Columns are listed and handed to the reader (`schema =>`), so that no engine infers them. The mode
`addNewColumns` goes with `schemaHints =>`: a schema that is given does not grow.
`_rescued_data` is among them: the nodes' rows carry it, and the other stages' objects have none.
`IF NOT EXISTS` is the form that open Spark and Databricks both know.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pipeline.catalog.tables import SOURCE_FILE, Table

OPTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {"format": "parquet", "recursiveFileLookup": "true", "maxFilesPerTrigger": "1000"}
)
"""Options of `read_files`. Recursive: the hive parts of the keys are no columns."""
CREATE: Final = "CREATE STREAMING TABLE IF NOT EXISTS"
CREATE_IN_PIPELINE: Final = "CREATE OR REFRESH STREAMING TABLE"
"""The form for a pipeline of Databricks, where `IF NOT EXISTS` is not known."""


def streaming_table(
    table: Table,
    bucket_url: str,
    options: Mapping[str, str] = OPTIONS,
    source_url: str | None = None,
    create: str = CREATE,
) -> str:
    """Return the statement of a table.

    bucket_url: ends with the bucket's name, such as s3://expanso-databricks-ingestion/.
    source_url: another place to read, where the prefix holds nothing that an engine could list.
    """
    bucket_url = bucket_url.rstrip("/")
    bucket = bucket_url.rpartition("/")[2]
    grows = options.get("schemaEvolutionMode") == "addNewColumns"
    read = {"schemaHints" if grows else "schema": schema(table), **options}
    arguments = [literal(source_url or f"{bucket_url}/{table.prefix}")]
    arguments += [f"{name} => {literal(value)}" for name, value in read.items()]
    key = literal(f".*({bucket}/{table.prefix}.*)")
    source_file = f"REGEXP_EXTRACT(_metadata.file_path, {key}, 1) AS "
    names = [
        f"  {source_file * (name == SOURCE_FILE)}{quoted(name)}" for name, _, _ in table.columns
    ]
    return (
        f"{create} {table.name} (\n{columns(table)}\n)\n"
        f"COMMENT {literal(table.comment)}\n"
        "AS SELECT\n" + ",\n".join(names) + "\n"
        "FROM STREAM read_files(\n  " + ",\n  ".join(arguments) + "\n);\n"
    )


def columns(table: Table) -> str:
    """Return the column list of a table: name, type and comment, one a line."""
    return ",\n".join(
        f"  {quoted(name)} {kind}" + (f" COMMENT {literal(comment)}" if comment else "")
        for name, kind, comment in table.columns
    )


def schema(table: Table) -> str:
    """Return the columns that are read from a table's objects, as `schema =>` takes them."""
    return ", ".join(
        f"{quoted(name)} {kind}" for name, kind, _ in table.columns if name != SOURCE_FILE
    )


def literal(text: str) -> str:
    """Return a string literal of Databricks SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def quoted(name: str) -> str:
    """Return an identifier of Databricks SQL, in backticks."""
    return "`" + name.replace("`", "``") + "`"
