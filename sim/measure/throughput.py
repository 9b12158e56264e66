"""Rows and objects per second over the wall time of a run. Measured.

Objects are the PUTs that the store accepted, in any bucket (data, manifests, checkpoints): the
store's PUT ceiling limits those. Rows become durable when their batch commits, so they count at the
end of the commit. The span from the first start to the last end is cut into equal buckets, so that
no bucket is partial.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from sim.arrays import Floats, Ints

_STEPS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
_BUCKETS_MAX: Final = 120


@dataclass(frozen=True)
class Series:
    """Rates per bucket. Bucket i covers seconds [i, i + 1) x bucket_s after the first operation."""

    bucket_s: Annotated[float, Field(gt=0)]
    rows_per_s: Annotated[tuple[float, ...], Field(min_length=1)]
    objects_per_s: Annotated[tuple[float, ...], Field(min_length=1)]


@dataclass(frozen=True)
class Rates:
    """Mean rates over the whole span, `span_s` seconds."""

    span_s: float
    rows_per_s: float
    objects_per_s: float


def _moments(operations: pa.Table, commits: pa.Table) -> tuple[Ints, Ints, Floats, int, int]:
    """Return the moments and weights that rates are made of.

    Ends of accepted PUTs (ns), ends of commits (ns), rows per commit, first start (ns), last end
    (ns).
    """
    accepted = operations.filter(
        pc.and_(pc.equal(operations["kind"], "put"), pc.equal(operations["outcome"], "ok"))
    )
    puts, starts, ends = _ns(accepted["end"]), _ns(operations["start"]), _ns(operations["end"])
    commit_ends = _ns(commits["end"])
    last = max(int(ends.max()), int(commit_ends.max()) if commit_ends.size else 0)
    rows = commits["rows"].cast(pa.float64()).to_numpy()
    return puts, commit_ends, rows, int(starts.min()), last


def series(operations: pa.Table, commits: pa.Table) -> Series | None:
    """Return the rates over time; None if no operation was recorded.

    operations: the columns of operations.parquet. commits: one row per committed batch, with `end`
    (timestamp ns UTC, wall time) and `rows` (int).
    """
    if operations.num_rows == 0:
        return None
    puts, commit_ends, rows, first, last = _moments(operations, commits)
    span_s = max((last - first) / 1e9, 1e-3)
    step_s = next((s for s in _STEPS_S if span_s / s <= _BUCKETS_MAX), span_s / _BUCKETS_MAX)
    count = max(1, round(span_s / step_s))
    bucket_s = span_s / count

    def rate(at: Ints, weights: Floats | None) -> tuple[float, ...]:
        index = np.clip(((at - first) / 1e9 / bucket_s).astype(np.int64), 0, count - 1)
        sums = np.bincount(index, weights=weights, minlength=count)
        return tuple(round(float(v), 3) for v in sums / bucket_s)

    return Series(round(bucket_s, 6), rate(commit_ends, rows), rate(puts, None))


def mean_rates(operations: pa.Table, commits: pa.Table) -> Rates | None:
    """Return the rates over the whole span; None without operations.

    They are the figures `throughput.rows_per_s` and `throughput.objects_per_s`.
    """
    if operations.num_rows == 0:
        return None
    puts, _, rows, first, last = _moments(operations, commits)
    span_s = max((last - first) / 1e9, 1e-3)
    return Rates(span_s, float(rows.sum()) / span_s, puts.size / span_s)


def _ns(column: pa.ChunkedArray) -> Ints:
    values: Ints = column.cast(pa.timestamp("ns", tz="UTC")).cast(pa.int64()).to_numpy()
    return values
