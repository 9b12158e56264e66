"""Sums of a window: `COLUMNS` numbers over some of its rows, to be merged with those of later rows.

In this order: rows; mean, squared deviations, minimum and maximum of each measure; the plain sums
`ADDED`. Means and squared deviations are merged by the pairwise formula of Chan, Golub and LeVeque
(1979).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.records import ANOMALIES, MEASURES

Floats = npt.NDArray[np.float64]

ADDED = ("produced", "promised", "judged_rows", "judged_power", "judged_promise", *ANOMALIES[:4])
_M = len(MEASURES)
MEAN, SQUARES = slice(1, 1 + _M), slice(1 + _M, 1 + 2 * _M)
MIN, MAX = slice(1 + 2 * _M, 1 + 3 * _M), slice(1 + 3 * _M, 1 + 4 * _M)
PLAIN = slice(1 + 4 * _M, 1 + 4 * _M + len(ADDED))
COLUMNS = PLAIN.stop


def merge(a: Floats, b: Floats) -> Floats:
    """Return the sums over the rows of both; a and b have shape (COLUMNS,)."""
    out = a + b  # right for the row count and the plain sums
    difference = b[MEAN] - a[MEAN]
    out[MEAN] = a[MEAN] + difference * (b[0] / out[0])
    out[SQUARES] = a[SQUARES] + b[SQUARES] + difference**2 * (a[0] * b[0] / out[0])
    out[MIN] = np.minimum(a[MIN], b[MIN])
    out[MAX] = np.maximum(a[MAX], b[MAX])
    return out
