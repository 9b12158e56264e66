"""The record of a run's store operations: on disk after each attempt, in Parquet at the end.

Every shard appends to a file of its own, one write per operation. A worker that is killed with
SIGKILL loses only the calls that had no answer yet. `merge` turns all files into
operations.parquet. Every figure about the store comes from this table.

Lines that the disk refuses stay in memory, PENDING_BYTES at most. They go out with the next write
that succeeds.
"""

from __future__ import annotations

import glob
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.partition import bucket
from pipeline.retry import Operation
from sim.measure import operations
from sim.measure.operations import OPERATIONS_FILE
from sim.resume_state import RESUME
from sim.run.injection_log import INJECTIONS_FILE, PARTS

KEPT: Final = f"{RESUME}/operations"
"""Files of attempts that ended early."""
PENDING_BYTES: Final = 16 * 1024 * 1024


class Recorder:
    """Append the operations of one worker to a file. `append` may be called from any thread."""

    def __init__(self, run_dir: Path, worker: str) -> None:
        """Create the file. Raises OSError."""
        self._worker = worker
        self._pending = bytearray()
        self._lock = threading.Lock()
        folder = run_dir / PARTS
        folder.mkdir(exist_ok=True)
        # The time keeps the names apart: a killed worker left a file of the same worker's.
        path = folder / f"{worker}-{time.time_ns()}.tsv"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)

    def append(self, operation: Operation) -> None:
        """Write one record. Raises OSError if more than PENDING_BYTES are unwritten."""
        with self._lock:
            self._pending += operations.line(operation, self._worker)
            try:
                self._write()
            except OSError:
                if len(self._pending) > PENDING_BYTES:
                    raise

    def close(self) -> None:
        """Write pending lines and close the file. Raises OSError if the disk refuses them."""
        try:
            self._write()
        finally:
            os.close(self._file)

    def _write(self) -> None:
        while self._pending:
            del self._pending[: os.write(self._file, self._pending)]


def earlier(run_dir: Path, farm: str) -> pa.Table | None:
    """Return what was recorded of a farm so far; None if no earlier attempt began it.

    A worker that was killed in this attempt has recorded some, too. Raises OSError.
    """
    name = f"{glob.escape(farm)}-*.tsv"
    parts = sorted((run_dir / KEPT).glob(name))
    if parts:
        parts += sorted((run_dir / PARTS).glob(name))
    return operations.merged(map(operations.read_lines, parts)) if parts else None


def some_objects(run_dir: Path, most: int) -> list[tuple[str, str, int]]:
    """Return bucket, key and bytes of some objects that earlier attempts created, spread evenly.

    Raises OSError.
    """
    parts = sorted((run_dir / KEPT).glob("*.tsv"))
    if not parts:
        return []
    table = operations.merged(map(operations.read_lines, parts))
    created = pc.and_(
        pc.and_(pc.equal(table["kind"], "put"), pc.equal(table["outcome"], "ok")),
        pc.not_equal(table["bucket"], bucket("checkpoints")),
    )
    rows = table.filter(created).select(["bucket", "key", "bytes"])
    step = max(1, rows.num_rows // most)
    columns = rows.take(list(range(0, rows.num_rows, step))).to_pydict()
    return list(zip(columns["bucket"], columns["key"], columns["bytes"], strict=True))


def keep(run_dir: Path) -> None:
    """Keep the files of an attempt that ended, for the next one. Raises OSError."""
    (run_dir / KEPT).mkdir(parents=True, exist_ok=True)
    for part in (run_dir / PARTS).glob("*.tsv"):
        part.rename(run_dir / KEPT / part.name)


def merge(run_dir: Path, resumable: bool = False, began: Sequence[int] = ()) -> pa.Table:
    """Write operations.parquet from the files of all attempts, and return it. Raises OSError.

    resumable: keep the files, for another attempt. Else they are removed. began: see `Record`.
    """
    folder = run_dir / PARTS
    if resumable:
        keep(run_dir)
    parts = sorted([*folder.glob("*.tsv"), *(run_dir / KEPT).glob("*.tsv")])
    table = operations.merged(operations.read_lines(part) for part in parts)
    table = operations.marked(table, began)
    # A file object, because pyarrow may take a path for a URI.
    with (run_dir / OPERATIONS_FILE).open("wb") as file:
        pq.write_table(table, file, compression="zstd")
    for part in (*(parts if not resumable else ()), folder / INJECTIONS_FILE):
        part.unlink(missing_ok=True)
    if folder.exists():
        folder.rmdir()
    return table
