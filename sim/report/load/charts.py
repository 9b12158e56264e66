"""The charts of a load test over time: load, latency, processes.

The phases are shown one after the other. The time between them, in which batches are prepared, is
left out. All charts are made from the raw requests and samples. Charts that are not over time are
in `curves`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from sim.arrays import Floats
from sim.measure import bottleneck, requests
from sim.measure.loadtest import PhaseSummary
from sim.measure.requests import Part, Requests
from sim.report.charts import BLUE, GREEN, INK, VERMILLION, style, svg
from sim.report.numbers import duration

PURPLE: Final = "#CC79A7"
ORANGE: Final = "#E69F00"
SKY: Final = "#56B4E9"
GREY: Final = "#8a97a4"
COLOURS: Final = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
_HEAT: Final = LinearSegmentedColormap.from_list(
    "heat", ["#d6e9f6", "#4a97c9", "#0b4a75", "#e0a100", "#d55e00"]
)
_MACHINE: Final = {bottleneck.IDLE: ":", bottleneck.OTHERS: "--"}
_WINDOWS: Final = 150
_PER_DECADE: Final = 12
WIDTH: Final = 10.6


@dataclass(frozen=True)
class Lane:
    """One phase on the common time axis: its start, its shown length, and its raw records."""

    phase: PhaseSummary
    begin_s: float
    length_s: float
    requests: Requests
    resources: pa.Table

    @property
    def part(self) -> Part:
        """Return the phase without its warm-up."""
        return Part(self.requests, self.phase.warm_up_s, self.phase.to_s)


def lanes(phases: Sequence[PhaseSummary], made: pa.Table, resources: pa.Table) -> list[Lane]:
    """Return the phases one after the other, each up to its last recorded moment.

    Tables: requests.parquet (`made`), resources.parquet.
    """
    begin_s, found = 0.0, []
    times = resources["time"].cast(pa.int64()).to_numpy()
    for phase in phases:
        mine = requests.read(
            made.filter(pc.equal(made["phase"], phase.name)), phase.started_ns, phase.given_up_s
        )
        length_s = max(phase.to_s, mine.given_up_s, 1.0)
        at = (times - phase.started_ns) / 1e9
        samples = resources.filter(pa.array((at >= -1.0) & (at <= length_s + 1.0)))
        found.append(Lane(phase, begin_s, length_s, mine, samples))
        begin_s += length_s
    return found


def schedule(shown: Sequence[Lane]) -> str:
    """Return two charts by windows: rates offered, achieved and failed; below them the backlog."""
    with style("schedule"):
        figure = Figure(figsize=(WIDTH, 4.6), layout="constrained")
        rate, waits = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        step_s = _step(shown)
        tallest = most = 1.0
        for lane in shown:
            edges: Floats = (
                np.arange(math.ceil(lane.length_s / step_s) + 1, dtype=np.float64) * step_s
            )
            offered, achieved, failed = (
                requests.offered_per_s(lane.requests, edges),
                requests.ended_per_s(lane.requests, edges),
                requests.ended_per_s(lane.requests, edges, ok=False),
            )
            at = lane.begin_s + np.minimum(edges, lane.length_s)
            waiting = np.maximum(requests.backlog(lane.requests, edges[:-1] + step_s / 2), 0)
            first = lane is shown[0]
            rate.stairs(achieved, at, color=BLUE, alpha=0.22, fill=True)
            rate.stairs(
                achieved, at, color=BLUE, linewidth=1.4, label="achieved" if first else None
            )
            if lane.phase.users is None:
                rate.stairs(offered, at, color=INK, linewidth=1.2, linestyle="--")
                waits.stairs(waiting, at, color=ORANGE, alpha=0.35, fill=True)
                waits.stairs(waiting, at, color=ORANGE, linewidth=1.4)
            if failed.any():
                rate.stairs(failed, at, color=VERMILLION, linewidth=1.4)
            scale = offered if lane.phase.users is None else achieved
            tallest = max(
                tallest, achieved.max(initial=0), failed.max(initial=0), np.quantile(scale, 0.98)
            )
            most = max(most, waiting.max(initial=0))
        rate.plot([], [], color=INK, linestyle="--", linewidth=1.2, label="offered")
        rate.plot([], [], color=VERMILLION, linewidth=1.4, label="failed")
        rate.set_ylim(0, 1.12 * tallest)
        waits.set_ylim(0, 1.12 * most)
        rate.set_title("Requests per second: offered, achieved and failed", pad=18)
        waits.set_title("Backlog: requests that are due and have not started")
        rate.legend(
            loc="upper right", ncols=3, frameon=False, bbox_to_anchor=(1.0, 1.16), borderaxespad=0
        )
        _separate(rate, shown, named=True)
        _separate(waits, shown)
        _seconds(waits, shown)
        return svg(figure, "schedule")


def heat(shown: Sequence[Lane]) -> str | None:
    """Return a heat map of requests by intended start and latency (log scale); None without any."""
    parts = [(lane, lane.requests.latency_s[lane.requests.due]) for lane in shown]
    everything = np.concatenate([latency for _, latency in parts]) if parts else np.empty(0)
    everything = everything[everything > 0]
    if not everything.size:
        return None
    low = math.floor(np.log10(everything.min()) * _PER_DECADE) / _PER_DECADE
    high = (
        math.ceil(np.log10(everything.max()) * _PER_DECADE + 1e-9) / _PER_DECADE + 1 / _PER_DECADE
    )
    bins = np.linspace(low, high, round((high - low) * _PER_DECADE) + 1)
    with style("heat"):
        figure = Figure(figsize=(WIDTH, 3.9), layout="constrained")
        axes = figure.subplots()
        step_s = _step(shown)
        edges: Floats = np.arange(math.ceil(_end(shown) / step_s) + 1, dtype=np.float64) * step_s
        at = np.concatenate(
            [lane.begin_s + lane.requests.intended_s[lane.requests.due] for lane, _ in parts]
        )
        latency = np.log10(np.maximum(np.concatenate([latency for _, latency in parts]), 1e-9))
        counts = np.histogram2d(np.maximum(latency, low), at, (bins, edges))[0]
        shades = np.ma.masked_equal(np.log1p(counts), 0)
        image = axes.imshow(
            shades,
            cmap=_HEAT,
            aspect="auto",
            origin="lower",
            extent=(0, edges[-1], low, high),
            interpolation="nearest",
        )
        for colour, rank, label in (("#17212b", 0.5, "p50"), ("#d55e00", 0.95, "p95")):
            line = _ranks_over_time(at, latency, edges, rank)
            axes.plot(edges[:-1] + step_s / 2, line, color="white", linewidth=2.8, alpha=0.8)
            axes.plot(edges[:-1] + step_s / 2, line, color=colour, linewidth=1.4, label=label)
        axes.set_ylim(low, high)
        ticks = _log_ticks(low, high)
        axes.set_yticks([math.log10(tick) for tick in ticks], [duration(tick) for tick in ticks])
        axes.legend(
            loc="upper right", ncols=2, frameon=False, bbox_to_anchor=(1.0, 1.12), borderaxespad=0
        )
        axes.set_title("Latency from the intended start", pad=16)
        axes.grid(visible=False)
        bar = figure.colorbar(image, ax=axes, pad=0.01, fraction=0.03)
        marks = [
            n
            for n in (1, 3, 10, 30, 100, 300, 1000, 3000)
            if math.log1p(n) <= float(shades.max()) + 1e-9
        ]
        bar.set_ticks([math.log1p(n) for n in marks], labels=[f"{n:,}" for n in marks])
        bar.set_label("requests")
        outline: Any = bar.outline
        outline.set_visible(False)
        _separate(axes, shown)
        _seconds(axes, shown)
        return svg(figure, "heat")


def processes(shown: Sequence[Lane]) -> str | None:
    """Return the cores used by each process, with a line at one core; None without samples."""
    names = sorted(
        {name for lane in shown for name in pc.unique(lane.resources["process"]).to_pylist()}
    )
    names.sort(key=lambda name: (name in _MACHINE, name != bottleneck.SERVER))
    if not names:
        return None
    with style("processes"):
        figure = Figure(figsize=(WIDTH, 2.8), layout="constrained")
        axes = figure.subplots()
        colours = (VERMILLION, BLUE, GREEN, PURPLE, ORANGE, SKY, *[INK] * 99)
        for name, colour in zip(names, colours, strict=False):
            colour = GREY if name in _MACHINE else colour
            look: Any = {"linestyle": _MACHINE[name]} if name in _MACHINE else {}
            for lane in shown:
                at, cores = bottleneck.cores(lane.resources, name, lane.phase.started_ns)
                inside = (at >= 0) & (at <= lane.length_s)
                label = name if lane is shown[0] else None
                axes.plot(
                    lane.begin_s + at[inside],
                    cores[inside],
                    color=colour,
                    linewidth=1.6,
                    label=label,
                    **look,
                )
        axes.axhline(1.0, color=INK, linewidth=1.0, linestyle=(0, (5, 3)))
        axes.set_ylim(bottom=0, top=max(1.15, axes.get_ylim()[1]))
        axes.set_title("CPU cores in use", pad=16)
        axes.legend(
            loc="upper right", ncols=6, frameon=False, bbox_to_anchor=(1.0, 1.18), borderaxespad=0
        )
        _separate(axes, shown)
        _seconds(axes, shown)
        return svg(figure, "processes")


def _ranks_over_time(at: Floats, latency: Floats, edges: Floats, rank: float) -> Floats:
    """Return the percentile of each window; NaN if no request was due."""
    window = np.clip(np.digitize(at, edges) - 1, 0, len(edges) - 2)
    order = np.lexsort((latency, window))
    counts = np.bincount(window, minlength=len(edges) - 1)
    first = np.concatenate(([0], np.cumsum(counts)[:-1]))
    place = np.minimum(first + np.ceil(rank * counts).astype(np.int64) - 1, len(at) - 1)
    line: Floats = np.where(counts > 0, latency[order][np.maximum(place, 0)], np.nan)
    return line


def _step(shown: Sequence[Lane]) -> float:
    """Return the length of a window: a round number of seconds for about _WINDOWS windows."""
    wanted = _end(shown) / _WINDOWS
    return next((s for s in (0.25, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300) if s >= wanted), wanted)


def _end(shown: Sequence[Lane]) -> float:
    return shown[-1].begin_s + shown[-1].length_s if shown else 1.0


def _separate(axes: Axes, shown: Sequence[Lane], named: bool = False) -> None:
    """Draw a line at the start of each phase, and its name if there is room."""
    whole = _end(shown)
    for lane in shown:
        if lane.begin_s:
            axes.axvline(lane.begin_s, color="#9aa7b3", linewidth=0.9)
        short = (
            lane.phase.name.removeprefix("sweep-")
            if lane.phase.kind == "closed"
            else lane.phase.name
        )
        short = short.removeprefix("search-")
        if named and lane.length_s / whole > 0.011 * len(short):
            at: Any = {
                "xytext": (3, 2),
                "textcoords": "offset points",
                "xycoords": ("data", "axes fraction"),
            }
            axes.annotate(short, (lane.begin_s, 1.0), fontsize=8, color=INK, **at)


def _seconds(axes: Axes, shown: Sequence[Lane]) -> None:
    axes.set_xlim(0, _end(shown))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.set_xlabel("seconds of load, one phase after the other (wall time)")


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(low), math.ceil(high) + 1)
    steps = (1.0,) if high - low > 2.5 else (1.0, 3.0) if high - low > 1.2 else (1.0, 2.0, 5.0)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    return [tick for tick in ticks if low - 1e-9 <= math.log10(tick) <= high + 1e-9]
