"""How long the store took, by kind of operation, from the table of raw operations. Measured, in wall time.

Two figures per kind, in milliseconds: *response* runs from the moment the operation was meant to start (so that a stall
is charged to everything it held up), *service* from the moment it did start. Attempts the store never answered
(outcome `unavailable`) are counted apart and carry no latency of their own: the attempt that follows keeps the intended
start, so the lost time is in its response.

Not covered: time before an operation was intended, and time in the uplink model (that is virtual time).
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
    """Milliseconds."""

    p50: float
    p95: float
    p99: float
    max: float


@dataclass(frozen=True)
class Latency:
    """One kind of operation: answered and unanswered attempts, and the percentiles of the answered ones."""

    kind: str
    answered: int
    unanswered: int
    response: Percentiles | None
    service: Percentiles | None


def by_kind(operations: pa.Table) -> list[Latency]:
    """Latency per kind, kinds in alphabetical order. `operations` has the columns of operations.parquet."""
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
    """None when there is nothing to rank. A clock that stepped back counts as 0."""
    if milliseconds.size == 0:
        return None
    histogram = Histogram()
    histogram.record_many(np.maximum(milliseconds, 0.0))
    p50, p95, p99 = (histogram.quantile(q) or 0.0 for q in (0.50, 0.95, 0.99))
    return Percentiles(p50, p95, p99, histogram.max)


def _nanoseconds(table: pa.Table, name: str) -> Ints:
    values: Ints = table[name].cast(pa.timestamp("ns", tz="UTC")).cast(pa.int64()).to_numpy()
    return values
