"""Freshness over the fleet time of a run, by arrival in the lake. Modelled.

The figures `freshness.*` are over all rows. The series shows when a run fell behind: for each span
of fleet time the mean age of the rows that arrived in it, and the age of the oldest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
from pydantic import Field

_STEPS_S: Final = (60, 300, 600, 900, 1800, 3600, 7200, 21_600, 86_400)
_BUCKETS_MAX: Final = 120


@dataclass(frozen=True)
class Freshness:
    """Ages in seconds per bucket. Bucket i covers seconds [i, i + 1) x bucket_s of fleet time.

    None: no row arrived in it.
    """

    bucket_s: Annotated[float, Field(gt=0)]
    mean_s: tuple[float | None, ...]
    oldest_s: tuple[float | None, ...]


@dataclass(frozen=True)
class Arrival:
    """Rows that arrived together.

    at_s: seconds of fleet time since the start. mean_s, oldest_s: their ages.
    """

    at_s: float
    rows: int
    mean_s: float
    oldest_s: float


def series(arrivals: Sequence[Arrival], length_s: float) -> Freshness | None:
    """Return the ages over time; None without arrivals. length_s: length of the run."""
    if not arrivals:
        return None
    at = np.array([each.at_s for each in arrivals])
    rows = np.array([each.rows for each in arrivals], dtype=np.float64)
    end_s = max(float(at.max()), length_s, 1.0)
    bucket_s = next((float(s) for s in _STEPS_S if end_s / s <= _BUCKETS_MAX), end_s / _BUCKETS_MAX)
    place = np.maximum((at / bucket_s).astype(np.int64), 0)
    buckets = int(place.max()) + 1
    total = np.bincount(place, weights=rows, minlength=buckets)
    ages = rows * np.array([each.mean_s for each in arrivals])
    sums = np.bincount(place, weights=ages, minlength=buckets)
    oldest = np.full(buckets, -np.inf)
    np.maximum.at(oldest, place, [each.oldest_s for each in arrivals])
    return Freshness(
        bucket_s,
        tuple(round(float(s / n), 3) if n else None for s, n in zip(sums, total, strict=True)),
        tuple(round(float(age), 3) if np.isfinite(age) else None for age in oldest),
    )
