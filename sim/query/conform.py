"""An object's columns in the form of its table.

| mode             | an unknown column          |
|------------------|----------------------------|
| addNewColumns    | is added to the table      |
| rescue           | goes to `_rescued_data`    |
| failOnNewColumns | raises SchemaChange        |
| none             | is ignored                 |

In every mode a missing column is null, and a value that does not fit its column is null there and
kept in `_rescued_data`. The modes are Auto Loader's `cloudFiles.schemaEvolutionMode`. Auto Loader
stops the stream once before it adds a column; here the column is there at once.

Names are compared with their case, as Auto Loader does. A Delta table has no two columns that
differ in case only, and no times of day, durations or wide decimals: such a column is rescued where
others are added. Unsigned integers are added as wider ones.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.records import RESCUED

_STORED: Final = {
    **{kind: kind for kind in (pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64())},
    **{kind: kind for kind in (pa.float32(), pa.float64(), pa.string(), pa.binary(), pa.date32())},
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20, 0),
    pa.float16(): pa.float32(),
    pa.large_string(): pa.string(),
    pa.string_view(): pa.string(),
    pa.large_binary(): pa.binary(),
    pa.binary_view(): pa.binary(),
    pa.date64(): pa.date32(),
}
"""Type of a column -> the type in which a Delta table keeps it."""


class SchemaChange(Exception):
    """An unknown column in mode `failOnNewColumns`. The text names the columns."""


def conform(table: pa.Table, schema: pa.Schema, mode: str) -> tuple[pa.Table, pa.Schema]:
    """Return the rows in the form of `schema`, and the schema with the columns that were added.

    Raises SchemaChange.
    """
    unknown = [
        field.name
        for field in table.schema
        if field.name not in schema.names and not pa.types.is_null(field.type)  # has no values
    ]
    if unknown and mode == "failOnNewColumns":
        raise SchemaChange(f"unknown columns {', '.join(unknown)}")
    rescued: dict[str, pa.ChunkedArray] = {}
    if mode == "addNewColumns":
        for name in unknown:
            kind = stored(table.schema.field(name).type)
            if kind is None or name.lower() in {each.lower() for each in schema.names}:
                rescued[name] = table.column(name)
            else:
                schema = schema.append(pa.field(name, kind))
    elif mode == "rescue":
        rescued = {name: table.column(name) for name in unknown}
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


def stored(kind: pa.DataType) -> pa.DataType | None:
    """Return the type in which a Delta table keeps values of a type, None for no such type."""
    types = pa.types
    if types.is_dictionary(kind):
        return stored(kind.value_type)
    if types.is_timestamp(kind):
        return pa.timestamp("us", "UTC")
    if types.is_struct(kind):
        parts = [(field.name, stored(field.type)) for field in kind]
        return None if any(part is None for _, part in parts) or not parts else pa.struct(parts)
    if types.is_map(kind):
        key, item = stored(kind.key_type), stored(kind.item_type)
        return None if key is None or item is None else pa.map_(key, item)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        item = stored(kind.value_type)
        return None if item is None else pa.list_(item)
    if types.is_decimal128(kind):
        return kind
    return pa.binary() if types.is_fixed_size_binary(kind) else _STORED.get(kind)


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _cast(
    column: pa.ChunkedArray, kind: pa.DataType
) -> tuple[pa.ChunkedArray, pa.ChunkedArray | None]:
    """Return the column as `kind` with nulls for values that do not fit, and those values."""
    if column.type == kind:
        return column, None
    plain = column.cast(_plain(column.type))
    try:
        return plain.cast(kind), None
    except pa.ArrowNotImplementedError:  # no value of this type fits
        fitting = pa.nulls(len(plain), kind)
    except pa.ArrowInvalid:
        fitting = _fitting(plain, kind)
    return pa.chunked_array([fitting]), pc.if_else(
        fitting.is_null(), plain, pa.scalar(None, plain.type)
    )


def _fitting(plain: pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    """Return the values that fit, null for others. Each distinct value is tried once."""
    whole = pa.chunked_array(plain.chunks, plain.type).combine_chunks()
    try:
        encoded = whole.dictionary_encode()
    except pa.ArrowNotImplementedError:  # lists and structs
        return pa.nulls(len(whole), kind)
    values = pa.array([_value(each, kind) for each in encoded.dictionary], kind)
    return values.take(encoded.indices)


def _value(value: pa.Scalar, kind: pa.DataType) -> pa.Scalar | None:
    try:
        return value.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None


def _with_rescued(table: pa.Table, rescued: Mapping[str, pa.ChunkedArray]) -> pa.Table:
    """Merge the values of `rescued` into `_rescued_data`, over the rows that have one."""
    some = None
    for column in rescued.values():
        there = column.is_valid()
        some = there if some is None else pc.or_(some, there)
    rows = pc.indices_nonzero(some).to_pylist()
    texts = table.column(RESCUED).to_pylist()
    values = {name: _python(column.take(rows)) for name, column in rescued.items()}
    for i, row in enumerate(rows):
        found = _earlier(texts[row])
        found |= {name: each[i] for name, each in values.items() if each[i] is not None}
        texts[row] = json.dumps(found, sort_keys=True, default=_json, ensure_ascii=False)
    place = table.schema.get_field_index(RESCUED)
    return table.set_column(place, table.schema.field(place), pa.array(texts, pa.string()))


def _earlier(text: str | None) -> dict[str, Any]:
    """Return the values that were rescued before, by column."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        found = text
    return found if isinstance(found, dict) else {RESCUED: found}


def _python(column: pa.ChunkedArray) -> list[Any]:
    """Return values for JSON. Nanoseconds, which Python's times have not, become texts."""
    try:
        values: list[Any] = column.to_pylist()
        return values
    except ValueError:
        return [None if not each.is_valid else str(each.value) for each in column]


def _json(value: object) -> str:
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()
    return value.hex().upper() if isinstance(value, bytes) else str(value)
