"""The catalogue: every fault of delivery that can be asked for, where it can strike, and what a scenario says of it.

A fault is data. Whether it strikes a certain call is a function of (seed, fault's number, farm, the call), never of
time on the wall, so that a run can be repeated. `Struck` counts what was asked for and what fired: a fault that was
planned and never fired makes the verdict unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

Point = Literal["recover", "data", "manifest", "checkpoint", "history", "other"]
"""Which of a node's store calls: reading its checkpoint, creating a data object or the manifest, advancing the
checkpoint, reading the past for late rows. `other` is a call that no node makes."""
OTHER: Final[Point] = "other"
POINTS: Final[tuple[Point, ...]] = ("recover", "data", "manifest", "checkpoint", "history")
WRITES: Final[tuple[Point, ...]] = ("data", "manifest", "checkpoint")
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
"""The one fault that the lake must show: the node stops there (`sim.chaos.foreign`)."""
OF_FILES: Final = (BUSY, JOURNAL, DISK_FULL, WAL)
"""What befalls a node's own file (`sim.chaos.nodefiles`); of several at once the first is what its reader meets."""
SPELLS: Final = (OFFLINE, *OF_FILES)
"""Kinds in which a share of the nodes is for a while."""


class Crash(BaseException):
    """The process is gone: no code of the pipeline may catch it. Who drives nodes drops them all and starts anew."""


@dataclass(frozen=True)
class Kind:
    """One kind of fault. `worlds`: `seam` (the store's interface, any store), `wire` (the loopback proxy, real S3
    only), `process` (the run's own processes). `windowed`: it lasts `from`..`from + for` of virtual time."""

    name: str
    worlds: tuple[str, ...]
    points: tuple[Point, ...]
    windowed: bool
    text: str

    @property
    def units(self) -> tuple[str, str]:
        """In what a plan of this kind is counted, and in what its strikes."""
        if self.name in SPELLS:
            return "nodes", "times"
        if self.name == SECOND_WRITER:
            return "nodes", "commits"
        if self.name == KILL:
            return "workers", "workers"
        return "farms" if self.windowed else "calls", "calls"


KINDS: Final = {
    kind.name: kind
    for kind in (
        Kind(
            CRASH,
            ("seam",),
            POINTS,
            False,
            "the node's process dies before or after the effect of a call",
        ),
        Kind(OFFLINE, ("process",), (), True, "the node is off, and comes back with a backlog"),
        Kind(BUSY, ("process",), (), True, "another process holds the node's file locked"),
        Kind(
            WAL,
            ("process",),
            (),
            True,
            "the file's writer was killed: the newest rows are only in its log",
        ),
        Kind(
            JOURNAL,
            ("process",),
            (),
            True,
            "the writer was killed in a transaction: a hot rollback journal is left",
        ),
        Kind(
            DISK_FULL,
            ("process",),
            (),
            True,
            "the same on a full disk, where not even a reader's -shm can be made",
        ),
        Kind(SECOND_WRITER, ("process",), (), False, "another process delivers for the same node"),
        Kind(UPLINK, ("process",), (), True, "nothing of the farm reaches the store"),
        Kind(KILL, ("process",), (), False, "SIGKILL of the process that drives a farm"),
        Kind("store.error", ("seam", "wire"), POINTS, False, "503 before any effect, in bursts"),
        Kind("store.reset", ("wire",), POINTS, False, "the connection is reset before any effect"),
        Kind(
            "store.ack-lost",
            ("seam", "wire"),
            WRITES,
            False,
            "the effect is there, the answer is lost",
        ),
        Kind("store.error-after", ("wire",), WRITES, False, "500 although the effect is there"),
        Kind(
            "store.late-commit",
            ("seam", "wire"),
            WRITES,
            False,
            "the client gives up; the store commits later",
        ),
        Kind("store.slow", ("wire",), POINTS, False, "an answer takes long"),
        Kind("store.hang", ("wire",), POINTS, False, "an answer never comes"),
        Kind("store.outage", ("seam", "wire"), POINTS, True, "the store answers nobody"),
        Kind(
            "store.truncated-get",
            ("seam", "wire"),
            ("recover", "history"),
            False,
            "a body ends too early",
        ),
        Kind("store.corrupted-put", ("wire",), WRITES, False, "a body is changed on its way"),
        Kind("store.conflict", ("seam", "wire"), WRITES, False, "409 without any effect"),
        Kind(
            "store.precondition",
            ("seam", "wire"),
            WRITES,
            False,
            "412 although nothing stands in the way",
        ),
        Kind(
            "bucket.refuses",
            ("seam", "wire"),
            WRITES,
            True,
            "one bucket takes no writes while others do",
        ),
        Kind(
            FOREIGN,
            ("seam", "wire"),
            WRITES,
            False,
            "somebody else's bytes are there first: the node must stop",
        ),
    )
}


@dataclass(frozen=True)
class Fault:
    """One line of a scenario's `faults`. `at`: `before-<point>` or `after-<point>` for node.crash, points for others,
    empty for all of the kind's. `share`: of the calls (or nodes) in question, 0..1. Seconds are virtual, from the
    run's start. `buckets`: stages, `metadata`, `checkpoints`. `count`: at most so many times (worker.kill: exactly).

    On the wire alone: `calls` are HTTP methods and S3 operations; with them a fault strikes such calls of any client,
    at no point of a node's protocol, and `buckets` may be any. `keys` are patterns of whole keys (`*`, `?`, `[a-z]`).
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


Cell = tuple[str, str]
"""One way to strike, as (row, point): a kind, of crashes with the side (`node.crash after`); "" is no certain point."""


def cell(kind: str, point: str = "", after: bool = False) -> Cell:
    """The way in which a fault struck. `after`: of a crash, behind the effect."""
    row = f"{kind} {'after' if after else 'before'}" if kind == CRASH else kind
    return row, point if KINDS[kind].points else ""


def cells(kinds: Iterable[str]) -> list[Cell]:
    """Every way in which faults of these kinds can strike."""
    return [
        cell(kind, point, after)
        for kind in kinds
        for after in ((False, True) if kind == CRASH else (False,))
        for point in KINDS[kind].points or ("",)
    ]


@dataclass
class Struck:
    """How often faults struck, in which way. Mergeable over shards."""

    cells: Counter[Cell] = field(default_factory=Counter)

    @property
    def fired(self) -> Counter[str]:
        """By kind."""
        total: Counter[str] = Counter()
        for (row, _), times in self.cells.items():
            total[row.partition(" ")[0]] += times
        return +total

    def merge(self, other: Struck) -> None:
        self.cells.update(other.cells)
