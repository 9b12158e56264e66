"""Whether and from when a series of equal windows is in its steady state, and how well its mean is known.

MSER-5: batches of five windows; the beginning that is left out is the one that makes the standard error of the mean of
the rest smallest; when that leaves less than half, there is no steady state. K. P. White, Simulation 69(6), 1997; White, Cobb and Spratt, Winter
Simulation Conference 2000. The standard error comes from SPANS means of long spans, so neighbours that go together
do not make it too small (batch means: Law, Simulation Modeling and Analysis, 5th ed., section 9.5.3).

Nor is there one when the two halves of the rest still differ by more than noise explains. The mean of the second half
is then given, and not to be trusted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
BATCH: Final = 5
LAST: Final = 5
SPANS: Final = 10
WINDOWS_MIN: Final = 2 * LAST * BATCH
_T: Final = 3.25  # Student's t, 9 degrees of freedom, 99 % two-sided


@dataclass(frozen=True)
class Steady:
    """`begin`: windows left out; `mean` of the rest with its standard `error`; `steady`: whether to trust them."""

    begin: int
    mean: float
    error: float
    steady: bool


def detect(series: npt.ArrayLike) -> Steady:
    """Judge a series (n,). Raises ValueError when it is shorter than WINDOWS_MIN."""
    values = np.asarray(series, dtype=np.float64)
    if len(values) < WINDOWS_MIN:
        raise ValueError(f"a steady state is sought in {WINDOWS_MIN} windows or more, got {len(values)}")
    count = len(values) // BATCH
    batches = values[: count * BATCH].reshape(count, BATCH).mean(axis=1)
    half = count // 2
    best = int(np.argmin(_scores(batches)[: count - LAST]))  # of the last few a small spread means nothing
    begin = min(best, half)
    rest = values[begin * BATCH :]
    error = _error(rest)
    first, second = np.array_split(rest, 2)
    apart = abs(float(first.mean() - second.mean()))
    steady = best <= half and apart <= 2 * _T * error
    return Steady(begin * BATCH, float(rest.mean()), error, bool(steady))


def _scores(batches: Floats) -> Floats:
    """MSER of leaving out the first d = 0, 1, ..., m - 2 batches: squares about the mean over (m - d) squared."""
    left = np.arange(len(batches), 1, -1)
    sums, squares = (np.cumsum(values[::-1])[::-1][:-1] for values in (batches, batches**2))
    scores: Floats = np.maximum(squares - sums**2 / left, 0.0) / left**2
    return scores


def _error(values: Floats) -> float:
    means = np.array([part.mean() for part in np.array_split(values, min(SPANS, len(values) // 2))])
    return float(means.std(ddof=1) / np.sqrt(len(means)))
