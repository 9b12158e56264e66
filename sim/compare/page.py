"""The page of a comparison: verdict, intervals drawn beside the limit, every figure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from sim.compare.comparison import Compared, Row, State, value_text
from sim.compare.terminal import TITLES, WORDS, set_name
from sim.report import page

_BANNER: Final = {"different": "fail", "regression": "fail", "unknown": "unknown", "none": "pass"}
GROUPS: Final[tuple[tuple[str, tuple[State, ...]], ...]] = (
    ("different", ("different",)),
    ("changed", ("regression", "none", "changed")),
    ("not comparable", ("not comparable",)),
    ("same", ("same",)),
)
"""Group of figures without an interval -> its states."""


@dataclass(frozen=True)
class Bar:
    """An interval on the axis of ratios, in percent of its width. left, right: its ends."""

    left: float
    right: float
    middle: float


@dataclass(frozen=True)
class Axis:
    """The logarithmic axis of ratios: places in percent. ticks: (place, text)."""

    ticks: tuple[tuple[float, str], ...]
    equal: float
    limit: float
    bars: dict[str, Bar]


def render(compared: Compared) -> str:
    """Return the page: one file, which opens offline."""
    judged = [row for row in compared.rows if row.interval]
    rest = [row for row in compared.rows if not row.interval]
    return page.render(
        "compare.html.j2",
        package="sim.compare",
        compared=compared,
        banner=_BANNER[compared.verdict],
        title=TITLES[compared.verdict],
        base=set_name(compared.base),
        new=set_name(compared.new),
        judged=judged,
        axis=axis(judged, compared.limit),
        groups=[(name, [row for row in rest if row.state in states]) for name, states in GROUPS],
        words=WORDS,
        value_text=value_text,
    )


def axis(rows: list[Row], limit: float) -> Axis:
    """Return the axis that holds all intervals; ends without a bound lie at its edge."""
    known = [end for row in rows for end in (row.low, row.high, row.ratio) if _bounded(end)]
    low = min([0.9, *(end for end in known if end)]) / 1.03
    high = max([1.1 * (1 + limit), *(end for end in known if end)]) * 1.03

    def place(ratio: float | None) -> float:
        if ratio is None or ratio <= 0:
            return 0.0
        share = (math.log(ratio) - math.log(low)) / (math.log(high) - math.log(low))
        return round(100 * min(max(share, 0.0), 1.0), 2)

    bars = {row.name: Bar(place(row.low), place(row.high), place(row.ratio)) for row in rows}
    ticks = [
        ratio for ratio in (0.25, 0.5, 0.8, 1.0, 1.25, 1.5, 2.0, 4.0, 8.0) if low < ratio < high
    ]
    return Axis(
        tuple((place(ratio), f"{ratio:g}") for ratio in ticks), place(1.0), place(1 + limit), bars
    )


def _bounded(end: float | None) -> bool:
    return end is not None and 0 < end < math.inf
