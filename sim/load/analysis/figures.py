"""The figures of one phase or of a whole load test, from its raw records. Pure functions.

- Warm-up is left out.
- The figures of a load test are those of its open schedule. Without a schedule, they are those of
  the hold that confirmed the search.
- The sweep and the search add their own figures (`load.peak_per_s`, `load.usl.*`,
  `load.sustainable_per_s`).
- A figure that was not measured is absent. `sim.measure.figures` has names and meanings.
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
"""Shorter parts of a phase have too few samples of its processes, at one per second."""


def part(record: PhaseRecord) -> Part:
    """Return the part of a phase that counts in figures.

    It lasts from the end of the warm-up to the last intended start, or to an early stop.
    """
    phase = record.phase
    watched_s = _watched_s(record) if record.stopped_early else 0.0
    made = requests.read(record.requests, record.started_ns, watched_s)
    to_s = min(phase.duration_s, made.given_up_s) if record.stopped_early else phase.duration_s
    return Part(made, phase.warm_up_s, to_s)


def _watched_s(record: PhaseRecord) -> float:
    """Return the time of the last sample of the phase, in seconds since its start."""
    last = pc.max(record.resources["time"].cast(pa.int64())).as_py()
    return 0.0 if last is None else float(last - record.started_ns) / 1e9


def summary(record: PhaseRecord, kind: PhaseKind) -> PhaseSummary:
    """Return one phase with its figures."""
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
    """Return the figures of all these phases together."""
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
    """Return the figures of the schedule's phases (or of the hold), the sweep and the search."""
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
    """Return the figures of each quarter of a phase, with True if the phase is closed.

    A closed or a short phase has fewer parts. A herd, or a rate that changes, is at its hardest
    only for a part of the time.
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
    """Return the limit in the hardest of these spans.

    That is the span with the busiest store, or with the highest rate if the store is not known.
    """
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
    """Return the figures of the processes over the counted parts of all phases.

    They are means weighted by time, largest values, and CPU time per store operation.
    """
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
