"""A log-linear histogram of non-negative values (latencies) that records whole arrays.

Every power of two is cut into SUB_BUCKETS equal buckets. A bucket is at most 1/1024 of its value
wide, and its midpoint at most 0.05 % off: three significant digits, as in Gil Tene's HdrHistogram.
Merging adds counts, so each shard records on its own. Count, minimum and maximum are exact.

Why not `hdrhistogram` (PyPI 0.10.8, read in 2026-11): it records one value per Python call, and a
run has millions.

Not covered: negative values, weights, correction for coordinated omission (record from the intended
start instead).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from sim.arrays import Floats, Ints

SUB_BUCKETS: Final = 1024
_EXPONENT_MIN: Final = -20  # smaller values (below about 1e-6) count as zero
_EXPONENT_MAX: Final = 40  # values of 2^40 (about 1.1e12) or more are refused
HIGHEST: Final = 2.0**_EXPONENT_MAX
_BUCKETS: Final = (_EXPONENT_MAX - _EXPONENT_MIN) * SUB_BUCKETS + 1  # bucket 0 is zero


class Histogram:
    """Counts of values in [0, 2^40). The unit is the caller's."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BUCKETS, dtype=np.int64)
        self._min = np.inf
        self._max = 0.0

    @property
    def count(self) -> int:
        """Return the number of recorded values."""
        return int(self._counts.sum())

    @property
    def max(self) -> float:
        """Return the largest value, exact; 0.0 if empty."""
        return self._max

    def record_many(self, values: npt.ArrayLike) -> None:
        """Record an array of any shape.

        Raises ValueError for a NaN, a negative value, or a value of 2^40 or more.
        """
        array = np.asarray(values, dtype=np.float64).ravel()
        if array.size == 0:
            return
        low, high = float(array.min()), float(array.max())
        if not (low >= 0.0 and high < HIGHEST):  # a NaN makes both comparisons false
            raise ValueError(
                f"a histogram takes values from 0 to below 2^{_EXPONENT_MAX}, got {low} to {high}"
            )
        self._counts += np.bincount(_bucket_of(array), minlength=_BUCKETS)
        self._min, self._max = min(self._min, low), max(self._max, high)

    def merge(self, other: Histogram) -> None:
        """Add the counts of another histogram to this one."""
        self._counts += other._counts
        self._min, self._max = min(self._min, other._min), max(self._max, other._max)

    def quantile(self, q: float) -> float | None:
        """Return the value at rank ceil(q x count), within 0.05 %; None if empty.

        It is exact at q = 0 and q = 1. Raises ValueError if q is outside [0, 1].
        """
        if not 0.0 <= q <= 1.0:
            raise ValueError(f"a quantile is between 0 and 1, got {q}")
        count = self.count
        if count == 0:
            return None
        if q == 1.0:
            return self._max
        rank = max(1, int(np.ceil(q * count)))
        index = int(np.searchsorted(np.cumsum(self._counts), rank))
        return (
            float(min(max(_midpoint(index), self._min), self._max)) if q > 0.0 else float(self._min)
        )


def _bucket_of(values: Floats) -> Ints:
    mantissa, exponent = np.frexp(values)  # value = mantissa * 2^exponent, mantissa in [0.5, 1)
    octave = exponent.astype(np.int64) - 1 - _EXPONENT_MIN
    part = ((mantissa * 2.0 - 1.0) * SUB_BUCKETS).astype(np.int64)
    return np.where((octave < 0) | (values == 0.0), 0, octave * SUB_BUCKETS + part + 1)


def _midpoint(bucket: int) -> float:
    if bucket == 0:
        return 0.0
    octave, part = divmod(bucket - 1, SUB_BUCKETS)
    return float(2.0 ** (octave + _EXPONENT_MIN) * (1.0 + (part + 0.5) / SUB_BUCKETS))
