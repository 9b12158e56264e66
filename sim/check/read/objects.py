"""Data objects of one stage, fetched once each: sha256, size, ranges, and all rows as one table.

An object that `sim.check.read.parquet` refuses, or without the columns that identify a row, gets a
`problem` and contributes no rows. An object with other columns or types than the stage's gets a
`schema_problem` and contributes the columns that can be cast.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import pyarrow as pa

from pipeline.records import RESCUED
from pipeline.records.schemas import REJECTED, SCHEMAS
from sim.check.read import parquet
from sim.check.read.columns import Ints, integers, nulls, one
from sim.check.read.form import Form, FormFile, digests, join
from sim.check.read.keys import Key, read_batch_key, read_farm_key
from sim.check.read.lake import ObjectRef, Reads
from sim.check.read.lender import COLUMNS, STAGES, Head, Lenders, Span

STAGE_SCHEMAS: Final = {**SCHEMAS, "quarantine": REJECTED}
_IDENTITY: Final = {"aggregated": ("turbine_id", "window_start", "revision")}
_NO_CONTENT: Final = "listed, but could not be read"
_MOST_FORMS: Final = 8
_WORTH: Final = 16
"""Objects of unknown form, and objects to come, that make it worth to learn a form."""
_MOST_WAITING: Final = 1 << 25
"""Bytes of the files that wait to be read as one."""


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
    place: Key | None
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
    `head`    the table of an earlier stage, if its first columns are those of `table`, borrowed
    """

    objects: list[DataObject]
    table: pa.Table
    object: Ints
    head: pa.Table | None = None


def read_stage(
    reader: Reads,
    stage: str,
    home: Sequence[ObjectRef],
    guests: Sequence[ObjectRef],
    lenders: Lenders | None = None,
    compacted: bool = False,
) -> StageRows:
    """Read the objects of one stage. `guests` have keys of other shares. Raises LakeError.

    lenders: columns of the stages read before. compacted: one object has rows of a whole farm.
    """
    refs = [*home, *guests]
    read_key = read_farm_key if compacted else read_batch_key
    objects = [
        DataObject(ref, read_key(ref.bucket, ref.key), i >= len(home)) for i, ref in enumerate(refs)
    ]
    reading = _Reading(stage, Lenders() if lenders is None else lenders, len(objects))
    for item, content in zip(objects, fetch(reader, refs), strict=True):
        reading.add(item, content)
    return reading.rows()


def fetch(reader: Reads, refs: Sequence[ObjectRef]) -> Iterator[bytes | None]:
    """Yield each object's content, None for a vanished or too large one. Raises LakeError."""
    contents = iter(reader.read([ref for ref in refs if ref.size <= parquet.MOST_BYTES]))
    for ref in refs:
        yield next(contents) if ref.size <= parquet.MOST_BYTES else None
    next(contents, None)  # lets a reader run its code after the last object


def _unreadable(size: int, why: str) -> str:
    return f"not a readable Parquet file of {size} bytes: {why}"


def _encoded(stage: str) -> pa.Schema:
    """Return the stage's schema with dictionaries for repeated strings, as they are read."""
    return pa.schema(
        field.with_type(pa.dictionary(pa.int32(), pa.string())) if _is_name(field) else field
        for field in STAGE_SCHEMAS[stage]
    )


@cache
def _forms(stage: str) -> list[tuple[Form, Mapping[bytes, bytes]]]:
    """Forms of a stage's files, learned so far in this process, and their key-value metadata."""
    return []


@cache
def _names(stage: str) -> tuple[str, ...]:
    """Names of the columns of repeated strings. Cached: every object needs them."""
    return tuple(field.name for field in STAGE_SCHEMAS[stage] if _is_name(field))


def _is_name(field: pa.Field) -> bool:
    return bool(pa.types.is_string(field.type)) and field.name != RESCUED


