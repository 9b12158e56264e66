"""Data objects of one stage, fetched once each: sha256, size, ranges, and all rows as one table.

An object that `sim.check.read.parquet` refuses, or without the columns that identify a row, gets a
`problem` and contributes no rows. An object with other columns or types than the stage's gets a
`schema_problem` and contributes the columns that can be cast.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import pyarrow as pa

from pipeline.records import REJECTED, RESCUED, SCHEMAS
from sim.check.read import parquet
from sim.check.read.columns import Ints, integers, nulls
from sim.check.read.keys import BatchKey, read_batch_key
from sim.check.read.lake import ObjectRef, Reads
from sim.check.read.lender import COLUMNS, Lenders, digests

STAGE_SCHEMAS: Final = {**SCHEMAS, "quarantine": REJECTED}
_IDENTITY: Final = {"aggregated": ("turbine_id", "window_start", "revision")}
_NO_CONTENT: Final = "listed, but could not be read"


@dataclass
class DataObject:
    """Facts about one object. Event times in us, `None` without rows or if the column is all null.

    `place`           parts of its key; None if the form is unknown
    `guest`           its key belongs to another share
    `problem`         reason why it has no readable rows
    `schema_problem`  differences from the stage's schema
    `footer_texts`    key-value metadata of the Parquet footer
    """

    ref: ObjectRef
    place: BatchKey | None
    guest: bool
    sha256: str = ""
    size: int = 0
    rows: int = 0
    min_event_us: int | None = None
    max_event_us: int | None = None
    first_id: int | None = None
    last_id: int | None = None
    problem: str = ""
    schema_problem: str = ""
    footer_texts: Mapping[bytes, bytes] = dataclasses.field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class StageRows:
    """All readable rows of a stage.

    `table`   has the stage's schema, strings dictionary-encoded
    `object`  (rows,): index of each row's object in `objects`
    """

    objects: list[DataObject]
    table: pa.Table
    object: Ints


def read_stage(
    reader: Reads,
    stage: str,
    home: Sequence[ObjectRef],
    guests: Sequence[ObjectRef],
    lenders: Lenders | None = None,
) -> StageRows:
    """Read the objects of one stage. `guests` have keys of other shares. Raises LakeError.

    lenders: columns of the stages read before.
    """
    refs = [*home, *guests]
    objects = [
        DataObject(ref, read_batch_key(ref.bucket, ref.key), i >= len(home))
        for i, ref in enumerate(refs)
    ]
    schema = _encoded(stage)
    lenders = Lenders() if lenders is None else lenders
    tables = [
        _open(item, content, stage, schema, lenders)
        for item, content in zip(objects, fetch(reader, refs), strict=True)
    ]
    whole = pa.concat_tables([schema.empty_table(), *tables])
    if parquet.problem(whole):
        tables = [_sound(item, table) for item, table in zip(objects, tables, strict=True)]
        whole = pa.concat_tables([schema.empty_table(), *tables])
    whole = whole.unify_dictionaries().combine_chunks()
    for item, table in zip(objects, tables, strict=True):
        item.rows = len(table)
    of_row = np.repeat(np.arange(len(objects), dtype=np.int64), [len(t) for t in tables])
    _note_ranges(objects, whole, stage)
    return StageRows(objects, whole, of_row)


def fetch(reader: Reads, refs: Sequence[ObjectRef]) -> Iterator[bytes | None]:
    """Yield each object's content, None for a vanished or too large one. Raises LakeError."""
    contents = iter(reader.read([ref for ref in refs if ref.size <= parquet.MOST_BYTES]))
    for ref in refs:
        yield next(contents) if ref.size <= parquet.MOST_BYTES else None
    next(contents, None)  # lets a reader run its code after the last object


def _sound(item: DataObject, table: pa.Table) -> pa.Table:
    """Return the table; empty, with a `problem` noted, if it has invalid contents."""
    if why := parquet.problem(table):
        item.problem = _unreadable(item.size, why)
        return table.schema.empty_table()
    return table


def _unreadable(size: int, why: str) -> str:
    return f"not a readable Parquet file of {size} bytes: {why}"


def _encoded(stage: str) -> pa.Schema:
    """Return the stage's schema with dictionaries for repeated strings, as they are read."""
    return pa.schema(
        field.with_type(pa.dictionary(pa.int32(), pa.string())) if _is_name(field) else field
        for field in STAGE_SCHEMAS[stage]
    )


@cache
def _names(stage: str) -> tuple[str, ...]:
    """Names of the columns of repeated strings. Cached: every object needs them."""
    return tuple(field.name for field in STAGE_SCHEMAS[stage] if _is_name(field))


