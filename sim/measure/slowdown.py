"""The slowdown between two sets of runs, with an interval and a verdict.

    slowdown     ratio of new to base, 1.0 for equal, above 1 for worse
                 (a rate: base / new; a time: new / base)
    regression   the whole interval is beyond 1 + limit
    none         the whole interval is within 1 + limit
    unknown      the interval contains 1 + limit

Each run is cut into spans. Logarithms of the values are compared span by span, so that the shape of
a schedule (a ramp, a spike) cancels. The interval is Student's t over those differences.

Runs differ from each other by more than their spans show. With at least REPEATS more runs than
sides (two), that spread is estimated (pooled over both sides), and the wider of the two intervals
is used. m quantities share the risk of a false verdict: each has a confidence interval of 1 - 0.05
/ m (Bonferroni). So equal runs give a regression in at most one comparison of twenty.

Limits: without repeats the spread between runs is not seen, and a disturbance of the machine looks
like a slowdown of the program. Spans of a growing queue are correlated, which makes the interval
too narrow. Repeat runs where the result matters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from sim.arrays import Floats

BLOCKS: Final = 10
LIMIT: Final = 0.10
SIGNIFICANCE: Final = 0.05
"""Probability that equal runs give a regression, over all quantities together."""
REPEATS: Final = 2
"""Degrees of freedom from which the spread between runs is estimated.

With one degree of freedom the interval would be too wide to be useful.
"""
Verdict = Literal["regression", "none", "unknown"]


@dataclass(frozen=True)
class Quantity:
    """One quantity to compare.

    base, new: values (runs, spans) in `unit`, BLOCKS spans or more, all above 0.
    counts: if it is unknown, the overall verdict is unknown. A quantity that does not count can
    only add a regression.
    """

    name: str
    unit: str
    larger_is_better: bool
    base: Floats
    new: Floats
    counts: bool = True


@dataclass(frozen=True)
class Comparison:
    """Geometric means of both sides, whose ratio is the slowdown, with its interval."""

    name: str
    unit: str
    base: float
    new: float
    slowdown: float
    low: float
    high: float
    verdict: Verdict
    counts: bool


def compare(quantities: Sequence[Quantity], limit: float = LIMIT) -> list[Comparison]:
    """Compare each quantity, in order.

    Raises ValueError for shapes that do not fit, or values that are not above 0.
    """
    return [_one(quantity, limit, SIGNIFICANCE / len(quantities)) for quantity in quantities]


def overall(comparisons: Sequence[Comparison]) -> Verdict:
    """Return the verdict over all quantities.

    - regression: at least one quantity has one.
    - unknown: no quantity counts, or one that counts is unknown.
    - none: otherwise.
    """
    if any(one.verdict == "regression" for one in comparisons):
        return "regression"
    counting = [one for one in comparisons if one.counts]
    if not counting or any(one.verdict == "unknown" for one in counting):
        return "unknown"
    return "none"


def verdict(low: float, high: float, limit: float) -> Verdict:
    """Return the verdict of an interval of slowdowns."""
    if low > 1 + limit:
        return "regression"
    return "none" if high <= 1 + limit else "unknown"


def blocks(values: npt.ArrayLike) -> Floats:
    """Return a series (n,) as the means of BLOCKS parts of equal length.

    Raises ValueError for fewer values than blocks.
    """
    series = np.asarray(values, dtype=np.float64)
    if len(series) < BLOCKS:
        raise ValueError(f"{len(series)} values cannot be cut into {BLOCKS} spans")
    return np.array([part.mean() for part in np.array_split(series, BLOCKS)])


def t_quantile(significance: float, freedom: float) -> float:
    """Return the value that the absolute value of Student's t exceeds with this probability.

    `significance`: the probability. `freedom`: degrees of freedom.

    G. W. Hill, Algorithm 396, Communications of the ACM 13(10), 1970: six digits for 3 degrees of
    freedom and more.
    """
    if freedom < 1.5:
        return 1 / math.tan(significance * math.pi / 2)
    if freedom < 2.5:
        return math.sqrt(2 / (significance * (2 - significance)) - 2)
    a = 1 / (freedom - 0.5)
    b = 48 / a**2
    c = ((20700 * a / b - 98) * a - 16) * a + 96.36
    d = ((94.5 / (b + c) - 3) / b + 1) * math.sqrt(a * math.pi / 2) * freedom
    y = (d * significance) ** (2 / freedom)
    if y > 0.05 + a:
        x = NormalDist().inv_cdf(significance / 2)
        y = x * x
        if freedom < 5:
            c += 0.3 * (freedom - 4.5) * (x + 0.6)
        c = (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b + c
        y = (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / c - y - 3) / b + 1) * x
        y = math.expm1(a * y * y)
    else:
        tail = 1 / (
            ((freedom + 6) / (freedom * y) - 0.089 * d - 0.822) * (freedom + 2) * 3
        ) + 0.5 / (freedom + 4)
        y = (tail * y - 1) * (freedom + 1) / (freedom + 2) + 1 / y
    return math.sqrt(freedom * y)


def _one(quantity: Quantity, limit: float, significance: float) -> Comparison:
    for side in (quantity.base, quantity.new):
        sound = (
            side.ndim == 2 and len(side) > 0 and side.shape[1] == quantity.base.shape[1] >= BLOCKS
        )
        if not sound or not np.all(side > 0):
            raise ValueError(
                f"{quantity.name}: values must be (runs, {BLOCKS} spans or more) and more than 0"
            )
    sign = -1.0 if quantity.larger_is_better else 1.0
    base, new = np.log(quantity.base), np.log(quantity.new)
    apart = sign * (new.mean(axis=0) - base.mean(axis=0))
    middle = float(apart.mean())
    width = (
        t_quantile(significance, len(apart) - 1) * float(apart.std(ddof=1)) / math.sqrt(len(apart))
    )
    if (freedom := len(base) + len(new) - 2) >= REPEATS:
        spread = (
            sum(float(((side.mean(axis=1) - side.mean()) ** 2).sum()) for side in (base, new))
            / freedom
        )
        between = math.sqrt(spread * (1 / len(base) + 1 / len(new)))
        width = max(width, t_quantile(significance, freedom) * between)
    low, high = math.exp(middle - width), math.exp(middle + width)
    means = (math.exp(base.mean()), math.exp(new.mean()))
    return Comparison(
        quantity.name,
        quantity.unit,
        *means,
        math.exp(middle),
        low,
        high,
        verdict(low, high, limit),
        quantity.counts,
    )
