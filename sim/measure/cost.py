"""The price of a day of the pipeline on Amazon S3, from counted requests and bytes.

`per_day`, the figure cost.per_day, has two parts: the day's requests, and the storage of the bytes
that the day adds, for their first KEPT_DAYS days in Standard. It contains no transition, because no
rule of `pipeline/buckets.json` moves an object before that age. `sim.measure.lifecycle`
(cost.kept_year) prices the same bytes over a year and more, with transitions, minimum sizes and
minimum stays.

List prices of us-west-2, see `sim.measure.storage`. Requests that the store refused (412, 404) are
billed like others; requests without an answer are not.

Not covered: traffic out of S3, the edge uplink, compute, taxes, discounts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from sim.measure.latency import UNANSWERED
from sim.measure.storage import CLASSES, GB, MONTH_DAYS, STANDARD
from sim.units import DAY_S

USD_PER_WRITE: Final = 0.005 / 1000  # PUT, COPY, POST, LIST
USD_PER_READ: Final = CLASSES[STANDARD].read_usd  # GET, SELECT and all others; DELETE is free
USD_PER_GB_MONTH: Final = CLASSES[STANDARD].tiers[0][1]
KEPT_DAYS: Final = 30
_WRITES: Final = ("put", "list")
_READS: Final = ("get", "head")
REPLACED: Final = "checkpoints"
"""Bucket whose objects are overwritten in place, so that their bytes do not add up."""


@dataclass(frozen=True)
class StoreUsage:
    """Billed requests, and bytes that stay, over `span_s` seconds of fleet time."""

    writes: int
    reads: int
    bytes_kept: int
    span_s: float


@dataclass(frozen=True)
class Cost:
    """USD per day of fleet time."""

    requests: float
    storage: float

    @property
    def total(self) -> float:
        return self.requests + self.storage


def usage(operations: pa.Table, span_s: float) -> StoreUsage:
    """Count billed requests and kept bytes of operations over `span_s` seconds of fleet time."""
    billed = operations.filter(pc.not_equal(operations["outcome"], UNANSWERED))
    accepted = pc.and_(pc.equal(billed["kind"], "put"), pc.equal(billed["outcome"], "ok"))
    kept = billed.filter(pc.and_(accepted, pc.invert(pc.ends_with(billed["bucket"], REPLACED))))
    return StoreUsage(
        writes=_count(billed, _WRITES),
        reads=_count(billed, _READS),
        bytes_kept=int(pc.sum(kept["bytes"]).as_py() or 0),
        span_s=span_s,
    )


def per_day(used: StoreUsage) -> Cost:
    """Return the price of a day at this rate.

    Raises ValueError if the span is not positive.
    """
    if used.span_s <= 0:
        raise ValueError(f"cost per day needs a positive span, got {used.span_s} s")
    days = used.span_s / DAY_S
    return Cost(
        requests=(used.writes * USD_PER_WRITE + used.reads * USD_PER_READ) / days,
        storage=used.bytes_kept / GB / days * USD_PER_GB_MONTH * KEPT_DAYS / MONTH_DAYS,
    )


def _count(operations: pa.Table, kinds: tuple[str, ...]) -> int:
    return int(pc.sum(pc.is_in(operations["kind"], value_set=pa.array(kinds))).as_py() or 0)
