"""A worker's task: what it is given of a run, one farm with all that concerns it, and what it gives back.

What it does with it is `sim.run.shard`. Not covered: progress on the way, which is told in messages (`workers`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from pipeline.settings import Settings
from pipeline.store import TIMEOUT_S
from sim.chaos.faults import Fault
from sim.fleet.farm import Farm
from sim.measure.histogram import Histogram
from sim.model.clock import SimClock
from sim.model.events import Event
from sim.model.faults import DataFault
from sim.scenario.scenario import PipelineSettings, Uplink


@dataclass(frozen=True)
class ShardPlan:
    """All that a worker process needs. Picklable."""

    farm: Farm
    seed: int
    clock: SimClock
    pipeline: PipelineSettings
    uplink: Uplink
    data_faults: tuple[DataFault, ...]
    run_dir: Path
    store: Settings | None = None
    lake_dir: Path | None = None  # in place of the store: the lake as files
    compact: bool = False  # one object per farm, stage and hour
    faults: tuple[Fault, ...] = ()
    proxied: bool = False  # the store is a fault proxy, which wants to be told the time
    timeout_s: float = TIMEOUT_S
    events: tuple[Event, ...] = ()
    resume_rows: int = 0  # made by a worker that was killed: its place is taken there, a node does not lose its rows


@dataclass
class ShardResult:
    """What one farm's share came to. Wall seconds; `commits`: when (ns since 1970) how many rows became durable.

    `memory_peak_bytes` is that of the worker process so far: one that ran several shards carries the largest on.
    """

    farm: str
    region: str
    turbines: int
    rows: int = 0
    objects: int = 0
    bytes: int = 0
    faults: int = 0
    simulate_s: float = 0.0
    pipeline_s: float = 0.0
    wall_s: float = 0.0
    memory_peak_bytes: int = 0
    freshness_s: Histogram = field(default_factory=Histogram)
    commits: list[tuple[int, int]] = field(default_factory=list)
    undelivered: dict[str, str] = field(default_factory=dict)
    error: str | None = None


def commits_table(results: Sequence[ShardResult]) -> pa.Table:
    """`end` (timestamp ns UTC) and `rows` of every batch of every shard."""
    commits = [commit for result in results for commit in result.commits]
    ends, rows = zip(*commits, strict=True) if commits else ((), ())
    return pa.table(
        {"end": pa.array(ends, pa.timestamp("ns", tz="UTC")), "rows": pa.array(rows, pa.int64())}
    )
