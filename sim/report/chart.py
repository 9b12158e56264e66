"""Charts of the pages as data: `static/charts.js` draws them with uPlot, at the width of the page.

A paint is the name of a colour of `templates/base.css.j2`, so that light and dark both fit. A
series has a value per place of the x axis; None leaves a gap.

Forms of a series:

    line     a line
    joined   a line with a point at each value
    steps    a value holds until the next place
    area     steps, filled
    stack    area on top of the series before it
    points   points, with error bars where `low` and `high` are given
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Form = Literal["line", "joined", "steps", "area", "stack", "points"]
Kind = Literal["number", "duration", "percent", "share", "words"]
Values = Sequence[float | None]
_DIGITS: Final = 6


@dataclass(frozen=True)
class Axis:
    """One axis.

    kind: format of its values. unit: text behind a value. log: logarithmic. low, high: fixed ends.
    ticks: places and their texts, in place of round numbers. short: the label on a narrow page,
    where the other one has no room.
    """

    label: str = ""
    kind: Kind = "number"
    unit: str = ""
    log: bool = False
    low: float | None = None
    high: float | None = None
    ticks: Sequence[tuple[float, str]] = ()
    short: str = ""


@dataclass(frozen=True)
class Series:
    """One series: its name in legend and tooltip, values, and look."""

    label: str
    values: Values
    paint: str = "data"
    form: Form = "line"
    dashed: bool = False
    low: Values = ()
    high: Values = ()


@dataclass(frozen=True)
class Line:
    """A dashed line across the chart at a value of the y axis."""

    at: float
    label: str
    paint: str = "fault"


@dataclass(frozen=True)
class Upright:
    """A line from bottom to top at a value of the x axis, with a text where there is room."""

    at: float
    label: str = ""


@dataclass(frozen=True)
class Span:
    """A part of the x axis, and its text in the tooltip."""

    start: float
    end: float
    label: str


@dataclass(frozen=True)
class Lane:
    """A strip above the chart, on its x axis."""

    label: str
    spans: Sequence[Span]
    paint: str = "fault"


@dataclass(frozen=True)
class Heat:
    """Counts in cells. y: edges of the rows; counts: by row, then by place of the x axis."""

    y: Sequence[float]
    counts: Sequence[Sequence[int]]
    noun: str


@dataclass(frozen=True)
class Chart:
    """One chart. `sync`: charts of one name show the same place under the cursor."""

    name: str
    xs: Sequence[float]
    series: Sequence[Series]
    x: Axis = field(default_factory=Axis)
    y: Axis = field(default_factory=Axis)
    height: int = 190
    lines: Sequence[Line] = ()
    uprights: Sequence[Upright] = ()
    lanes: Sequence[Lane] = ()
    heat: Heat | None = None
    sync: str = ""


def stepped(values: Values) -> list[float | None]:
    """Return the values of steps with the last one repeated: one value per edge."""
    return [*values, values[-1]] if len(values) else []


def as_json(charts: Iterable[Chart]) -> str:
    """Return the charts as JSON that can stand in a script element: name -> chart."""
    document = {chart.name: _compact(vars(chart)) for chart in charts}
    text = json.dumps(document, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return text.replace("<", "\\u003c")


def _compact(value: Any) -> Any:
    """Return the value as JSON has it: short numbers, and nothing that is empty."""
    if isinstance(value, dict):
        return {name: _compact(part) for name, part in value.items() if not _empty(part)}
    if isinstance(value, (Axis, Series, Line, Upright, Span, Lane, Heat)):
        return _compact(vars(value))
    if isinstance(value, (bool, str, int)) or value is None:
        return value
    if isinstance(value, float) or (hasattr(value, "dtype") and not getattr(value, "shape", ())):
        number = float(value)
        return float(f"{number:.{_DIGITS}g}") if math.isfinite(number) else None
    return [_compact(part) for part in value]


def _empty(part: Any) -> bool:
    return part is None or part is False or (isinstance(part, (str, tuple, list)) and not part)
