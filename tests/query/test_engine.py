"""Databricks SQL on DuckDB: the architecture's queries as written, clock, free names, errors."""

from __future__ import annotations

import datetime
import os
import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from pipeline.catalog import statements
from pipeline.catalog.tables import TABLES
from sim.check.read.lake import LakeReader
from sim.errors import QueryError
from sim.query.engine import Engine
from sim.query.loader import LoadOptions, load
from sim.query.warehouse import Warehouse
from tests.support import lakehouse

NOW = datetime.datetime(2024, 1, 15, 0, 30, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Two turbines with 20 and 5 rows, one a second; every value is the row's number."""
    folder = tmp_path_factory.mktemp("lakehouse")
    lakehouse.add(folder / "lake", "A-001", 1, 20)
    lakehouse.add(folder / "lake", "B-001", 1, 5)
    made = Warehouse(folder / "warehouse", LakeReader.folder(folder / "lake"))
    load(made, LoadOptions())
    return made


def answer(
    where: Warehouse, sql: str, now: datetime.datetime = NOW, **variables: str
) -> list[dict[str, object]]:
    (rows,) = Engine(where, now, variables).run(sql)
    return rows.to_pylist()


def test_the_first_query_as_written(where: Warehouse) -> None:
    found = answer(where, statements.query("turbine_performance"))
    assert sorted(found, key=lambda row: str(row["turbine_id"])) == [
        {"turbine_id": "A-001", "avg_power_mw": 10.5, "avg_efficiency": 10.5, "max_temp": 20.0},
        {"turbine_id": "B-001", "avg_power_mw": 3.0, "avg_efficiency": 3.0, "max_temp": 5.0},
    ]


def test_the_first_query_sees_the_day_of_the_clock(where: Warehouse) -> None:
    next_day = NOW + datetime.timedelta(days=1)
    assert answer(where, statements.query("turbine_performance"), next_day) == []


def test_the_second_query_as_written(where: Warehouse) -> None:
    found = answer(where, statements.query("anomaly_detection"), threshold_value="17.5")
    assert [row["vibration_level"] for row in found] == [20.0, 19.0, 18.0]
    assert {row["alert_type"] for row in found} == {"High vibration detected"}
    later = NOW + datetime.timedelta(hours=1)
    assert answer(where, statements.query("anomaly_detection"), later, threshold_value="1") == []


def test_the_third_query_as_written_counts_all_rows(where: Warehouse) -> None:
    found = answer(where, statements.query("maintenance_planning"))
    assert found == [
        {
            "turbine_id": "A-001",
            "anomaly_count": 20,
            "avg_vibration": 10.5,
            "max_temperature": 20.0,
        }
    ]


def test_the_third_query_corrected_counts_anomalies(where: Warehouse) -> None:
    found = answer(where, statements.query("maintenance_planning_corrected"))
    assert found == [
        {
            "turbine_id": "A-001",
            "anomaly_count": sum(range(1, 21)),
            "avg_vibration": 10.5,
            "max_temperature": 20.0,
        },
        {
            "turbine_id": "B-001",
            "anomaly_count": 15,
            "avg_vibration": 3.0,
            "max_temperature": 5.0,
        },
    ]


def test_a_threshold_may_be_a_text_and_never_hides_a_column(where: Warehouse) -> None:
    assert answer(where, "SELECT word AS w", word="two words") == [{"w": "two words"}]
    (found,) = answer(where, "SELECT MAX(id) AS id FROM wind_turbine_raw", id="7")
    assert found == {"id": 20}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT v FROM (SELECT 3 AS v)",
        "WITH a AS (SELECT 3 AS v) SELECT v FROM a",
        "SELECT v FROM range(3, 4) AS a(v)",
        "WITH a(v) AS (SELECT 3) SELECT v FROM a",
    ],
)
def test_a_bound_name_never_hides_a_column_of_the_statement(where: Warehouse, sql: str) -> None:
    assert answer(where, sql, v="7") == [{"v": 3}]


def test_a_bound_name_is_the_name_of_its_column(where: Warehouse) -> None:
    assert answer(where, "SELECT Word", word="two") == [{"Word": "two"}]
    assert answer(where, "SELECT word AS word, word || '!' AS w", word="two") == [
        {"word": "two", "w": "two!"}
    ]


def test_one_clock_in_every_form(where: Warehouse) -> None:
    (found,) = answer(
        where,
        "SELECT current_date() AS d, current_timestamp() AS t, current_timestamp AS u, now() AS n",
    )
    assert found == {"d": NOW.date(), "t": NOW, "u": NOW, "n": NOW}


def test_several_statements_give_several_answers(where: Warehouse) -> None:
    found = [rows.to_pylist() for rows in Engine(where, NOW).run("SELECT 1 AS a; SELECT 2 AS a;")]
    assert found == [[{"a": 1}], [{"a": 2}]]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: str(table.name))
def test_every_table_has_its_columns(where: Warehouse, table: object) -> None:
    name = getattr(table, "name", "")
    names = [row["column_name"] for row in answer(where, f"DESCRIBE {name}")]
    assert names == list(getattr(table, "schema").names)  # noqa: B009


@pytest.mark.parametrize("view", statements.VIEWS)
def test_every_view_answers(where: Warehouse, view: str) -> None:
    (found,) = answer(where, f"SELECT COUNT(*) AS n FROM {view}")
    assert isinstance(found["n"], int)


