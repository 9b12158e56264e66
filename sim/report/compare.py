"""Two sets of finished runs side by side, with a verdict for people and for CI.

Compared quantities, all from the raw records; the arithmetic is `sim.measure.slowdown`:

- Load test: the achieved rate of each open phase and over all levels of the sweep; median and 95th
  percentile of latency of each kind of request in open phases; the rate that a search found.
- Run: rows and objects per second, and PUT latency.

Rates and medians decide the verdict. The 95th percentiles and the result of a search are less
certain: they can show a regression, but not exclude one. Other work on the machine
(`sim.measure.bottleneck.disturbed`) can only make a load test slower. So if the new side was
disturbed, "regression" becomes "unknown"; if the base was, "none" does.

Not covered: runs of different scenarios or schedules, which are refused; the cause of a slowdown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console
from rich.text import Text

from sim.arrays import Floats
from sim.errors import ResultError
from sim.measure import bottleneck, requests, slowdown
from sim.measure.loadtest import PhaseSummary, SearchFound
from sim.measure.operations import OPERATIONS_FILE
from sim.measure.request_kinds import KINDS
from sim.measure.requests import Part
from sim.measure.slowdown import BLOCKS, Comparison, Quantity, Verdict
from sim.report import numbers
from sim.report.result import Result, read_result
from sim.report.write import REQUESTS_FILE

SAMPLES_MIN: Final = 10
"""Fewest requests in a span for usable percentiles."""
SCHEDULES_DIFFER: Final = 0.02
"""Share of requests by which two schedules of one phase may differ.

