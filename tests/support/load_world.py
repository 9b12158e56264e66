"""A store of arithmetic for tests of analysis: one server, a queue, and a number of users.

It answers as LocalStack does: one request after the other at `capacity_per_s` with some noise, for
any number of waiting users. Lindley's recursion over whole arrays. Times are wall times from a
fixed start.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sim.load.phase import DRAIN_S, REQUESTS, RESOURCES, Arrivals, Phase, PhaseRecord
from sim.load.phases import Course
from sim.load_schedule import REQUEST_KINDS
from sim.measure.operations import OPERATIONS_FILE
from sim.measure.operations import SCHEMA as OPERATIONS
from sim.report.write import REQUESTS_FILE, RESOURCES_FILE
from sim.seeds import rng

STARTED_NS = 1_764_000_000_000_000_000


@dataclass
class QueueEngine:
    """Load engine on the store of arithmetic.

    - `think_s`: work of the client per request, without the server: one user leaves it idle.
    - `others`: cores of the machine's two that other programs use.
    - `frozen`: (from, for) seconds of a phase in which the server is frozen.
    - `wobble`: difference of its speed between phases.
    """

    capacity_per_s: float = 25.0
    noise: float = 0.3
    think_s: float = 0.0
    users: int = 64
    wobble: float = 0.0
    frozen: tuple[float, float] | None = None
    errors: float = 0.0
    others: float = 0.0
    seed: int = 7
    phases: list[PhaseRecord] = field(default_factory=list)
    now_ns: int = STARTED_NS

    def run(self, phase: Phase) -> PhaseRecord:
        random = rng(self.seed, "queue", len(self.phases), phase.name)
        mean_s = np.exp(self.wobble * random.standard_normal()) / self.capacity_per_s
        if phase.arrivals is not None:
            intended, start, end = self._open(phase.arrivals, mean_s, random)
            kind, node = np.array(REQUEST_KINDS)[phase.arrivals.kind], phase.arrivals.node
        else:
            intended, start, end = self._closed(phase, mean_s, random)
            kind, node = np.full(len(start), "flush"), np.arange(len(start)) % 50
        record = self._record(
            phase, intended, start, end, kind, node, random.random(len(start)) < self.errors
        )
        self.phases.append(record)
        self.now_ns += round((phase.duration_s + DRAIN_S + 2) * 1e9)
        return record

    def _open(
        self, arrivals: Arrivals, mean_s: float, random: np.random.Generator
    ) -> tuple[np.ndarray, ...]:
        work = self._work(len(arrivals), mean_s, random)
        begin = np.zeros(len(work))  # at the server
        free = 0.0
        for i, due in enumerate(arrivals.intended_s):
            begin[i] = self._thawed(max(due, free))
            free = begin[i] + work[i]
        end = begin + work + self.think_s
        start = arrivals.intended_s.copy()
        # a user must be free
        start[self.users :] = np.maximum(start[self.users :], end[: -self.users])
        return arrivals.intended_s, start, end

    def _closed(
        self, phase: Phase, mean_s: float, random: np.random.Generator
    ) -> tuple[np.ndarray, ...]:
        ready = [0.0] * (phase.users or 1)
        free, rows = 0.0, []
        while (at := min(ready)) < phase.duration_s:
            begin = self._thawed(max(at + self.think_s, free))
            free = begin + float(self._work(1, mean_s, random)[0])
            rows.append((at, free))
            ready[ready.index(at)] = free
        start, end = np.array(rows).T
        return start, start, end

    def _work(self, count: int, mean_s: float, random: np.random.Generator) -> np.ndarray:
        return mean_s * random.gamma(1 / self.noise**2, self.noise**2, count)

    def _thawed(self, at: float) -> float:
        if self.frozen is not None and self.frozen[0] <= at < sum(self.frozen):
            return sum(self.frozen)
        return at

    def _record(
        self,
        phase: Phase,
        intended: np.ndarray,
        start: np.ndarray,
        end: np.ndarray,
        kind: np.ndarray,
        node: np.ndarray,
        failed: np.ndarray,
    ) -> PhaseRecord:
        last = phase.duration_s + DRAIN_S
        outcome = np.where(start > last, "not-made", np.where(end > last, "abandoned", "ok"))
        outcome = np.where(failed & (outcome == "ok"), "unavailable", outcome)
        m = len(start)
        columns = [
            [phase.name] * m,
            kind.tolist(),
            node,
            self._times(intended),
            self._times(np.where(start > last, np.nan, start)),
            self._times(np.where(end > last, np.nan, end)),
            np.full(m, 20_000),
            np.full(m, 6),
            np.full(m, 60),
            outcome.tolist(),
            ["client-0"] * m,
            np.arange(m),
        ]
        arrays = [pa.array(c, f.type) for c, f in zip(columns, REQUESTS, strict=True)]
        made = pa.table(arrays, schema=REQUESTS)
        return PhaseRecord(
            phase, made, operations(made), self._resources(phase, start, end), self.now_ns
        )

    def _resources(self, phase: Phase, start: np.ndarray, end: np.ndarray) -> pa.Table:
        """The server is busy during its work, the client for a tenth of that."""
        at = np.arange(0.0, phase.duration_s + 1.0)
        done = np.searchsorted(np.sort(end), at) / self.capacity_per_s
        rows = [("server", np.minimum(done, at), 300_000_000), ("client-0", 0.1 * done, 80_000_000)]
        rows += [("others", self.others * at, 0), ("idle", max(1.0 - self.others, 0.0) * at, 0)]
        tables = [
            pa.table(
                [
                    self._times(at),
                    [name] * len(at),
                    cpu,
                    np.full(len(at), rss),
                    pa.array(np.full(len(at), 9), pa.int32()),
                    pa.array(np.full(len(at), phase.users or self.users), pa.int32()),
                ],
                schema=RESOURCES,
            )
            for name, cpu, rss in rows
        ]
        return pa.concat_tables(tables).sort_by("time")

    def _times(self, seconds: np.ndarray) -> pa.Array:
        """Return seconds of the phase as wall times. NaN becomes null."""
        missing = np.isnan(seconds)
        ns = self.now_ns + np.where(missing, 0, seconds * 1e9).astype(np.int64)
        return pa.array(ns, mask=missing).cast(pa.timestamp("ns", tz="UTC"))


def recorded(
    folder: Path, course: Course, engine: QueueEngine
) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Run the course. Leave its raw record as `windfleet load` does in its run directory."""
    course.run(engine, lambda: 1e9)
    records = [record for record, _ in course.records]
    requests = pa.concat_tables([record.requests for record in records])
    resources = pa.concat_tables([record.resources for record in records])
    performed = pa.concat_tables([record.operations for record in records])
    pq.write_table(requests, folder / REQUESTS_FILE)
    pq.write_table(resources, folder / RESOURCES_FILE)
    pq.write_table(performed, folder / OPERATIONS_FILE)
    return requests, resources, performed


def operations(made: pa.Table) -> pa.Table:
    """One PUT per request, as long as it took."""
    done = made.filter(pa.compute.is_valid(made["end"]))
    m = done.num_rows
    columns = {
        "intended_start": done["start"],
        "start": done["start"],
        "end": done["end"],
        "kind": ["put"] * m,
        "bucket": ["expanso-databricks-ingestion"] * m,
        "key": [f"k{i}" for i in range(m)],
        "bytes": done["bytes"],
        "outcome": ["ok"] * m,
        "attempt": pa.array([1] * m, pa.int32()),
        "worker": done["worker"],
    }
    return pa.table(columns, schema=OPERATIONS)
