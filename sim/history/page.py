"""history.html: a chart per figure over the runs, the runs, and what was left out."""

from __future__ import annotations

from sim.history.trend import Line, Trend
from sim.report import numbers, page
from sim.report.chart import Axis, Chart, Lane, Series, Span

_LANES = (("pass", "rule"), ("fail", "fault"), ("unknown", "curtailed"))
_MIB = 2**20
_TICKS = 12
"""Numbers along the runs, at most."""


def render(found: Trend) -> str:
    """Return the page: one file, which opens offline."""
    return page.render(
        "history.html.j2",
        [_chart(found, place, line) for place, line in enumerate(found.lines)],
        package="sim.history",
        trend=found,
        numbers=numbers,
    )


def _chart(found: Trend, place: int, line: Line) -> Chart:
    count = len(found.runs)
    scale, axis = 1.0, Axis(unit=line.unit)
    if line.unit == "s":
        axis = Axis(kind="duration")
    elif line.unit == "bytes":
        scale, axis = 1 / _MIB, Axis(unit="MiB")
    values = [None if value is None else value * scale for value in line.values]
    return Chart(
        f"figure-{place}",
        [float(number) for number in range(1, count + 1)],
        [Series("", values, "data", "joined")],
        Axis("run, oldest first", low=0.5, high=count + 0.5, ticks=ticks(count)),
        axis,
        lanes=_lanes(found) if place == 0 else (),
        sync="runs",
    )


def ticks(count: int) -> list[tuple[float, str]]:
    """Return the numbers of some runs, since there is none between two."""
    return [(float(n), str(n)) for n in range(1, count + 1, -(-count // _TICKS))]


def _lanes(found: Trend) -> list[Lane]:
    """Return a strip of the runs of each verdict."""
    lanes = []
    for verdict, paint in _LANES:
        spans = [
            Span(number - 0.4, number + 0.4, f"{run.folder}, {numbers.moment(run.started)}")
            for number, run in enumerate(found.runs, 1)
            if run.verdict == verdict
        ]
        if spans:
            lanes.append(Lane(verdict, spans, paint))
    return lanes
