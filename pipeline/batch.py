"""Batches of rows, and groups of batches that go through the stages in one call.

A batch is a series of rows of one node in id order. A new batch starts where floor(recorded_at /
flush_every) changes, and at the first row of a fresh file (see `records.GENERATION_IDS`). So its
boundaries depend on the data only: no clock, no retry and no other writer can move them. A batch of
MAX_BATCH_ROWS rows is full. The row after it is treated as the first row of a file is.

A batch is *closed* once a later row exists, in the same file or in the next. Only a drain closes
the last batch: its caller asserts that no more rows were recorded before `until`. To retire a file
does not close its last batch. If it did, a drain could find no batch left, and a drain emits the
last windows with its last batch.

Per-call overhead of Arrow and numpy dominates below about 3,600 rows. So the stages take `Groups`:
one table that holds the batches of many nodes, one after the other, with the offset of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from pipeline.config import NodeConfig
from pipeline.partition import Bools, Ints
from pipeline.records import GENERATION_IDS

MAX_BATCH_ROWS = 100_000
READ_ROWS = MAX_BATCH_ROWS + 1
"""Rows that `cut` needs of a node: a full batch and the row after it."""


@dataclass(frozen=True)
class Groups:
    """One table of k batches. Batch i belongs to configs[i] and is rows offsets[i]:offsets[i+1]."""

    configs: Sequence[NodeConfig]
    offsets: Ints  # shape (k + 1,)

    @cached_property
    def of_row(self) -> Ints:
        """Index of each row's batch, shape (rows,), ascending."""
        return np.repeat(np.arange(len(self.configs)), np.diff(self.offsets))

    def select(self, mask: Bools) -> Groups:
        """Return the groups of the rows that `mask` (shape (rows,)) keeps. Some may be empty."""
        kept = np.concatenate(([0], np.cumsum(mask)))
        return Groups(self.configs, kept[self.offsets])


def whole(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array. One chunk is not copied, which `combine_chunks` would do."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def ints(table: pa.Table, column: str) -> Ints:
    """Return an integer or time column as int64, nulls as 0. A table of one chunk is not copied."""
    array = whole(table.column(column))
    if pa.types.is_timestamp(array.type):
        array = array.view(pa.int64())
    return np.asarray(array.fill_null(0) if array.null_count else array)


def nulls(table: pa.Table, column: str) -> Bools:
    """Return the mask of a column's null cells, shape (rows,)."""
    array = table.column(column)
    if array.null_count == 0:
        return np.zeros(len(array), dtype=bool)
    return np.asarray(array.is_null())


def floats(
    table: pa.Table, columns: Sequence[str]
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return float columns as an array of shape (columns, rows), nulls as NaN."""
    out = np.empty((len(columns), table.num_rows))
    for i, column in enumerate(columns):
        out[i] = table.column(column).to_numpy()
    return out


@dataclass(frozen=True)
class Batch:
    """Rows of one node (RAW schema, in id order). `final` marks the last batch of a drain."""

    rows: pa.Table
    final: bool

    @cached_property
    def id_range(self) -> tuple[int, int]:
        ids = self.rows.column("id")
        return ids[0].as_py(), ids[-1].as_py()


def _recorded(raw: pa.Table, file_starts: Bools) -> tuple[Ints, Bools]:
    """Return each row's recording time in us, and the mask of rows that have one.

    Any integer is a time. A row without one takes the time of the row before it. Rows before the
    first time in their file have none. `file_starts` marks the first row of each file.
    """
    recorded, null = ints(raw, "recorded_at"), nulls(raw, "recorded_at")
    row = np.arange(len(recorded))
    latest = np.maximum.accumulate(np.where(null, -1, row))
    timed = latest >= np.maximum.accumulate(np.where(file_starts, row, 0))
    return np.where(timed, recorded[latest], 0), timed


def _file_starts(raw: pa.Table) -> Bools:
    """Mark each row that is in another file than the row before it, shape (rows,)."""
    ids = ints(raw, "id")
    file_starts = np.zeros(len(ids), dtype=bool)
    file_starts[1:] = np.diff(ids // GENERATION_IDS) != 0
    return file_starts


def cut(raw: pa.Table, flush_every_s: int, until_us: int | None) -> list[Batch]:
    """Return the closed batches at the head of a RAW table of at most READ_ROWS rows.

    The table starts where a batch starts. until_us: None for a flush, which leaves the last batch
    open. A drain takes all rows up to the last one that was recorded before `until_us`, which
    closes its batch. All rows before it are included, whatever their time, so a clock that was
    fast for a while hides no row.
    """
    file_starts = _file_starts(raw)
    recorded, timed = _recorded(raw, file_starts)
    if until_us is not None:
        rows = int(np.max(np.flatnonzero(~timed | (recorded < until_us)) + 1, initial=0))
        raw = raw.slice(0, rows)
        recorded, timed, file_starts = recorded[:rows], timed[:rows], file_starts[:rows]
    if len(recorded) == 0:
        return []
    slot = recorded // (flush_every_s * 1_000_000)
    parted = (slot[1:] != slot[:-1]) | (timed[1:] != timed[:-1]) | file_starts[1:]
    starts = np.concatenate(([0], np.flatnonzero(parted) + 1))
    if len(starts) == 1 and len(slot) == READ_ROWS:
        starts = np.array([0, MAX_BATCH_ROWS])
    ends = np.concatenate((starts[1:], [len(slot)]))
    all_seen = until_us is not None and len(slot) < READ_ROWS
    closed = len(starts) if all_seen else len(starts) - 1
    return [
        Batch(raw.slice(starts[i], ends[i] - starts[i]), final=all_seen and i == closed - 1)
        for i in range(closed)
    ]
