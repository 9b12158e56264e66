"""Use of the cores over the wall time of a run, and the activities of its workers. Measured.

`workers`, `server` and `harness` are CPU time over wall time, in cores. `queued` counts threads of
the run that were ready and waited for a core, because others had them all. A core is busy if the
run used it or waited for it. So other programs on the machine do not make a run look idle.

`simulate`, `deliver`, `wait` and `judge` are the mean number of workers with this activity. `wait`
is a worker with nothing else to do until the store answers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import numpy as np
from pydantic import Field

from sim.arrays import Floats
from sim.measure.usage import Sample

Activity = Literal["simulate", "deliver", "wait", "judge"]
ACTIVITIES: Final[tuple[Activity, ...]] = ("simulate", "deliver", "wait", "judge")
_STEPS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
_BUCKETS_MAX: Final = 120


@dataclass(frozen=True)
class Span:
    """Seconds of one worker by activity, between two wall times in ns since 1970."""

    from_ns: int
    to_ns: int
    seconds: dict[Activity, float]


@dataclass(frozen=True)
class Phase:
    """A phase of the run. Seconds since its start, and CPU seconds; busy: share of the cores."""

    name: str
    from_s: float
    to_s: float
    workers_s: float
    server_s: float
    harness_s: float
    busy: float


@dataclass(frozen=True)
class Timeline:
    """Use of the cores. Bucket i covers seconds [i, i + 1) x bucket_s since the start."""

    bucket_s: Annotated[float, Field(gt=0)]
    cores: Annotated[int, Field(gt=0)]
    busy: float
    workers: tuple[float, ...]
    server: tuple[float, ...]
    harness: tuple[float, ...]
    queued: tuple[float, ...]
    simulate: tuple[float, ...]
    deliver: tuple[float, ...]
    wait: tuple[float, ...]
    judge: tuple[float, ...]
    phases: tuple[Phase, ...]

    @property
    def used(self) -> float:
        """Share of the cores that the run itself used: `busy` without the queued threads."""
        cores = np.add(np.add(self.workers, self.server), self.harness)
        return float(cores.mean()) / self.cores


def timeline(
    samples: Sequence[Sample],
    spans: Iterable[Span],
    begun_ns: int,
    phases: Sequence[tuple[str, int]],
    harness: int,
    server: Collection[int],
    cores: int,
) -> Timeline | None:
    """Return the time line; None without samples.

    phases: names, and wall times (ns since 1970) at which they began. harness, server: ids of their
    processes.
    """
    if not samples:
        return None
    at = np.array([begun_ns, *(sample.at_ns for sample in samples)])
    seconds = (at - begun_ns) / 1e9
    owners = {harness: 1, **dict.fromkeys(server, 2)}
    used = np.zeros((4, len(samples)))  # workers, harness, server, queued
    for i, sample in enumerate(samples):
        for pid, cpu_s in sample.cpu_s.items():
            used[owners.get(pid, 0), i] += cpu_s
        used[3, i] = sum(sample.queued_s.values())
    length_s = np.maximum(np.diff(seconds), 1e-9)
    wanted = np.minimum(cores, used.sum(axis=0) / length_s) * length_s
    total_s = max(float(seconds[-1]), 1e-3)
    step_s = next((s for s in _STEPS_S if total_s / s <= _BUCKETS_MAX), total_s / _BUCKETS_MAX)
    edges = np.linspace(0.0, total_s, max(1, round(total_s / step_s)) + 1)
    bucket_s = float(edges[1])

    def rate(amount: Floats) -> tuple[float, ...]:
        return _rounded(_spread(amount, seconds[:-1], seconds[1:], edges) / bucket_s)

    known = [span for span in spans if span.to_ns > span.from_ns]
    begins, ends = (
        np.array([(each - begun_ns) / 1e9 for each in times])
        for times in ([span.from_ns for span in known], [span.to_ns for span in known])
    )
    active = {
        name: _rounded(
            _spread(np.array([span.seconds.get(name, 0.0) for span in known]), begins, ends, edges)
            / bucket_s
        )
        for name in ACTIVITIES
    }
    limits = [*((when - begun_ns) / 1e9 for _, when in phases), total_s]
    found = []
    for (name, _), begin, end in zip(phases, limits, limits[1:], strict=False):
        bounds = np.array([begin, max(end, begin + 1e-6)])
        inside = [
            float(_spread(row, seconds[:-1], seconds[1:], bounds)[0]) for row in (*used, wanted)
        ]
        busy = inside[4] / (float(bounds[1] - bounds[0]) * cores)
        figures = (begin, end, inside[0], inside[2], inside[1], busy)
        found.append(Phase(name, *(round(figure, 3) for figure in figures)))
    return Timeline(
        round(bucket_s, 6),
        cores,
        round(float(wanted.sum()) / (total_s * cores), 4),
        rate(used[0]),
        rate(used[2]),
        rate(used[1]),
        rate(used[3]),
        **active,
        phases=tuple(found),
    )


def _spread(amount: Floats, begin: Floats, end: Floats, edges: Floats) -> Floats:
    """Return the amount in each bucket. Each amount is spread evenly from its begin to its end."""
    if not len(amount):
        return np.zeros(len(edges) - 1)
    covered = np.clip(edges[:, None], begin, end) - begin
    share = covered / np.maximum(end - begin, 1e-9)
    inside: Floats = np.diff(share @ amount)
    return inside


def _rounded(values: Floats) -> tuple[float, ...]:
    return tuple(round(float(value), 3) for value in values)
