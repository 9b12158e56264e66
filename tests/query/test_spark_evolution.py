"""Objects with other columns or types: both engines make the same rows of them.

A call of Spark takes long (`test_spark`), so each test makes one call and compares whole tables.
"""

from __future__ import annotations

import datetime
import decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.catalog.tables import BY_NAME, Table
from sim.check.read.lake import LakeReader
from sim.errors import LAKE_WRONG, QueryError
from sim.query.engine import Engine
from sim.query.loader import LoadOptions, load
from sim.query.spark import engine
from sim.query.warehouse import Warehouse
from tests.support import lakehouse, spark_world

pytestmark = pytest.mark.campaign

RAW = BY_NAME["wind_turbine_raw"]
AGGREGATED = BY_NAME["wind_turbine_aggregated"]
HOURS = "SELECT turbine_id, HOUR(timestamp) AS h, DATE(timestamp) AS d FROM wind_turbine_raw"
ALL = "; ".join([*(f"SELECT * FROM {name}" for name in BY_NAME), HOURS])
UTC = datetime.UTC
TEXTS = [
    *(
        "7",
        "7.5",
        "-3",
        "+3",
        "0x1F",
        "-0x5",
        "0xFFFFFFFF",
        " 7",
        "7 ",
        "",
        "1e3",
        "00012",
        "1.",
        ".5",
        "1d",
    ),
    *("nan", "-Infinity", "inf", "1e400", "5e-324", "99999999999", "12345678901234567890"),
    *("true", "fast", 'a "quoted"\n\x01 ü', "2024-01-15", "2024-1-5", "2024-02-30"),
    *("2024-01-15 01:02:03", "2024-01-15T01:02:03Z", "2024-01-15T01:02:03.5+01:00"),
    *("2024-01-15 01:02:03.123456789Z", "2024-01-15T01:02Z", "2024-01-15T01Z"),
    *("2024-01-15 01:02:03.5+0530", "2024-01-15T24:00:00Z", "2024-01-15T23:59:60Z"),
]
REALS = [1.0, 0.1, float("nan"), float("inf"), 1e20, 1e-7, -0.0, 1e10, 1e16, 123456789.0, 1e-5]
NOON = datetime.datetime(2024, 1, 15, 12, 0, 0, 500)
VALUES = {
    "bool": pa.array([True, False, None]),
    "int8": pa.array([1, -5], pa.int8()),
    "int32": pa.array([1, -5, 20_000], pa.int32()),
    "int64": pa.array([1, -5, 2**53 + 1, 2**40]),
    "uint64": pa.array([1, 2**63], pa.uint64()),
    "float": pa.array(REALS, pa.float32()),
    "double": pa.array(REALS),
    "text": pa.array(TEXTS),
    "bytes": pa.array([b"7", b"\xff"]),
    "date": pa.array([NOON.date()]),
    "naive": pa.array([NOON, NOON.replace(microsecond=0)]),
    "zoned": pa.array([NOON.replace(tzinfo=UTC)], pa.timestamp("us", tz="UTC")),
    "ms": pa.array([1, 1000], pa.timestamp("ms", tz="UTC")),
    "ns": pa.array([1, 1000], pa.timestamp("ns", tz="UTC")),
    "clock": pa.array([datetime.time(1, 2, 3), datetime.time(1, 2, 3, 4)]),
    "decimal": pa.array([decimal.Decimal("1.50"), decimal.Decimal("2.00")]),
    "texts": pa.array([["a", None], None, []], pa.list_(pa.string())),
    "reals": pa.array([[1.5], [2.0, None]]),
    "struct": pa.array([{"b": "x", "a": 1}, {"b": None, "a": 2}]),
    "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
}


def put(lake: Path, table: Table, turbine: str, columns: dict[str, pa.Array]) -> None:
    """Write one object, with some columns replaced or added."""
    rows = lakehouse.rows(table.source, turbine, 1, len(next(iter(columns.values()))))
    for name, values in columns.items():
        place = rows.schema.get_field_index(name)
        rows = (
            rows.append_column(name, values) if place < 0 else rows.set_column(place, name, values)
        )
    pq.write_table(rows, lakehouse.path_of(lake, table, turbine, 1, rows.num_rows))


def make_lake(lake: Path) -> None:
    """Make a lake with new columns in two objects, and values that do not fit."""
    lakehouse.add(lake, "A-001", 1, 3)
    put(lake, RAW, "A-002", {"humidity": pa.array([0.5, None, 1e-7])})
    put(
        lake,
        RAW,
        "A-003",
        {
            "note": pa.array(["x", 'ü"', None]),
            "humidity": pa.array([1, 2, 3]),
            "rotor_rpm": pa.array(["7.5", "fast", None]),
            "_rescued_data": pa.array(['{"z": 1.50, "a": [null]}', "no JSON", "[1]"]),
        },
    )


