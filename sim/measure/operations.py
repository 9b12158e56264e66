"""The record of a store operation: its fields, its line of text, its columns.

The pipeline reports each attempt at a store operation as a `pipeline.retry.Operation`. Its record
is that tuple and the name of the worker that made it.

- While a worker runs, it appends one line of text per operation: fields in order, separated by
  tabs. Buckets and keys contain no tab and no newline.
- After the run, the lines become the rows of operations.parquet, in the columns of SCHEMA.
- The record of a run that was resumed has one more column, TIMED.

All times are ns since 1970.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from pipeline.retry import Operation

OPERATIONS_FILE: Final = "operations.parquet"
_TIME: Final = pa.timestamp("ns", tz="UTC")
_TYPES: Final = {
    "intended_start": _TIME,
    "start": _TIME,
    "end": _TIME,
    "kind": pa.string(),
    "bucket": pa.string(),
    "key": pa.string(),
    "bytes": pa.int64(),
    "outcome": pa.string(),
    "attempt": pa.int32(),
}
SCHEMA: Final = pa.schema(
    [*(pa.field(name, _TYPES[name]) for name in Operation._fields), pa.field("worker", pa.string())]
)
"""One row per attempt: the fields of `Operation`, then the worker."""
TIMED: Final = "timed"
"""False for an operation of an attempt at the run that times and rates leave out."""
Span = tuple[int, int | None]
"""A span of wall time, ns since 1970: its start, and its end if it has one."""
_PARSE: Final = csv.ParseOptions(delimiter="\t", quote_char=False, escape_char=False)
_CONVERT: Final = csv.ConvertOptions(
    column_types={f.name: pa.int64() if pa.types.is_timestamp(f.type) else f.type for f in SCHEMA},
    null_values=[],
)


def line(operation: Operation, worker: str) -> bytes:
    """Return the record as one line of text."""
    return ("\t".join(map(str, (*operation, worker))) + "\n").encode()


def read_lines(path: Path) -> pa.Table:
    """Return the records of a file of lines, in SCHEMA. Raises OSError.

    A worker that is killed may leave an incomplete last line, which is left out.
    """
    complete, end, _ = path.read_bytes().rpartition(b"\n")
    return parse_lines(complete + end) if end else SCHEMA.empty_table()


def parse_lines(lines: bytes) -> pa.Table:
    """Return the records of complete lines, at least one, in SCHEMA."""
    options = csv.ReadOptions(column_names=SCHEMA.names)
    return csv.read_csv(io.BytesIO(lines), options, _PARSE, _CONVERT).cast(SCHEMA)


def merged(parts: Iterable[pa.Table]) -> pa.Table:
    """Return the records of all parts in one table, sorted by start, then by worker."""
    tables = list(parts)
    table = pa.concat_tables([SCHEMA.empty_table(), *tables], promote_options="default")
    if TIMED in table.column_names:
        filled = pc.fill_null(table[TIMED], True)
        table = table.set_column(table.column_names.index(TIMED), TIMED, filled)
    return table.sort_by([("start", "ascending"), ("worker", "ascending")])


def timed_span(table: pa.Table, began: Sequence[int]) -> Span:
    """Return the time of the last attempt at a run that wrote objects: no pause lies in it.

    began: start of each attempt, ns since 1970.
    """
    until = None
    for start in reversed(began[1:]):
        if pc.any(pc.equal(within(table, "start", (start, until))["kind"], "put")).as_py():
            return start, until
        until = start
    return 0, until


def within(table: pa.Table, column: str, span: Span) -> pa.Table:
    """Return the rows of a span, by a column of times."""
    return table if span == (0, None) else table.filter(_inside(table[column], span))


def marked(table: pa.Table, began: Sequence[int]) -> pa.Table:
    """Return the record of a run with the column TIMED, unless all of it is timed.

    An operation without any length was made by an attempt whose record is lost.
    """
    took = pc.not_equal(table["end"], table["intended_start"])
    found = pc.and_(_inside(table["start"], timed_span(table, began)), took)
    return table if pc.all(found, min_count=0).as_py() else table.append_column(TIMED, found)


def timed(table: pa.Table) -> pa.Table:
    """Return the operations that times and rates are made of: all, unless a run was resumed."""
    return table.filter(table[TIMED]) if TIMED in table.column_names else table


def _inside(times: pa.ChunkedArray, span: Span) -> pa.ChunkedArray:
    at, (start, end) = times.cast(pa.int64()), span
    inside = pc.greater_equal(at, start)
    return inside if end is None else pc.and_(inside, pc.less(at, end))
