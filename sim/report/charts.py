"""The charts of a run: matplotlib figures as SVG text for the page.

- The same input gives the same bytes: no dates, fixed ids. Text stays text and uses the page's
  font.
- Every chart has its own id prefix, so that several fit in one page. HTML needs no namespace
  declarations, so they are removed.
- The colours are those of Okabe and Ito, which colour-blind people can distinguish.
- A chart without data is None. The page then has a sentence instead.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from sim.measure.latency import Latency
from sim.measure.throughput import Series
from sim.measure.timeline import Timeline
from sim.report.numbers import decimal, duration

BLUE: Final = "#0072B2"
GREEN: Final = "#009E73"
VERMILLION: Final = "#D55E00"
PURPLE: Final = "#CC79A7"
INK: Final = "#3b4754"
GRID: Final = "#e3e8ee"
STYLE: Final[dict[str, Any]] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": "#c3ccd6",
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}
_METADATA: Final = {"Date": None, "Creator": None, "Format": None, "Type": None}


def throughput(series: Series, ceiling_per_s: float | None) -> str:
    """Return charts over time: rows/s, and below it objects/s with the store's ceiling dashed."""
    with style("throughput"):
        figure = Figure(figsize=(10.6, 4.1), layout=ConstrainedLayoutEngine(h_pad=0.08))
        rows, objects = figure.subplots(2, 1, sharex=True)
        _steps(rows, series.bucket_s, series.rows_per_s, BLUE, "Rows per second")
        _steps(objects, series.bucket_s, series.objects_per_s, GREEN, "Objects per second")
        if ceiling_per_s is not None:
            objects.axhline(ceiling_per_s, color=VERMILLION, linewidth=1.4, linestyle=(0, (5, 3)))
            objects.set_ylim(top=1.25 * max(ceiling_per_s, *series.objects_per_s, 1.0))
            label = f"measured PUT ceiling of the store: {decimal(round(ceiling_per_s))}/s"
            place: Any = {"xytext": (0, 4), "textcoords": "offset points", "ha": "right"}
            at = (len(series.objects_per_s) * series.bucket_s, ceiling_per_s)
            objects.annotate(label, at, color=VERMILLION, fontweight="bold", **place)
        objects.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
        objects.set_xlabel("seconds since the first store operation (wall time)")
        return svg(figure, "throughput")


def _steps(axes: Axes, bucket_s: float, rates: Sequence[float], colour: str, title: str) -> None:
    edges = np.arange(len(rates) + 1) * bucket_s
    axes.stairs(rates, edges, color=colour, alpha=0.18, fill=True)
    axes.stairs(rates, edges, color=colour, linewidth=1.6)
    axes.set_title(title)
    axes.set_xlim(0, edges[-1])
    axes.set_ylim(
        bottom=0, top=1.12 * max(*rates, 1e-9) if len(rates) > 1 else 1.12 * max(rates[0], 1e-9)
    )
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.grid(axis="x", visible=False)


def timeline(line: Timeline) -> str:
    """Return charts over time: cores used, and below them the workers' activities."""
    with style("timeline"):
        figure = Figure(figsize=(10.6, 4.6), layout=ConstrainedLayoutEngine(h_pad=0.08))
        cores, workers = figure.subplots(2, 1, sharex=True)
        used = [("workers", BLUE), ("server", GREEN), ("harness", INK), ("queued", GRID)]
        done = [("simulate", BLUE), ("deliver", GREEN), ("judge", PURPLE), ("wait", GRID)]
        _stacked(cores, line, used, "Cores used, and threads queued for one")
        _stacked(workers, line, done, "Workers by activity")
        cores.axhline(line.cores, color=VERMILLION, linewidth=1.4, linestyle=(0, (5, 3)))
        label: Any = {"xytext": (4, 3), "textcoords": "offset points", "color": VERMILLION}
        cores.annotate(f"{line.cores} cores", (0, line.cores), fontweight="bold", **label)
        cores.set_ylim(top=1.05 * max(cores.get_ylim()[1], 1.2 * line.cores))
        for phase in line.phases[1:]:
            for axes in (cores, workers):
                axes.axvline(phase.from_s, color=INK, linewidth=0.8)
        workers.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
        workers.set_xlabel("seconds since the start of the store (wall time)")
        return svg(figure, "timeline")


def _stacked(axes: Axes, line: Timeline, series: Sequence[tuple[str, str]], title: str) -> None:
    base = np.zeros(len(line.workers))
    edges = np.arange(len(base) + 1) * line.bucket_s
    for name, colour in series:
        top = base + np.array(getattr(line, name))
        axes.stairs(top, edges, baseline=base, color=colour, fill=True, label=name)
        base = top
    axes.set_title(title)
    axes.set_xlim(0, edges[-1])
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.grid(axis="x", visible=False)
    above: Any = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "borderaxespad": 0.2}
    axes.legend(ncols=len(series), frameon=False, fontsize=8.5, **above)


def latency(latencies: Sequence[Latency]) -> str | None:
    """Return a chart with a line from p50 to the maximum per kind of operation, on a log scale.

    Marks are at p50, p95, p99 and the maximum. None if no operation was answered.
    """
    shown = [(entry.kind, entry.response) for entry in latencies if entry.response is not None]
    if not shown:
        return None
    with style("latency"):
        figure = Figure(figsize=(10.6, 0.75 + 0.42 * len(shown)), layout="constrained")
        axes = figure.subplots()
        marks = (
            ("p50", "o", BLUE),
            ("p95", "s", GREEN),
            ("p99", "D", VERMILLION),
            ("max", "|", INK),
        )
        for place, (_, response) in enumerate(shown):
            axes.plot(
                [max(response.p50, 1e-3), max(response.max, 1e-3)],
                [place, place],
                color="#b8c4d0",
                linewidth=2,
            )
            for name, shape, colour in marks:
                label = name if place == 0 else None
                axes.plot(
                    max(getattr(response, name), 1e-3),
                    place,
                    shape,
                    color=colour,
                    markersize=8,
                    label=label,
                )
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(
            FuncFormatter(
                lambda value, _: duration(value / 1000) if value >= 1000 else f"{value:g} ms"
            )
        )
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.tick_params(axis="x", which="minor", size=0)
        axes.set_yticks(range(len(shown)), [kind.upper() for kind, _ in shown])
        axes.set_ylim(len(shown) - 0.45, -0.55)
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        figure.legend(
            loc="outside upper right", ncols=4, frameon=False, borderpad=0, handletextpad=0.1
        )
        return svg(figure, "latency")


def style(name: str) -> AbstractContextManager[None]:
    settings: Any = {**STYLE, "svg.hashsalt": name}
    return mpl.rc_context(settings)


def svg(figure: Figure, name: str) -> str:
    buffer = io.StringIO()
    canvas: Any = FigureCanvasSVG(figure)
    canvas.print_svg(buffer, metadata=_METADATA)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'\s+xmlns(:xlink)?="[^"]*"', "", text)
    text = re.sub(r"<style[^>]*>.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", text)
    return re.sub(
        r'<svg\b[^>]*?viewBox="([^"]*)"[^>]*>',
        r'<svg viewBox="\1" aria-hidden="true">',
        text,
        count=1,
    )
