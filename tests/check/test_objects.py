"""Objects as the oracle reads them: facts of each, and partial reads of other schemas."""

from __future__ import annotations

import hashlib

import pyarrow as pa
import pytest

from pipeline.records import RESCUED
from pipeline.records.schemas import AGGREGATED, ENRICHED, INGESTION, REJECTED
from sim.check.read import parquet as decode
from sim.check.read.keys import BatchKey
from sim.check.read.lake import ObjectRef
from sim.check.read.objects import DataObject, read_stage
from tests.support.check_world import (
    SECOND,
    START,
    Memory,
    Row,
    expected,
    good,
    parquet,
    stage_rows,
    window_rows,
)

FOLDER = "ingestion/year=2024/month=01/day=15/hour=00"
A, B, C = (f"{FOLDER}/{name}.parquet" for name in ("A-001-1-3", "A-001-4-4", "A-002-1-2"))
BUCKET = "expanso-databricks-ingestion"


def read(stage: str, content: bytes) -> tuple[DataObject, pa.Table]:
    found = stage_rows(stage, {A: content})
    return found.objects[0], found.table


def test_rows_ids_and_times_of_each_object() -> None:
    rows = [good(3), good(1), good(2, timestamp=None)]
    objects = {
        A: parquet(rows, INGESTION),
        B: parquet([], INGESTION),
        C: parquet([good(9, timestamp=None)], INGESTION),
    }
    found = stage_rows("ingestion", objects)
    assert found.table.column("id").to_pylist() == [3, 1, 2, 9]
    assert found.object.tolist() == [0, 0, 0, 2]
    refs = [ObjectRef(BUCKET, key, 0) for key in objects]
    facts = [
        {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for data in objects.values()
    ]
    first = {
        "min_event_us": START,
        "max_event_us": START + 20 * SECOND,
        "first_id": 1,
        "last_id": 3,
        "rows": 3,
    }
    last = {"rows": 1, "first_id": 9, "last_id": 9}
    assert found.objects == [
        DataObject(
            refs[0], BatchKey("ingestion", 473_688, "A-001", 1, 3), False, **facts[0] | first
        ),
        DataObject(
            refs[1], BatchKey("ingestion", 473_688, "A-001", 4, 4), False, **facts[1], rows=0
        ),
        DataObject(
            refs[2], BatchKey("ingestion", 473_688, "A-002", 1, 2), False, **facts[2] | last
        ),
    ]


def test_windows_have_times_and_no_ids() -> None:
    rows = window_rows(expected([good(1), good(7)]))
    item, table = read("aggregated", parquet(rows, AGGREGATED))
    assert (item.rows, item.min_event_us, item.max_event_us) == (2, START, START + 60 * SECOND)
    assert (item.first_id, item.last_id, len(table)) == (None, None, 2)


def test_guests_come_last_and_are_marked() -> None:
    contents = {
        f"{BUCKET}/{key}": parquet([good(i)], INGESTION) for i, key in enumerate((A, B, C), 1)
    }
    refs = [ObjectRef(BUCKET, key, 0) for key in (A, B, C)]
    found = read_stage(Memory(contents), "ingestion", refs[:1], refs[1:])
    assert [item.guest for item in found.objects] == [False, True, True]
    assert found.table.column("id").to_pylist() == [1, 2, 3]
    assert read_stage(Memory(contents), "ingestion", [], []).table.num_rows == 0


def test_names_are_read_as_shared_dictionaries() -> None:
    rows: list[Row] = [good(1, _rescued_data="{}"), good(2, "A-002")]
    table = stage_rows("quarantine", {A: rows[:1], B: rows[1:]}).table
    names = [
        field.name for field in REJECTED if pa.types.is_string(field.type) and field.name != RESCUED
    ]
    assert [field.name for field in table.schema if pa.types.is_dictionary(field.type)] == names
    assert table.column("turbine_id").num_chunks == 1
    assert table.column("turbine_id").combine_chunks().dictionary.to_pylist() == ["A-001", "A-002"]
    assert table.column(RESCUED).to_pylist() == ["{}", None]


@pytest.mark.parametrize(
    "content", [None, b"", b"hello" * 100, parquet([good(1)], INGESTION)[:-100]]
)
def test_an_unreadable_object_has_no_rows_and_a_problem(content: bytes | None) -> None:
    found = stage_rows("ingestion", {A: content, B: [good(1)]})
    item = found.objects[0]
    assert item.problem.startswith(
        "listed, but could not be read"
        if content is None
        else f"not a readable Parquet file of {len(content)} b"
    )
    assert (item.sha256, item.size) == (
        "" if content is None else hashlib.sha256(content).hexdigest(),
        len(content or b""),
    )
    assert (item.rows, found.object.tolist(), found.objects[1].problem) == (0, [1], "")


def table(schema: pa.Schema = INGESTION, **columns: pa.Array) -> pa.Table:
    """Return three rows, with columns changed, added, or left out (None)."""
    rows = pa.Table.from_pylist([good(i, farm_id="A") for i in (1, 2, 3)], schema=schema)
    for name, values in columns.items():
        at = rows.schema.get_field_index(name)
        if values is None:
            rows = rows.drop_columns([name])
        else:
            rows = rows.append_column(name, values) if at < 0 else rows.set_column(at, name, values)
    return rows


def written(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pa.parquet.write_table(rows, sink)
    return bytes(sink.getvalue())


@pytest.mark.parametrize(
    ("schema", "columns", "problem"),
    [
        (INGESTION, {}, ""),
        (
            INGESTION,
            {"note": pa.array(["x"] * 3), "more": pa.array([1] * 3)},
            "not in the schema: note, more",
        ),
        (INGESTION, {"blade_pitch": None, "rotor_rpm": None}, "missing: rotor_rpm, blade_pitch"),
        (INGESTION, {"status": None}, "missing: status"),
        (ENRICHED, {"region": None, "node_id": None}, "missing: node_id, region"),
        (
            ENRICHED,
            {"region": None, "note": pa.array([1] * 3)},
            "missing: region; not in the schema: note",
        ),
        (INGESTION, {"blade_pitch": pa.array([1] * 3)}, "type: blade_pitch is int64"),
        (
            INGESTION,
            {"blade_pitch": pa.array(["x"] * 3), "farm_id": None},
            "missing: farm_id; type: blade_pitch is string",
        ),
        (INGESTION, {"id": pa.array([1, 2, 3], pa.int32())}, "type: id is int32"),
    ],
)
def test_a_schema_difference_is_named_and_the_rest_is_read(schema, columns, problem) -> None:
    stage = "enriched" if schema is ENRICHED else "ingestion"
    item, rows = read(stage, written(table(schema, **columns)))
    assert (item.schema_problem, item.problem, item.rows) == (problem, "", 3)
    assert rows.column("id").to_pylist() == [1, 2, 3]
    assert rows.schema.names == schema.names
    given = table(schema, **columns)
    for name in schema.names:
        same = name in given.schema.names and columns.get(name, pa.array([1])).type != pa.string()
        assert rows.column(name).to_pylist() == (
            given.column(name).to_pylist() if same else [None] * 3
        )


def test_columns_in_another_order_are_a_schema_problem() -> None:
    item, rows = read("ingestion", written(table().select(INGESTION.names[::-1])))
    assert (item.schema_problem, item.problem, rows.schema.names) == (
        "order of columns",
        "",
        INGESTION.names,
    )


@pytest.mark.parametrize(
    ("stage", "columns", "problem"),
    [
        ("ingestion", {"id": None}, "missing: id"),
        ("ingestion", {"id": pa.array(["x"] * 3)}, "type: id is string"),
        ("aggregated", {"revision": None}, "missing: revision"),
        ("aggregated", {"turbine_id": None}, "missing: turbine_id"),
        ("aggregated", {"window_start": None, "rows": None}, "missing: window_start, rows"),
    ],
)
def test_rows_without_an_identity_are_not_read(
    stage: str, columns: dict[str, pa.Array], problem: str
) -> None:
    item, rows = read(
        stage, written(table(AGGREGATED if stage == "aggregated" else INGESTION, **columns))
    )
    assert item.problem == f"rows without a usable identity: {problem}"
    assert (item.rows, len(rows)) == (0, 0)


def test_duplicate_or_required_columns_are_schema_problems() -> None:
    rows = table()
    double = pa.table([*rows.columns, rows.column("status")], names=[*rows.column_names, "status"])
    item, found = read("ingestion", written(double))
    assert (item.schema_problem, item.problem, item.rows) == ("more than once: status", "", 3)
    assert found.column("status").to_pylist() == [None] * 3
    strict = pa.schema([f.with_nullable(f.name != "id") for f in INGESTION])
    item, found = read("ingestion", written(rows.cast(strict)))
    assert (item.schema_problem, item.rows) == ("not nullable: id", 3)


def test_an_object_above_the_size_bound_is_not_fetched() -> None:
    refs = [ObjectRef(BUCKET, A, decode.MOST_BYTES + 1), ObjectRef(BUCKET, B, 0)]
    found = read_stage(
        Memory({f"{BUCKET}/{B}": parquet([good(1)], INGESTION)}), "ingestion", refs, []
    )
    assert found.objects[0].problem == f"{decode.MOST_BYTES + 1} bytes: too large to read"
    assert (found.objects[0].rows, found.objects[1].rows) == (0, 1)


def test_windows_missing_another_column_keep_their_identity() -> None:
    item, rows = read("aggregated", written(table(AGGREGATED, rows=None)))
    assert (item.problem, item.schema_problem, len(rows)) == ("", "missing: rows", 3)
