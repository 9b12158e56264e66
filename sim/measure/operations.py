"""The record of a store operation: its fields, its line of text, its columns.

The pipeline reports each attempt at a store operation as a `pipeline.retry.Operation`. Its record
is that tuple and the name of the worker that made it.

- While a worker runs, it appends one line of text per operation: fields in order, separated by
  tabs. Buckets and keys contain no tab and no newline.
- After the run, the lines become the rows of operations.parquet, in the columns of SCHEMA.

All times are ns since 1970.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pyarrow as pa
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
    table = pa.concat_tables([SCHEMA.empty_table(), *parts])
    return table.sort_by([("start", "ascending"), ("worker", "ascending")])
