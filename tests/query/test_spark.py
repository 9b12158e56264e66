"""The Spark engine: rows equal to the embedded tier's, the options of `read_files`, kills.

`make spark` installs what it needs; `make test-all` does that first. A call starts a JVM: 15 s on a
quiet machine, minutes on a busy one. So few calls serve many tests.
"""

from __future__ import annotations

import datetime
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyarrow as pa
import pytest

from pipeline import lake as buckets
from pipeline.catalog import ddl, ledger, statements
from pipeline.catalog.tables import TABLES
from sim.check.read.lake import LakeReader
from sim.errors import ENVIRONMENT, INTERRUPTED, INVALID, LAKE_WRONG, QueryError
from sim.query.engine import Engine
from sim.query.loader import LoadOptions, load
from sim.query.spark import engine
from sim.query.warehouse import Warehouse
from sim.store.s3_lake import s3_lake
from tests.support import lakehouse, relays, spark_parser, spark_world
from tests.support.paths import ROOT
from tests.support.servers import TLS

pytestmark = pytest.mark.campaign

NOW = datetime.datetime(2024, 1, 15, 1, 30, tzinfo=datetime.UTC)
THRESHOLD = "1.5"
TABLE_NAMES = [table.name for table in TABLES]
STATEMENTS = {
    **{name: f"SELECT * FROM {name}" for name in (*TABLE_NAMES, *statements.VIEWS)},
    **{name: statements.query(name).rstrip().rstrip(";") for name in statements.QUERIES},
    "clock": "SELECT current_date() d, current_timestamp() t, now() n, current_timestamp u",
    "free_name": "SELECT threshold_value AS v, word AS w, MAX(id) AS m FROM wind_turbine_raw",
}
VARIABLES = {"threshold_value": THRESHOLD, "word": "two words", "id": "7"}
ASTRAY = {
    **dict.fromkeys(("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"), "http://192.0.2.1:9"),
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"), "http://192.0.2.1:9"),
    **dict.fromkeys(
        ("JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "SPARK_SUBMIT_OPTS"),
        "-Dhttp.proxyHost=192.0.2.1 -Dhttp.proxyPort=9 -Duser.timezone=Asia/Tokyo",
    ),
    "SPARK_REMOTE": "sc://192.0.2.1",
    "SPARK_HOME": "/nowhere",
    "SPARK_LOCAL_IP": "0.0.0.0",
    "SPARK_MASTER": "spark://192.0.2.1:7077",
    "PYSPARK_SUBMIT_ARGS": "--master spark://192.0.2.1:7077 pyspark-shell",
    "PYSPARK_PYTHON": "/nowhere/python",
    "PYSPARK_DRIVER_PYTHON": "/nowhere/python",
    "PYTHONPATH": "/nowhere",
    "CLASSPATH": "/nowhere",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://192.0.2.1:9",
    "TZ": "Asia/Tokyo",
}
"""Variables that would send Spark elsewhere, or shift its clock. 192.0.2.1 is nobody's."""
DEFAULTS = """
spark.master spark://192.0.2.1:7077
spark.ui.enabled true
spark.jars.packages com.example:absent:1.0
spark.jars.repositories http://192.0.2.1:9
spark.hadoop.fs.s3a.endpoint http://192.0.2.1:9
spark.driver.bindAddress 0.0.0.0
spark.sql.session.timeZone Asia/Tokyo
"""
"""A `spark-defaults.conf` of the user's."""
CORE_SITE = """<configuration><property>
<name>fs.s3a.endpoint</name><value>http://192.0.2.1:9</value><final>true</final>
</property></configuration>"""


def astray(folder: Path) -> dict[str, str]:
    """Return the variables, and some that name files in a folder with the like."""
    for name, text in (
        ("spark-defaults.conf", DEFAULTS),
        ("core-site.xml", CORE_SITE),
        (".aws/config", "[default]\nregion = nowhere\nendpoint_url = http://192.0.2.1:9\n"),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    places = ("SPARK_CONF_DIR", "HADOOP_CONF_DIR", "YARN_CONF_DIR", "HOME")
    return ASTRAY | dict.fromkeys(places, str(folder))


@dataclass
class Both:
    """Rows by statement, from both engines.

    addresses, arguments: of Spark's processes. here: files that it left where the user stands.
    """

    embedded: dict[str, pa.Table]
    spark: dict[str, pa.Table]
    objects: int
    addresses: set[str]
    arguments: set[str]
    here: list[str]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, localstack: str) -> Both:
    """One lake, through the embedded tier as a folder and through Spark over S3A."""
    folder = tmp_path_factory.mktemp("both")
    lake = spark_world.make_lake(folder)
    mine = Warehouse(folder / "embedded", LakeReader.folder(lake))
    load(mine, LoadOptions())
    sql = ";\n".join(STATEMENTS.values())
    rows = dict(zip(STATEMENTS, Engine(mine, NOW, VARIABLES).run(sql), strict=True))
    buckets.ensure(localstack)
    buckets.empty(localstack)
    spark_world.upload(lake, localstack)
    theirs = Warehouse(folder / "spark", s3_lake(localstack))
    here = folder / "here"
    here.mkdir()
    with spark_world.watched() as seen, pytest.MonkeyPatch.context() as patch:
        for name, value in astray(folder / "astray").items():
            patch.setenv(name, value)
        patch.chdir(here)
        objects, found = spark_world.answers(theirs, engine.Job(sql, NOW, VARIABLES))
    assert [each for each in found if isinstance(each, QueryError)] == []
    tables = dict(
        zip(STATEMENTS, (each for each in found if isinstance(each, pa.Table)), strict=True)
    )
    left = [path.name for path in here.iterdir()]
    return Both(rows, tables, objects, seen.addresses, seen.arguments, left)


@pytest.mark.parametrize("name", TABLE_NAMES)
def test_rows_of_a_table_are_equal(both: Both, name: str) -> None:
    assert both.spark[name].num_rows > 0
    assert spark_world.different(both.spark[name], both.embedded[name]) == ""


@pytest.mark.parametrize("name", statements.VIEWS)
def test_rows_of_a_view_are_equal(both: Both, name: str) -> None:
    assert both.spark[name].num_rows > 0
    assert spark_world.different(both.spark[name], both.embedded[name]) == ""


@pytest.mark.parametrize("name", [*statements.QUERIES, "clock", "free_name"])
def test_rows_of_a_query_are_equal(both: Both, name: str) -> None:
    assert both.spark[name].num_rows > 0
    assert spark_world.different(both.spark[name], both.embedded[name]) == ""


def test_rows_come_in_the_order_of_the_query(both: Both) -> None:
    """Rows with equal keys may come in any order, so only the keys are compared."""
    for name, key in (
        ("anomaly_detection", "timestamp"),
        ("maintenance_planning", "anomaly_count"),
    ):
        mine, theirs = (rows[name][key].to_pylist() for rows in (both.spark, both.embedded))
        assert mine == theirs == sorted(theirs, reverse=True)


def test_the_lake_has_late_rows_revisions_quarantine_and_a_column_more(both: Both) -> None:
    assert max(both.spark["wind_turbine_aggregated"]["revision"].to_pylist()) >= 1
    assert both.spark["wind_turbine_quarantine"].num_rows > 0
    raw = both.spark["wind_turbine_raw"]
    humid = dict(zip(raw["turbine_id"].to_pylist(), raw["humidity"].to_pylist(), strict=True))
    assert [turbine for turbine, value in humid.items() if value is not None] == ["Y-001"]
    late = zip(raw["timestamp"].to_pylist(), raw["recorded_at"].to_pylist(), strict=True)
    assert max(recorded - stamp for stamp, recorded in late) > datetime.timedelta(minutes=5)
    names = both.spark["wind_turbine_maintenance_dashboard"].sort_by("place")["turbine_id"]
    assert names.to_pylist()[0] == spark_world.WORN


def test_nothing_leaves_the_machine(both: Both) -> None:
    """No variable and no file of the user sends it elsewhere; no server listens beyond loopback."""
    assert both.addresses <= {"127.0.0.1", "::1"}
    assert both.addresses
    assert both.here == []


@pytest.mark.parametrize("way", ["tls", "proxy"])
def test_a_store_behind_tls_or_a_proxy(
    way: str, localstack: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By AWS_CA_BUNDLE, and by a proxy whose password no list of processes shows."""
    lakehouse.add(tmp_path / "lake", "A-001", 1, 5)
    buckets.ensure(localstack)
    buckets.empty(localstack)
    spark_world.upload(tmp_path / "lake", localstack)
    with ExitStack() as stack:
        passed = ["aws-sdk-java"]
        if way == "tls":
            url = stack.enter_context(relays.tls_front(localstack))
            monkeypatch.setenv("AWS_CA_BUNDLE", str(TLS / "authority.pem"))
        else:
            url = "http://lake.example:4566"
            place, passed = stack.enter_context(relays.proxy(localstack, "me", "se cret"))
            monkeypatch.setenv("HTTP_PROXY", f"http://me:se%20cret@{place}")
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
                monkeypatch.setenv(name, "test")
        seen = stack.enter_context(spark_world.watched())
        where = Warehouse(tmp_path / "warehouse", s3_lake(url))
        _, (rows,) = spark_world.answers(where, engine.Job(COUNT))
    assert counted(rows) == expected("A-001")
    assert any("aws-sdk-java" in each for each in passed)
    assert seen.addresses <= {"127.0.0.1", "::1"}
    assert [each for each in seen.arguments if "cret" in each] == []
    assert any("SparkSubmit" in each for each in seen.arguments)
    assert "cret" not in (where.folder / "spark" / "log.txt").read_text()


def test_sparks_parser_knows_the_catalogue() -> None:
    """A statement of Databricks only, a typo and an open text are refused, each by its place."""
    texts = [
        *(ddl.streaming_table(table, f"s3://{table.bucket}") for table in TABLES),
        *map(statements.view, statements.VIEWS),
        *map(statements.query, statements.QUERIES),
    ]
    odd = ["GRANT SELECT ON t TO `me`", "SELEC 1", "SELECT 'a"]
    found = spark_parser.problems([*texts, *odd])
    assert found[: len(texts)] == [""] * len(texts)
    assert [text.partition("]")[0] for text in found[len(texts) :]] == [
        "[INVALID_STATEMENT_OR_CLAUSE",
        "[PARSE_SYNTAX_ERROR",
        "[PARSE_SYNTAX_ERROR",
    ]


def small(tmp_path: Path, count: int = 6) -> Warehouse:
    for i in range(count):
        lakehouse.add(tmp_path / "lake", f"A-{i:03}", 1, 5)
    return Warehouse(tmp_path / "warehouse", LakeReader.folder(tmp_path / "lake"))


COUNT = "SELECT turbine_id, id FROM wind_turbine_raw"
WITHOUT_QUARANTINE = tuple(table for table in TABLES if table.prefix != "_quarantine/")


def counted(rows: object) -> Counter[tuple[str, int]]:
    assert isinstance(rows, pa.Table), rows
    return Counter(zip(rows["turbine_id"].to_pylist(), rows["id"].to_pylist(), strict=True))


def expected(*turbines: str) -> Counter[tuple[str, int]]:
    return Counter((turbine, i) for turbine in turbines for i in range(1, 6))


def batches(where: Warehouse) -> int:
    root = where.folder / "spark" / "storage"
    return len(list(root.glob("_checkpoints/**/wind_turbine_raw/0/commits/[0-9]*")))


def test_a_second_call_loads_new_keys_only(tmp_path: Path) -> None:
    """Keys that sort first, have an old date, are of a new prefix, or were overwritten."""
    lake = tmp_path / "lake"
    lakehouse.add(lake, "B-001", 1, 5, WITHOUT_QUARANTINE)
    where = Warehouse(tmp_path / "warehouse", LakeReader.folder(lake))
    both_tables = f"{COUNT}; {COUNT.replace('raw', 'quarantine')}"
    objects, (raw, rejected) = spark_world.answers(where, engine.Job(both_tables))
    assert (objects, counted(raw), counted(rejected)) == (4, expected("B-001"), Counter())
    lakehouse.add(lake, "B-001", 1, 5, WITHOUT_QUARANTINE)  # the same key, a newer date
    lakehouse.add(lake, "A-001", 1, 5)
    for table in TABLES:
        old = lakehouse.path_of(lake, table, "A-001", 1, 5)
        os.utime(old, (1_000_000_000, 1_000_000_000))
    objects, (raw, rejected) = spark_world.answers(where, engine.Job(both_tables))
    assert (objects, counted(raw)) == (5, expected("A-001", "B-001"))
    assert counted(rejected) == expected("A-001")


def test_follow_answers_again_after_new_objects(tmp_path: Path) -> None:
    """The prefix of the rejected rows is there from the second load on."""
    lakehouse.add(tmp_path / "lake", "A-000", 1, 5, WITHOUT_QUARANTINE)
    where = Warehouse(tmp_path / "warehouse", LakeReader.folder(tmp_path / "lake"))
    sql = f"{COUNT} UNION ALL {COUNT.replace('raw', 'quarantine')}"
    events = engine.run(where, engine.Job(sql, follow_s=0.5))
    assert next(events) == engine.Loaded(len(WITHOUT_QUARANTINE))
    assert counted(next(events)) == expected("A-000")
    lakehouse.add(tmp_path / "lake", "A-001", 1, 5)
    loads = []
    for each in events:
        if isinstance(each, engine.Loaded):
            loads.append(each.objects)
            assert len(loads) < 100
        elif counted(each) == expected("A-000", "A-001", "A-001"):
            break
    events.close()
    assert sum(loads) == len(TABLES)
    assert spark_world.javas(os.getpid()) == []


@pytest.mark.parametrize(
    ("options", "count"), [({"maxFilesPerTrigger": "4"}, 2), ({"maxBytesPerTrigger": "1"}, 6)]
)
def test_bounds_of_a_micro_batch(tmp_path: Path, options: dict[str, str], count: int) -> None:
    where = small(tmp_path)
    _, (rows,) = spark_world.answers(where, engine.Job(COUNT, options=options))
    assert counted(rows) == expected(*(f"A-{i:03}" for i in range(6)))
    assert batches(where) == count


def test_a_bad_object_is_refused_or_left_out(tmp_path: Path) -> None:
    where = small(tmp_path, 2)
    path = lakehouse.path_of(tmp_path / "lake", TABLES[0], "A-009", 1, 2)
    path.write_bytes(b"no Parquet at all")
    with pytest.raises(QueryError, match=path.name) as refused:
        spark_world.answers(where, engine.Job(COUNT))
    assert refused.value.exit_code == LAKE_WRONG
    assert "\n" not in str(refused.value)
    job = engine.Job(COUNT, options={"ignoreCorruptFiles": "true"})
    _, (rows,) = spark_world.answers(where, job)
    assert counted(rows) == expected("A-000", "A-001")


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Text of the error by statement, all from one call."""
    read = "SELECT * FROM STREAM read_files('file:///x', {})"
    schema = "schema => 'id BIGINT'"
    made = {
        **{
            option.name: read.format(f"{schema}, `{option.name}` => 'something else'")
            for option in ledger.OPTIONS
            if option.name != "schema"
        },
        "unknown": read.format(f"{schema}, maxFilePerTriger => '1'"),
        "both": read.format(f"{schema}, maxFilesPerTrigger => '1', maxBytesPerTrigger => '1'"),
        "no schema": read.format("format => 'parquet'"),
        "column": "SELECT\n  turbin_id\nFROM wind_turbine_raw",
        "table": "SELECT 1 AS a FROM wind_turbin_raw",
        "value": "SELECT CAST('x' AS INT) AS a",
        "file": "SELECT * FROM parquet.`/etc/passwd`",
    }
    where = small(tmp_path_factory.mktemp("refusals"), 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_BEYOND", set())
        _, found = spark_world.answers(where, engine.Job(";\n".join(made.values())))
    errors = [each for each in found if isinstance(each, QueryError)]
    assert len(errors) == len(made)
    assert {error.exit_code for error in errors} == {INVALID}
    return dict(zip(made, map(str, errors), strict=True))


def test_read_files_names_each_option_that_it_refuses(refusals: dict[str, str]) -> None:
    silent = {
        option.name: refusals[option.name]
        for option in ledger.OPTIONS
        if option.name != "schema" and f"read_files: {option.name}" not in refusals[option.name]
    }
    assert silent == {}
    assert "read_files: maxFilePerTriger" in refusals["unknown"]
    assert "maxBytesPerTrigger: is not supported together" in refusals["both"]


def test_read_files_needs_a_schema(refusals: dict[str, str]) -> None:
    assert "read_files: schema is missing" in refusals["no schema"]


def test_an_error_of_sql_has_its_position(refusals: dict[str, str]) -> None:
    assert "turbin_id" in refusals["column"]
    assert "turbine_id" in refusals["column"]
    assert "--set turbin_id=VALUE" in refusals["column"]
    assert "wind_turbin_raw" in refusals["table"]
    assert "'x'" in refusals["value"]
    for name in ("column", "table"):
        assert " pos " in refusals[name]
    assert [text for text in refusals.values() if "\n" in text or "JVM" in text] == []
    assert "passwd" in refusals["file"]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "sim", "query", "--engine", "spark", *arguments]


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(COUNT, *arguments),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_driver_killed_five_times_loads_every_row_once(tmp_path: Path) -> None:
    """SIGKILL in the midst of micro-batches: for the JVM, for its Python, for windfleet."""
    turbines = [f"{farm}-{i:03}" for farm in "ABCD" for i in range(10)]
    for turbine in turbines:
        lakehouse.add(tmp_path / "lake", turbine, 1, 5)
    where = Warehouse(tmp_path / "warehouse", LakeReader.folder(tmp_path / "lake"))
    arguments = ["--lake", str(tmp_path / "lake"), "--warehouse", str(where.folder)]
    arguments += ["--option", "maxFilesPerTrigger=4"]
    for round_, victim in enumerate(("java", "java", "python", "java", "windfleet")):
        child = start(*arguments)
        before = batches(where)
        until = time.monotonic() + 600
        while batches(where) == before and child.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.15 * round_)
        below = list(spark_world.family(child.pid))
        java = spark_world.javas(child.pid)
        struck = {"java": java, "python": below[:1], "windfleet": [psutil.Process(child.pid)]}[
            victim
        ]
        assert child.poll() is None, f"round {round_} was over before the kill"
        for each in struck:
            each.send_signal(signal.SIGKILL)
        _, errors = child.communicate(timeout=600)
        assert child.returncode == (-signal.SIGKILL if victim == "windfleet" else ENVIRONMENT), (
            errors
        )
        assert len(errors.splitlines()) == (victim != "windfleet"), errors
        _, alive = psutil.wait_procs(below, timeout=60)
        assert alive == []
    sql = "; ".join(
        COUNT.replace("raw", name.removeprefix("wind_turbine_")) for name in TABLE_NAMES
    )
    sql = sql.replace(
        "turbine_id, id FROM wind_turbine_aggregated",
        "turbine_id, `rows` AS id FROM wind_turbine_aggregated",
    )
    _, found = spark_world.answers(where, engine.Job(sql, options={"maxFilesPerTrigger": "4"}))
    assert [counted(rows) == expected(*turbines) for rows in found] == [True] * len(TABLES)


def test_two_calls_at_once_load_each_object_once(tmp_path: Path) -> None:
    where = small(tmp_path)
    arguments = ["--lake", str(tmp_path / "lake"), "--format", "csv"]
    calls = [start(*arguments, "--warehouse", str(where.folder)) for _ in range(2)]
    loads = []
    for call in calls:
        rows, notes = call.communicate(timeout=1200)
        assert call.returncode == 0, notes
        found = Counter(tuple(line.split(",")) for line in rows.replace('"', "").split()[1:])
        assert found == Counter((f"A-{i:03}", str(n)) for i in range(6) for n in range(1, 6))
        loads.append(notes.strip())
    assert sorted(loads) == ["", f"loaded {6 * len(TABLES)} objects"]


@pytest.mark.parametrize("moment", ["start", "load"])
def test_an_interrupted_call_leaves_no_process(tmp_path: Path, moment: str) -> None:
    where = small(tmp_path)
    arguments = ["--lake", str(tmp_path / "lake"), "--option", "maxFilesPerTrigger=1"]
    child = start(*arguments, "--warehouse", str(where.folder))
    until = time.monotonic() + 600

    def reached() -> bool:
        return bool(spark_world.javas(child.pid)) and (moment == "start" or batches(where) > 0)

    while not reached() and child.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    below = list(spark_world.family(child.pid))
    assert child.poll() is None
    assert spark_world.javas(child.pid)
    child.send_signal(signal.SIGINT)
    rows, errors = child.communicate(timeout=120)
    assert (child.returncode, rows) == (INTERRUPTED, "")
    assert len(errors.splitlines()) == 1, errors
    _, alive = psutil.wait_procs(below, timeout=60)
    assert alive == []


def test_a_java_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = small(tmp_path, 1)
    java = tmp_path / "jdk" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text("#!/bin/sh\necho 'UnsupportedClassVersionError' >&2\nexit 1\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    with pytest.raises(QueryError, match=r"Spark did not start.*UnsupportedClass") as refused:
        spark_world.answers(where, engine.Job(COUNT))
    assert refused.value.exit_code == ENVIRONMENT
    assert "\n" not in str(refused.value)
