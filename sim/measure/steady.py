"""The steady state of a series of equal windows: its beginning, and its mean with an error.

MSER-5: the windows are grouped in batches of five. The beginning that is left out is the one,
within the first half, that minimises the standard error of the mean of the rest. K. P. White,
Simulation 69(6), 1997; White, Cobb and Spratt, Winter Simulation Conference 2000. The standard
error comes from the means of SPANS long spans, so that correlated neighbours do not make it too
small (batch means: Law, Simulation Modeling and Analysis, 5th ed., section 9.5.3).

The rest is not steady if a straight line through those means has a significant slope (99 %) and
changes by more than DRIFT of the mean. Its mean is still returned, but should not be trusted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from sim.arrays import Floats

BATCH: Final = 5
SPANS: Final = 10
WINDOWS_MIN: Final = 2 * SPANS
DRIFT: Final = 0.05
_T: Final = 3.355  # Student's t, SPANS - 2 degrees of freedom, 99 % two-sided


@dataclass(frozen=True)
class Steady:
    """The steady part of a series.

    begin: windows left out. mean, error: mean of the rest and its standard error.
    steady: True if the mean can be trusted.
    """

    begin: int
    mean: float
    error: float
    steady: bool


def detect(series: npt.ArrayLike) -> Steady:
    """Find the steady part of a series (n,).

    Raises ValueError if it is shorter than WINDOWS_MIN.
    """
    values = np.asarray(series, dtype=np.float64)
    if len(values) < WINDOWS_MIN:
        raise ValueError(f"a steady state needs {WINDOWS_MIN} windows or more, got {len(values)}")
    count = len(values) // BATCH
    batches = values[: count * BATCH].reshape(count, BATCH).mean(axis=1)
    begin = int(np.argmin(_scores(batches)[: count // 2 + 1])) * BATCH
    rest = values[begin:]
    means = np.array([span.mean() for span in np.array_split(rest, SPANS)])
    error = float(means.std(ddof=1) / np.sqrt(SPANS))
    return Steady(begin, float(rest.mean()), error, not _drifts(means))


def _scores(batches: Floats) -> Floats:
    """Return the MSER score of leaving out the first d = 0, 1, ..., m - 2 batches.

    The score is the sum of squares about the mean over (m - d) squared.
    """
    left = np.arange(len(batches), 1, -1)
    sums, squares = (np.cumsum(values[::-1])[::-1][:-1] for values in (batches, batches**2))
    scores: Floats = np.maximum(squares - sums**2 / left, 0.0) / left**2
    return scores


def _drifts(means: Floats) -> bool:
    at = np.arange(SPANS) - (SPANS - 1) / 2
    slope = float(at @ means / (at @ at))
    left = means - means.mean() - slope * at
    error = np.sqrt(left @ left / (SPANS - 2) / (at @ at))
    return bool(abs(slope) > _T * error and abs(slope) * SPANS > DRIFT * abs(means.mean()))
