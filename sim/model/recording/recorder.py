"""From samples to rows: time of storing, id and timestamps of each. Faults of rows and clocks.

- A node stores a row a moment after its sample (20 to 180 ms, a constant of the node). It numbers
  rows in the order of storing, from 1.
- A late row keeps its event time and is stored `delay` after it. Rows out of order are each stored
  a random time later. A duplicate row is stored again at once, or `delay` later. A missing row is
  never stored, and leaves no gap in the ids.
- A wrong clock shifts the timestamps that the node writes while it is wrong (`timestamp` at the
  sample, `recorded_at` at storing). It changes nothing else: order and ids follow true time.
- A poisoned row is stored like any other, with one cell replaced.
- When a node's file is replaced, ids continue in another generation. A dropped channel has no
  values (`file_changes`).

Rows that would be stored after the end of the run are not in the node's file; the truth counts
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.records import CHANNEL_NAMES
from sim import seeds
from sim.arrays import Bools, Floats, Ints
from sim.fleet.part import FarmPart
from sim.model.clock import SimClock
from sim.model.faults.occurrence import Occurrence
from sim.model.recording.block import Block
from sim.model.recording.file_changes import FileChanges

Rows = dict[str, npt.NDArray[Any]]
"""Columns of rows that have no ids yet.