def differences(where: Path, mode: str) -> tuple[list[str], list[str]]:
    """Load and ask on both engines. Return the differences by table, and the new columns."""
    lake = LakeReader.folder(where / "lake")
    mine = Warehouse(where / "embedded", lake)
    loaded = load(mine, LoadOptions(schema_evolution=mode))
    embedded = list(Engine(mine).run(ALL))
    job = engine.Job(ALL, options={"schemaEvolutionMode": mode})
    events = list(engine.run(Warehouse(where / "spark", lake), job))
    (on_spark,) = (each for each in events if isinstance(each, engine.Loaded))
    assert on_spark.objects == loaded.objects
    assert sorted(on_spark.added) == sorted(loaded.added)
    tables = [each for each in events if isinstance(each, pa.Table)]
    pairs = zip(tables, embedded, strict=True)
    return [spark_world.different(one, other) for one, other in pairs], loaded.added


SAME = [""] * (len(BY_NAME) + 1)


@pytest.mark.parametrize("mode", ["rescue", "none"])
def test_columns_evolve_alike_in_each_mode(tmp_path: Path, mode: str) -> None:
    make_lake(tmp_path / "lake")
    assert differences(tmp_path, mode) == (SAME, [])


def test_columns_are_added_alike_and_stay(tmp_path: Path) -> None:
    """The table has them before, between and after calls, in other modes too."""
    make_lake(tmp_path / "lake")
    new = ["wind_turbine_raw.humidity", "wind_turbine_raw.note"]
    assert differences(tmp_path, "addNewColumns") == (SAME, new)
    later = {"humidity": pa.array([5.0]), "extra": pa.array([datetime.date(2024, 1, 15)])}
    put(tmp_path / "lake", RAW, "A-004", later)
    assert differences(tmp_path, "rescue") == (SAME, [])


def test_odd_columns_are_added_or_rescued_alike(tmp_path: Path) -> None:
    """New columns of each type, beside values that do not fit; names of another case."""
    lakehouse.add(tmp_path / "lake", "A-001", 1, 3)
    for i, (name, values) in enumerate(VALUES.items()):
        misfit = pa.array(["x"] * len(values))
        put(tmp_path / "lake", RAW, f"B-{i:03}", {f"new_{name}": values, "rotor_rpm": misfit})
    cases = {"Note": pa.array(["a"]), "note": pa.array(["b"]), "ROTOR_RPM": pa.array([1.5])}
    put(tmp_path / "lake", RAW, "C-001", cases)
    same, new = differences(tmp_path, "addNewColumns")
    assert same == SAME
    rescued = {"new_uint64", "new_ns", "new_clock"}
    wanted = {f"new_{name}" for name in VALUES} - rescued | {"Note"}
    assert {name.rpartition(".")[2] for name in new} == wanted


def test_new_columns_are_refused_alike(tmp_path: Path) -> None:
    lakehouse.add(tmp_path / "lake", "A-001", 1, 3)
    put(tmp_path / "lake", RAW, "A-002", {"humidity": pa.array([0.5]), "note": pa.array(["x"])})
    texts = []
    lake = LakeReader.folder(tmp_path / "lake")
    with pytest.raises(QueryError, match="unknown columns") as refused:
        load(Warehouse(tmp_path / "embedded", lake), LoadOptions("failOnNewColumns"))
    texts.append(str(refused.value))
    options = {"schemaEvolutionMode": "failOnNewColumns", "ignoreCorruptFiles": "true"}
    with pytest.raises(QueryError, match="unknown columns") as refused:
        list(engine.run(Warehouse(tmp_path / "spark", lake), engine.Job(ALL, options=options)))
    assert refused.value.exit_code == LAKE_WRONG
    assert [str(refused.value)] == texts


def test_values_that_do_not_fit_are_rescued_alike(tmp_path: Path) -> None:
    """Every column of a table, as each kind of value."""
    lakehouse.add(tmp_path / "lake", "A-001", 1, 3)
    free = [name for name in AGGREGATED.source.names if name != "turbine_id"]
    for i, values in enumerate(VALUES.values()):
        put(tmp_path / "lake", AGGREGATED, f"B-{i:03}", dict.fromkeys(free, values))
    assert differences(tmp_path, "none") == (SAME, [])
