"""Schema evolution by mode: new columns are added, rescued, refused or left out."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pyarrow as pa
import pytest

from pipeline.catalog.ledger import EVOLUTION
from sim.query.conform import SchemaChange, conform

SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("rpm", pa.float64()),
        ("at", pa.timestamp("us", tz="UTC")),
        ("_rescued_data", pa.string()),
    ]
)


def formed(mode: str = "addNewColumns", **columns: pa.Array) -> pa.Table:
    """The columns in the form of SCHEMA."""
    return conform(pa.table(columns), SCHEMA, mode)[0]


def rescued(**columns: pa.Array) -> list[Any]:
    """Each row's `_rescued_data`, parsed."""
    texts = formed(**columns)["_rescued_data"].to_pylist()
    return [text and json.loads(text) for text in texts]


@pytest.mark.parametrize("mode", EVOLUTION)
def test_an_unknown_column_in_each_mode(mode: str) -> None:
    words = pa.array(["wet", None]).dictionary_encode()
    table = pa.table({"weather": words, "id": pa.array([1, 2])})
    if mode == "failOnNewColumns":
        with pytest.raises(SchemaChange, match="unknown columns weather"):
            conform(table, SCHEMA, mode)
        return
    made, schema = conform(table, SCHEMA, mode)
    assert made.schema == schema
    assert made.select(SCHEMA.names).schema == SCHEMA  # order and types of the table
    assert made["id"].to_pylist() == [1, 2]
    assert made["rpm"].null_count == 2  # a missing column
    if mode == "addNewColumns":
        assert schema == SCHEMA.append(pa.field("weather", pa.string()))
        assert made["weather"].to_pylist() == ["wet", None]
    else:
        assert schema == SCHEMA
    texts = made["_rescued_data"].to_pylist()
    assert texts == (['{"weather": "wet"}', None] if mode == "rescue" else [None, None])


@pytest.mark.parametrize("mode", EVOLUTION)
def test_known_columns_pass_in_each_mode(mode: str) -> None:
    made, schema = conform(pa.table({"id": pa.array([7], pa.int32())}), SCHEMA, mode)
    assert (schema, made["id"].to_pylist()) == (SCHEMA, [7])


def test_a_value_that_does_not_fit_is_null_and_rescued() -> None:
    """Only that one: a number with a fraction, and text that is no number."""
    assert formed(id=pa.array([1.0, 2.5]))["id"].to_pylist() == [1, None]
    assert rescued(id=pa.array([1.0, 2.5])) == [None, {"id": 2.5}]
    assert formed(rpm=pa.array(["7.5", "fast", None]))["rpm"].to_pylist() == [7.5, None, None]
    assert rescued(rpm=pa.array(["7.5", "fast", None])) == [None, {"rpm": "fast"}, None]


def test_a_number_that_is_too_big_is_rescued() -> None:
    big = pa.array([2**63, 5], pa.uint64())
    assert formed(id=big)["id"].to_pylist() == [None, 5]
    assert rescued(id=big) == [{"id": 2**63}, None]


def test_a_map_in_the_place_of_a_number_is_rescued() -> None:
    odd = pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64()))
    assert formed(rpm=odd)["rpm"].to_pylist() == [None]
    assert list(rescued(rpm=odd)[0]) == ["rpm"]


def test_nanoseconds_are_rescued_and_not_cut() -> None:
    at = pa.array([1_000, 1_001], pa.timestamp("ns", tz="UTC"))
    first = datetime.datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=datetime.UTC)
    assert formed(at=at)["at"].to_pylist() == [first, None]
    kept, cut = rescued(at=at)
    assert kept is None
    assert "00:00:00.000001001" in cut["at"]


def test_rescued_data_of_the_object_stays() -> None:
    """A new value under the same name wins; text that is no object is a member."""
    there = pa.array(['{"a": 1, "id": 0}', "no JSON", "[1]", None])
    assert rescued(id=pa.array(["x", "y", "z", "3"]), _rescued_data=there) == [
        {"a": 1, "id": "x"},
        {"_rescued_data": "no JSON", "id": "y"},
        {"_rescued_data": "[1]", "id": "z"},
        None,
    ]


def test_the_text_of_rescued_data_is_the_same_for_equal_values() -> None:
    """Names in order, no escapes, times as ISO 8601, bytes in hexadecimal."""
    made = formed(
        "rescue",
        b=pa.array([datetime.datetime(2024, 1, 15, 1, 2, 3)]),
        a=pa.array([b"\xab\x01"]),
        ö=pa.array(["ß"]),
        none=pa.array([None], pa.int64()),
    )
    assert made["_rescued_data"].to_pylist() == [
        '{"a": "AB01", "b": "2024-01-15T01:02:03", "ö": "ß"}'
    ]