sample, turbine, timestamp, recorded_at, status, and values (channels, rows). With faults of rows
also `stored` (true time) and the columns `MARKS`: the index of the occurrence that moved, copied,
removed or poisoned the row, -1 for none.
"""
MARKS = ("moved", "copy", "gone", "poison")


class Recorder:
    """The recording side of the nodes of a part. Samples must come once and in order."""

    def __init__(
        self, part: FarmPart, clock: SimClock, seed: int, occurrences: Sequence[Occurrence]
    ) -> None:
        self.clock, self.occurrences = clock, occurrences
        n = part.turbines
        draw = seeds.rng(seed, "recorder", part.farm.farm_id)
        moment_us = draw.integers(20_000, 180_000, part.farm.turbines)[part.own]
        self._moment_us = np.minimum(moment_us, clock.sample_us // 5)
        self._copy_us = max(1, min(1000, clock.sample_us // 10))
        self._next_id = np.ones(n, dtype=np.int64)
        self._file_changes = FileChanges(clock, occurrences)
        self._pending: Rows | None = None
        self._open = list(range(len(occurrences)))

    def record(self, values: Floats, status: npt.NDArray[np.int8], first: int) -> Block:
        """Return the rows of `values` and `status` from sample `first` on.

        `values` (channels, turbines, samples), `status` (turbines, samples).
        """
        _, n, count = values.shape
        last = first + count
        active = [i for i in self._open if self.occurrences[i].first < last]
        acting = [
            i
            for i in active
            if self.occurrences[i].last > first and self.occurrences[i].target in ("row", "clock")
        ]
        rows = self._plain(values, status, first)
        sizes = np.full(n, count)
        if acting or self._pending is not None:
            rows = self._with_faults(acting, rows, first, count)
            sizes = np.bincount(rows["turbine"], minlength=n)
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        turbine = rows["turbine"]
        ids = np.arange(len(turbine), dtype=np.int64) + (self._next_id - offsets[:-1])[turbine]
        stored = rows.get("stored", rows["recorded_at"])
        changes, extra = self._file_changes.apply(ids, stored, rows["values"], offsets)
        some = sizes > 0
        self._next_id[some] = ids[offsets[1:][some] - 1] + 1
        self._note(active, rows, ids, offsets, last)
        columns: Rows = {"id": ids}
        columns.update((name, rows[name]) for name in ("timestamp", "recorded_at", "turbine"))
        columns.update(zip(CHANNEL_NAMES, rows["values"], strict=True))
        columns["status"] = rows["status"]
        return Block(
            columns, offsets, self._poisoned(rows) if "poison" in rows else {}, changes, extra
        )

    def _plain(self, values: Floats, status: npt.NDArray[np.int8], first: int) -> Rows:
        """Every sample as one row, stored in time."""
        _, n, count = values.shape
        times = self.clock.times_us(first, first + count)
        return {
            "sample": np.tile(np.arange(first, first + count), n),
            "turbine": np.repeat(np.arange(n), count),
            "timestamp": np.tile(times, n),
            "recorded_at": (times + self._moment_us[:, None]).ravel(),
            "status": status.ravel(),
            "values": values.reshape(len(values), -1),
        }

    def _with_faults(self, acting: Sequence[int], rows: Rows, first: int, count: int) -> Rows:
        """Rows stored up to the end of the block, with faults applied.

        They come from the block's plain rows and from pending ones.
        """
        total = len(rows["turbine"])
        rows["stored"] = rows["recorded_at"].copy()
        rows.update((mark, np.full(total, -1)) for mark in MARKS)
        off = self._clocks_off(acting, total // count, first, count)
        for i in acting:
            self._mark(i, rows, first, count)
        if off is not None:
            rows["timestamp"] = rows["timestamp"] + off.ravel()
        rows = self._copy(
            [i for i in acting if self.occurrences[i].kind == "row.duplicate"],
            rows,
            first,
            count,
        )
        if (gone := rows["gone"] >= 0).any():
            rows = _take(rows, np.flatnonzero(~gone))
        rows = self._due(rows, first + count)
        rows["recorded_at"] = rows["stored"]
        if off is not None:
            at = (rows["stored"] - self.clock.start_us) // self.clock.sample_us - first
            rows["recorded_at"] = rows["stored"] + off[rows["turbine"], at]
        return rows

    def _clocks_off(self, acting: Sequence[int], n: int, first: int, count: int) -> Ints | None:
        """Error of each node's clock at each sample of the block, us; None if all are right.

        Errors add up.
        """
        wrong = [self.occurrences[i] for i in acting if self.occurrences[i].target == "clock"]
        if not wrong:
            return None
        off = np.zeros((n, count), dtype=np.int64)
        for event in wrong:
            off[event.turbine, max(event.first - first, 0) : event.last - first] += event.by_us
        return off

    def _at(self, event: Occurrence, first: int, count: int) -> slice:
        """Slice of an occurrence's samples among the plain rows of a block."""
        start = event.turbine * count - first
        return slice(start + max(event.first, first), start + min(event.last, first + count))

    def _mark(self, index: int, rows: Rows, first: int, count: int) -> None:
        """Mark an occurrence's plain rows, and move them in time.

        Rows that already have this mark from another occurrence are left out.
        """
        event = self.occurrences[index]
        mark = _MARK.get(event.kind)
        if mark is None or mark == "copy":  # only the copy gets a mark
            return
        at = self._at(event, first, count)
        free = rows[mark][at] < 0
        rows[mark][at][free] = index
        if mark == "gone":
            event.rows += int(free.sum())
        elif event.order_us is not None:
            low = max(event.first, first) - event.first
            rows["stored"][at] += np.where(free, event.order_us[low : low + len(free)], 0)
        elif mark == "moved":
            rows["stored"][at][free] = rows["timestamp"][at][free] + event.delay_us

    def _copy(self, doubling: Sequence[int], rows: Rows, first: int, count: int) -> Rows:
        if not doubling:
            return rows
        here = np.arange(len(rows["turbine"]))
        spots = [here[self._at(self.occurrences[i], first, count)] for i in doubling]
        copies = _take(rows, np.concatenate(spots))
        sizes = [len(spot) for spot in spots]
        later_us = [self._copy_us + self.occurrences[i].delay_us for i in doubling]
        copies["stored"] = copies["stored"] + np.repeat(later_us, sizes)
        copies["copy"] = np.repeat(doubling, sizes)
        return _join(rows, copies)

    def _due(self, rows: Rows, last: int) -> Rows:
        """Rows stored before sample `last`, in order of storing; later rows become pending."""
        if self._pending is not None:
            rows = _join(self._pending, rows)
        due = rows["stored"] < self.clock.time_us(last)
        self._pending = None if due.all() else _take(rows, np.flatnonzero(~due))
        since = rows["stored"] - self.clock.start_us
        order = np.lexsort((rows["copy"], rows["sample"], since, rows["turbine"]))
        return _take(rows, order[due[order]])

    def _note(self, active: Sequence[int], rows: Rows, ids: Ints, offsets: Ints, last: int) -> None:
        """Note the rows that carry each fault; close occurrences that can have no more."""
        waiting = self._pending
        over = last == self.clock.samples
        for i in active:
            event = self.occurrences[i]
            own = slice(offsets[event.turbine], offsets[event.turbine + 1])
            carries = _carries(i, event, rows, own)
            since = self._file_changes.gone.get((event.turbine, event.channel or ""))
            if since is not None:  # the column is dropped
                carries &= rows.get("stored", rows["recorded_at"])[own] < since
            event.recorded(ids[own][carries])
            left = 0
            if waiting is not None:
                left = int(
                    np.count_nonzero(
                        _carries(i, event, waiting, waiting["turbine"] == event.turbine)
                    )
                )
            if over:
                event.unrecorded = left
            elif event.last <= last and not left:
                self._open.remove(i)

    def _poisoned(self, rows: Rows) -> dict[tuple[int, str], object]:
        """The poisoned cells of a block."""
        cells = {}
        for row in np.flatnonzero(rows["poison"] >= 0).tolist():
            event = self.occurrences[rows["poison"][row]]
            assert event.poison is not None
            assert event.channel is not None
            if rows["stored"][row] >= self._file_changes.gone.get(
                (event.turbine, event.channel), _NEVER
            ):
                continue
            stamp = rows["recorded_at" if event.channel == "recorded_at" else "timestamp"][row]
            cells[row, event.channel] = event.poison.value(int(stamp))
        return cells


_NEVER = np.iinfo(np.int64).max
_MARK = {
    "row.late": "moved",
    "row.out-of-order": "moved",
    "row.duplicate": "copy",
    "row.missing": "gone",
    "row.poisoned": "poison",
    "row.extreme": "poison",
}


def _carries(index: int, event: Occurrence, rows: Rows, own: Any) -> Bools:
    """Mask of a turbine's rows (`own`: slice or mask) that the occurrence changed."""
    mark = _MARK.get(event.kind)
    if mark is not None:
        return np.asarray(rows[mark][own] == index)
    sample = rows["sample"][own] - event.first
    if event.target == "clock":
        return np.asarray((sample >= 0) & (sample < event.last - event.first))
    inside = (sample >= 0) & (sample < len(event.altered))
    inside[inside] = event.altered[sample[inside]]
    return np.asarray(inside)


def _take(rows: Rows, chosen: Ints) -> Rows:
    return {name: column[..., chosen] for name, column in rows.items()}


def _join(first: Rows, second: Rows) -> Rows:
    return {name: np.concatenate([first[name], second[name]], axis=-1) for name in first}
