"""Totals of store operations: numbers by kind, bucket and outcome, bytes, retries, latencies."""

from __future__ import annotations

from collections import Counter
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sim.arrays import Floats
from sim.measure.latency import UNANSWERED
from sim.watch.history import History

BOUNDS_S: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0),
)
"""Upper bounds of the buckets of a latency, in seconds."""


class Distribution:
    """Numbers of latencies by bucket. `counts` has one more than BOUNDS_S, for longer ones."""

    def __init__(self) -> None:
        self.counts = np.zeros(len(BOUNDS_S) + 1, dtype=np.int64)
        self.sum_s = 0.0

    def add(self, seconds: Floats) -> None:
        """Add latencies."""
        places = np.searchsorted(BOUNDS_S, seconds, side="left")
        self.counts += np.bincount(places, minlength=len(self.counts))
        self.sum_s += float(seconds.sum())

    def cumulative(self) -> list[tuple[str, float]]:
        """Return (upper bound, number of latencies up to it), the last for all."""
        upto = np.cumsum(self.counts).tolist()
        return list(zip([*map(str, BOUNDS_S), "+Inf"], upto, strict=True))


class StoreTotals:
    """Totals of the operations so far.

    counts: by (kind, bucket, outcome). sizes: bytes by (kind, bucket). retries: second and later
    attempts by kind. seconds: latencies from the intended start, by kind, of attempts with an
    answer.
    """

    def __init__(self, history: History) -> None:
        self.counts: Counter[tuple[str, str, str]] = Counter()
        self.sizes: Counter[tuple[str, str]] = Counter()
        self.retries: Counter[str] = Counter()
        self.seconds: dict[str, Distribution] = {}
        self._history = history

    def add(self, operations: pa.Table) -> None:
        """Add operations in `sim.measure.operations.SCHEMA`."""
        grouped = operations.append_column("again", pc.greater(operations["attempt"], 1)).group_by(
            ["kind", "bucket", "outcome", "again"]
        )
        for row in grouped.aggregate([("bytes", "sum"), ([], "count_all")]).to_pylist():
            kind, bucket, number = row["kind"], row["bucket"], row["count_all"]
            self.counts[kind, bucket, row["outcome"]] += number
            if row["outcome"] == "ok":
                self.sizes[kind, bucket] += row["bytes_sum"]
            if row["again"]:
                self.retries[kind] += number
        answered = operations.filter(pc.not_equal(operations["outcome"], UNANSWERED))
        for kind in pc.unique(answered["kind"]).to_pylist():
            self._add_latencies(kind, answered.filter(pc.equal(answered["kind"], kind)))

    def _add_latencies(self, kind: str, operations: pa.Table) -> None:
        intended, end = (nanoseconds(operations, name) for name in ("intended_start", "end"))
        # A clock that was set back gives a negative time, which counts as 0.
        seconds, at_s = np.maximum(end - intended, 0) / 1e9, end / 1e9
        self.seconds.setdefault(kind, Distribution()).add(seconds)
        self._history.add(kind, at_s)
        self._history.spread(kind, at_s, seconds)


def nanoseconds(table: pa.Table, name: str) -> Floats:
    """Return a column of times as ns since 1970; NaN where there is none."""
    column = table[name].cast(pa.int64()).combine_chunks()
    found: Floats = column.to_numpy(zero_copy_only=False).astype(np.float64)
    return found
