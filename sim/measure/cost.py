"""What a day of the pipeline costs on Amazon S3, from counted requests and bytes.

Prices: S3 Standard, us-west-2, AWS list prices in USD as of 2025, first tier (storage gets up to 9 % cheaper beyond
50 TB a month); written down here, not fetched. A day costs its requests plus the storage of that day's bytes for as
long as they are kept in Standard (KEPT_DAYS). Requests that the store refused (412, 404) are billed like others; those
it never answered are not.

Not covered: colder storage classes and their transitions, traffic out of S3, the edge uplink, compute, taxes,
discounts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from sim.measure.latency import UNANSWERED

PRICES_AS_OF: Final = "2025"
USD_PER_WRITE: Final = 0.005 / 1000  # PUT, COPY, POST, LIST
USD_PER_READ: Final = 0.0004 / 1000  # GET, SELECT and all others; DELETE is free
USD_PER_GB_MONTH: Final = 0.023  # a GB is 2^30 bytes, a month 30 days
KEPT_DAYS: Final = 30
DAY_S: Final = 86_400.0
_WRITES: Final = ("put", "list")
_READS: Final = ("get", "head")
_REPLACED: Final = "checkpoints"  # overwritten in place: these bytes do not add up


@dataclass(frozen=True)
class Usage:
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


def usage(operations: pa.Table, span_s: float) -> Usage:
    """Count the billed requests and kept bytes of a table of operations that served `span_s` seconds of fleet time."""
    billed = operations.filter(pc.not_equal(operations["outcome"], UNANSWERED))
    accepted = pc.and_(pc.equal(billed["kind"], "put"), pc.equal(billed["outcome"], "ok"))
    kept = billed.filter(pc.and_(accepted, pc.invert(pc.ends_with(billed["bucket"], _REPLACED))))
    return Usage(
        writes=_count(billed, _WRITES),
        reads=_count(billed, _READS),
        bytes_kept=int(pc.sum(kept["bytes"]).as_py() or 0),
        span_s=span_s,
    )


def per_day(used: Usage) -> Cost:
    """Scale to a day and price it. Raises ValueError when the span is not positive."""
    if used.span_s <= 0:
        raise ValueError(f"cost per day needs a positive span, got {used.span_s} s")
    days = used.span_s / DAY_S
    return Cost(
        requests=(used.writes * USD_PER_WRITE + used.reads * USD_PER_READ) / days,
        storage=used.bytes_kept / 2**30 / days * USD_PER_GB_MONTH * KEPT_DAYS / 30,
    )


def _count(operations: pa.Table, kinds: tuple[str, ...]) -> int:
    return int(pc.sum(pc.is_in(operations["kind"], value_set=pa.array(kinds))).as_py() or 0)
