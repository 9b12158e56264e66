"""Whole jobs of growing size, and the memory that they take.

| series   | grows                                            | stays                          |
|----------|--------------------------------------------------|--------------------------------|
| turbines | the fleet, by the turbines of its eight farms    | one minute, one batch a node   |
| flushes  | the batches that the same rows are cut into      | 100 turbines, 20 minutes       |
| duration | the simulated time                               | 50 turbines, flush each 5 min  |

A job simulates, writes, delivers after each flush, drains and judges, on a LocalStack of its own.
Each job runs in a process of its own, so that its memory counts from nothing. Its rounds end early
once they have taken ENOUGH_S.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import simpy

from pipeline import lake
from pipeline.node import EdgeNode
from pipeline.settings import settings
from pipeline.store import S3ObjectStore
from pipeline.under_way import Pool
from sim import check
from sim.bench import parts, record
from sim.bench.memory import peak_bytes
from sim.bench.record import GrowthPoint, Series
from sim.bench.rounds import Cost, Rounds, fixed_work, metered
from sim.bench.workload import EVERYTHING_US, SAMPLE_US, START_US
from sim.errors import WorkerLost
from sim.fleet import load_fleet
from sim.fleet.farm import Farm
from sim.fleet.nodes import node_configs
from sim.fleet.part import FarmPart
from sim.model.clock import SimClock, flush_samples
from sim.model.farm import FarmModel
from sim.model.recording.nodefile import NodeWriter
from sim.store.gateway import Gateway
from sim.store.localstack import EmbeddedLocalStack
from sim.store.s3_lake import s3_lake

ENOUGH_S: Final = 20.0
_PARTS: Final = (record.SETUP, *record.JOB_PARTS)
_Costs = dict[str, Cost]


@dataclass(frozen=True)
class Job:
    """One job of a series. value: what grows. samples: seconds, a row each."""

    series: Series
    value: int
    turbines: int
    samples: int
    flush_s: int


JOBS: Final = (
    *(Job("turbines", turbines, turbines, 60, 3600) for turbines in (100, 1000, 5000)),
    *(Job("flushes", flushes, 100, 1200, 1200 // flushes) for flushes in (1, 4, 12)),
    *(Job("duration", minutes, 50, 60 * minutes, 300) for minutes in (5, 20, 80)),
)


def points(
    rounds: int, seed: int, gateway: Gateway, jobs: tuple[Job, ...] = JOBS
) -> Iterator[GrowthPoint]:
    """Yield each job's point. Raises BenchError, TargetError, WorkerLost, OSError."""
    context = multiprocessing.get_context("spawn")
    for job in jobs:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            try:
                yield pool.submit(point, job, rounds, seed, gateway).result()
            except BrokenProcessPool:
                raise WorkerLost(
                    f"the process of {job.turbines:,} turbines was killed: out of memory?"
                ) from None


def point(job: Job, rounds: int, seed: int, gateway: Gateway) -> GrowthPoint:
    """Run one job several times in this process."""
    found = {part: Rounds() for part in _PARTS}
    fixed_s: list[float] = []
    objects, store_bytes, began = 0, 0, time.monotonic()
    while not fixed_s or (len(fixed_s) < rounds and time.monotonic() - began < ENOUGH_S):
        fixed_s.append(fixed_work())
        with (
            tempfile.TemporaryDirectory(prefix="windfleet-bench-") as name,
            EmbeddedLocalStack(gateway) as server,
        ):
            lake.ensure(server.endpoint_url)
            costs, objects = _run(job, seed, Path(name), server)
            store_bytes = max(store_bytes, peak_bytes(server.pid))
        for part, cost in costs.items():
            found[part].add(cost)
    rows = job.turbines * job.samples
    own = peak_bytes(os.getpid())
    return GrowthPoint(
        job.series, job.value, job.turbines, rows, objects, fixed_s, found, own, store_bytes
    )


def _run(job: Job, seed: int, folder: Path, server: EmbeddedLocalStack) -> tuple[_Costs, int]:
    """Run a job once. Return the cost of each part and the number of objects."""
    costs = {part: Cost(0.0) for part in _PARTS}
    clock = SimClock(START_US, SAMPLE_US, job.samples)
    flushes = flush_samples(START_US, SAMPLE_US, job.samples, job.flush_s * 1_000_000).tolist()
    target = settings(server.endpoint_url, own=True)
    store = S3ObjectStore(target)
    objects = 0
    with Pool() as pool:
        for farm in _fleet(job.turbines, folder):
            with metered() as cost:
                env = simpy.Environment()
                model = FarmModel(FarmPart.whole(farm), clock, seed)
                model.start(env)
            costs[record.SETUP] += cost[0]
            configs = node_configs(farm, seed, flush_every_s=job.flush_s)
            with metered() as cost:
                writer = NodeWriter(folder / "nodes", FarmPart.whole(farm), configs)
            costs[record.WRITE] += cost[0]
            nodes = [
                EdgeNode(config, path) for config, path in zip(configs, writer.paths, strict=True)
            ]
            for first, last in pairwise([0, *flushes, job.samples]):
                with metered() as cost:
                    env.run(until=clock.seconds(last))
                    block = model.block(first, last)
                costs[record.SAMPLES] += cost[0]
                with metered() as cost:
                    writer.write(block)
                costs[record.WRITE] += cost[0]
                if last < job.samples:
                    with metered(server) as cost:
                        objects += sum(parts.flush(nodes, store, pool, None))
                    costs[record.DELIVER] += cost[0]
            with metered() as cost:
                writer.close()
            costs[record.WRITE] += cost[0]
            with metered(server) as cost:
                objects += sum(parts.flush(nodes, store, pool, EVERYTHING_US))
            costs[record.DELIVER] += cost[0]
    with metered(server) as cost:
        parts.require_passed(
            check.judge(folder / "nodes", s3_lake(target), None, 1, compacted=False)
        )
    costs[record.VERIFY] += cost[0]
    return costs, objects


def _fleet(turbines: int, folder: Path) -> tuple[Farm, ...]:
    """Return the farms of the architecture document, scaled to a number of turbines."""
    file = folder / "fleet.yaml"
    file.write_text(f"name: bench\nextends: as-drawn\nscale_to: {turbines}\n", encoding="utf-8")
    return load_fleet(str(file)).farms
