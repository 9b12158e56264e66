"""Proofs of the extensions of `.docs/pages/extend.md`, in a process that has imported them.

Each function simulates a tiny fleet, drives the pipeline in memory, lets the oracle judge, and
returns what it found as plain data for `tests/house/test_extend.py`.
"""

from __future__ import annotations

import asyncio
import functools
import io
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import simpy

from pipeline.catalog.tables import BY_NAME as TABLES
from pipeline.node import Delivered, EdgeNode, run
from pipeline.parquet.columns import encode
from pipeline.ports import SystemClock
from pipeline.records import BUCKET_PREFIX
from pipeline.records.schemas import SCHEMAS
from sim import check
from sim.campaign import in_process_run
from sim.campaign.in_process_run import InProcessRun, run_clean, run_with_store
from sim.campaign.inline_executor import Inline
from sim.campaign.memory_store import MemoryStore, dump
from sim.campaign.outcome import CleanRun
from sim.campaign.plan import every_other_kind
from sim.campaign.pool import use_one_thread
from sim.campaign.schedule import Line
from sim.campaign.world import World, make_world
from sim.chaos.choice import Chooser
from sim.chaos.faults import Fault
from sim.chaos.wire_faults import Exchange, WireFaults
from sim.demo import dictionary
from sim.fleet.part import FarmPart
from sim.forwarding import Forwarding, StoreCall
from sim.measure.figures import FIGURES
from sim.model.clock import SimClock
from sim.model.farm import FarmModel
from sim.run import farm_nodes
from sim.run.compact import Compacted, publish
from sim.scenario import Scenario, load
from tests.support.chaos_world import TINY
from tests.support.extension import OTHERS, stored_in

Found = dict[str, Any]
T = TypeVar("T")
_ROWS: list[Any] = [("turbine_id", "ascending"), ("id", "ascending")]


def _scenario(folder: Path, *lines: str) -> Scenario:
    """Return the tiny scenario, with lines after it."""
    path = folder / "tiny.yaml"
    path.write_text(TINY + "".join(f"{line}\n" for line in lines))
    return load(path)


def _world(folder: Path, scenario: Scenario) -> World:
    use_one_thread()
    return make_world(scenario, folder / f"world-{len(list(folder.glob('world-*')))}")


@functools.cache
def _tiny(folder: Path) -> tuple[World, CleanRun]:
    """Return the world that several proofs share, and its run without faults."""
    world = _world(folder, _scenario(folder))
    return world, run_clean(world)


def _judged(world: World, store: MemoryStore, folder: Path, truth: Path | None = None) -> Found:
    folder = folder / f"lake-{len(list(folder.glob('lake-*')))}"
    dump(store, folder)
    verdict = check.judge(world.final, check.LakeReader.folder(folder), truth, 1)
    return {
        "status": verdict.status,
        "errors": verdict.errors,
        "findings": [f"{each.kind} {each.stage}: {each.detail}" for each in verdict.findings],
        "rows": verdict.rows_by_stage,
        "rules": verdict.quarantined_by_rule,
        "detection": verdict.detection,
        "injected": [each["kind"] for each in verdict.truth],
        "unnamed": sorted(verdict.figures.keys() - FIGURES.keys()),
    }


def _tables(store: MemoryStore, stage: str) -> dict[tuple[str, str], pa.Table]:
    """Return the objects of a stage by bucket and key."""
    return {
        place: pq.read_table(io.BytesIO(body))
        for place, body in sorted(store.objects.items())
        if place[1].startswith(f"{stage}/")
    }


def _spoiled(store: MemoryStore, stage: str, column: str) -> MemoryStore:
    """Return a copy of the store with one other value in one object of a stage."""
    other = MemoryStore()
    other.objects = dict(store.objects)
    place, table = next(iter(_tables(store, stage).items()))
    values = table.column(column).to_pylist()
    values[0] += 0.125
    at = table.column_names.index(column)
    spoiled = table.set_column(at, table.field(at), pa.array(values, pa.float64()))
    other.objects[place] = encode(spoiled.cast(SCHEMAS[stage]))
    return other


