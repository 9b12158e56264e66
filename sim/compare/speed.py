"""Speed of two sets of runs, from their raw records; the arithmetic is `sim.measure.slowdown`.

- Load test: the achieved rate of each open phase and over all levels of the sweep; median and 95th
  percentile of latency of each kind of request in open phases; the rate that a search found.
- Run: rows and objects per second, and PUT latency. Of runs that are too short for spans of time,
  repeats show the spread between runs instead.

Rates and medians decide the verdict. The 95th percentiles and the result of a search are less
certain: they can show a regression, but not exclude one. Other work on the machine
(`sim.measure.bottleneck.disturbed`) can only make a load test slower. So if the new side was
disturbed, "regression" becomes "unknown"; if the base was, "none" does.

Not covered: runs of different scenarios or schedules, which are refused; the cause of a slowdown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sim.arrays import Floats
from sim.errors import ResultError
from sim.measure import bottleneck, requests, slowdown
from sim.measure.loadtest import PhaseSummary, SearchFound
from sim.measure.operations import OPERATIONS_FILE, timed
from sim.measure.request_kinds import KINDS
from sim.measure.requests import Part
from sim.measure.slowdown import BLOCKS, Comparison, Quantity
from sim.report.result import Result
from sim.report.write import REQUESTS_FILE

SAMPLES_MIN: Final = 10
"""Fewest requests in a span for usable percentiles."""
SEARCHED: Final = "load.sustainable_per_s"
OF_RUNS: Final = (
    *("throughput.rows_per_s", "throughput.objects_per_s"),
    *("latency.put.p50", "latency.put.p95"),
)
"""Quantities of runs, by the names of their figures."""
SCHEDULES_DIFFER: Final = 0.02
"""Share of requests by which two schedules of one phase may differ.

A Poisson process with another seed makes another number of requests.
"""


Side = Sequence[tuple[Path, Result]]


def compared(sides: Sequence[Side], limit: float) -> list[Comparison]:
    """Return the comparison of each quantity. Raises ResultError for runs that do not fit."""
    loads = any(result.load is not None for side in sides for _, result in side)
    quantities = _of_loads(sides) if loads else _of_runs(sides)
    comparisons = slowdown.compare(quantities, limit) if quantities else []
    comparisons += _searches(sides, limit)
    base_disturbed, new_disturbed = (any(disturbed(result) for _, result in side) for side in sides)
    return [_with_doubt(one, base_disturbed, new_disturbed) for one in comparisons]


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
        name = f"throughput.{key}"
        series = [
            [getattr(r.throughput, key) if r.throughput else () for _, r in side] for side in sides
        ]
        quantity = None
        if all(len(one) >= BLOCKS for side in series for one in side):
            base, new = _both([[slowdown.blocks(one) for one in side] for side in series])
            if (base > 0).all() and (new > 0).all():
                quantity = Quantity(name, unit, True, base, new)
        found.append(quantity or _of_repeats(sides, name, unit, larger_is_better=True))
    for rank, counts in (("p50", True), ("p95", False)):
        name = f"latency.put.{rank}"
        puts = [
            [p for path, _ in side if (p := _put_latency(path, requests.RANKS[rank])) is not None]
            for side in sides
        ]
        if [len(side) for side in puts] == [len(side) for side in sides]:
            found.append(Quantity(name, "s", False, *_both(puts), counts))
        else:
            found.append(_of_repeats(sides, name, "s", larger_is_better=False, counts=counts))
    return [quantity for quantity in found if quantity is not None]


def without_interval(sides: Sequence[Side], judged: set[str]) -> list[str]:
    """Return why quantities of runs that others could be judged by have no interval, and the fix.

    judged: names of those that have one. Runs that are all too short are no case of this.
    """
    every = [pair for side in sides for pair in side]
    missing = [name for name in OF_RUNS if name not in judged]
    if not missing or any(result.load is not None for _, result in every):
        return []
    short = [str(path) for path, result in every if _is_short(result)]
    if len(short) == len(every) and len(missing) == len(OF_RUNS):
        return []
    why = (
        f"{', '.join(short)} {'are' if len(short) > 1 else 'is'} too short for {BLOCKS} spans"
        if short
        else f"a run has too few requests for {BLOCKS} spans, or spans without any"
    )
    lacking = slowdown.REPEATS - sum(len(side) - 1 for side in sides)
    more = (
        f"; {lacking} more run{'s' * (lacking > 1)} on either side (--repeat) would show the "
        "spread between runs instead, or make longer runs"
        if lacking > 0
        else "; make longer runs"
    )
    return [f"not judged, {', '.join(missing)}: {why}{more}"]


def _is_short(result: Result) -> bool:
    found = result.throughput
    return found is None or min(len(found.rows_per_s), len(found.objects_per_s)) < BLOCKS


def _of_repeats(
    sides: Sequence[Side], name: str, unit: str, *, larger_is_better: bool, counts: bool = True
) -> Quantity | None:
    """Return a quantity of whole runs; None if they are too few to know their spread.

    Each run has its figure in every span, so that only the spread between runs counts.
    """
    values = [[result.figure(name) or 0 for _, result in side] for side in sides]
    if sum(len(side) - 1 for side in values) < slowdown.REPEATS or not all(map(all, values)):
        return None
    base, new = (np.tile(np.array(side, dtype=np.float64)[:, None], BLOCKS) for side in values)
    return Quantity(name, unit, larger_is_better, base, new, counts)


def _put_latency(path: Path, rank: float) -> Floats | None:
    if not (path / OPERATIONS_FILE).exists():
        return None
    operations = timed(_raw(path / OPERATIONS_FILE))
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
            SEARCHED,
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


def disturbed(result: Result) -> bool:
    """Return True for a load test with other work on the machine."""
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
