"""The plan against a count by hand, sample by sample, through batches, hours and windows."""

from __future__ import annotations

import io
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import simpy
from rich.console import Console

from pipeline.node import EdgeNode, run
from pipeline.ports import NotFound, SystemClock
from pipeline.records import BUCKET_PREFIX
from sim.fleet.nodes import node_configs
from sim.fleet.part import FarmPart
from sim.model.clock import SimClock
from sim.model.farm import FarmModel
from sim.model.recording.nodefile import NodeWriter
from sim.report.plan import print_plan
from sim.scenario import Scenario, load
from sim.scenario.plan import REQUESTS_PER_S, batches, plan
from tests.support.paths import SCENARIOS

HOUR_S = 3600


def scenario(folder: Path, clock: str, pipeline: str, turbines: int = 3) -> Scenario:
    path = folder / "x.yaml"
    path.write_text(
        "schema_version: 1\nname: x\n"
        f"fleet: {{preset: full, farms: [A, B], turbines: {turbines}}}\n"
        f"clock: {{{clock}}}\npipeline: {{{pipeline}}}\n"
        "data_faults:\n  - {kind: row.late, rate: 2 per turbine-day}\n"
        "  - {kind: row.late, rate: 4 per turbine-day, farms: [A]}\n"
    )
    return load(path)