def turbine_type(folder: Path) -> Found:
    world = _world(folder, load(folder / "my-run.yaml"))
    clean = run_clean(world)
    rows = pa.concat_tables(_tables(clean.store, "enriched").values())
    asset = world.nodes[0][1][0].asset
    return {
        "judged": _judged(world, clean.store, folder),
        "types": sorted(set(rows.column("turbine_type").to_pylist())),
        "rated": sorted(set(rows.column("rated_power").to_pylist())),
        "curve": [list(point) for point in asset.power_curve or ()],
        "most_mw": pc.max(rows.column("power_output")).as_py(),
        "most_rpm": pc.max(rows.column("rotor_rpm")).as_py(),
    }


def fault_of_delivery(folder: Path) -> Found:
    kind = "store.repeated"
    scenario = _scenario(folder, "faults:", f"  - {{kind: {kind}, share: 10%}}")
    world, clean = _tiny(folder)
    often = Line((Fault(kind, share=0.5),), seed=7, attempts=3)
    single = [line for line in every_other_kind(world, clean) if kind in str(line)]
    outcomes = []
    for line in (*single, often):
        outcome, store = run_with_store(world, clean, line)
        outcomes.append(outcome)
    asked: list[str] = []

    class Upstream:
        async def ask(self, request: object) -> None:
            asked.append("ask")

        async def forward(self, request: object, client: object) -> bool:
            asked.append("forward")
            return True

    chosen: Any = SimpleNamespace(fault=Fault(kind))
    nothing: Any = None
    upstream: Any = Upstream()
    this = Exchange(nothing, nothing, chosen, nothing, upstream)
    asyncio.run(WireFaults(("127.0.0.1", 1), Chooser(7, [])).inject(this))
    return {
        "kinds": [fault.kind for fault in scenario.faults],
        "points": sorted({fired.point for outcome in outcomes for fired in outcome.fired}),
        "fired": [len(outcome.fired) for outcome in outcomes],
        "broken": [list(each) for outcome in outcomes for each in outcome.broken],
        "digests": len({clean.outcome.digest, *(outcome.digest for outcome in outcomes)}),
        "repeated": sum(fired.point != "checkpoint" for fired in outcomes[-1].fired),
        "puts": [clean.outcome.puts, outcomes[-1].puts],
        "judged": _judged(world, store, folder),
        "wire": asked,
    }


def fault_of_the_data(folder: Path) -> Found:
    kind = "sensor.swapped"
    line = f"  - {{kind: {kind}, rate: 150 per turbine-day, channels: [wind_speed], duration: 3m}}"
    scenario = _scenario(folder, line)
    world = _world(folder, scenario)
    clean = run_clean(world)
    clock = SimClock(scenario.clock.start_us, scenario.clock.sample_us, scenario.clock.samples)
    part = FarmPart.whole(scenario.fleet.farms[0])
    model, env = FarmModel(part, clock, scenario.seed, scenario.data_faults), simpy.Environment()
    model.start(env)
    env.run(until=clock.seconds(clock.samples - 1))
    model.block(0, clock.samples)
    truth = folder / "truth"
    truth.mkdir()
    told = model.truth()
    with (truth / "faults-A.parquet").open("wb") as file:
        pq.write_table(told, file)
    stored = pa.concat_tables(_tables(clean.store, "ingestion").values())
    return {
        "judged": _judged(world, clean.store, folder, truth),
        "rows": sum(e["rows"] for e in told.to_pylist() if e["kind"] == kind),
        "negative": int((stored.column("wind_speed").to_numpy() < 0).sum()),
    }