@pytest.mark.parametrize(
    ("sql", "parts"),
    [
        ("selec 1", ["line 1, column 7"]),
        ("SELECT turbin_id FROM wind_turbine_raw", ["turbin_id", "nearest name: turbine_id"]),
        ("SELECT * FROM wind_turbin_raw", ["wind_turbin_raw", "nearest name: wind_turbine_raw"]),
        ("SELECT foo FROM wind_turbine_raw", ["foo", "wind_turbine_raw has id, timestamp"]),
        ("SELECT threshold", ["--set threshold=VALUE"]),
        ("", ["no statement"]),
        ("DROP TABLE wind_turbine_raw", ["DROP is not answered here"]),
        ("INSERT INTO wind_turbine_raw VALUES (1)", ["INSERT is not answered here"]),
        ("ATTACH 'https://127.0.0.1:9/x.db'", ["ATTACH is not answered here"]),
        ("COPY wind_turbine_raw TO 'x.csv'", ["is not answered here"]),
        ("SET x = 1", ["SET is not answered here"]),
        ("INSTALL httpfs", ["INSTALL is not answered here"]),
        ("-- first\nLOAD httpfs", ["LOAD is not answered here"]),
        ("COPY wind_turbine_raw TO 's3://bucket/x'", ["COPY is not answered here"]),
        ("CREATE VIEW v AS SELECT 1", ["CREATE is not answered here"]),
        ("SELECT 1; SELECT 2; DELETE FROM wind_turbine_raw", ["DELETE is not answered here"]),
        ("WITH a AS (INSERT INTO b VALUES (1)) SELECT 1", ["INSERT is not answered here"]),
        ("-- only a comment", ["no statement"]),
        ("SELECT * FROM read_csv('/etc/passwd')", ["SQL: /etc/passwd is not read", "--lake DIR"]),
        ("SELECT * FROM '/etc/passwd'", ["SQL: /etc/passwd is not read"]),
        ("SELECT * FROM 's3://bucket/x.parquet'", ["SQL: s3://bucket/x.parquet is not read"]),
        (
            "SELECT * FROM read_parquet('http://127.0.0.1:9/x')",
            ["http://127.0.0.1:9/x is not read"],
        ),
        ("SELECT 1 +", ["line 1"]),
        ("SELECT\n 'open", ["line 2, column", "' is not closed"]),
        ("SELECT /* open", ["a comment is not closed"]),
        ("SELECT " + "(" * 3000 + "1", ["nested too deeply"]),
        ("SELECT 1" + " + 1" * 2000, ["nested too deeply"]),
        ("SELECT x.foo FROM wind_turbine_raw AS x", ["foo", "wind_turbine_raw has id"]),
        ("SELECT CAST('x' AS INT)", ["x"]),
    ],
)
def test_an_error_names_the_place_and_the_fix(where: Warehouse, sql: str, parts: list[str]) -> None:
    with pytest.raises(QueryError) as refused:
        list(Engine(where, NOW).run(sql))
    text = str(refused.value)
    assert "\n" not in text
    assert refused.value.exit_code == 2
    assert [part for part in parts if part not in text] == [], text


def test_sql_cannot_reach_beyond_the_tables(where: Warehouse, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    for sql in (f"SELECT * FROM '{secret}'", f"SELECT * FROM read_csv('{secret}')"):
        with pytest.raises(QueryError):
            list(Engine(where, NOW).run(sql))


def test_a_variable_of_the_program_is_no_table(where: Warehouse) -> None:
    """DuckDB would take a name that is no table for a Python variable of its caller."""
    statement = pa.table({"a": [1]})
    assert statement.num_rows == 1
    with pytest.raises(QueryError, match="statement does not exist"):
        list(Engine(where).run("SELECT * FROM statement"))


def test_a_statement_draws_no_progress_bar(
    where: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would stand in the rows. DuckDB has it on where the main module has no file."""
    connect = duckdb.connect

    def as_in_a_notebook(**options: Any) -> duckdb.DuckDBPyConnection:
        made = connect(**options)
        made.execute("SET enable_progress_bar = true")
        return made

    monkeypatch.setattr(duckdb, "connect", as_in_a_notebook)
    setting = "SELECT value FROM duckdb_settings() WHERE name = 'enable_progress_bar'"
    assert Engine(where)._connection.execute(setting).fetchall() == [("false",)]


def test_an_empty_statement_and_a_last_comment_are_passed_over(where: Warehouse) -> None:
    assert answer(where, ";; SELECT 'a;b' AS x ; -- end") == [{"x": "a;b"}]


def test_a_refused_statement_prints_nothing_by_itself(
    where: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(QueryError):
        list(Engine(where).run("LOAD httpfs"))
    assert caplog.text == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda each: each.name)
def test_a_signal_ends_a_statement_and_the_next_one_is_answered(
    where: Warehouse, number: signal.Signals
) -> None:
    def stop(signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    engine = Engine(where, NOW)
    before = signal.signal(number, stop)

    def send() -> None:
        # A signal that comes while the statement is still translated may raise inside a weak
        # reference's callback, and Python drops what is raised there.
        end = time.monotonic() + 30
        while not any(each.name.startswith("duckdb") for each in threading.enumerate()):
            if time.monotonic() > end:
                return
            time.sleep(0.01)
        time.sleep(0.1)
        os.kill(os.getpid(), number)

    sender = threading.Thread(target=send)
    slow = "SELECT COUNT(*) FROM range(90000) AS a(x), range(90000) AS b(y) WHERE sin(x * y) > 2"
    try:
        sender.start()
        with pytest.raises(KeyboardInterrupt):
            list(engine.run(slow))
    finally:
        sender.join()
        signal.signal(number, before)
    assert [rows.to_pylist() for rows in engine.run("SELECT 1 AS a")] == [[{"a": 1}]]
