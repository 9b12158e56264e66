"""The raw record of store operations: one row per attempt, kept in columns while a shard runs, then in Parquet.

Every shard writes its own part when it ends, however it ends; the parts are merged into operations.parquet, so that an
interrupted run keeps what it did. Everything the report says of the store is derived from this table.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.retry import Operation
from sim.measure.operations import SCHEMA, table
from sim.report.write import OPERATIONS_FILE

PARTS: Final = ".operations"


class Recorder:
    """Collects the operations of one worker; `append` may be called from any thread (a list's append is atomic)."""

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._operations: list[Operation] = []
        self.append = self._operations.append

    def write(self, run_dir: Path) -> None:
        """Write this worker's part. Raises OSError."""
        folder = run_dir / PARTS
        folder.mkdir(exist_ok=True)
        pq.write_table(table(self._operations, self._worker), folder / f"{self._worker}.parquet", compression="zstd")


def merge(run_dir: Path) -> pa.Table:
    """All parts as one table in order of start, written to operations.parquet; the parts go. Raises OSError."""
    folder = run_dir / PARTS
    parts = sorted(folder.glob("*.parquet"))
    tables = [pq.read_table(part, schema=SCHEMA) for part in parts]
    merged = pa.concat_tables([SCHEMA.empty_table(), *tables]).sort_by(
        [("start", "ascending"), ("worker", "ascending")]
    )
    pq.write_table(merged, run_dir / OPERATIONS_FILE, compression="zstd")
    for part in parts:
        part.unlink()
    if folder.exists():
        folder.rmdir()
    return merged
