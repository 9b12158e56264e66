"""From samples to rows: when each node stores each sample, and under which id. Carries out late and doubled rows.

A node stores a row a moment after its sample (20 to 180 ms, a constant of the node), numbers rows in the order of
storing, from 1. A late row keeps its event time and is stored `delay` after it; a doubled row is stored again at once.
Rows that would be stored after the end of the run are not in the node's file; the truth counts them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.records import CHANNEL_NAMES
from sim import seeds
from sim.fleet.farm import Farm
from sim.model.block import Block
from sim.model.clock import SimClock
from sim.model.faults import Event
from sim.model.noise import Array

Rows = dict[str, npt.NDArray[Any]]
"""Columns of rows not numbered yet: sample, turbine, timestamp, recorded_at, late and copy (index of the event that
made the row so, -1 for none), status, and values (channels, rows)."""


class Recorder:
    """The recording side of a farm's nodes. Samples must come once and in order."""

    def __init__(self, farm: Farm, clock: SimClock, seed: int, events: Sequence[Event]) -> None:
        self.clock, self.events = clock, events
        n = farm.turbines
        draw = seeds.rng(seed, "recorder", farm.farm_id)
        self._moment_us = np.minimum(draw.integers(20_000, 180_000, n), clock.sample_us // 5)
        self._copy_us = max(1, min(1000, clock.sample_us // 10))
        self._next_id = np.ones(n, dtype=np.int64)
        self._pending: Rows | None = None
        self._open = list(range(len(events)))

    def record(self, values: Array, status: npt.NDArray[np.int8], first: int) -> Block:
        """`values` (channels, turbines, samples) and `status` (turbines, samples) from sample `first` on, as rows."""
        _, n, count = values.shape
        last = first + count
        active = [i for i in self._open if self.events[i].first < last]
        turning = [i for i in active if self.events[i].channel is None and self.events[i].last > first]
        rows = self._plain(values, status, first)
        sizes = np.full(n, count)
        if turning or self._pending is not None:
            for i in turning:
                self._delay(i, rows, first, count)
            rows = self._copy([i for i in turning if self.events[i].kind == "row.duplicate"], rows, first, count)
            rows = self._hold(rows, last)
            sizes = np.bincount(rows["turbine"], minlength=n)
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        turbine = rows["turbine"]
        ids = np.arange(len(turbine), dtype=np.int64) + (self._next_id - offsets[:-1])[turbine]
        self._next_id += sizes
        self._note(active, rows, ids, offsets, last)
        columns: Rows = {"id": ids}
        columns.update((name, rows[name]) for name in ("timestamp", "recorded_at", "turbine"))
        columns.update(zip(CHANNEL_NAMES, rows["values"], strict=True))
        columns["status"] = rows["status"]
        return Block(columns, offsets)

    def _plain(self, values: Array, status: npt.NDArray[np.int8], first: int) -> Rows:
        """Every sample as one row, stored in time."""
        _, n, count = values.shape
        times = self.clock.times_us(first, first + count)
        return {
            "sample": np.tile(np.arange(first, first + count), n),
            "turbine": np.repeat(np.arange(n), count),
            "timestamp": np.tile(times, n),
            "recorded_at": (times + self._moment_us[:, None]).ravel(),
            "late": np.full(n * count, -1),
            "copy": np.full(n * count, -1),
            "status": status.ravel(),
            "values": values.reshape(len(values), -1),
        }

    def _at(self, event: Event, first: int, count: int) -> slice:
        """Where an event's samples lie among the plain rows of a block."""
        start = event.turbine * count - first
        return slice(start + max(event.first, first), start + min(event.last, first + count))

    def _delay(self, index: int, rows: Rows, first: int, count: int) -> None:
        event = self.events[index]
        if event.kind == "row.late":
            at = self._at(event, first, count)
            free = rows["late"][at] < 0
            rows["late"][at][free] = index
            rows["recorded_at"][at][free] = rows["timestamp"][at][free] + event.delay_us

    def _copy(self, doubling: Sequence[int], rows: Rows, first: int, count: int) -> Rows:
        if not doubling:
            return rows
        here = np.arange(len(rows["turbine"]))
        spots = [here[self._at(self.events[i], first, count)] for i in doubling]
        copies = _take(rows, np.concatenate(spots))
        copies["recorded_at"] = copies["recorded_at"] + self._copy_us
        copies["copy"] = np.repeat(doubling, [len(spot) for spot in spots])
        return _join(rows, copies)

    def _hold(self, rows: Rows, last: int) -> Rows:
        """The rows stored before sample `last`, in order of storing; later ones wait for a block to come."""
        if self._pending is not None:
            rows = _join(self._pending, rows)
        due = rows["recorded_at"] < self.clock.time_us(last)
        self._pending = None if due.all() else _take(rows, np.flatnonzero(~due))
        since = rows["recorded_at"] - self.clock.start_us
        order = np.lexsort((rows["copy"], rows["sample"], since, rows["turbine"]))
        return _take(rows, order[due[order]])

    def _note(
        self, active: Sequence[int], rows: Rows, ids: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64], last: int
    ) -> None:
        """Write down which rows carry which fault; close the events that can have no more."""
        waiting = self._pending
        over = last == self.clock.samples
        for i in active:
            event = self.events[i]
            own = slice(offsets[event.turbine], offsets[event.turbine + 1])
            event.recorded(ids[own][_carries(i, event, rows, own)])
            left = 0
            if waiting is not None:
                left = int(np.count_nonzero(_carries(i, event, waiting, waiting["turbine"] == event.turbine)))
            if over:
                event.unrecorded = left
            elif event.last <= last and not left:
                self._open.remove(i)


def _carries(index: int, event: Event, rows: Rows, own: Any) -> npt.NDArray[np.bool_]:
    """Which of a turbine's rows (`own`: slice or mask) were changed by the event."""
    if event.kind == "row.late":
        return np.asarray(rows["late"][own] == index)
    if event.kind == "row.duplicate":
        return np.asarray(rows["copy"][own] == index)
    sample = rows["sample"][own] - event.first
    inside = (sample >= 0) & (sample < len(event.altered))
    inside[inside] = event.altered[sample[inside]]
    return np.asarray(inside)


def _take(rows: Rows, which: npt.NDArray[np.int64]) -> Rows:
    return {name: column[..., which] for name, column in rows.items()}


def _join(first: Rows, second: Rows) -> Rows:
    return {name: np.concatenate([first[name], second[name]], axis=-1) for name in first}
