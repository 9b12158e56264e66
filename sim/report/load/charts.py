"""The charts of a load test over time: load, latency, processes.

The phases are shown one after the other. The time between them, in which batches are prepared, is
left out. All charts are made from the raw requests and samples. Charts that are not over time are
in `curves`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sim.arrays import Floats
from sim.measure import bottleneck, requests
from sim.measure.loadtest import PhaseSummary
from sim.measure.requests import Part, Requests
from sim.report.chart import Axis, Chart, Heat, Line, Series, Upright, stepped

COLOURS: Final = ("data", "fault", "running", "maintenance", "curtailed", "standby")
_MACHINE: Final = {bottleneck.IDLE: "stopped", bottleneck.OTHERS: "curtailed"}
_WINDOWS: Final = 150
_PER_DECADE: Final = 12
_SECONDS: Final = Axis(
    "seconds of load, one phase after the other (wall time)",
    "duration",
    short="seconds of load (wall time)",
)


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


def schedule(shown: Sequence[Lane]) -> list[Chart]:
    """Return two charts by windows: rates offered, achieved and failed; and the backlog."""
    if not shown:
        return []
    step_s = _step(shown)
    columns: dict[str, list[Floats]] = {
        name: [] for name in ("at", "offered", "achieved", "failed", "waiting")
    }
    for lane in shown:
        count = max(math.ceil(lane.length_s / step_s), 1)
        edges: Floats = np.arange(count + 1, dtype=np.float64) * step_s
        open_ = lane.phase.users is None
        offered = requests.offered_per_s(lane.requests, edges)
        columns["at"].append(lane.begin_s + edges[:-1])
        columns["offered"].append(offered if open_ else np.full(count, np.nan))
        columns["achieved"].append(requests.ended_per_s(lane.requests, edges))
        columns["failed"].append(requests.ended_per_s(lane.requests, edges, ok=False))
        columns["waiting"].append(
            requests.backlog_max(lane.requests, edges) if open_ else np.full(count, np.nan)
        )
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    xs = [*joined["at"].tolist(), _end(shown)]
    rates = [
        Series("achieved", stepped(joined["achieved"].tolist()), "data", "area"),
        Series("offered", stepped(joined["offered"].tolist()), "ink", "steps", dashed=True),
    ]
    if joined["failed"].any():
        rates.append(Series("failed", stepped(joined["failed"].tolist()), "fault", "steps"))
    # A spike of the schedule must not flatten all else.
    seen = np.concatenate([joined["offered"], joined["achieved"]])
    top = max(float(np.nanquantile(seen, 0.995)), float(joined["achieved"].max()), 1.0)
    return [
        Chart(
            "schedule",
            xs,
            rates,
            Axis(kind="duration"),
            Axis(unit="requests/s", low=0.0, high=1.12 * top),
            height=230,
            uprights=_phases(shown),
            sync="load",
        ),
        Chart(
            "backlog",
            xs,
            [Series("", stepped(joined["waiting"].tolist()), "curtailed", "area")],
            _SECONDS,
            Axis(unit="requests"),
            height=150,
            uprights=_phases(shown, named=False),
            sync="load",
        ),
    ]


def heat(shown: Sequence[Lane]) -> Chart | None:
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
    step_s = _step(shown)
    edges: Floats = np.arange(math.ceil(_end(shown) / step_s) + 1, dtype=np.float64) * step_s
    at = np.concatenate(
        [lane.begin_s + lane.requests.intended_s[lane.requests.due] for lane, _ in parts]
    )
    latency = np.log10(np.maximum(np.concatenate([latency for _, latency in parts]), 1e-9))
    counts = np.histogram2d(np.maximum(latency, low), at, (bins, edges))[0].astype(np.int64)
    ranks = [
        Series(label, stepped(_values(10 ** _ranks_over_time(at, latency, edges, rank))), paint)
        for label, rank, paint in (("p50", 0.5, "ink"), ("p95", 0.95, "fault"))
    ]
    return Chart(
        "heat",
        edges.tolist(),
        ranks,
        _SECONDS,
        Axis(kind="duration", log=True, low=float(10**low), high=float(10**high)),
        height=270,
        uprights=_phases(shown),
        heat=Heat((10**bins).tolist(), counts.tolist(), "requests"),
        sync="load",
    )


def processes(shown: Sequence[Lane]) -> Chart | None:
    """Return the cores used by each process, with a line at one core; None without samples."""
    names = sorted(
        {name for lane in shown for name in pc.unique(lane.resources["process"]).to_pylist()}
    )
    names.sort(key=lambda name: (name in _MACHINE, name != bottleneck.SERVER))
    if not names:
        return None
    points: dict[float, dict[str, float]] = {}
    for name in names:
        for lane in shown:
            at, cores = bottleneck.cores(lane.resources, name, lane.phase.started_ns)
            inside = (at >= 0) & (at <= lane.length_s)
            for second, used in zip(at[inside], cores[inside], strict=True):
                points.setdefault(round(lane.begin_s + float(second), 2), {})[name] = float(used)
    xs = sorted(points)
    paints = ("fault", "data", "running", "maintenance", "standby")
    return Chart(
        "processes",
        xs or [0.0],
        [
            Series(
                name,
                [points[x].get(name) for x in xs] or [None],
                _MACHINE[name] if name in _MACHINE else paints[min(place, len(paints) - 1)],
                dashed=name in _MACHINE,
            )
            for place, name in enumerate(names)
        ],
        dataclasses.replace(_SECONDS, low=0.0, high=_end(shown)),
        Axis(unit="cores"),
        lines=[Line(1.0, "one core", "stopped")],
        uprights=_phases(shown, named=False),
    )


def _ranks_over_time(at: Floats, latency: Floats, edges: Floats, rank: float) -> Floats:
    """Return the percentile of each window; NaN if no request was due."""
    window = np.clip(np.digitize(at, edges) - 1, 0, len(edges) - 2)
    order = np.lexsort((latency, window))
    counts = np.bincount(window, minlength=len(edges) - 1)
    first = np.concatenate(([0], np.cumsum(counts)[:-1]))
    place = np.minimum(first + np.ceil(rank * counts).astype(np.int64) - 1, len(at) - 1)
    line: Floats = np.where(counts > 0, latency[order][np.maximum(place, 0)], np.nan)
    return line


def _values(numbers: Floats) -> list[float | None]:
    return [None if np.isnan(number) else float(number) for number in numbers]


def _step(shown: Sequence[Lane]) -> float:
    """Return the length of a window: a round number of seconds for about _WINDOWS windows."""
    wanted = _end(shown) / _WINDOWS
    return next((s for s in (0.25, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300) if s >= wanted), wanted)


def _end(shown: Sequence[Lane]) -> float:
    return shown[-1].begin_s + shown[-1].length_s if shown else 1.0


def _phases(shown: Sequence[Lane], named: bool = True) -> list[Upright]:
    return [Upright(lane.begin_s, _label(lane.phase) if named else "") for lane in shown]


def _label(phase: PhaseSummary) -> str:
    """Return a label of a phase that is understood without its table."""
    if phase.kind == "closed":
        return f"{phase.users} user{'s' * (phase.users != 1)}"
    if phase.kind == "step":
        return f"try {phase.name.rpartition('-')[2]}"
    return "hold" if phase.kind == "hold" else phase.name
