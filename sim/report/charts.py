"""The charts of a run: rates, use of the cores, freshness; and ranges of latency as places.

A chart without data is None. The page then has a sentence instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sim.measure.freshness import Freshness
from sim.measure.latency import Latency
from sim.measure.throughput import Series as Rates
from sim.measure.timeline import Timeline
from sim.report.chart import Axis, Chart, Lane, Line, Series, Span, Upright, stepped
from sim.report.numbers import count, decimal, duration
from sim.report.result import FaultWindow

_FAILED: Final = ("unavailable", "refused")
MARKS: Final = (
    ("p50", "data"),
    ("p95", "running"),
    ("p99", "fault"),
    ("max", "ink"),
)
"""Percentiles of a range of latency, and their paints."""


def throughput(
    series: Rates, ceiling_per_s: float | None, operations: pa.Table | None
) -> list[Chart]:
    """Return charts of rows and objects per second, with failed attempts above the first."""
    edges = _edges(len(series.rows_per_s), series.bucket_s)
    failed = failures(operations, series) if operations is not None else ()
    ceiling = (
        [Line(ceiling_per_s, f"PUT ceiling of the store: {decimal(round(ceiling_per_s))}/s")]
        if ceiling_per_s is not None
        else []
    )
    return [
        Chart(
            "rows",
            edges,
            [Series("", stepped(series.rows_per_s), "data", "area")],
            Axis(kind="duration"),
            Axis(unit="rows/s"),
            lanes=[Lane("failed attempts", failed)] if failed else (),
            sync="wall",
        ),
        Chart(
            "objects",
            edges,
            [Series("", stepped(series.objects_per_s), "running", "area")],
            Axis(
                "wall time since the first operation of the store",
                "duration",
                short="wall time since the first operation",
            ),
            Axis(unit="objects/s"),
            lines=ceiling,
            sync="wall",
        ),
    ]


def failures(operations: pa.Table, series: Rates) -> list[Span]:
    """Return the buckets in which attempts failed, with their number in words."""
    refused = operations.filter(pc.is_in(operations["outcome"], value_set=pa.array(_FAILED)))
    if not refused.num_rows:
        return []
    first = pc.min(operations["start"]).cast(pa.int64()).as_py()
    at = (refused["end"].cast(pa.int64()).to_numpy() - first) / 1e9
    buckets = len(series.rows_per_s)
    place = np.clip((at / series.bucket_s).astype(np.int64), 0, buckets - 1)
    counts = np.bincount(place, minlength=buckets)
    return [
        Span(i * series.bucket_s, (i + 1) * series.bucket_s, f"{count(n)} failed attempts")
        for i, n in enumerate(counts.tolist())
        if n
    ]


def timeline(line: Timeline) -> list[Chart]:
    """Return charts over time: cores used, and the workers' activities."""
    used = (
        ("workers", "data"),
        ("server", "running"),
        ("harness", "maintenance"),
        ("queued", "rule"),
    )
    done = (
        ("simulate", "data"),
        ("deliver", "running"),
        ("judge", "maintenance"),
        ("wait", "rule"),
    )
    phases = [Upright(max(phase.from_s, 0.0), phase.name) for phase in line.phases]
    return [
        Chart(
            name,
            _edges(len(line.workers), line.bucket_s),
            [Series(of, stepped(getattr(line, of)), paint, "stack") for of, paint in parts],
            Axis(label, "duration"),
            Axis(unit=unit),
            lines=[Line(float(line.cores), f"{line.cores} cores")] if name == "cores" else (),
            uprights=phases,
            sync="cores",
        )
        for name, parts, unit, label in (
            ("cores", used, "cores", ""),
            ("activities", done, "workers", "wall time since the start of the store"),
        )
        if any(any(getattr(line, of)) for of, _ in parts)
    ]


def freshness(series: Freshness, windows: Sequence[FaultWindow]) -> Chart:
    """Return freshness over fleet time, with the faults that last for a time above it."""
    arrived = [i for i, oldest_s in enumerate(series.oldest_s) if oldest_s is not None]
    kinds = dict.fromkeys(window.kind for window in windows)
    end_s = max([len(series.oldest_s) * series.bucket_s, *(window.to_s for window in windows)])
    return Chart(
        "freshness",
        [(i + 0.5) * series.bucket_s for i in arrived],
        [
            Series("oldest row", [series.oldest_s[i] for i in arrived], "maintenance", "joined"),
            Series("mean", [series.mean_s[i] for i in arrived], "data", "joined"),
        ],
        Axis(
            "fleet time since the start of the run, by arrival in the lake",
            "duration",
            low=0.0,
            high=end_s,
            short="fleet time of the arrival in the lake",
        ),
        Axis(kind="duration"),
        lanes=[
            Lane(kind, [_span(window) for window in windows if window.kind == kind])
            for kind in kinds
        ],
    )


def _span(window: FaultWindow) -> Span:
    farms = f", farm {' '.join(window.farms)}" if window.farms else ""
    text = f"{window.kind}{farms}: {duration(window.from_s)} to {duration(window.to_s)}"
    return Span(window.from_s, window.to_s, text)


@dataclass(frozen=True)
class Mark:
    """One percentile of a range: its name, paint, place in percent, and value as text."""

    name: str
    paint: str
    place: float
    text: str


@dataclass(frozen=True)
class Ranges:
    """Ranges of latency on one logarithmic axis. ticks: (place in percent, text)."""

    rows: list[tuple[str, list[Mark]]]
    ticks: list[tuple[float, str]]


def latency(latencies: Sequence[Latency]) -> Ranges | None:
    """Return the range from p50 to the maximum per kind of operation.

    None if no operation was answered.
    """
    answered = [(entry.kind, entry.response) for entry in latencies if entry.response is not None]
    if not answered:
        return None
    values = [getattr(response, name) for _, response in answered for name, _ in MARKS]
    low = math.floor(math.log10(max(min(values), 1e-3)))
    high = max(math.ceil(math.log10(max(*values, 1e-3))), low + 1)

    def place(ms: float) -> float:
        return round(100 * (math.log10(max(ms, 1e-3)) - low) / (high - low), 2)

    return Ranges(
        [
            (
                kind,
                [
                    Mark(name, paint, place(value), duration(value / 1000))
                    for name, paint in MARKS
                    for value in [getattr(response, name)]
                ],
            )
            for kind, response in answered
        ],
        [
            (
                place(10.0**decade),
                duration(10.0**decade / 1000).replace(".00 ", " ").replace(".0 ", " "),
            )
            for decade in range(low, high + 1)
        ],
    )


def _edges(buckets: int, bucket_s: float) -> list[float]:
    return [place * bucket_s for place in range(buckets + 1)]
