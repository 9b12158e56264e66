"""Charts of a load test that are not over time: percentiles, the sweep with its fit, the search."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from sim.measure import requests
from sim.measure.loadtest import SearchFound, SweepFound
from sim.measure.request_kinds import KINDS
from sim.report.chart import Axis, Chart, Line, Series
from sim.report.load.charts import COLOURS, Lane

_POINTS: Final = 120
_SHARES: Final = (0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999)
_VERDICTS: Final = (("pass", "running"), ("fail", "fault"), ("unknown", "curtailed"))


def percentiles(shown: Sequence[Lane]) -> Chart | None:
    """Return latency (solid) and service time (dashed) of each kind of request by percentile.

    The axis is logarithmic: 90 %, 99 % and 99.9 % are at equal distances. None without requests.
    """
    parts = [lane.part for lane in shown]
    inside = [(part.requests, part.intended_inside) for part in parts]
    found: list[tuple[str, str, bool, np.ndarray]] = []
    for kind, paint in zip(KINDS, COLOURS, strict=False):
        for quantity, dashed in (("latency", False), ("service", True)):
            values = np.concatenate(
                [getattr(made, f"{quantity}_s")[i & (made.kind == kind)] for made, i in inside]
                or [np.empty(0)]
            )
            values = values[~np.isnan(values)]
            if values.size:
                found.append((f"{kind}, {_words(quantity)}", paint, dashed, values))
    if not found:
        return None
    end = max(math.log10(max(len(values), 2)) for *_, values in found)
    nines = np.linspace(0, end, _POINTS)
    series = []
    for label, paint, dashed, values in found:
        known = nines[nines <= math.log10(max(len(values), 2)) + 1e-9]
        ranks = requests.quantiles(values, (1 - 10**-known).tolist())
        line = [value or 1e-6 for value in ranks]
        series.append(
            Series(label, [*line, *[None] * (len(nines) - len(line))], paint, dashed=dashed)
        )
    ticks = [(-math.log10(1 - q), f"{100 * q:g} %") for q in _SHARES if -math.log10(1 - q) <= end]
    return Chart(
        "percentiles",
        nines.tolist(),
        series,
        Axis(
            "share of requests that took at most this long",
            "share",
            ticks=ticks,
            short="share of requests that took at most this",
        ),
        Axis(kind="duration", log=True),
        height=260,
    )


def _words(quantity: str) -> str:
    return "service time" if quantity == "service" else quantity


def sweep(found: SweepFound) -> list[Chart]:
    """Return throughput by users with its fit, and response times; nothing without levels."""
    if not found.levels:
        return []
    users = [float(level.users) for level in found.levels]
    end = 1.06 * max(users)
    throughput, error = (
        np.array([getattr(level, name) for level in found.levels])
        for name in ("throughput", "error")
    )
    grid = sorted({*users, *np.linspace(min(users), end, 80).tolist()})
    at = {user: place for place, user in enumerate(users)}

    def spread(values: Sequence[float]) -> list[float | None]:
        return [values[at[x]] if x in at else None for x in grid]

    series = []
    lines = []
    top = 1.25 * float((throughput + 2 * error).max())
    if (fit := found.fit) is not None:
        series.append(
            Series("Universal Scalability fit", fit.throughput(np.array(grid)).tolist(), "fault")
        )
        limit = fit.peak_per_s or fit.asymptote_per_s
        if limit is not None and limit.value < top:
            lines.append(Line(limit.value, "peak" if fit.peak_per_s else "asymptote"))
    series.append(
        Series(
            "measured, ± 2 standard errors",
            spread(throughput.tolist()),
            "data",
            "points",
            low=spread((throughput - 2 * error).tolist()),
            high=spread((throughput + 2 * error).tolist()),
        )
    )
    return [
        Chart(
            "sweep",
            grid,
            series,
            Axis("users", unit="users", low=0.0, high=end),
            Axis(unit="requests/s", low=0.0, high=top),
            height=250,
            lines=lines,
        ),
        Chart(
            "response",
            users,
            [
                Series("mean", [level.response_s for level in found.levels]),
                Series("p95", [level.p95_s for level in found.levels], "fault", dashed=True),
            ],
            Axis("users", unit="users", low=0.0, high=end),
            Axis(kind="duration", low=0.0),
            height=200,
        ),
    ]


def search(found: SearchFound) -> Chart | None:
    """Return the rate and verdict of each try, with the result as a line; None without tries."""
    if not found.steps:
        return None
    tries = list(range(1, len(found.steps) + 1))
    series = [Series("rate", [step.rate for step in found.steps], "rule")]
    for verdict, paint in _VERDICTS:
        rates = [step.rate if step.verdict == verdict else None for step in found.steps]
        if any(rate is not None for rate in rates):
            series.append(Series(verdict, rates, paint, "points"))
    ticks = [
        (float(number), "hold" if step.hold else f"{number}")
        for number, step in zip(tries, found.steps, strict=True)
    ]
    return Chart(
        "search",
        [float(number) for number in tries],
        series,
        Axis("try", "words", ticks=ticks, low=0.5, high=len(tries) + 0.5),
        Axis(unit="requests/s", low=0.0),
        height=220,
        lines=[Line(found.sustainable, "sustained", "running")]
        if found.sustainable is not None
        else (),
    )