def by_hand(wanted: Scenario) -> tuple[list[int], int, int, int]:
    """Count one node by hand.

    Return (rows of each batch, row-level objects of one stage, windows, aggregated objects).
    """
    clock, settings = wanted.clock, wanted.pipeline
    times = [clock.start_us / 1e6 + i * clock.sample_us / 1e6 for i in range(clock.samples)]
    slots: dict[int, list[float]] = {}
    for time in times:
        slots.setdefault(int(time // settings.flush_every_s), []).append(time)
    hours = {(slot, time // HOUR_S) for slot, held in slots.items() for time in held}
    waiting: set[int] = set()
    emitted: set[tuple[int, int]] = set()
    windows = {int(time // settings.window_s) for time in times}
    for slot, held in slots.items():
        waiting |= {int(time // settings.window_s) for time in held}
        mark = held[-1] - settings.allowed_lateness_s
        done = {w for w in waiting if slot == max(slots) or (w + 1) * settings.window_s <= mark}
        emitted |= {(slot, w * settings.window_s // HOUR_S) for w in done}
        waiting -= done
    return [len(held) for held in slots.values()], len(hours), len(windows), len(emitted)


@pytest.mark.parametrize(
    ("clock", "pipeline"),
    [
        ("start: 2024-01-15T00:00:00Z, duration: 10m", "flush_every: 10m, window: 10m"),
        (
            "start: 2024-01-15T00:45:00Z, duration: 30m",
            "flush_every: 5m, window: 5m, allowed_lateness: 2m",
        ),
        (
            "start: 2024-01-15T00:07:13Z, duration: 2h, sample_every: 5s",
            "flush_every: 25m, window: 20m",
        ),
        (
            "start: 2024-01-15T23:10:00Z, duration: 3h, sample_every: 1m",
            "flush_every: 90m, window: 30m",
        ),
        (
            "start: 2024-01-15T00:00:00Z, duration: 1h, sample_every: 30s",
            "flush_every: 1m, window: 4h",
        ),
        (
            "start: 2024-01-15T00:00:00Z, duration: 12h, sample_every: 2h",
            "flush_every: 4h, window: 2h",
        ),
        (
            "start: 2024-01-15T00:00:00Z, duration: 1h, sample_every: 500ms",
            "flush_every: 7m, window: 1m",
        ),
        (
            "start: 2024-01-15T00:59:59Z, duration: 2s",
            "flush_every: 1s, window: 1s, allowed_lateness: 0s",
        ),
        (
            "start: 2024-01-15T00:00:00Z, duration: 2h, sample_every: 10s",
            "flush_every: 5m, window: 10m, allowed_lateness: 1h",
        ),
    ],
)
def test_counts_are_exact(tmp_path: Path, clock: str, pipeline: str) -> None:
    wanted = scenario(tmp_path, clock, pipeline)
    rows, pairs, windows, aggregated = by_hand(wanted)
    first, last, held = batches(wanted.clock, wanted.pipeline)
    assert held.tolist() == rows
    assert (first[0], last[-1]) == (
        wanted.clock.start_us,
        wanted.clock.end_us - wanted.clock.sample_us,
    )
    planned = plan(wanted)
    assert (planned.turbines, planned.farms, planned.rows) == (3, 2, 3 * wanted.clock.samples)
    assert planned.windows == 3 * windows
    assert planned.batches == 3 * len(rows)
    assert planned.objects == {
        "ingestion": 3 * pairs, "validated": 3 * pairs, "enriched": 3 * pairs,
        "aggregated": 3 * aggregated, "metadata": 3 * len(rows), "checkpoints": 3,
    }  # fmt: skip
    assert planned.writes == planned.objects | {"checkpoints": 3 * len(rows)}
    share = 86_400 / wanted.clock.duration_s
    for stored in planned.outlook.stored:
        assert stored.objects == pytest.approx(planned.objects[stored.bucket] * share)
        assert stored.bytes == pytest.approx(planned.lake_bytes[stored.bucket] * share, rel=1e-3)
    assert [stored.bucket for stored in planned.outlook.stored] == list(planned.objects)[:-1]
    assert planned.reads == 3


def taken(wanted: Scenario) -> dict[tuple[str, int, str], float]:
    """Return objects a day that the policies move, by bucket, age and storage class."""
    moved = plan(wanted).outlook.moved
    return {
        (each.bucket, each.days, each.storage_class): each.taken for each in moved if each.taken
    }


def test_policies_move_objects_of_128_kib_and_more_only(
    tmp_path: Path,
) -> None:
    second = "start: 2024-01-15T00:30:00Z, duration: 12h"
    assert taken(scenario(tmp_path, second, "flush_every: 1h, window: 10m")) == {}  # some 86 KB
    clock = f"{second}, sample_every: 500ms"
    assert taken(scenario(tmp_path, clock, "flush_every: 15m, window: 10m")) == {}
    whole_hours = 11 * 3 * 2.0  # a day; the first and the last object hold half an hour, some 86 KB
    assert taken(scenario(tmp_path, clock, "flush_every: 1h, window: 10m")) == pytest.approx(
        {
            ("ingestion", 30, "GLACIER_IR"): whole_hours,
            ("validated", 30, "STANDARD_IA"): whole_hours,
            ("enriched", 90, "STANDARD_IA"): whole_hours,
        }
    )


def test_large_batches_are_cut(tmp_path: Path) -> None:
    clock = "start: 2024-01-15T00:00:00Z, duration: 36h, sample_every: 500ms"
    wanted = scenario(tmp_path, clock, "flush_every: 1d, window: 10m")
    first, last, rows = batches(wanted.clock, wanted.pipeline)
    assert rows.tolist() == [100_000, 72_800, 86_400]
    assert (first[1:] - last[:-1]).tolist() == [500_000, 500_000]


def test_time_cost_and_faults_follow_from_the_counts(tmp_path: Path) -> None:
    wanted = scenario(
        tmp_path,
        "start: 2024-01-15T00:00:00Z, duration: 12h",
        "flush_every: 15m, window: 10m",
        turbines=4,
    )
    planned = plan(wanted)
    writes = sum(planned.writes.values())
    # one page of keys per bucket
    assert planned.verify_requests == sum(planned.objects.values()) + 6
    assert planned.store_s == pytest.approx((writes + 4 + planned.verify_requests) / REQUESTS_PER_S)
    stored = sum(planned.lake_bytes.values()) - planned.lake_bytes["checkpoints"]
    by_list = 2 * (writes * 0.005 / 1000 + 4 * 0.0004 / 1000) + 2 * stored / 2**30 * 0.023
    assert planned.cost_per_day == pytest.approx(by_list)
    assert [farm.turbines for farm in wanted.fleet.farms] == [2, 2]
    assert planned.faults == {"row.late": pytest.approx(2 * 4 / 2 + 4 * 2 / 2)}


class Shelf:
    """An object store in memory that counts its requests."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], bytes] = {}
        self.asked: Counter[str] = Counter()

    def create(self, bucket: str, key: str, body: bytes) -> str:
        assert (bucket, key) not in self.held
        self.asked["put"] += 1
        self.held[bucket, key] = body
        return str(len(body))

    def replace(self, bucket: str, key: str, body: bytes, etag: str) -> str:
        self.asked["put"] += 1
        self.held[bucket, key] = body
        return str(len(body))

    def get(self, bucket: str, key: str) -> tuple[bytes, str]:
        self.asked["get"] += 1
        raise NotFound(key)

    def list(self, bucket: str, folder: str, name_prefix: str) -> list[str]:
        self.asked["list"] += 1
        return []


def test_the_real_pipeline_agrees_with_the_plan(tmp_path: Path) -> None:
    """Two turbines simulated and driven: same objects and requests, bytes within 15 %."""
    text = (
        "start: 2024-01-15T00:45:00Z, duration: 30m",
        "flush_every: 10m, window: 5m, allowed_lateness: 2m",
    )
    wanted = scenario(tmp_path, *text, turbines=2)
    clock = SimClock(wanted.clock.start_us, wanted.clock.sample_us, wanted.clock.samples)
    shelf, nodes = Shelf(), []
    for farm in wanted.fleet.farms:
        settings = wanted.pipeline
        configs = node_configs(
            farm, 7, settings.flush_every_s, settings.window_s, settings.allowed_lateness_s
        )
        model, env = FarmModel(FarmPart.whole(farm), clock, 7), simpy.Environment()
        model.start(env)
        env.run(until=clock.seconds(clock.samples))
        with NodeWriter(tmp_path / "nodes", FarmPart.whole(farm), configs) as writer:
            writer.write(model.block(0, clock.samples))
        nodes += [
            EdgeNode(config, path) for config, path in zip(configs, writer.paths, strict=True)
        ]
    with ThreadPoolExecutor(1) as pool:
        outcomes = list(run(nodes, shelf, SystemClock(), pool, clock.end_us))
    planned = plan(wanted)
    assert len(outcomes) == planned.batches
    lake = {key: body for key, body in shelf.held.items() if "_quarantine" not in key[1]}
    found = Counter(bucket.removeprefix(BUCKET_PREFIX) for bucket, _ in lake)
    assert found == planned.objects
    assert shelf.asked["put"] - (len(shelf.held) - len(lake)) == sum(planned.writes.values())
    assert shelf.asked["get"] == planned.reads
    for stage, size in planned.lake_bytes.items():
        real = sum(
            len(body) for (bucket, _), body in lake.items() if bucket == BUCKET_PREFIX + stage
        )
        assert size == pytest.approx(real, rel=0.15), stage
    assert planned.node_bytes == pytest.approx(
        sum(node.database.stat().st_size for node in nodes), rel=0.15
    )


def test_quickstart() -> None:
    planned = plan(load(SCENARIOS / "quickstart.yaml"))
    assert (planned.rows, planned.batches, planned.farms) == (900_000, 1500, 8)
    assert set(planned.objects.values()) == {1500}
    assert all(10 <= count <= 20 for count in planned.faults.values())


def test_delivery_faults_are_listed_with_their_windows() -> None:
    console = Console(file=io.StringIO(), width=160)
    scenario = load(SCENARIOS / "chaos-heavy.yaml")
    print_plan(console, plan(scenario), (), ["often"] * len(scenario.faults))
    assert isinstance(console.file, io.StringIO)
    printed = [
        line[15:].rstrip().removesuffix(": often") for line in console.file.getvalue().splitlines()
    ]
    assert "node.crash, 4 % of calls" in printed
    assert "node.offline, 30 % of nodes, 8m to 22m" in printed
    assert "farm.uplink, 9m to 17m, farm C F" in printed
    assert "worker.kill, 3 times" in printed
    assert "store.late-commit, 2 % of calls, 6 at most" in printed
    assert "bucket.refuses, 4m to 6m, bucket checkpoints, farm A" in printed
