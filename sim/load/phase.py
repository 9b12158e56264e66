"""A phase, which is a period of load with one schedule, and its raw record.

    intended start ── late ──> start ── service time ──> end      latency = end - intended start

    record = engine.run(phase)            `Engine`; raises EngineError (environment, exit code 3)

This is the interface between the engine and the analysis.

- A latency counts from the intended start. If the server stands still, the requests that cannot
  start include that wait. A generator that only counts from the actual start hides it (coordinated
  omission).
- Users are only a cap on requests under way at once.
- The backlog at a moment is the number of requests that are due and have not started.
- A closed phase has no schedule. Each user makes one request after the other, and the intended
  start is the start.
- Every phase starts on an empty lake, with each node at its first batch, so that phases compare.
- The flushes of a node keep their order and never overlap. Worker w of W has the nodes n with
  n % W == w, so that a node's requests are the same for any number of workers.
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
        # Sent by a flush (an upper bound if it failed), or received by a read.
        pa.field("bytes", pa.int64()),
        # Created by a flush (manifest and checkpoint included), listed, or read.
        pa.field("objects", pa.int32()),
        pa.field("rows", pa.int64()),  # of the batch, or decoded by a scan
        pa.field("outcome", pa.string()),  # one of OUTCOMES
        pa.field("worker", pa.string()),  # "client-0", ...; null: never made
        # Index in the schedule. In a closed phase by worker, in order of start.
        pa.field("number", pa.int64()),
    ]
)
"""One row per request, sorted by intended start.

An open phase has exactly one row per arrival, made or not.
"""

OUTCOMES: Final = (
    "ok",
    "unavailable",  # no answer, a 5xx, a timeout
    "refused",
    "conflict",  # another version of a checkpoint, or other content under a key
    "missing",
    "exists",
    "corrupt",  # a read returned wrong bytes, or a listing lacks a key
    "abandoned",  # under way when the phase was ended; end is null
    # Never started, due or not; start is null. The phase was stopped early, its drain time was
    # over, or its worker was lost.
    "not-made",
)
"""Outcomes of a request. All but `ok` are errors.

`abandoned` and `not-made` have no end. Those that were due count in percentiles with the time they
had waited when the phase was given up. `load.errors` counts requests that were started and are not
`ok`; `load.not_made` counts the others.
"""

RESOURCES: Final = pa.schema(
    [
        pa.field("time", _TIME),
        # "client-0", ..., "master", "server"; for the machine "idle" and "others".
        pa.field("process", pa.string()),
        # CPU time, user and system, cumulative. For the server, children included.
        pa.field("cpu_s", pa.float64()),
        pa.field("rss_bytes", pa.int64()),
        pa.field("threads", pa.int32()),
        pa.field("connections", pa.int32()),  # established TCP connections to the target's port
    ]
)
"""One row per process and second. `server` only if the store runs on this machine."""


@dataclass(frozen=True)
class Arrivals:
    """Requests in order of their intended start.

    kind: index in REQUEST_KINDS. node: index in the plan's nodes.
    """

    intended_s: Floats  # shape (m,), from the phase's start, ascending
    kind: npt.NDArray[np.int8]  # shape (m,)
    node: npt.NDArray[np.int32]  # shape (m,)

    def __len__(self) -> int:
        return len(self.intended_s)

    def share(self, worker: int, workers: int) -> Ints:
        """Return the indices of one worker's arrivals, ascending."""
        return np.flatnonzero(self.node % workers == worker)

    def flushes(self, nodes: int) -> Ints:
        """Return the number of flushes of each node, shape (nodes,)."""
        flush = self.node[self.kind == REQUEST_KINDS.index("flush")]
        return np.bincount(flush, minlength=nodes)


@dataclass(frozen=True)
class Phase:
    """A phase to run: `arrivals` of an open one, or `users` of a closed one. The other is None.

    duration_s: from the start to the last intended start. Requests under way may end later
    (DRAIN_S).
    warm_up_s: first part of the duration, recorded but excluded from figures.
    stop_when: conditions on figures of the last WINDOW_S. The phase ends early when one holds.
    """

    name: str
    arrivals: Arrivals | None
    users: int | None
    duration_s: float
    warm_up_s: float = 0.0
    stop_when: tuple[Expectation, ...] = ()


DRAIN_S: Final = 30.0
"""Time after a phase's duration for requests that are due. Then they are given up."""
WINDOW_S: Final = 10.0
"""Length of the window whose figures may end a phase."""


@dataclass(frozen=True)
class PhaseRecord:
    """The raw record of a phase.

    requests: REQUESTS. resources: RESOURCES. operations: `sim.measure.operations.SCHEMA`.
    started_ns: wall time of the schedule's 0, ns since 1970.
    stopped_early: the reason, or None.
    lost_workers: client processes that died before the end. Their requests up to then are included.
    """

    phase: Phase
    requests: pa.Table
    operations: pa.Table
    resources: pa.Table
    started_ns: int
    stopped_early: str | None = None
    lost_workers: int = 0


class Engine(Protocol):
    """Runs phases, with Locust (`sim.load.engine`) or, in tests of the analysis, synthetically."""

    def run(self, phase: Phase) -> PhaseRecord:
        """Return the record of the phase. Raises EngineError."""
