"""The raw record of store operations: one row per attempt, on disk as soon as it has ended, in Parquet at the end.

Every shard appends to a file of its own, a line per operation, one write each: what a worker did before SIGKILL took it
is kept, all but the calls that had no answer yet. `merge` makes operations.parquet of all the files. Everything the
report says of the store is derived from this table.

Lines that the disk does not take are kept, PENDING_BYTES at most, and written with the next that it does.
"""

from __future__ import annotations

import io
import os
import threading
import time
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from pipeline.retry import Operation
from sim.measure.operations import OPERATIONS_FILE, SCHEMA

PARTS: Final = ".operations"
PENDING_BYTES: Final = 16 * 1024 * 1024
_PARSE: Final = csv.ParseOptions(delimiter="\t", quote_char=False, escape_char=False)
_CONVERT: Final = csv.ConvertOptions(
    column_types={f.name: pa.int64() if pa.types.is_timestamp(f.type) else f.type for f in SCHEMA},
    null_values=[],
)


class Recorder:
    """Keeps the operations of one worker; `append` may be called from any thread. Raises OSError."""

    def __init__(self, run_dir: Path, worker: str) -> None:
        self._worker = worker
        self._pending = bytearray()
        self._lock = threading.Lock()
        folder = run_dir / PARTS
        folder.mkdir(exist_ok=True)
        path = (
            folder / f"{worker}-{time.time_ns()}.tsv"
        )  # a worker that was killed left one of the same name before
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)

    def append(self, operation: Operation) -> None:
        """Raises OSError when the disk has taken nothing for long."""
        line = "\t".join(map(str, (*operation, self._worker))) + "\n"
        with self._lock:
            self._pending += line.encode()
            try:
                self._write()
            except OSError:
                if len(self._pending) > PENDING_BYTES:
                    raise

    def close(self) -> None:
        """Raises OSError when the disk does not take the last lines."""
        try:
            self._write()
        finally:
            os.close(self._file)

    def _write(self) -> None:
        while self._pending:
            del self._pending[: os.write(self._file, self._pending)]


def merge(run_dir: Path) -> pa.Table:
    """All parts as one table in order of start, written to operations.parquet; the parts go. Raises OSError."""
    folder = run_dir / PARTS
    parts = sorted(folder.glob("*.tsv"))
    table = pa.concat_tables([SCHEMA.empty_table(), *(_read(part) for part in parts)])
    table = table.sort_by([("start", "ascending"), ("worker", "ascending")])
    with (run_dir / OPERATIONS_FILE).open("wb") as file:  # pyarrow may take a path for a URI
        pq.write_table(table, file, compression="zstd")
    for part in parts:
        part.unlink()
    if folder.exists():
        folder.rmdir()
    return table


def _read(part: Path) -> pa.Table:
    """A part without the line in which its worker was killed, if it was."""
    whole, end, _ = part.read_bytes().rpartition(b"\n")
    if not end:
        return SCHEMA.empty_table()
    options = csv.ReadOptions(column_names=SCHEMA.names)
    return csv.read_csv(io.BytesIO(whole + end), options, _PARSE, _CONVERT).cast(SCHEMA)
