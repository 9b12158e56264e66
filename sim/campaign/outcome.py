"""The outcome of one in-process run, and the run without faults as the reference for all."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from pipeline.commit import Position
from sim.campaign.invariants import BrokenInvariant, WatchedStore, WrongRows
from sim.campaign.schedule import FiredFault


@dataclass
class Outcome:
    """The outcome of one run.

    attempts      commits of batches, repeated ones included
    acknowledged  batches reported as durable
    recovered     batches in the lake that were never reported as durable to a process
    committed     batches in the lake
    objects       data objects in the lake
    puts          attempts to write data objects and manifests
    recovery_s    virtual seconds of each interval in which the lake lagged the run without faults
    wrong_rows    only counted if the lake is wrong
    trace         hash of every call and the fault that hit it
    """

    line: str
    fired: list[FiredFault] = field(default_factory=list)
    broken: list[BrokenInvariant] = field(default_factory=list)
    calls: int = 0
    attempts: int = 0
    acknowledged: int = 0
    recovered: int = 0
    committed: int = 0
    objects: int = 0
    puts: int = 0
    recovery_s: list[float] = field(default_factory=list)
    wrong_rows: WrongRows = field(default_factory=WrongRows)
    digest: str = ""
    trace: str = ""


@dataclass(frozen=True)
class FlushStart:
    """The state of the run without faults before one flush.

    levels: see `CleanRun`. positions: of every node, by farm. logs: every call, by farm.
    """

    flush: int
    calls: int
    store: WatchedStore
    commits: Counter[str]
    acknowledged: frozenset[tuple[str, int]]
    levels: tuple[dict[str, int], ...]
    positions: tuple[tuple[Position | None, ...], ...]
    logs: tuple[tuple[str, ...], ...]


@dataclass
class CleanRun:
    """The run without faults, the reference for all others.

    levels: after each flush, the last id that each node had delivered. log: verb and bucket of
    every call. starts: one per flush.
    """

    store: WatchedStore
    levels: list[dict[str, int]]
    outcome: Outcome
    log: list[tuple[str, str]]
    starts: list[FlushStart] = field(default_factory=list)