A Poisson process with another seed makes another number of requests.
"""


@dataclass(frozen=True)
class Compared:
    """The comparisons, the overall verdict, and notes about the two sides."""

    comparisons: tuple[Comparison, ...]
    verdict: Verdict
    notes: tuple[str, ...]


def runs(base: Sequence[Path], new: Sequence[Path], limit: float) -> Compared:
    """Compare run directories.

    Raises ResultError for a directory without a run, and for runs that cannot be compared.
    """
    sides = [[(path, read_result(path)) for path in side] for side in (base, new)]
    every = [result for side in sides for _, result in side]
    first = every[0]
    for path, result in [pair for side in sides for pair in side]:
        if result.scenario != first.scenario or (result.load is None) != (first.load is None):
            raise ResultError(
                f"{path}: is a run of {result.scenario}, and {base[0]} of {first.scenario}; "
                "compare runs of the same scenario"
            )
    quantities = _of_loads(sides) if first.load is not None else _of_runs(sides)
    comparisons = slowdown.compare(quantities, limit) if quantities else []
    comparisons += _searches(sides, limit)
    base_disturbed, new_disturbed = (
        any(_disturbed(result) for _, result in side) for side in sides
    )
    comparisons = [_with_doubt(one, base_disturbed, new_disturbed) for one in comparisons]
    return Compared(tuple(comparisons), slowdown.overall(comparisons), tuple(_notes(sides, every)))


Side = list[tuple[Path, Result]]


def _of_loads(sides: Sequence[Side]) -> list[Quantity]:
    """Return a quantity for each phase and measure that all runs have."""
    tables = [[_raw(path / REQUESTS_FILE) for path, _ in side] for side in sides]
    phases = [[_phases(result) for _, result in side] for side in sides]
    common = [name for name in phases[0][0] if all(name in run for side in phases for run in side)]
    if not common and any(run for side in phases for run in side):
        raise ResultError("the runs have no phase in common; compare runs of the same schedule")
    quantities: list[Quantity] = []
    levels: list[list[list[Floats]]] = [[[] for _ in side] for side in sides]
    for name in common:
        parts = [
            [_part(table, run[name]) for table, run in zip(*pair, strict=True)]
            for pair in zip(tables, phases, strict=True)
        ]
        rates = [[_rates(part) for part in side] for side in parts]
        if phases[0][0][name].kind == "closed":
            for side, found in zip(levels, rates, strict=True):
                for run, rate in zip(side, found, strict=True):
                    run.append(rate)
            continue
        _require_same_schedule(name, parts)
        quantities.append(Quantity(f"{name}: rate", "requests/s", True, *_both(rates)))
        quantities += [found for kind in KINDS for found in _latencies(name, kind, parts)]
    if levels[0][0]:
        joined = [[np.concatenate(run) for run in side] for side in levels]
        quantities.append(Quantity("sweep: rate", "requests/s", True, *_both(joined)))
    return quantities


def _both(sides: Sequence[Sequence[Floats]]) -> tuple[Floats, Floats]:
    """Return base and new as arrays (runs, spans)."""
    base, new = (np.array(side) for side in sides)
    return base, new


def _phases(result: Result) -> dict[str, PhaseSummary]:
    """Return the phases with the same load in every run. A search tries other rates each time."""
    found = result.load.phases if result.load else ()
    return {phase.name: phase for phase in found if phase.kind in ("open", "closed")}


def _part(table: pa.Table, phase: PhaseSummary) -> Part:
    made = requests.read(
        table.filter(pc.equal(table["phase"], phase.name)), phase.started_ns, phase.given_up_s
    )
    return Part(made, phase.warm_up_s, phase.to_s)


def _edges(part: Part) -> Floats:
    return np.linspace(part.from_s, part.to_s, BLOCKS + 1)


def _rates(part: Part) -> Floats:
    """Return the rate of each span.

    Half a request is added to each span, so that the logarithm of an empty one is finite.
    """
    edges = _edges(part)
    rates: Floats = requests.ended_per_s(part.requests, edges) + 0.5 / np.diff(edges)
    return rates


def _latencies(name: str, kind: str, parts: Sequence[Sequence[Part]]) -> list[Quantity]:
    """Return median and 95th percentile; nothing if a span has too few requests of the kind."""
    found = []
    for rank, counts in (("p50", True), ("p95", False)):
        sides = [
            [r for part in side if (r := _ranks(part, kind, requests.RANKS[rank])) is not None]
            for side in parts
        ]
        if [len(side) for side in sides] == [len(side) for side in parts]:
            base, new = _both(sides)
            found.append(Quantity(f"{name}: latency.{kind}.{rank}", "s", False, base, new, counts))
    return found


def _ranks(part: Part, kind: str, rank: float) -> Floats | None:
    mine = part.intended_inside & (part.requests.kind == kind)
    at, latency = part.requests.intended_s[mine], part.requests.latency_s[mine]
    return _by_span(at, latency, _edges(part), rank)


def _by_span(at: Floats, values: Floats, edges: Floats, rank: float) -> Floats | None:
    span = np.clip(np.digitize(at, edges) - 1, 0, BLOCKS - 1)
    if np.bincount(span, minlength=BLOCKS).min() < SAMPLES_MIN:
        return None
    return np.array([max(float(np.quantile(values[span == i], rank)), 1e-6) for i in range(BLOCKS)])


def _require_same_schedule(name: str, parts: Sequence[Sequence[Part]]) -> None:
    counts = [len(part.requests.intended_s) for side in parts for part in side]
    if max(counts) > (1 + SCHEDULES_DIFFER) * min(counts) + 5 * math.sqrt(max(counts)):
        raise ResultError(
            f"phase {name} has {min(counts):,} requests in one run and {max(counts):,} in another; "
            "compare runs of the same schedule"
        )


def _of_runs(sides: Sequence[Side]) -> list[Quantity]:
    """Return rows and objects per second, and PUT latency, by spans of wall time."""
    found = []
    for key, unit in (("rows_per_s", "rows/s"), ("objects_per_s", "objects/s")):
        series = [
            [getattr(r.throughput, key) if r.throughput else () for _, r in side] for side in sides
        ]
        if all(len(one) >= BLOCKS for side in series for one in side):
            base, new = _both([[slowdown.blocks(one) for one in side] for side in series])
            if (base > 0).all() and (new > 0).all():
                found.append(Quantity(f"throughput.{key}", unit, True, base, new))
    for rank, counts in (("p50", True), ("p95", False)):
        puts = [
            [p for path, _ in side if (p := _put_latency(path, requests.RANKS[rank])) is not None]
            for side in sides
        ]
        if [len(side) for side in puts] == [len(side) for side in sides]:
            base, new = _both(puts)
            found.append(Quantity(f"latency.put.{rank}", "s", False, base, new, counts))
    return found


def _put_latency(path: Path, rank: float) -> Floats | None:
    operations = _raw(path / OPERATIONS_FILE)
    puts = operations.filter(
        pc.and_(pc.equal(operations["kind"], "put"), pc.equal(operations["outcome"], "ok"))
    )
    if puts.num_rows == 0:
        return None
    start, intended, end = (
        puts[name].cast(pa.int64()).to_numpy() / 1e9 for name in ("start", "intended_start", "end")
    )
    edges = np.linspace(start.min(), start.max(), BLOCKS + 1)
    return _by_span(start, end - intended, edges, rank)


def _searches(sides: Sequence[Side], limit: float) -> list[Comparison]:
    """Compare the results of searches over all runs of a side. Their brackets give the interval.

    A run whose search found no rate is not left out, because it may be the one with a regression.
    Its rate is between 0 and the lowest failed rate, and a verdict of unknown then counts, too.
    """
    found = [[r.load.search for _, r in side if r.load and r.load.search] for side in sides]
    rates = [[search.sustainable or 0.0 for search in side] for side in found]
    if not all(found) or not any(map(any, rates)):
        return []
    (low, high), (new_low, new_high) = (
        (min(side), max(map(_failed, searches)))
        for side, searches in zip(rates, found, strict=True)
    )
    base, new = (float(np.mean(side)) for side in rates)
    worst = high / new_low if new_low and math.isfinite(high) else math.inf
    best = low / new_high
    judged = slowdown.verdict(best, worst, limit)
    ratio = base / new if new else math.inf
    some_found_none = not all(map(all, rates))
    return [
        Comparison(
            "load.sustainable_per_s",
            "requests/s",
            base,
            new,
            ratio,
            best,
            worst,
            judged,
            some_found_none,
        )
    ]


def _failed(search: SearchFound) -> float:
    """Return the lowest rate above the result that failed in a search.

    A try without a verdict does not count.
    """
    rates = (
        step.rate
        for step in search.steps
        if step.verdict == "fail" and step.rate > (search.sustainable or 0.0)
    )
    return min(rates, default=math.inf)


def _disturbed(result: Result) -> bool:
    return any(
        bottleneck.disturbed(phase.figures) for phase in (result.load.phases if result.load else ())
    )


def _with_doubt(one: Comparison, base: bool, new: bool) -> Comparison:
    """Return the comparison; "unknown" if a disturbed side makes its verdict doubtful."""
    doubtful = (one.verdict == "regression" and new) or (one.verdict == "none" and base)
    return replace(one, verdict="unknown") if doubtful else one


def _raw(path: Path) -> pa.Table:
    try:
        with path.open("rb") as file:  # pyarrow may take a path for a URI
            return pq.read_table(file)
    except FileNotFoundError as error:
        raise ResultError(
            f"{path}: is missing; the run recorded nothing, or the file was removed"
        ) from error
    except (OSError, ValueError) as error:
        raise ResultError(f"{path}: cannot be read: {error}") from error


def _notes(sides: Sequence[Side], every: Sequence[Result]) -> list[str]:
    notes = [
        f"{path}: other work on the machine disturbed it; repeat it on a quiet machine"
        for side in sides
        for path, result in side
        if _disturbed(result)
    ]
    if min(len(side) for side in sides) == 1:
        notes.append(
            "one side has a single run, so the spread between runs is not known; "
            "repeat runs for a more certain verdict"
        )
    for side in sides:
        for path, result in side:
            for phase in result.load.phases if result.load else ():
                if phase.kind in ("open", "closed") and phase.stopped_early:
                    notes.append(
                        f"{path}: phase {phase.name} was stopped early: {phase.stopped_early}"
                    )
            if result.load and (lost := sum(phase.lost_workers for phase in result.load.phases)):
                notes.append(
                    f"{path}: {lost} load generator{'s' * (lost > 1)} died during the test"
                )
    if len({result.environment.get("machine") for result in every}) > 1:
        notes.append("the runs were made on different machines")
    if len(gateways := {result.environment.get("gateway", "not ours") for result in every}) > 1:
        names = ", ".join(sorted(gateways))
        notes.append(f"the runs used different gateways of LocalStack: {names}")
    if len({result.environment.get("store_processes", "1") for result in every}) > 1:
        notes.append("the runs' LocalStacks had different numbers of processes")
    if len({result.load.plan for result in every if result.load}) > 1:
        notes.append("the plans of the load tests differ")
    notes += [
        f"the verdict of one of the runs is itself {result.verdict}"
        for result in every
        if result.verdict == "unknown"
    ][:1]
    return notes


def _change(one: Comparison) -> str:
    """Return a slowdown in words: `5 % faster (ratio 0.950, interval 0.900 to 1.000)`."""
    interval = f"(ratio {one.slowdown:.3f}, interval {one.low:.3f} to {one.high:.3f})"
    if not math.isfinite(one.slowdown):
        return f"no rate any more {interval}"
    percent = 100 * abs(one.slowdown - 1)
    if percent < 0.05:
        return f"unchanged {interval}"
    amount = f"{percent:.1f}" if percent < 10 else f"{percent:.0f}"
    return f"{amount.removesuffix('.0')} % {'slower' if one.slowdown > 1 else 'faster'} {interval}"


_STYLE: Final = {"regression": "bold red", "none": "green", "unknown": "yellow"}
_TITLES: Final = {"regression": "REGRESSION", "none": "NO REGRESSION", "unknown": "UNKNOWN"}


def print_compared(console: Console, compared: Compared, limit: float) -> None:
    """Print the verdict, a line per quantity, and notes."""
    allowed = f"limit: {100 * limit:g} % slower"
    console.print(
        Text(f"{_TITLES[compared.verdict]}  ", _STYLE[compared.verdict]) + Text(allowed, "dim")
    )
    widest = max((len(one.name) for one in compared.comparisons), default=0)
    for one in compared.comparisons:
        aside = "" if one.counts or one.verdict == "regression" else "*"
        values = f"{numbers.figure(one.base, one.unit)} -> {numbers.figure(one.new, one.unit)}"
        line = Text(f"  {one.name:<{widest}}  {values}, {_change(one)}  ") + Text(
            one.verdict + aside, _STYLE[one.verdict]
        )
        console.print(line, soft_wrap=True)
    if not all(one.counts for one in compared.comparisons):
        console.print(
            Text("* interval too wide for a verdict (a regression is still reported)", "dim")
        )
    if not compared.comparisons:
        console.print(
            Text("nothing could be compared: the runs are too short, or have no records", "yellow")
        )
    for note in compared.notes:
        console.print(Text(f"note: {note}", "dim"), soft_wrap=True)
