"""An object's columns in the form of its table.

| mode             | an unknown column          |
|------------------|----------------------------|
| addNewColumns    | is added to the table      |
| rescue           | goes to `_rescued_data`    |
| failOnNewColumns | raises SchemaChange        |
| none             | is ignored                 |

A name that differs from a column's in case only is not added, nor is a type that the tables lack
(unsigned, time of day, nanoseconds): those go to `_rescued_data`. In every mode a missing column is
null, and a value that does not fit its column is null there and kept in `_rescued_data`. The modes
are Auto Loader's `cloudFiles.schemaEvolutionMode`. Auto Loader stops the stream once before it adds
a column; here the column is there at once.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.records import RESCUED


class SchemaChange(Exception):
    """An unknown column in mode `failOnNewColumns`. The text names the columns."""


def conform(table: pa.Table, schema: pa.Schema, mode: str) -> tuple[pa.Table, pa.Schema]:
    """Return the rows in the form of `schema`, and the schema with the columns that were added.

    Raises SchemaChange.
    """
    unknown = [name for name in table.column_names if name not in schema.names]
    if unknown and mode == "failOnNewColumns":
        raise SchemaChange(f"unknown columns {', '.join(unknown)}")
    rescued: dict[str, list[Any]] = {}
    if mode == "addNewColumns":
        taken = {name.lower() for name in schema.names}
        for name in list(unknown):
            kind = _plain(table.schema.field(name).type)
            if name.lower() not in taken and _can_be_added(kind):
                schema = schema.append(pa.field(name, kind))
                taken.add(name.lower())
                unknown.remove(name)
    if mode in ("addNewColumns", "rescue"):
        rescued = {name: _listed(table.column(name)) for name in unknown}
    columns = []
    for field in schema:
        if field.name not in table.column_names:
            columns.append(pa.nulls(table.num_rows, field.type))
            continue
        fitting, misfits = _cast(table.column(field.name), field.type)
        columns.append(fitting)
        if misfits is not None:
            rescued[field.name] = misfits
    made = pa.table(columns, schema=schema)
    return (_with_rescued(made, rescued) if rescued else made), schema


def _can_be_added(kind: pa.DataType) -> bool:
    """Return True for a type that both Delta and Spark hold without loss."""
    if pa.types.is_nested(kind):
        return kind.num_fields > 0 and all(
            _can_be_added(kind.field(i).type) for i in range(kind.num_fields)
        )
    odd = (pa.types.is_unsigned_integer, pa.types.is_time, pa.types.is_null, pa.types.is_float16)
    if pa.types.is_decimal256(kind) or pa.types.is_duration(kind):
        return False
    return not (_is_ns(kind) or any(test(kind) for test in odd))


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> tuple[pa.ChunkedArray, list[Any] | None]:
    """Return the column as `kind` with nulls for values that do not fit, and those values."""
    if column.type == kind:
        return column, None
    plain = column.cast(_plain(column.type))
    try:
        return plain.cast(kind), None
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        pass
    if _is_ns(plain.type) and pa.types.is_timestamp(kind):
        rounded = plain.cast(kind, safe=False)
        exact = pc.equal(rounded.cast(plain.type), plain)
        fitting = pc.if_else(exact, rounded, pa.scalar(None, kind))
    else:
        values = [_value(each, kind) for each in _listed(plain)]
        fitting = pa.chunked_array([pa.array(values, kind)])
    misfits = [
        None if fits else value
        for fits, value in zip(fitting.is_valid().to_pylist(), _listed(plain), strict=True)
    ]
    return fitting, misfits


def _is_ns(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind)) and kind.unit == "ns"


def _listed(column: pa.ChunkedArray) -> list[Any]:
    """Return the values, nanoseconds as text: Python's times have none."""
    found: list[Any] = (
        column.cast(pa.string()) if _is_ns(_plain(column.type)) else column
    ).to_pylist()
    return found


def _value(value: Any, kind: pa.DataType) -> Any:
    try:
        return pa.scalar(value).cast(kind).as_py() if value is not None else None
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        return None


def _with_rescued(table: pa.Table, rescued: Mapping[str, list[Any]]) -> pa.Table:
    """Merge the values of `rescued` into `_rescued_data`, over the rows that have one."""
    texts = table.column(RESCUED).to_pylist()
    for row, values in enumerate(zip(*rescued.values(), strict=True)):
        new = {
            name: value for name, value in zip(rescued, values, strict=True) if value is not None
        }
        if new:
            found = _members(texts[row]) | new
            texts[row] = json.dumps(found, sort_keys=True, default=_json, ensure_ascii=False)
    place = table.schema.get_field_index(RESCUED)
    return table.set_column(place, table.schema.field(place), pa.array(texts, pa.string()))


def _members(text: str | None) -> dict[str, Any]:
    """Return the members of an earlier `_rescued_data`. Any other text is a member itself."""
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        found = text
    return found if isinstance(found, dict) else {RESCUED: text}


def _json(value: object) -> str:
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()
    return value.hex().upper() if isinstance(value, bytes) else str(value)
