"""An object's columns in the form of its table: no type or name of a column ends a load."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from sim.query.conform import conform

SCHEMA = pa.schema(
    {
        "id": pa.int64(),
        "at": pa.timestamp("us", "UTC"),
        "rpm": pa.float64(),
        "status": pa.string(),
        "_rescued_data": pa.string(),
    }
)
DAY_US = 86_400_000_000
NANOSECONDS = pa.array([DAY_US * 1000, 1], pa.timestamp("ns"))
NEXT_NS = "1970-01-01 00:00:00.000000001"


def given(**columns: pa.Array) -> pa.Table:
    return pa.table({"id": pa.array([1, 2]), **columns})


def rescued(table: pa.Table) -> list[Any]:
    texts = table["_rescued_data"].to_pylist()
    return [text and json.loads(text) for text in texts]


@pytest.mark.parametrize(
    ("name", "values", "fitting", "kept"),
    [
        ("rpm", pa.array([7, 8]), [7.0, 8.0], [None, None]),
        ("rpm", pa.array([2**60 + 1, 8]), [None, 8.0], [2**60 + 1, None]),
        ("rpm", pa.array([Decimal("1.50"), None]), [1.5, None], [None, None]),
        ("rpm", pa.array(["7.5", "fast"]), [7.5, None], [None, "fast"]),
        ("rpm", pa.array([{"a": 1}, None]), [None, None], [{"a": 1}, None]),
        ("rpm", pa.array([[1.5], None]), [None, None], [[1.5], None]),
        ("rpm", pa.nulls(2), [None, None], [None, None]),
        ("id", pa.array([2**64 - 1, 2], pa.uint64()), [None, 2], [2**64 - 1, None]),
        ("id", pa.array([1.0, 2.5]), [1, None], [None, 2.5]),
        (
            "at",
            pa.array([DAY_US * 1000, 1], pa.timestamp("ns")),
            ["1970-01-02", None],
            [None, NEXT_NS],
        ),
        ("at", pa.array(["1970-01-02T00:00:00Z", "x"]), ["1970-01-02", None], [None, "x"]),
        ("status", pa.array([b"\xff", b"ok"]), [None, "ok"], ["FF", None]),
        ("status", pa.array(["a", "a"]).dictionary_encode(), ["a", "a"], [None, None]),
    ],
)
def test_a_value_that_does_not_fit_is_null_and_kept(
    name: str, values: pa.Array, fitting: list[Any], kept: list[Any]
) -> None:
    found, schema = conform(given(**{name: values}), SCHEMA, "none")
    assert schema == found.schema == SCHEMA
    shown = [str(v)[:10] if name == "at" and v else v for v in found[name].to_pylist()]
    assert shown == fitting
    assert rescued(found) == [None if value is None else {name: value} for value in kept]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pa.array([1.5, None], pa.float32()), pa.float32()),
        (pa.array(["a", None], pa.large_string()), None),
        (pa.array([b"ab", None], pa.binary(2)), None),
        (pa.array([Decimal("1.5"), None]), pa.decimal128(2, 1)),
        (pa.array([[255], []], pa.list_(pa.int16())), pa.list_(pa.int16())),
        (pa.array([{"a": 1}, None], pa.struct([("a", "int32")])), pa.struct([("a", "int32")])),
        (pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())), None),
    ],
)
def test_a_new_column_gets_a_type_that_delta_keeps(
    tmp_path: Any, values: pa.Array, kind: pa.DataType | None
) -> None:
    found, schema = conform(given(new=values), SCHEMA, "addNewColumns")
    if kind is not None:
        assert schema.field("new").type == kind
    write_deltalake(str(tmp_path), found)
    again = DeltaTable(str(tmp_path)).to_pyarrow_table()["new"].to_pylist()
    assert [str(each) for each in again] == [str(each) for each in found["new"].to_pylist()]


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        (pa.array([200, None], pa.uint8()), 200),
        (pa.array([2**64 - 1, None], pa.uint64()), 2**64 - 1),
        (pa.array([1, None], pa.time32("s")), "00:00:01"),
        (pa.array([1, None], pa.duration("s")), "0:00:01"),
        (pa.array([Decimal(1), None], pa.decimal256(50, 2)), "1.00"),
        (pa.array([{}, None], pa.struct([])), {}),
    ],
)
def test_a_new_column_that_delta_cannot_keep_is_rescued(values: pa.Array, kept: object) -> None:
    found, schema = conform(given(new=values), SCHEMA, "addNewColumns")
    assert schema == SCHEMA
    assert rescued(found) == [{"new": kept}, None]


def test_names_that_differ_in_case_are_one_column_and_rescued_data() -> None:
    table = given(RPM=pa.array([1.0, 2.0]), new=pa.array([3, 4]), New=pa.array([5, 6]))
    found, schema = conform(table, SCHEMA, "addNewColumns")
    assert schema.names == [*SCHEMA.names, "new"]
    assert rescued(found) == [{"RPM": 1.0, "New": 5}, {"RPM": 2.0, "New": 6}]


def test_a_column_without_values_is_not_added() -> None:
    assert conform(given(new=pa.nulls(2)), SCHEMA, "addNewColumns")[1] == SCHEMA


def test_data_that_was_rescued_before_is_kept_whatever_it_is() -> None:
    before = pa.array(["no JSON", '{"old": 1}'])
    found, _ = conform(given(_rescued_data=before, rpm=pa.array(["x", "y"])), SCHEMA, "none")
    assert rescued(found) == [{"_rescued_data": "no JSON", "rpm": "x"}, {"old": 1, "rpm": "y"}]
