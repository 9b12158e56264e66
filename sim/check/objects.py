"""Data objects of one stage, fetched once each: their sha256 and footer facts, and all their rows as one table.

An object that is not Parquet, or lacks what identifies a row, is noted with its `problem` and contributes no rows; one
whose columns or types are not the stage's contributes what can be cast, and says so in `schema_problem`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.records import REJECTED, RESCUED, SCHEMAS
from sim.check.canon import Ints, integers, nulls
from sim.check.keys import BatchKey, read_batch_key
from sim.check.lake import ObjectRef, Reads

STAGE_SCHEMAS: Final = {**SCHEMAS, "quarantine": REJECTED}
_IDENTITY: Final = {"aggregated": ("turbine_id", "window_start", "revision")}


@dataclass
class DataObject:
    """What is known of one object. Event times in us; `None` where there are no rows or the column is all null."""

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


@dataclass(frozen=True)
class StageRows:
    """All readable rows of a stage: `table` has the stage's schema (strings dictionary-encoded), `object` (rows,) says
    which of `objects` each row is from."""

    objects: list[DataObject]
    table: pa.Table
    object: Ints


def read_stage(reader: Reads, stage: str, home: Sequence[ObjectRef], guests: Sequence[ObjectRef]) -> StageRows:
    """Reads the objects of one stage. `guests` are objects whose keys belong elsewhere. Raises LakeError."""
    refs = [*home, *guests]
    objects = [DataObject(ref, read_batch_key(ref.bucket, ref.key), i >= len(home)) for i, ref in enumerate(refs)]
    tables = []
    schema = _encoded(stage)
    for item, content in zip(objects, reader.read(refs), strict=True):
        table = _open(item, content, stage, schema)
        item.rows = len(table)
        tables.append(table)
    whole = pa.concat_tables([schema.empty_table(), *tables]).unify_dictionaries().combine_chunks()
    of_row = np.repeat(np.arange(len(objects), dtype=np.int64), [len(t) for t in tables])
    _note_ranges(objects, whole, stage)
    return StageRows(objects, whole, of_row)


def _encoded(stage: str) -> pa.Schema:
    """The stage's schema with repeated strings as dictionaries, which is how they are read."""
    return pa.schema(
        field.with_type(pa.dictionary(pa.int32(), pa.string())) if _is_name(field) else field
        for field in STAGE_SCHEMAS[stage]
    )


def _is_name(field: pa.Field) -> bool:
    return bool(pa.types.is_string(field.type)) and field.name != RESCUED


def _open(item: DataObject, content: bytes | None, stage: str, schema: pa.Schema) -> pa.Table:
    if content is None:
        item.problem = "it was listed but could not be read"
        return schema.empty_table()
    item.sha256, item.size = hashlib.sha256(content).hexdigest(), len(content)
    names = [field.name for field in STAGE_SCHEMAS[stage] if _is_name(field)]
    try:
        try:
            file = pq.ParquetFile(pa.BufferReader(content), read_dictionary=names)
        except KeyError:  # lacks one of these columns
            there = pq.read_schema(pa.BufferReader(content)).names
            file = pq.ParquetFile(pa.BufferReader(content), read_dictionary=[name for name in names if name in there])
        table = file.read(use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        item.problem = f"not a readable Parquet file of {len(content)} bytes: {str(error).splitlines()[0]}"
        return schema.empty_table()
    if table.schema.equals(schema):
        return table
    return _adapted(item, table, stage, schema)


def _adapted(item: DataObject, table: pa.Table, stage: str, schema: pa.Schema) -> pa.Table:
    """The table in the stage's schema as far as that is possible."""
    found = {field.name: field.type for field in table.schema}
    missing = [name for name in schema.names if name not in found]
    extra = [name for name in found if name not in schema.names]
    wrong = [f"{f.name} is {found[f.name]}" for f in schema if f.name in found and found[f.name] != f.type]
    texts = [("lacks ", missing), ("has besides ", extra), ("type: ", wrong)]
    item.schema_problem = "; ".join(lead + ", ".join(names) for lead, names in texts if names) or "order of columns"
    columns = []
    for field in schema:
        try:
            column = table.column(field.name).cast(field.type) if field.name in found else None
        except (pa.ArrowException, KeyError):
            column = None
        if column is None and field.name in _IDENTITY.get(stage, ("id",)):
            item.problem = f"its rows cannot be told apart: {item.schema_problem}"
            return schema.empty_table()
        columns.append(pa.nulls(len(table), field.type) if column is None else column)
    return pa.table(columns, schema=schema)


def _note_ranges(objects: list[DataObject], table: pa.Table, stage: str) -> None:
    """First and last id, first and last event time of every object (of aggregated: first and last window start)."""
    filled = [item for item in objects if item.rows]
    if not filled:
        return
    starts = np.concatenate(([0], np.cumsum([item.rows for item in filled])[:-1]))
    column = table.column("window_start" if stage == "aggregated" else "timestamp")
    time, null, limits = integers(column), nulls(column), np.iinfo(np.int64)
    low = np.minimum.reduceat(np.where(null, limits.max, time), starts)
    high = np.maximum.reduceat(np.where(null, limits.min, time), starts)
    timed = np.logical_or.reduceat(~null, starts)
    for item, earliest, latest, known in zip(filled, low.tolist(), high.tolist(), timed.tolist(), strict=True):
        if known:
            item.min_event_us, item.max_event_us = earliest, latest
    if stage != "aggregated":
        number = integers(table.column("id"))
        bounds = zip(np.minimum.reduceat(number, starts), np.maximum.reduceat(number, starts), strict=True)
        for item, (first, last) in zip(filled, bounds, strict=True):
            item.first_id, item.last_id = int(first), int(last)
