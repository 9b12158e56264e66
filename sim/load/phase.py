"""A phase: a stretch of load with one schedule, and the raw record of it. The seam between engine and analysis.

    intended start ── late ──> start ── service time ──> end          latency = end - intended start

A latency counts from the intended start, so that a request that could not start because the server stood still shows
that wait (a generator that waits with its users hides it: coordinated omission). Users are only a cap on how many
requests are under way at once. Backlog at a time: requests that are due and have not started.

A closed phase has no schedule: so many users, each one request after the other; intended start is then the start.

    record = engine.run(phase)            sim.load.engine.Engine; raises EngineError (environment, exit code 3)

Every phase begins on an empty lake with each node at its first batch, so that phases compare. The flushes of a node are
in order and never at the same time: worker w of W has the nodes n with n % W == w, so what is done for a node is the
same for any number of workers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sim.arrays import Floats, Ints
from sim.load_schedule import REQUEST_KINDS
from sim.measure.thresholds import Expectation

_TIME: Final = pa.timestamp("ns", tz="UTC")
REQUESTS: Final = pa.schema(
    [
        pa.field("phase", pa.string()),
        pa.field("kind", pa.string()),  # one of REQUEST_KINDS
        pa.field("node", pa.int32()),  # of the plan's nodes, from 0
        pa.field("intended_start", _TIME),
        pa.field("start", _TIME),  # null: never made
        pa.field("end", _TIME),  # null: never made, or under way when the phase was ended
        pa.field(
            "bytes", pa.int64()
        ),  # sent by a flush (at most, when it failed), received by a read
        pa.field(
            "objects", pa.int32()
        ),  # created by a flush (manifest and checkpoint included); listed or read
        pa.field("rows", pa.int64()),  # of the batch, or decoded by a scan
        pa.field("outcome", pa.string()),  # one of OUTCOMES
        pa.field("worker", pa.string()),  # "client-0", ...; null when never made
        pa.field(
            "number", pa.int64()
        ),  # index in the schedule; of a closed phase by worker, in order of start
    ]
)
"""One row per request; of an open phase exactly one per arrival, made or not. Sorted by intended start."""

OUTCOMES: Final = (
    "ok",
    "unavailable",  # no answer, a 5xx, a timeout
    "refused",
    "conflict",  # another version of a checkpoint, or other content under a key
    "missing",
    "exists",
    "corrupt",  # what was read is not what it should be
    "abandoned",  # under way when the phase was ended; end is null
    "not-made",  # due or not, it was never started: phase stopped early, drain time over, worker lost; start is null
)
"""What became of a request. All but `ok` are errors. `abandoned` and `not-made` have no end; where they were due, they
count in percentiles with the time they had waited when the phase was given up. `load.errors` counts those that were
started and are not `ok`, `load.not_made` the others."""

RESOURCES: Final = pa.schema(
    [
        pa.field("time", _TIME),
        pa.field(
            "process", pa.string()
        ),  # "client-0", ..., "master", "server"; of the machine "idle", "others"
        pa.field(
            "cpu_s", pa.float64()
        ),  # user and system, cumulative, children included for the server
        pa.field("rss_bytes", pa.int64()),
        pa.field("threads", pa.int32()),
        pa.field("connections", pa.int32()),  # established TCP connections to the target's port
    ]
)
"""One row per process and second. `server` only when the store is the embedded one or runs on this machine."""


@dataclass(frozen=True)
class Arrivals:
    """Requests in order of their intended start. `kind`: index in REQUEST_KINDS; `node`: of the plan's nodes."""

    intended_s: Floats  # shape (m,), from the phase's start, ascending
    kind: npt.NDArray[np.int8]  # shape (m,)
    node: npt.NDArray[np.int32]  # shape (m,)

    def __len__(self) -> int:
        return len(self.intended_s)

    def share(self, worker: int, workers: int) -> Ints:
        """Indices of the arrivals that one of so many workers makes, ascending."""
        return np.flatnonzero(self.node % workers == worker)

    def flushes(self, nodes: int) -> Ints:
        """How many batches each node must have, shape (nodes,)."""
        flush = self.node[self.kind == REQUEST_KINDS.index("flush")]
        return np.bincount(flush, minlength=nodes)


@dataclass(frozen=True)
class Phase:
    """What to do: `arrivals` of an open phase, or `users` of a closed one (the other is None).

    `duration_s`: from the first moment to the last intended start; requests under way may end later (`DRAIN_S`).
    `warm_up_s`: the first part of it, recorded but excluded from figures. `stop_when`: figures over the last WINDOW_S
    that end the phase early when they hold.
    """

    name: str
    arrivals: Arrivals | None
    users: int | None
    duration_s: float
    warm_up_s: float = 0.0
    stop_when: tuple[Expectation, ...] = ()


DRAIN_S: Final = 30.0
"""How long a phase goes on behind its duration for what is due; then the rest is `abandoned` or `not-made`."""
WINDOW_S: Final = 10.0


@dataclass(frozen=True)
class PhaseRecord:
    """What happened. `started_ns`: wall time of the schedule's 0, ns since 1970; `stopped_early`: why, or None.

    operations: sim.measure.operations.SCHEMA, one row per store operation.
    lost_workers: how many client processes died before the end; their requests up to then are there.
    """

    phase: Phase
    requests: pa.Table
    operations: pa.Table
    resources: pa.Table
    started_ns: int
    stopped_early: str | None = None
    lost_workers: int = 0


class Engine(Protocol):
    """Runs phases. `sim.load.engine` has the one on Locust; analysis is tested with synthetic ones."""

    def run(self, phase: Phase) -> PhaseRecord: ...