class _Reading:
    """Objects of one stage, on their way to one table.

    Files of one form are read as one file (`form`). If that fails, each is read on its own: an
    object never has the problem of another. Columns that an earlier stage has are borrowed.
    """

    def __init__(self, stage: str, lenders: Lenders, objects: int) -> None:
        self._left, self._strange = objects, _WORTH
        self._stage, self._lenders, self._schema = stage, lenders, _encoded(stage)
        self._shared = len(COLUMNS) if stage in STAGES else len(self._schema)
        self._empty = Span(self._schema.empty_table(), 0, 0)
        self._items: list[DataObject] = []
        self._heads: list[Head | None] = []
        self._spans: list[tuple[Span, Span]] = []  # of the shared columns, and of the others
        self._forms = _forms(stage)
        self._waiting: dict[tuple[Form, int], list[tuple[int, FormFile]]] = {}
        self._bytes = self._rows = 0

    def add(self, item: DataObject, content: bytes | None) -> None:
        """Take the next object. None: it cannot be read."""
        self._left -= 1
        self._items.append(item)
        self._heads.append(None)
        self._spans.append((self._empty, self._empty))
        if content is None:
            large = item.ref.size > parquet.MOST_BYTES
            item.problem = f"{item.ref.size} bytes: too large to read" if large else _NO_CONTENT
            return
        item.size = len(content)
        file = self._known(item, content)
        end = file.pages_end(len(COLUMNS)) if file and self._stage in STAGES else 0
        item.sha256, first = digests(content, end)
        if file is None:
            self._open(len(self._items) - 1, content)
        else:
            self._take(len(self._items) - 1, file, Head.of(file, first) if end else None)

    def rows(self) -> StageRows:
        """Return all rows, and let later stages borrow them."""
        self._read_waiting()
        names = self._schema.names
        left, right = (_runs([spans[side] for spans in self._spans]) for side in (0, 1))
        columns = _joined(left, self._schema, names[: self._shared])
        columns += _joined(right, self._schema, names[self._shared :])
        whole, start = pa.Table.from_arrays(columns, schema=self._schema), 0
        for item, head, (span, _) in zip(self._items, self._heads, self._spans, strict=True):
            item.rows = span.rows
            self._lenders.add(self._stage, item.place, head, Span(whole, start, span.rows))
            start += span.rows
        of_row = np.repeat(np.arange(len(self._items)), [item.rows for item in self._items])
        _note_ranges(self._items, whole, self._stage)
        is_whole = len(left) == 1 and left[0].rows == len(left[0].table)
        return StageRows(self._items, whole, of_row, left[0].table if is_whole else None)

    def _known(self, item: DataObject, content: bytes) -> FormFile | None:
        """Return a file of a form that was learned; None for another."""
        for form, texts in self._forms:
            if (file := form.file(content)) is not None:
                item.footer_texts = texts
                return file
        return None

    def _open(self, number: int, content: bytes) -> None:
        """Open a file of no known form with Arrow, and learn its form."""
        item, names = self._items[number], _names(self._stage)
        try:
            opened = parquet.open_exact_schema(content, self._schema, names)
            if opened is None:
                item.footer_texts = parquet.footer_texts(content)
                self._set(number, _adapted(item, content, self._stage, self._schema))
                return
            item.footer_texts = opened.metadata.metadata or {}
            file = self._learned(content, item.footer_texts)
            if file is None:
                self._set(number, parquet.read_columns(opened, self._schema))
            else:
                end = file.pages_end(len(COLUMNS)) if self._stage in STAGES else 0
                head = Head.of(file, digests(content, end)[1]) if end else None
                self._take(number, file, head)
        except parquet.Unreadable as error:
            item.footer_texts = item.footer_texts or parquet.footer_texts(content)
            self._refuse(number, str(error))

    def _learned(self, content: bytes, texts: Mapping[bytes, bytes]) -> FormFile | None:
        self._strange += 1
        if self._strange < _WORTH or self._left < _WORTH or len(self._forms) >= _MOST_FORMS:
            return None
        self._strange = 0
        try:
            form = Form(content)
        except ValueError:
            return None
        file = form.file(content)
        if file is not None:
            self._forms.append((form, texts))
        return file

    def _take(self, number: int, file: FormFile, head: Head | None) -> None:
        """Borrow a file's first columns or not, and let it wait for others of its form."""
        lent, first = self._lenders.find(self._stage, self._items[number].place, head), 0
        if lent is not None:
            self._spans[number] = lent, lent
            first = self._shared
        self._heads[number] = head
        if first == len(self._schema):
            return
        if not file.is_even(first):
            self._read_alone(number, file.content)
            return
        self._waiting.setdefault((file.form, first), []).append((number, file))
        self._bytes += len(file.content)
        self._rows += file.rows
        if self._bytes > _MOST_WAITING or self._rows > parquet.MOST_ROWS // 2:
            self._read_waiting()

    def _read_waiting(self) -> None:
        for (_, first), group in self._waiting.items():
            content = join([file for _, file in group], first)
            rows = sum(file.rows for _, file in group)
            try:
                # Each file is bounded, and a dictionary is shared by the rows of one file only.
                opened = parquet.open_exact_schema(
                    content, self._schema, _names(self._stage), most_expanded=math.inf
                )
                table = parquet.read_columns(opened, self._schema, first) if opened else None
            except parquet.Unreadable:
                table = None
            if table is None or len(table) != rows or parquet.problem(table):
                for number, file in group:
                    self._read_alone(number, file.content)
                continue
            start = 0
            for number, file in group:
                span = Span(table, start, file.rows)
                self._spans[number] = self._spans[number][0] if first else span, span
                start += file.rows
        self._waiting, self._bytes, self._rows = {}, 0, 0

    def _read_alone(self, number: int, content: bytes) -> None:
        """Read a file of this schema that Arrow would open."""
        try:
            opened = parquet.open_exact_schema(content, self._schema, _names(self._stage))
            assert opened is not None
            table = parquet.read_columns(opened, self._schema)
            head = self._heads[number]
            if head is not None and head.rows != len(table):
                self._heads[number] = None
            self._set(number, table)
        except parquet.Unreadable as error:
            self._refuse(number, str(error))

    def _set(self, number: int, table: pa.Table) -> None:
        """Take the rows of one object, unless they are invalid."""
        if why := parquet.problem(table):
            self._refuse(number, why)
        else:
            span = Span(table, 0, len(table))
            self._spans[number] = span, span

    def _refuse(self, number: int, why: str) -> None:
        item = self._items[number]
        item.problem = _unreadable(item.size, why)
        self._heads[number], self._spans[number] = None, (self._empty, self._empty)


def _runs(spans: Sequence[Span]) -> list[Span]:
    """Return the same rows in as few spans as possible."""
    runs: list[Span] = []
    for span in spans:
        if runs and span.follows(runs[-1]):
            runs[-1] = Span(span.table, runs[-1].start, runs[-1].rows + span.rows)
        elif span.rows:
            runs.append(span)
    return runs


def _joined(runs: Sequence[Span], schema: pa.Schema, names: list[str]) -> list[pa.Array]:
    """Return these columns of the spans' rows, each in one piece."""
    if not names:
        return []
    tables = [run.table.select(names).slice(run.start, run.rows) for run in runs]
    whole = pa.concat_tables(tables or [schema.empty_table().select(names)])
    return [one(column) for column in whole.unify_dictionaries().columns]


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
