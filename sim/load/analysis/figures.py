"""From the raw records of a load test to its figures: one phase, or all of them; warm-up left out. Pure.

The figures of a load test are those of its open schedule; without a schedule, of the hold that confirmed the search.
The sweep and the search add their own (`load.peak_per_s`, `load.usl.*`, `load.sustainable_per_s`). What was not
measured is absent. Names and meanings are in `sim.measure.figures`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sim.load.phase import PhaseRecord
from sim.measure import bottleneck, requests
from sim.measure.bottleneck import SERVER, Limit
from sim.measure.loadtest import LoadTest, PhaseKind, PhaseSummary, SearchFound, SweepFound
from sim.measure.requests import Part

_QUARTERS: Final = 4
_QUARTER_MIN_S: Final = 3.0
"""Shorter parts of a phase have too few samples of its processes, one a second, to judge by."""


def part(record: PhaseRecord) -> Part:
    """What counts of a phase: from the end of its warm-up to its last intended start, or to where it was stopped."""
    phase = record.phase
    made = requests.read(
        record.requests, record.started_ns, _watched_s(record) if record.stopped_early else 0.0
    )
    to_s = min(phase.duration_s, made.given_up_s) if record.stopped_early else phase.duration_s
    return Part(made, phase.warm_up_s, to_s)


def _watched_s(record: PhaseRecord) -> float:
    """Until when the phase was sampled, each second, in seconds since its start."""
    last = pc.max(record.resources["time"].cast(pa.int64())).as_py()
    return 0.0 if last is None else float(last - record.started_ns) / 1e9


def summary(record: PhaseRecord, kind: PhaseKind) -> PhaseSummary:
    """One phase, with its figures."""
    phase, counted = record.phase, part(record)
    return PhaseSummary(
        name=phase.name,
        kind=kind,
        started_ns=record.started_ns,
        duration_s=phase.duration_s,
        warm_up_s=phase.warm_up_s,
        to_s=counted.to_s,
        given_up_s=counted.requests.given_up_s,
        users=phase.users,
        figures=of([record]),
        stopped_early=record.stopped_early,
        lost_workers=record.lost_workers,
    )


def of(records: Sequence[PhaseRecord]) -> dict[str, float]:
    """The figures of phases taken together; of none, nothing."""
    if not records:
        return {}
    parts = [part(record) for record in records]
    found = requests.figures(parts) | _processes(records, parts)
    if (drift := requests.drift(parts[-1])) is not None and len(parts) == 1:
        found["load.drift"] = drift
    found["load.workers_lost"] = float(sum(record.lost_workers for record in records))
    return found


def of_test(
    test: LoadTest, schedule: Sequence[PhaseRecord], hold: PhaseRecord | None
) -> dict[str, float]:
    """Everything: of the schedule's phases (else of the hold), of the sweep and of the search."""
    found = of(schedule) if schedule else of([hold] if hold is not None else [])
    found["load.workers_lost"] = float(sum(phase.lost_workers for phase in test.phases))
    if test.sweep is not None:
        found |= _of_sweep(test.sweep)
    if test.search is not None:
        found |= _of_search(test.search)
    if test.generator_per_s is not None:
        found["load.generator_per_s"] = test.generator_per_s
    return found


def spans(record: PhaseRecord, closed: bool) -> list[tuple[dict[str, float], bool]]:
    """Figures of a phase quarter by quarter (a closed or a short one in fewer parts), and whether it was closed.

    A rate that changes, or a herd, is at its hardest for a part of the time only.
    """
    whole = part(record)
    end_s = max(whole.to_s, whole.requests.given_up_s)
    parts = 1 if closed else int(np.clip((end_s - whole.from_s) / _QUARTER_MIN_S, 1, _QUARTERS))
    edges = np.linspace(whole.from_s, end_s, parts + 1)
    found = []
    for from_s, to_s in pairwise(edges.tolist()):
        from_ns, to_ns = (record.started_ns + round(at * 1e9) for at in (from_s, to_s))
        usages = bottleneck.usage(record.resources, from_ns, to_ns)
        one = requests.figures([Part(whole.requests, from_s, to_s)]) | bottleneck.figures(usages)
        found.append((one, closed))
    return found


def limit(
    found: Sequence[tuple[dict[str, float], bool]],
    kept_up: bool,
    users: int,
    generator_per_s: float | None,
    stood_s: float,
) -> Limit:
    """What the limit was in the hardest of these spans: the one with the busiest store, else the highest rate."""
    hardest, closed = max(
        found, key=lambda s: (s[0].get("cpu.server", 0.0), s[0]["load.achieved_per_s"])
    )
    return bottleneck.find_limit(hardest, kept_up and not closed, users, generator_per_s, stood_s)


def _of_sweep(sweep: SweepFound) -> dict[str, float]:
    found = {"load.peak_per_s": max((level.throughput for level in sweep.levels), default=0.0)}
    found["load.littles_law_error"] = max(
        (level.littles_law_error for level in sweep.levels), default=0.0
    )
    if sweep.saturation_users is not None:
        found["load.saturation_users"] = sweep.saturation_users
    if (fit := sweep.fit) is not None:
        found |= {"load.usl.lambda": fit.lambda_.value, "load.usl.alpha": fit.alpha.value}
        found["load.usl.beta"] = fit.beta.value
        derived = {
            "load.usl.peak_users": fit.peak_users,
            "load.usl.peak_per_s": fit.peak_per_s,
            "load.usl.asymptote_per_s": fit.asymptote_per_s,
        }
        found |= {
            name: interval.value for name, interval in derived.items() if interval is not None
        }
    return found


def _of_search(search: SearchFound) -> dict[str, float]:
    return {} if search.sustainable is None else {"load.sustainable_per_s": search.sustainable}


def _processes(records: Sequence[PhaseRecord], parts: Sequence[Part]) -> dict[str, float]:
    """Of the processes, over the counted spans of all phases: means weighted by time, largest values, cost per call."""
    found: dict[str, float] = {}
    weights = total_s = server_s = 0.0
    operations = 0
    for record, counted in zip(records, parts, strict=True):
        from_ns, to_ns = (
            record.started_ns + round(at * 1e9) for at in (counted.from_s, counted.to_s)
        )
        usages = bottleneck.usage(record.resources, from_ns, to_ns)
        one = bottleneck.figures(usages)
        span_s = counted.length_s
        for name, value in one.items():
            before = found.get(name, 0.0)
            found[name] = before + value * span_s if name.startswith("cpu.") else max(before, value)
        total_s += span_s
        if SERVER in usages:
            weights += span_s
            server_s += usages[SERVER].cores * span_s
            operations += _operations(record.operations, from_ns, to_ns)
    for name in ("cpu.client", "cpu.server", "cpu.idle", "cpu.others"):
        if name in found:
            found[name] /= weights if name == "cpu.server" else total_s
    if operations:
        found["cpu.server_per_operation"] = server_s / operations
    return found


def _operations(operations: pa.Table, from_ns: int, to_ns: int) -> int:
    ends = operations["end"].cast(pa.int64()).to_numpy()
    return int(((ends >= from_ns) & (ends < to_ns)).sum())
