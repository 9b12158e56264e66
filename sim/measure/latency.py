"""The store's latency by kind of operation, from the table of raw operations. Measured, wall time.

Each kind has two figures, in milliseconds:

- *response*: from the intended start to the end. A stall counts in every operation that it delays.
- *service*: from the actual start to the end.

Attempts without an answer (outcome `unavailable`) are counted separately and have no latency of
their own. The next attempt keeps the intended start, so its response includes the lost time.

Not covered: time before an operation was intended, and time in the uplink model, which is virtual.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sim.arrays import Floats, Ints
from sim.measure.histogram import Histogram

UNANSWERED: Final = "unavailable"


@dataclass(frozen=True)
class Percentiles:
    """Percentiles in milliseconds."""

    p50: float
    p95: float
    p99: float
    max: float


@dataclass(frozen=True)
class Latency:
    """One kind of operation: attempts with and without an answer.

    The percentiles are those of attempts with an answer.
    """

    kind: str
    answered: int
    unanswered: int
    response: Percentiles | None
    service: Percentiles | None


def by_kind(operations: pa.Table) -> list[Latency]:
    """Return the latency of each kind, in alphabetical order, from rows of operations.parquet."""
    kinds = sorted(pc.unique(operations["kind"]).to_pylist())
    return [_of_kind(kind, operations.filter(pc.equal(operations["kind"], kind))) for kind in kinds]


def _of_kind(kind: str, operations: pa.Table) -> Latency:
    answered = operations.filter(pc.not_equal(operations["outcome"], UNANSWERED))
    intended, start, end = (
        _nanoseconds(answered, name) for name in ("intended_start", "start", "end")
    )
    return Latency(
        kind=kind,
        answered=answered.num_rows,
        unanswered=operations.num_rows - answered.num_rows,
        response=percentiles((end - intended) / 1e6),
        service=percentiles((end - start) / 1e6),
    )


def percentiles(milliseconds: Floats) -> Percentiles | None:
    """Return the percentiles; None if there are no values.

    A negative time, from a clock that was set back, counts as 0.
    """
    if milliseconds.size == 0:
        return None
    histogram = Histogram()
    histogram.record_many(np.maximum(milliseconds, 0.0))
    p50, p95, p99 = (histogram.quantile(q) or 0.0 for q in (0.50, 0.95, 0.99))
    return Percentiles(p50, p95, p99, histogram.max)


def _nanoseconds(table: pa.Table, name: str) -> Ints:
    values: Ints = table[name].cast(pa.timestamp("ns", tz="UTC")).cast(pa.int64()).to_numpy()
    return values
