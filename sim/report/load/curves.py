"""Charts of a load test that are not over time: percentiles, the sweep with its fit, the search."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from sim.measure import requests
from sim.measure.loadtest import SearchFound, SweepFound
from sim.measure.request_kinds import KINDS
from sim.report.charts import BLUE, GREEN, INK, VERMILLION, style, svg
from sim.report.load.charts import COLOURS, ORANGE, WIDTH, Lane
from sim.report.numbers import decimal, duration


def percentiles(shown: Sequence[Lane]) -> str | None:
    """Return latency (solid) and service time (dashed) of each kind of request by percentile.

    The axis is logarithmic: 90 %, 99 % and 99.9 % are at equal distances. None without requests.
    """
    parts = [lane.part for lane in shown]
    inside = [(part.requests, part.intended_inside) for part in parts]
    with style("percentiles"):
        figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
        axes = figure.subplots()
        drawn = 0
        for kind, colour in zip(KINDS, COLOURS, strict=False):
            for quantity, line in (("latency", "-"), ("service", (0, (4, 2)))):
                values = np.concatenate(
                    [getattr(made, f"{quantity}_s")[i & (made.kind == kind)] for made, i in inside]
                    or [np.empty(0)]
                )
                values = values[~np.isnan(values)]
                if not values.size:
                    continue
                nines = np.linspace(0, math.log10(max(len(values), 2)), 120)
                found = requests.quantiles(values, (1 - 10**-nines).tolist())
                axes.plot(
                    nines, [v or 1e-6 for v in found], color=colour, linestyle=line, linewidth=1.7
                )
                drawn += 1
            if any((made.kind == kind)[i].any() for made, i in inside):
                axes.plot([], [], color=colour, linewidth=1.7, label=kind)
        if not drawn:
            return None
        axes.plot([], [], color=INK, linewidth=1.4, label="latency")
        axes.plot([], [], color=INK, linewidth=1.4, linestyle=(0, (4, 2)), label="service time")
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: duration(value)))
        axes.yaxis.set_minor_locator(NullLocator())
        named = (0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999)
        shares = [q for q in named if -math.log10(1 - q) <= axes.get_xlim()[1]]
        axes.set_xticks([-math.log10(1 - q) for q in shares], [f"{100 * q:g} %" for q in shares])
        axes.set_xlabel("share of requests that took at most this long")
        axes.set_xlim(left=0)
        figure.legend(loc="outside upper right", ncols=6, frameon=False, borderpad=0)
        return svg(figure, "percentiles")


def sweep(found: SweepFound) -> str | None:
    """Return throughput by users with its fit, and response times; None without levels."""
    if not found.levels:
        return None
    users = np.array([level.users for level in found.levels], dtype=np.float64)
    throughput = np.array([level.throughput for level in found.levels])
    with style("sweep"):
        figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        error = [2 * level.error for level in found.levels]
        if (fit := found.fit) is not None:
            grid = np.linspace(1, users.max() * 1.08, 200)
            left.plot(
                grid,
                fit.throughput(grid),
                color=VERMILLION,
                linewidth=1.7,
                label="Universal Scalability fit",
            )
            limit = fit.peak_per_s or fit.asymptote_per_s
            if limit is not None and limit.low < 2 * throughput.max():
                name = "peak" if fit.peak_per_s else "asymptote"
                left.axhspan(
                    limit.low,
                    min(limit.high, 2 * throughput.max()),
                    color=VERMILLION,
                    alpha=0.10,
                    linewidth=0,
                )
                left.axhline(
                    limit.value,
                    color=VERMILLION,
                    linewidth=1,
                    linestyle="--",
                    label=f"{name}, 95 % interval",
                )
        left.errorbar(
            users,
            throughput,
            error,
            fmt="o",
            color=BLUE,
            capsize=3,
            markersize=6,
            label="measured, ± 2 standard errors",
        )
        if found.saturation_users is not None and found.saturation_users < users.max():
            left.axvline(
                found.saturation_users,
                color=GREEN,
                linewidth=1.4,
                linestyle=":",
                label="saturation",
            )
        left.set_ylim(0, 1.3 * throughput.max())
        left.set_xlim(0, users.max() * 1.08)
        left.set_title("Throughput, requests per second")
        left.legend(loc="lower right", frameon=False)
        response = [level.response_s for level in found.levels]
        right.plot(users, response, "o-", color=BLUE, linewidth=1.6, label="mean")
        p95 = [level.p95_s for level in found.levels]
        right.plot(users, p95, "s--", color=VERMILLION, linewidth=1.2, label="p95")
        right.set_title("Response time")
        right.yaxis.set_major_formatter(FuncFormatter(lambda value, _: duration(value)))
        right.set_ylim(bottom=0)
        right.set_xlim(0, users.max() * 1.08)
        right.legend(loc="upper left", frameon=False)
        for axes in (left, right):
            axes.set_xlabel("users")
            axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        return svg(figure, "sweep")


def search(found: SearchFound) -> str | None:
    """Return the rate and verdict of each try, with the result as a line; None without tries."""
    if not found.steps:
        return None
    looks = {"pass": ("o", GREEN), "fail": ("X", VERMILLION), "unknown": ("D", ORANGE)}
    with style("search"):
        figure = Figure(figsize=(WIDTH, 3.0), layout="constrained")
        axes = figure.subplots()
        numbers = np.arange(1, len(found.steps) + 1)
        axes.plot(numbers, [step.rate for step in found.steps], color="#b8c4d0", linewidth=1.2)
        for verdict, (mark, colour) in looks.items():
            these = [
                (n, step)
                for n, step in zip(numbers, found.steps, strict=True)
                if step.verdict == verdict
            ]
            if these:
                axes.plot(
                    [n for n, _ in these],
                    [s.rate for _, s in these],
                    mark,
                    color=colour,
                    markersize=9,
                    label=verdict,
                )
        for n, step in zip(numbers, found.steps, strict=True):
            if step.hold:
                place: Any = {"xytext": (0, 8), "textcoords": "offset points", "ha": "center"}
                axes.annotate("hold", (n, step.rate), fontsize=8.5, **place)
        if found.sustainable is not None:
            axes.axhline(found.sustainable, color=GREEN, linewidth=1.3, linestyle=(0, (5, 3)))
        answer = "" if found.sustainable is None else "; the line is the result"
        axes.set_title(f"Rate tried, requests per second{answer}")
        axes.set_xlabel("try")
        axes.xaxis.set_major_locator(MaxNLocator(20, integer=True))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: decimal(value)))
        axes.set_ylim(0, 1.15 * max(step.rate for step in found.steps))
        axes.legend(loc="lower right", ncols=3, frameon=False)
        return svg(figure, "search")