def channel(folder: Path) -> Found:
    world, clean = _tiny(folder)
    database = world.final / "A" / "A-001.db"
    with closing(sqlite3.connect(database)) as node:
        columns = [row[1:3] for row in node.execute("PRAGMA table_info(sensor_readings)")]
    spoiled = _spoiled(clean.store, "enriched", "oil_pressure")
    return {
        "table": [[*column] for column in TABLES["wind_turbine_enriched"].columns],
        "dictionary": dictionary.text(),
        "columns": [list(each) for each in columns],
        "stored": stored_in(database, "oil_pressure"),
        "others": [stored_in(database, name) for name in OTHERS],
        "lake": {
            stage: [
                value
                for (_, key), table in _tables(clean.store, stage).items()
                if "/A-001-" in key
                for value in table.column("oil_pressure").to_pylist()
            ]
            for stage in ("ingestion", "validated", "enriched")
        },
        "judged": _judged(world, clean.store, folder),
        "spoiled": _judged(world, spoiled, folder),
    }


def stage(folder: Path) -> Found:
    world, clean = _tiny(folder)
    tables = _tables(clean.store, "resource")
    rows = pa.concat_tables(tables.values())
    wind, density = (rows.column(name).to_numpy() for name in ("wind_speed", "air_density"))
    named = [
        entry["key"]
        for (bucket, _), body in clean.store.objects.items()
        if bucket == f"{BUCKET_PREFIX}metadata"
        for entry in json.loads(body)["objects"]
        if entry["stage"] == "resource"
    ]
    compact = MemoryStore()
    nodes = [EdgeNode(each, world.database(9, each)) for _, farm in world.nodes for each in farm]
    done = list(run(nodes, Compacted(compact), SystemClock(), Inline(), 1 << 61, publish))
    farm_objects = pa.concat_tables(_tables(compact, "resource").values())
    lost = MemoryStore()
    lost.objects = dict(clean.store.objects)
    del lost.objects[next(iter(tables))]
    return {
        "buckets": sorted({bucket for bucket, _ in tables}),
        "named": sorted(named) == sorted(key for _, key in tables),
        "columns": rows.column_names[-2:],
        "compact": [
            all(isinstance(each, Delivered) for each in done),
            farm_objects.sort_by(_ROWS).equals(rows.sort_by(_ROWS)),
        ],
        "table": [[*column] for column in TABLES["wind_turbine_resource"].columns],
        "dictionary": dictionary.text(),
        "density": [float(density.min()), float(density.max())],
        "right": bool(np.allclose(rows.column("wind_power"), density * wind**3 / 2)),
        "judged": _judged(world, clean.store, folder),
        "spoiled": _judged(world, _spoiled(clean.store, "resource", "wind_power"), folder),
        "lost": _judged(world, lost, folder),
    }


def own_node(folder: Path) -> Found:
    import my_node  # of the page

    world, clean = _tiny(folder)
    faults = (
        Fault("node.crash", share=0.1, count=6),
        Fault("node.second-writer", share=0.05, count=4),
    )
    outcome, store = run_with_store(world, clean, Line(faults, seed=7, attempts=2))
    theirs = my_node.run

    def forgetful(nodes: Any, store: Any, *rest: Any, **more: Any) -> Any:
        return theirs(nodes, _Forgetful(store), *rest, **more)

    with patch.object(in_process_run, "run", forgetful):
        state = InProcessRun(world, Line())
        state.all_flushes()
    return {
        "driven": [in_process_run.run is theirs, farm_nodes.run is theirs],
        "fired": sorted({fired.kind for fired in outcome.fired}),
        "broken": [list(each) for each in outcome.broken],
        "same": outcome.digest == clean.outcome.digest,
        "judged": _judged(world, store, folder),
        "forgetful": _judged(world, state.store, folder),
    }


class _Forgetful(Forwarding):
    """A bug of a node: what it writes to one bucket goes nowhere."""

    def around(self, call: StoreCall, effect: Callable[[], T]) -> T:
        if call.bucket.endswith("-enriched") and call.verb == "create":
            return cast(T, "etag")
        return effect()
