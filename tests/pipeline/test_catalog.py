"""The catalogue: names and columns of the architecture, from the pipeline's own records."""

from __future__ import annotations

import pytest
import sqlglot
from sqlglot import exp

from pipeline.catalog import statements
from pipeline.catalog.locations import Parameters, locations
from pipeline.catalog.tables import BY_NAME, TABLES
from pipeline.records import VIBRATION_ALARM
from pipeline.records.schemas import REJECTED, SCHEMAS


def test_six_external_locations() -> None:
    assert [(each.name, each.url) for each in locations(Parameters())] == [
        (f"expanso_{name}", f"s3://expanso-databricks-{name}/")
        for name in ("ingestion", "validated", "enriched", "aggregated", "checkpoints", "metadata")
    ]


def test_tables_have_the_columns_of_their_stage() -> None:
    for table, stage in (
        ("raw", "ingestion"),
        *((name, name) for name in SCHEMAS if name != "ingestion"),
    ):
        columns = [name for name, _, _ in BY_NAME[f"wind_turbine_{table}"].columns]
        plain = [name for name in SCHEMAS[stage].names if name != "_rescued_data"]
        assert columns == [*plain, "_rescued_data", "_source_file"]


def test_the_quarantine_has_the_columns_of_rejected_rows() -> None:
    columns = [name for name, _, _ in BY_NAME["wind_turbine_quarantine"].columns]
    plain = [name for name in REJECTED.names if name != "_rescued_data"]
    assert columns == [*plain, "_rescued_data", "_source_file"]
    assert set(REJECTED.names) > set(SCHEMAS["ingestion"].names)  # the rule and more


def test_each_table_has_a_comment_of_its_own() -> None:
    assert len({table.comment for table in TABLES} - {""}) == len(TABLES)


def test_types_and_units() -> None:
    columns = {
        name: (kind, unit) for name, kind, unit in BY_NAME["wind_turbine_aggregated"].columns
    }
    assert columns["power_output"] == ("DOUBLE", "MW")
    assert columns["vibration_level_max"] == ("DOUBLE", "mm/s")
    assert columns["window_start"] == ("TIMESTAMP", "")
    assert columns["date"] == ("DATE", "")
    assert columns["anomaly_kinds"] == ("ARRAY<STRING>", "")
    assert columns["rows"] == ("BIGINT", "")
    assert {name: unit for name, _, unit in BY_NAME["wind_turbine_enriched"].columns}[
        "hub_height"
    ] == "m"


def test_prefixes_divide_the_validated_bucket() -> None:
    assert [(table.bucket, table.prefix) for table in TABLES if table.bucket == "validated"] == [
        ("validated", "validated/"),
        ("validated", "_quarantine/"),
    ]


@pytest.mark.parametrize("name", statements.VIEWS)
def test_a_view_is_one_statement_that_creates_it(name: str) -> None:
    (made,) = sqlglot.parse(statements.view(name), read="databricks")
    assert isinstance(made, exp.Create)
    assert made.kind == "VIEW"
    assert made.this.name == name
    assert not list(made.find_all(exp.Command, exp.Anonymous)), "not known to the parser"


@pytest.mark.parametrize("name", statements.QUERIES)
def test_a_query_reads_tables_of_the_catalogue(name: str) -> None:
    (made,) = sqlglot.parse(statements.query(name), read="databricks")
    assert made is not None
    assert {table.name for table in made.find_all(exp.Table)} <= {*BY_NAME, *statements.VIEWS}


def test_the_anomaly_view_has_the_alarm_of_the_records() -> None:
    view = statements.view("wind_turbine_anomaly_detection")
    assert f"WHERE vibration_level > {VIBRATION_ALARM}\n" in view
    assert f"WHEN max_vibration > {2 * VIBRATION_ALARM} THEN" in view