def _is_name(field: pa.Field) -> bool:
    return bool(pa.types.is_string(field.type)) and field.name != RESCUED


def _open(
    item: DataObject, content: bytes | None, stage: str, schema: pa.Schema, lenders: Lenders
) -> pa.Table:
    if content is None:
        large = item.ref.size > parquet.MOST_BYTES
        item.problem = f"{item.ref.size} bytes: too large to read" if large else _NO_CONTENT
        return schema.empty_table()
    place = item.place
    lender = lenders.find(stage, place)
    item.sha256, first = digests(content, lender.end if lender else 0)
    item.size = len(content)
    try:
        file = parquet.open_exact_schema(content, schema, _names(stage))
        if file is None:
            item.footer_texts = parquet.footer_texts(content)
            return _adapted(item, content, stage, schema)
        item.footer_texts = file.metadata.metadata or {}
        if place and lender and lenders.may_borrow(stage, place, file.metadata, first):
            shared = len(COLUMNS)
            if lender.table.schema.equals(schema):
                return lender.table
            rest = parquet.read_columns(file, schema, shared).columns
            return pa.Table.from_arrays([*lender.table.columns, *rest], schema=schema)
        table = parquet.read_columns(file, schema)
        lenders.add(stage, place, content, file.metadata, table)
        return table
    except parquet.Unreadable as error:
        item.footer_texts = item.footer_texts or parquet.footer_texts(content)
        item.problem = _unreadable(item.size, str(error))
        return schema.empty_table()


def _adapted(item: DataObject, content: bytes, stage: str, schema: pa.Schema) -> pa.Table:
    """Cast a file of another schema to the stage's, where possible. Raises parquet.Unreadable."""
    table, found = parquet.read_any_schema(content, schema.names)
    item.schema_problem = _schema_problem(found, STAGE_SCHEMAS[stage])
    columns = []
    for field in schema:
        try:
            column = parquet.cast_column(table.column(field.name), field.type)
        except (pa.ArrowException, KeyError):  # of another type, missing, or twice in the file
            column = None
        if column is None and field.name in _IDENTITY.get(stage, ("id",)):
            item.problem = f"rows without a usable identity: {item.schema_problem}"
            return schema.empty_table()
        columns.append(pa.nulls(len(table), field.type) if column is None else column)
    return pa.table(columns, schema=schema)


def _schema_problem(found: pa.Schema, right: pa.Schema) -> str:
    """Describe the differences between a file's schema and the stage's; empty if there are none."""
    count = Counter(found.names)
    types = {field.name: field.type for field in found}
    texts = [
        ("missing: ", [name for name in right.names if name not in count]),
        ("not in the schema: ", [name for name in count if name not in right.names]),
        ("more than once: ", [name for name in count if count[name] > 1]),
        (
            "not nullable: ",
            [field.name for field in found if field.name in right.names and not field.nullable],
        ),
        (
            "type: ",
            [
                f"{f.name} is {types[f.name]}"
                for f in right
                if f.name in types and not _is(types[f.name], f.type)
            ],
        ),
    ]
    differing = "; ".join(lead + ", ".join(names) for lead, names in texts if names)
    return differing or ("" if found.names == right.names else "order of columns")


def _is(found: pa.DataType, right: pa.DataType) -> bool:
    return bool(found == right or (pa.types.is_dictionary(found) and found.value_type == right))


def _note_ranges(objects: list[DataObject], table: pa.Table, stage: str) -> None:
    """Set first and last id, first and last event time of every object.

    In aggregated there are no ids, and window starts take the place of event times.
    """
    filled = [item for item in objects if item.rows]
    if not filled:
        return
    starts = np.concatenate(([0], np.cumsum([item.rows for item in filled])[:-1]))
    column = table.column("window_start" if stage == "aggregated" else "timestamp")
    time, null, limits = integers(column), nulls(column), np.iinfo(np.int64)
    low = np.minimum.reduceat(np.where(null, limits.max, time), starts)
    high = np.maximum.reduceat(np.where(null, limits.min, time), starts)
    timed = np.logical_or.reduceat(~null, starts)
    for item, earliest, latest, known in zip(
        filled, low.tolist(), high.tolist(), timed.tolist(), strict=True
    ):
        if known:
            item.min_event_us, item.max_event_us = earliest, latest
    if stage != "aggregated":
        number = integers(table.column("id"))
        bounds = zip(
            np.minimum.reduceat(number, starts), np.maximum.reduceat(number, starts), strict=True
        )
        for item, (first, last) in zip(filled, bounds, strict=True):
            item.first_id, item.last_id = int(first), int(last)
