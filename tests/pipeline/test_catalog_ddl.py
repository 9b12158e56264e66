"""The generated `CREATE STREAMING TABLE` statements."""

from __future__ import annotations

import re

import pytest

from pipeline.catalog import ddl
from pipeline.catalog.tables import BY_NAME, TABLES, Table

RAW = BY_NAME["wind_turbine_raw"]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: str(table.name))
def test_a_statement_lists_the_tables_columns_and_reads_them(table: Table) -> None:
    text = ddl.streaming_table(table, f"s3://expanso-databricks-{table.bucket}/")
    assert text.startswith(f"CREATE STREAMING TABLE IF NOT EXISTS {table.name} (\n")
    listed = text[: text.index("\n)\n")]
    assert re.findall(r"^  `(\w+)` ([A-Z<>]+)", listed, re.M) == [
        (name, kind) for name, kind, _ in table.columns
    ]
    assert len(re.findall(r" COMMENT '[^']+'", listed)) == sum(
        comment != "" for _, _, comment in table.columns
    )
    selected = text[text.index("AS SELECT") : text.index("FROM STREAM")]
    assert selected.count(",\n") == len(table.columns) - 1
    (schema,) = re.findall(r"schema => '([^']+)'", text)
    assert schema == ", ".join(f"`{name}` {kind}" for name, kind, _ in table.columns[:-1])
    assert f"read_files(\n  's3://expanso-databricks-{table.bucket}/{table.prefix}'," in text
    assert f"\n)\nCOMMENT {ddl.literal(table.comment)}\nAS SELECT\n" in text
    for option in ("format => 'parquet'", "recursiveFileLookup => 'true'"):
        assert f"  {option}" in text
    assert "  maxFilesPerTrigger => '1000'" in text  # a bound, so that a full lake is no one batch


def test_a_schema_that_grows_is_a_hint() -> None:
    """With `schema =>` the mode `addNewColumns` is refused by Databricks and by open Spark."""
    text = ddl.streaming_table(RAW, "s3://b", {"schemaEvolutionMode": "addNewColumns"})
    assert f"  schemaHints => '{ddl.schema(RAW)}'" in text
    assert "schema => " not in text
    text = ddl.streaming_table(RAW, "s3://b", {"schemaEvolutionMode": "rescue"})
    assert f"  schema => '{ddl.schema(RAW)}'" in text
    assert "schemaHints" not in text


def test_a_key_is_the_source_file_whatever_stands_before_the_bucket() -> None:
    text = ddl.streaming_table(RAW, "file:///x/expanso-databricks-ingestion")
    (pattern,) = re.findall(r"REGEXP_EXTRACT\(_metadata.file_path, '([^']+)', 1\)", text)
    key = "expanso-databricks-ingestion/ingestion/year=2024/A-1.parquet"
    for place in ("s3://", "file:///x/", "file:///expanso-databricks-ingestion/ingestion/y/"):
        (found,) = re.findall(pattern, place + key)
        assert found == key


def test_options_and_another_source() -> None:
    text = ddl.streaming_table(RAW, "s3://b", {"format": "parquet"}, "file:///empty/")
    assert "read_files(\n  'file:///empty/',\n  schema => " in text
    assert text.endswith("format => 'parquet'\n);\n")


def test_a_pipeline_has_a_verb_of_its_own() -> None:
    text = ddl.streaming_table(RAW, "s3://b", create=ddl.CREATE_IN_PIPELINE)
    assert text.startswith("CREATE OR REFRESH STREAMING TABLE wind_turbine_raw (\n")


def test_an_identifier_cannot_end_early() -> None:
    assert ddl.quoted("a`; DROP") == "`a``; DROP`"


def test_a_literal_cannot_end_early() -> None:
    assert ddl.literal("it's \\ so") == r"'it\'s \\ so'"
