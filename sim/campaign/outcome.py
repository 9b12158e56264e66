"""What one run of the in-process world came to, and the run without faults that it is held against."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from pipeline.commit import Position
from sim.campaign.invariants import Broken, Fates, WatchedStore
from sim.campaign.schedule import Fired


@dataclass
class Outcome:
    """What one run came to. `recovery_s`: virtual seconds of each spell behind the run without faults.

    attempts: batches handed to the store, every try counted. acknowledged: batches reported durable. recovered:
    batches in the lake that no process was told about. `trace`: hash of every call and what struck it.
    """

    line: str
    fired: list[Fired] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    calls: int = 0
    attempts: int = 0
    acknowledged: int = 0
    recovered: int = 0
    committed: int = 0
    objects: int = 0
    puts: int = 0
    recovery_s: list[float] = field(default_factory=list)
    fates: Fates = field(default_factory=Fates)
    digest: str = ""
    trace: str = ""


@dataclass(frozen=True)
class Start:
    """The run without faults as it was before a flush. `nodes`, `logs`: by farm, every node's position, every call."""

    flush: int
    calls: int
    store: WatchedStore
    commits: Counter[str]
    acknowledged: frozenset[tuple[str, int]]
    levels: tuple[dict[str, int], ...]
    nodes: tuple[tuple[Position | None, ...], ...]
    logs: tuple[tuple[str, ...], ...]


@dataclass
class Clean:
    """The run without faults: the yardstick of all others. `levels`: what each node had delivered after each flush."""

    store: WatchedStore
    levels: list[dict[str, int]]
    outcome: Outcome
    log: list[tuple[str, str]]  # verb and bucket of every call
    starts: list[Start] = field(default_factory=list)  # one per flush
