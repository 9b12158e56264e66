"""`make bench`: cost of a row and an object, part by part, on this machine. Asserts nothing.

    python -m tests.bench [--turbines 100] [--rows 600] [--objects 6000]
    python -m tests.bench --only query --objects 60000

Every line is the best of ROUNDS rounds, because other programs on the machine only add time. CPU
time counts this process and its threads; LocalStack's own CPU time is listed separately. The first
line is a fixed piece of work, sorting a million numbers. Compare runs of different days by their
ratio to it, and two versions of the code only side by side in one session. us/row are seconds per
million rows.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import simpy
from rich.console import Console
from rich.table import Table

from pipeline import lake
from pipeline.batch import READ_ROWS
from pipeline.generations import read
from pipeline.node import Delivered, EdgeNode, run
from pipeline.ports import NotFound, ObjectStore, SystemClock
from pipeline.store import S3ObjectStore
from sim import check
from sim.fleet import load_fleet
from sim.fleet.nodes import node_configs
from sim.model.clock import SimClock
from sim.model.farm import FarmModel
from sim.model.recording.nodefile import NodeWriter
from sim.store.localstack import EmbeddedLocalStack
from sim.store.s3_lake import s3_lake
from sim.store.target import Target, ceiling
from tests import bench_loader

ROUNDS = 3
START_US = 1_705_276_800_000_000  # 2024-01-15T00:00:00Z
EVERYTHING_US = 2**62
WEEK = 1008  # samples of ten minutes


class NullStore:
    """Store that accepts everything and keeps nothing, which leaves the client's own cost."""

    def create(self, bucket: str, key: str, body: bytes) -> str:
        return "etag"

    def replace(self, bucket: str, key: str, body: bytes, etag: str) -> str:
        return "etag"

    def get(self, bucket: str, key: str) -> tuple[bytes, str]:
        raise NotFound(key)

    def list(self, bucket: str, folder: str, name_prefix: str) -> list[str]:
        return []


def best(work: Callable[[], object]) -> tuple[float, float]:
    """Return the least CPU seconds and the least wall seconds of ROUNDS calls."""
    rounds = []
    for _ in range(ROUNDS):
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        rounds.append((time.process_time() - cpu, time.perf_counter() - wall))
    return min(cpu for cpu, _ in rounds), min(wall for _, wall in rounds)


def deliver(paths: list[Path], configs: list, store: ObjectStore, nodes_per_call: int) -> int:
    """Drain nodes, `nodes_per_call` at a time. Return the number of rows."""
    nodes = [EdgeNode(config, path) for config, path in zip(configs, paths, strict=True)]
    rows = 0
    with ThreadPoolExecutor(4) as pool:
        for first in range(0, len(nodes), nodes_per_call):
            for result in run(
                nodes[first : first + nodes_per_call], store, SystemClock(), pool, EVERYTHING_US
            ):
                assert isinstance(result, Delivered), result
                rows += len(result.event_us)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turbines", type=int, default=100)
    parser.add_argument("--rows", type=int, default=600, help="per turbine, one a second")
    parser.add_argument("--objects", type=int, default=6_000, help="of the lake of windfleet query")
    parser.add_argument("--only", choices=("pipeline", "query"), help="one half of the lines")
    args = parser.parse_args()
    if args.only != "query":
        measure_pipeline(args)
    if args.only != "pipeline":
        bench_loader.measure(args.objects, Console())


def measure_pipeline(args: argparse.Namespace) -> None:
    """Print the lines of simulation, pipeline and oracle."""
    table = Table(
        "part",
        "CPU us/row",
        "wall us/row",
        "rows/s",
        title=f"{args.turbines} nodes x {args.rows} rows",
    )
    rows = 0

    def add_line(part: str, cpu: float, wall: float) -> None:
        table.add_row(
            part, f"{cpu / rows * 1e6:.2f}", f"{wall / rows * 1e6:.2f}", f"{rows / wall:,.0f}"
        )

    numbers = np.random.default_rng(1).random(1_000_000)
    fixed_cpu, _ = best(lambda: np.sort(numbers))
    farm = next(f for f in load_fleet("full").farms if len(f.turbine_ids) >= args.turbines)
    clock = SimClock(START_US, 1_000_000, args.rows)
    configs = node_configs(farm, 7)[: args.turbines]

    def simulate(directory: Path | None, clock: SimClock = clock) -> int:
        env = simpy.Environment()
        model = FarmModel(farm, clock, 7, ())
        model.start(env)
        env.run(until=clock.seconds(clock.samples))
        block = model.block(0, clock.samples)
        if directory is not None:
            with NodeWriter(directory, farm, node_configs(farm, 7)) as writer:
                writer.write(block)
        return len(block.columns["id"])

    with tempfile.TemporaryDirectory() as name:
        nodes = Path(name) / "nodes"
        rows = simulate(nodes)
        add_line("simulate: make samples of 1 s", *best(lambda: simulate(None)))
        add_line("simulate: make and store in SQLite", *best(lambda: simulate(nodes)))
        week = SimClock(START_US, 600_000_000, WEEK)
        rows = farm.turbines * WEEK
        add_line("simulate: make samples of 10 min", *best(lambda: simulate(None, week)))
        paths = [nodes / farm.farm_id / f"{config.turbine_id}.db" for config in configs]
        rows = args.turbines * args.rows
        add_line(
            "pipeline: read SQLite", *best(lambda: [read(path, 0, READ_ROWS) for path in paths])
        )
        null = NullStore()
        add_line(
            "pipeline: all, null store, 1 node a call",
            *best(lambda: deliver(paths, configs, null, 1)),
        )
        add_line(
            "pipeline: all, null store, together",
            *best(lambda: deliver(paths, configs, null, len(paths))),
        )
        with EmbeddedLocalStack() as server:
            url = server.endpoint_url
            lake.ensure(url)

            rounds = []
            for _ in range(ROUNDS):
                lake.empty(url)
                served, cpu, begun = server.cpu_seconds(), time.process_time(), time.perf_counter()
                deliver(paths, configs, S3ObjectStore(url), len(paths))
                wall = time.perf_counter() - begun
                rounds.append((wall, time.process_time() - cpu, server.cpu_seconds() - served))
            wall, cpu, served = min(rounds)
            add_line("pipeline: all, LocalStack, together", cpu, wall)
            add_line("  LocalStack's own", served, wall)
            for path in nodes.glob("*/*"):
                if path.with_suffix(".db") not in paths:
                    path.unlink()
            reader = s3_lake(url)
            add_line("oracle: judge the lake", *best(lambda: check.judge(nodes, reader, None, 1)))
            most = ceiling(Target(url, server))
    console = Console()
    console.print(table)
    console.print(
        f"fixed work: {fixed_cpu * 1000:.1f} ms CPU; LocalStack's PUT ceiling: {most:,.0f}/s"
    )


if __name__ == "__main__":
    main()
