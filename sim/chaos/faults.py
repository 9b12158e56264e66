"""The catalogue of delivery faults: every kind, its points, and its text in plans and reports.

A fault is data. It hits a call or not as a function of (seed, fault's number, call, repetition),
never of the wall clock, so a run can be repeated (`sim.chaos.choice`). `InjectionCounts` counts the
faults that fired. A fault that was certain to fire and never did makes the verdict unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

Point = Literal["recover", "data", "manifest", "checkpoint", "history", "other"]
"""A node's store call by its purpose.

recover      read its own checkpoint
data         create a data object
manifest     create the manifest
checkpoint   advance the checkpoint
history      read earlier objects for late rows
other        a call that no node makes
"""
OTHER: Final[Point] = "other"
POINTS: Final[tuple[Point, ...]] = ("recover", "data", "manifest", "checkpoint", "history")
WRITES: Final[tuple[Point, ...]] = ("data", "manifest", "checkpoint")
READ_POINTS: Final[tuple[Point, ...]] = ("recover", "history")
CRASH: Final = "node.crash"
OFFLINE: Final = "node.offline"
BUSY: Final = "node.busy"
WAL: Final = "node.wal"
JOURNAL: Final = "node.journal"
DISK_FULL: Final = "node.disk-full"
SECOND_WRITER: Final = "node.second-writer"
UPLINK: Final = "farm.uplink"
KILL: Final = "worker.kill"
FOREIGN: Final = "store.foreign-object"
"""The one fault that the lake must show: its node stops (`sim.chaos.foreign`)."""
FILE_FAULTS: Final = (BUSY, JOURNAL, DISK_FULL, WAL)
"""Faults of a node's own file (`sim.chaos.file_faults`). Of several at once the first applies."""
NODE_INTERVALS: Final = (OFFLINE, *FILE_FAULTS)
"""Faults that hit a share of the nodes for an interval of virtual time."""


class Crash(BaseException):
    """The end of a process, raised in its place. No code of the pipeline may catch it.

    The caller that drives the nodes drops all of them and starts again with new ones.
    """


@dataclass(frozen=True)
class Kind:
    """One kind of fault.

    layers: places that can inject it: `store` (the interface of any store), `wire` (the loopback
    proxy, before a real S3), `process` (the run's own processes). windowed: the fault lasts from
    `from` to `from + for`, in virtual time.
    """

    name: str
    layers: tuple[str, ...]
    points: tuple[Point, ...]
    windowed: bool
    text: str

    @property
    def units(self) -> tuple[str, str]:
        """Units of the planned number and of the number that fired."""
        if self.name in NODE_INTERVALS:
            return "nodes", "times"
        if self.name == SECOND_WRITER:
            return "nodes", "commits"
        if self.name == KILL:
            return "workers", "workers"
        return "farms" if self.windowed else "calls", "calls"


_STORE: Final = ("store",)
_WIRE: Final = ("wire",)
_BOTH: Final = ("store", "wire")
_PROCESS: Final = ("process",)
KINDS: Final = {
    kind.name: kind
    for kind in (
        Kind(CRASH, _STORE, POINTS, False, "a node's process dies before or after a call's effect"),
        Kind(OFFLINE, _PROCESS, (), True, "the node is off, then returns with a backlog"),
        Kind(BUSY, _PROCESS, (), True, "another process holds a lock on the node's file"),
        Kind(WAL, _PROCESS, (), True, "the writer was killed: its newest rows are only in the WAL"),
        Kind(JOURNAL, _PROCESS, (), True, "the writer was killed in a transaction (hot journal)"),
        Kind(DISK_FULL, _PROCESS, (), True, "as node.wal, on a full disk: no -shm can be created"),
        Kind(SECOND_WRITER, _PROCESS, (), False, "a second process delivers for the same node"),
        Kind(UPLINK, _PROCESS, (), True, "no request of the farm reaches the store"),
        Kind(KILL, _PROCESS, (), False, "the worker process of a farm is killed (SIGKILL)"),
        Kind("store.error", _BOTH, POINTS, False, "503 without any effect, in bursts of two"),
        Kind("store.reset", _WIRE, POINTS, False, "the connection is reset before any effect"),
        Kind("store.ack-lost", _BOTH, WRITES, False, "a write takes effect, the answer is lost"),
        Kind("store.error-after", _WIRE, WRITES, False, "a write takes effect, the answer is 500"),
        Kind("store.late-commit", _BOTH, WRITES, False, "committed after the client timed out"),
        Kind("store.slow", _WIRE, POINTS, False, "the answer is slow"),
        Kind("store.hang", _WIRE, POINTS, False, "no answer comes, the client times out"),
        Kind("store.outage", _BOTH, POINTS, True, "the store answers no request"),
        Kind("store.truncated-get", _BOTH, READ_POINTS, False, "the body of the answer ends early"),
        Kind("store.corrupted-put", _WIRE, WRITES, False, "the body is changed on its way"),
        Kind("store.conflict", _BOTH, WRITES, False, "409 without any effect"),
        Kind("store.precondition", _BOTH, WRITES, False, "412 although the condition holds"),
        Kind("bucket.refuses", _BOTH, WRITES, True, "one bucket refuses writes, the others do not"),
        Kind(FOREIGN, _BOTH, WRITES, False, "the key holds foreign bytes: the node must stop"),
    )
}


@dataclass(frozen=True)
class Fault:
    """One entry of a scenario's `faults`. Seconds are virtual, from the run's start.

    at       `before-<point>` or `after-<point>` for node.crash, points for others; empty: every
             point of the kind
    share    of the calls (or nodes) concerned, 0..1
    buckets  stages, `metadata`, `checkpoints`; with `calls` any bucket
    count    at most this many times (worker.kill: exactly)
    calls    on the wire only: HTTP methods and S3 operations. The fault then hits such calls of any
             client, at no point of a node's protocol.
    keys     on the wire only: patterns of whole keys (`*`, `?`, `[a-z]`)
    """

    kind: str
    at: tuple[str, ...] = ()
    share: float = 1.0
    from_s: float = 0.0
    for_s: float = 0.0
    farms: tuple[str, ...] = ()
    buckets: tuple[str, ...] = ()
    count: int | None = None
    calls: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


FaultPoint = tuple[str, str]
"""One kind of fault at one point, as (row, point).

The row is the kind; of a crash, the kind and the side (`node.crash after`). The point is "" for
kinds without points.
"""


def fault_point(kind: str, point: str = "", after: bool = False) -> FaultPoint:
    """Return the (row, point) of a fault. after: the crash comes after the call's effect."""
    row = f"{kind} {'after' if after else 'before'}" if kind == CRASH else kind
    return row, point if KINDS[kind].points else ""


def fault_points(kinds: Iterable[str]) -> list[FaultPoint]:
    """Return every (row, point) of these kinds."""
    return [
        fault_point(kind, point, after)
        for kind in kinds
        for after in ((False, True) if kind == CRASH else (False,))
        for point in KINDS[kind].points or ("",)
    ]


@dataclass
class InjectionCounts:
    """Numbers of injected faults by kind and point. Mergeable over shards."""

    by_point: Counter[FaultPoint] = field(default_factory=Counter)

    @property
    def by_kind(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for (row, _), times in self.by_point.items():
            total[row.partition(" ")[0]] += times
        return +total

    def merge(self, other: InjectionCounts) -> None:
        self.by_point.update(other.by_point)
