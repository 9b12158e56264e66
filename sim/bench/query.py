"""The loader of `windfleet query` on a lake of many objects of about 8 KB in LocalStack.

The lake is the pipeline's: 25 turbines with a sample a minute and a flush an hour, that is 60
rows an object and five objects an hour. The floor is LIST and GET of the same objects with the same
client and as many connections. Load, queries and the second call are the command's own steps.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import simpy
from rich.console import Console
from rich.table import Table

from pipeline import lake
from pipeline.catalog import statements, tables
from pipeline.records import BUCKET_PREFIX
from pipeline.store import S3ObjectStore
from sim.bench import parts
from sim.bench.rounds import run_once
from sim.check.read.lake import LakeReader, ObjectRef
from sim.fleet import load_fleet
from sim.fleet.nodes import node_configs
from sim.fleet.part import FarmPart
from sim.model.clock import SimClock
from sim.model.farm import FarmModel
from sim.model.recording.nodefile import NodeWriter
from sim.query.engine import Engine
from sim.query.loader import LoadOptions, load
from sim.query.warehouse import Warehouse
from sim.store import folder
from sim.store.gateway import Gateway
from sim.store.localstack import EmbeddedLocalStack
from sim.store.s3_lake import s3_lake

START: Final = datetime(2024, 1, 15, tzinfo=UTC)
TURBINES: Final = 25
SAMPLE_S: Final = 60
OBJECTS_AN_HOUR: Final = 5  # per turbine; windows of one hour are in two
BUCKETS: Final = tuple(BUCKET_PREFIX + name for name in sorted({t.bucket for t in tables.TABLES}))


def write_lake(directory: Path, hours: int) -> int:
    """Deliver `hours` of 25 turbines into a folder with the pipeline. Return the rows."""
    farm = load_fleet("full").farms[0]
    farm = farm.first(TURBINES)
    clock = SimClock(int(START.timestamp()) * 1_000_000, SAMPLE_S * 1_000_000, hours * 60)
    env = simpy.Environment()
    model = FarmModel(FarmPart.whole(farm), clock, 7, ())
    model.start(env)
    configs = node_configs(farm, 7, flush_every_s=3600)
    nodes = directory / "nodes"
    with NodeWriter(nodes, FarmPart.whole(farm), configs) as writer:
        for first in range(0, clock.samples, 6000):
            last = min(first + 6000, clock.samples)
            env.run(until=max(clock.seconds(last - 1), env.now + 1))
            writer.write(model.block(first, last))
    folder.make(directory / "lake")
    parts.deliver(writer.paths, configs, folder.FolderStore(directory / "lake"))
    return farm.turbines * clock.samples


def upload(source: Path, url: str) -> None:
    """Copy the tables' buckets of a lake into an S3."""
    lake.ensure(url)
    files = LakeReader.folder(source)
    store = S3ObjectStore(url)

    def put(ref: ObjectRef) -> None:
        store.create(ref.bucket, ref.key, (source / ref.bucket / ref.key).read_bytes())

    refs = [ref for bucket in BUCKETS for ref in files.bucket(bucket) or ()]
    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(put, refs):
            pass


def measure(objects: int, gateway: Gateway, console: Console) -> None:
    """Print the lines of a lake of about so many objects."""
    hours = max(objects // (OBJECTS_AN_HOUR * TURBINES), 1)
    with tempfile.TemporaryDirectory() as name, EmbeddedLocalStack(gateway) as server:
        rows = write_lake(Path(name), hours)
        upload(Path(name) / "lake", server.endpoint_url)
        reader = s3_lake(server.endpoint_url)
        refs = [ref for bucket in BUCKETS for ref in reader.bucket(bucket) or ()]
        size = sum(ref.size for ref in refs)
        table = Table(
            "step",
            "wall s",
            "CPU s",
            "LocalStack's CPU s",
            "wall ms an object",
            title=f"windfleet query: {len(refs):,} objects of {size / len(refs) / 1000:.1f} kB, "
            f"{rows:,} rows a stage",
        )

        def line(step: str, work: Callable[[], object], per_object: bool = True) -> None:
            took = run_once(work, server)
            table.add_row(
                step,
                f"{took.wall_s:.2f}",
                f"{took.cpu_s:.2f}",
                f"{took.server_s:.2f}",
                f"{took.wall_s / len(refs) * 1e3:.2f}" if per_object else "",
            )

        warehouse = Warehouse(Path(name) / "warehouse", reader)
        line("floor: LIST", lambda: [reader.bucket(bucket) for bucket in BUCKETS])
        line("floor: GET", lambda: [len(body or b"") for body in reader.read(refs)])
        line("load", lambda: load(warehouse, LoadOptions()))
        line("load, nothing new", lambda: load(warehouse, LoadOptions()))
        now = START + timedelta(hours=hours)
        line("open the engine", lambda: Engine(warehouse, now), False)
        for view in statements.VIEWS:
            sql = f"SELECT * FROM {view}"
            line(view, partial(answer, warehouse, now, sql), False)
        for query in statements.QUERIES:
            sql = statements.query(query)
            line(query, partial(answer, warehouse, now, sql), False)
        line(
            "SELECT COUNT(*)",
            lambda: answer(warehouse, now, "SELECT COUNT(*) FROM wind_turbine_raw"),
            False,
        )
    console.print(table)


def answer(warehouse: Warehouse, now: datetime, sql: str) -> int:
    """Open the engine and run one statement. Return the number of its rows."""
    return sum(
        rows.num_rows for rows in Engine(warehouse, now, {"threshold_value": "4.5"}).run(sql)
    )
