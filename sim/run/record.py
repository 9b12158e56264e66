"""The record of a run: filled level by level, and used as far as it got."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from sim.chaos.call import Place
from sim.chaos.faults import InjectionCounts
from sim.chaos.foreign import ForeignObject
from sim.check.read.lake import ObjectRef
from sim.check.verdict import Verdict
from sim.errors import INTERRUPTED, exit_code_and_message
from sim.measure.operations import timed_span, within
from sim.measure.timeline import Span, Timeline
from sim.run.part import Part
from sim.run.planned_faults import PlannedFaults
from sim.run.uplink import Sent
from sim.verify.judge import Judgement


@dataclass
class ShardResult:
    """Result of one shard: some turbines of a farm. Times are wall seconds.

    name: of the shard (`sim.fleet.part`); the farm's id if it holds the whole farm.
    sent: each batch on the modelled line.
    commits: (time in ns since 1970, rows) of each batch that became durable.
    undelivered: turbine -> last error of a node that could not deliver everything.
    memory_peak_bytes: peak of the worker process so far. A process that ran several shards carries
        the largest on.
    written: the objects with their ETags, where the oracle judges early.
    taken_over: nodes that an earlier attempt delivered from, whose record is lost.
    error: last error of a store that is gone; the shard ended early.
    """

    farm: str
    name: str
    region: str
    turbine_ids: list[str]
    rows: int = 0
    objects: int = 0
    bytes: int = 0
    faults: int = 0
    simulate_s: float = 0.0
    pipeline_s: float = 0.0
    wall_s: float = 0.0
    memory_peak_bytes: int = 0
    sent: list[Sent] = field(default_factory=list)
    commits: list[tuple[int, int]] = field(default_factory=list)
    undelivered: dict[str, str] = field(default_factory=dict)
    written: list[ObjectRef] = field(default_factory=list)
    taken_over: int = 0
    error: str | None = None


@dataclass
class Record:
    """All that a run leaves behind for its result.

    injections: injected faults of delivery, by kind and point.
    phases: names of the run's phases, and their beginnings (ns since 1970).
    spans: time of the workers by activity.
    part: the part of the run that this is; None for a whole run, and for merged parts.
    foreign: objects that the fault proxy put under keys of the pipeline.
    began: start of each attempt at the run, ns since 1970. notes: of the run, for its reader.
    commits: durable batches that rates are made of (`commits_table`); None for those of `shards`.
    stopped_by: exit code of the error that ended the run before its verdict; None if none did.
    """

    shards: list[ShardResult] = field(default_factory=list)
    operations: pa.Table | None = None
    commits: pa.Table | None = None
    ceiling_per_s: float | None = None
    memory_peak_bytes: int | None = None
    phases: list[tuple[str, int]] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    server_pids: Sequence[int] = ()
    timeline: Timeline | None = None
    node_bytes: int | None = None
    verify_s: float | None = None
    total_s: float | None = None
    started: str | None = None
    store: Mapping[str, str] = field(default_factory=dict)
    workers: int = 0
    part: Part | None = None
    judgement: Judgement | None = None
    verdict: Verdict | None = None
    errors: list[str] = field(default_factory=list)
    planned: dict[str, PlannedFaults] = field(default_factory=dict)
    injections: InjectionCounts = field(default_factory=InjectionCounts)
    foreign: dict[Place, ForeignObject] = field(default_factory=dict)
    began: Sequence[int] = ()
    notes: list[str] = field(default_factory=list)
    stopped_by: int | None = None

    @property
    def undelivered(self) -> dict[str, str]:
        """Turbine -> error, of nodes that could not deliver everything."""
        return {
            turbine: error for shard in self.shards for turbine, error in shard.undelivered.items()
        }

    def begin(self, phase: str) -> None:
        """Note that a phase begins."""
        self.phases.append((phase, time.time_ns()))

    @contextmanager
    def catching(self, out: Path) -> Iterator[None]:
        """Keep any error of the block, KeyboardInterrupt too, as `stopped_by` and a message.

        out: the run directory, named where an OSError names no file.
        """
        try:
            yield
        except (KeyboardInterrupt, Exception) as error:
            self.stopped_by, text = exit_code_and_message(error, out)
            kept = "; the raw record so far is kept" if self.stopped_by == INTERRUPTED else ""
            self.errors.append(text + kept)


def commits_table(results: Sequence[ShardResult]) -> pa.Table:
    """Return `end` (timestamp ns UTC) and `rows` of every batch of every shard."""
    commits = [commit for result in results for commit in result.commits]
    ends, rows = zip(*commits, strict=True) if commits else ((), ())
    return pa.table(
        {"end": pa.array(ends, pa.timestamp("ns", tz="UTC")), "rows": pa.array(rows, pa.int64())}
    )


def timed_commits(
    results: Sequence[ShardResult], table: pa.Table, began: Sequence[int]
) -> pa.Table:
    """Return the batches that rates are made of. table: operations. began: of each attempt, ns."""
    return within(commits_table(results), "end", timed_span(table, began))
