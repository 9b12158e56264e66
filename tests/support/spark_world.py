"""A lake for both engines, and calls of the Spark engine."""

from __future__ import annotations

import contextlib
import datetime
import math
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.catalog.tables import BY_NAME
from pipeline.sdk import s3_client
from pipeline.settings import settings
from sim.errors import QueryError
from sim.query.spark import engine
from sim.query.warehouse import Warehouse
from tests.support import lakehouse
from tests.support.paths import ROOT

RAW = BY_NAME["wind_turbine_raw"]
ENRICHED = BY_NAME["wind_turbine_enriched"]
AGGREGATED = BY_NAME["wind_turbine_aggregated"]
FARM = "Z"
TURBINES = 5
DAYS = 14
WORN = "Z-003"
STATUSES = ("running", "running", "running", "running", "standby", "fault")


def make_lake(folder: Path) -> Path:
    """Return the lake of a real run (late rows, revisions, quarantine), with more objects in it.

    One farm has two weeks of ten-minute rows, so that the maintenance view has something to rank;
    one of its turbines wears out. Two objects have a column that no table has.
    """
    run = folder / "run"
    command = [sys.executable, "-m", "sim", "run", "scenarios/small.yaml", "--save-lake"]
    done = subprocess.run(
        [*command, "--out", str(run)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lake = run / "lake"
    for i in range(1, TURBINES + 1):
        turbine = f"{FARM}-{i:03}"
        rows = weeks(turbine, i)
        pq.write_table(rows, lakehouse.path_of(lake, ENRICHED, turbine, 1, rows.num_rows))
    lakehouse.add(lake, "Y-002", 1, 30, (AGGREGATED,))
    for table in (RAW, ENRICHED):
        rows = lakehouse.rows(table.source, "Y-001", 1, 30)
        wider = rows.append_column("humidity", pa.array(np.linspace(0, 1, 30)))
        pq.write_table(wider, lakehouse.path_of(lake, table, "Y-001", 1, 30))
    return lake


def weeks(turbine: str, seed: int) -> pa.Table:
    """Ten-minute rows of one turbine up to START."""
    draw = np.random.default_rng(seed)
    count = DAYS * 144
    rows = lakehouse.rows(ENRICHED.source, turbine, 1, count)
    step_us = 600 * 1_000_000
    end_us = int(lakehouse.START.timestamp()) * 1_000_000
    times = pa.array(end_us + (np.arange(count) - count) * step_us, pa.timestamp("us", tz="UTC"))
    wear = np.linspace(0, 12, count) if turbine == WORN else np.zeros(count)
    wind = 8 + 3 * np.sin(np.arange(count) / 40) + draw.normal(0, 0.5, count)
    changed = {
        "timestamp": times,
        "recorded_at": times,
        "status": pa.array([STATUSES[i] for i in draw.integers(0, len(STATUSES), count)]),
        "rated_power": pa.array(np.full(count, 4.0)),
        "power_output": pa.array(np.clip(wind / 12 * 4 + draw.normal(0, 0.1, count), 0, 4)),
        "wind_speed": pa.array(wind),
        "ambient_temperature": pa.array(draw.normal(5, 2, count)),
        "temperature": pa.array(draw.normal(20, 1, count)),
        "generator_temperature": pa.array(draw.normal(60, 1, count)),
        "gearbox_temperature": pa.array(draw.normal(55, 1, count) + wear),
        "vibration_level": pa.array(draw.normal(2.0, 0.2, count) + wear / 3),
    }
    for name, values in changed.items():
        place = rows.schema.get_field_index(name)
        rows = rows.set_column(
            place, rows.schema.field(place), values.cast(rows.schema.types[place])
        )
    return rows


def upload(lake: Path, endpoint_url: str) -> None:
    """Put every object of a saved lake into the buckets of an S3 that has them."""
    client = s3_client(settings(endpoint_url), connect_timeout_s=5, read_timeout_s=60)
    for path in sorted(lake.glob("*/**/*")):
        if path.is_file():
            bucket, _, key = path.relative_to(lake).as_posix().partition("/")
            client.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())


def answers(warehouse: Warehouse, job: engine.Job) -> tuple[int, list[pa.Table | QueryError]]:
    """Return the number of new objects, and the rows or the error of each statement."""
    objects = 0
    found: list[pa.Table | QueryError] = []
    for each in engine.answers(warehouse, job):
        if isinstance(each, engine.Loaded):
            objects += each.objects
        else:
            found.append(each)
    return objects, found


def different(mine: pa.Table, theirs: pa.Table) -> str:
    """Return the first difference between two sets of rows, "" where there is none.

    Numbers that one engine calls a double are equal within 1e-9; everything else must be the same.
    """
    if mine.column_names != theirs.column_names:
        return f"columns {mine.column_names} and {theirs.column_names}"
    if mine.num_rows != theirs.num_rows:
        return f"{mine.num_rows} and {theirs.num_rows} rows"
    pairs = zip(_sorted(mine), _sorted(theirs), strict=True)
    for one, other in pairs:
        for name, a, b in zip(mine.column_names, one, other, strict=True):
            if not _equal(a, b):
                return f"{name}: {a!r} and {b!r} in {one} and {other}"
    return ""


def _sorted(rows: pa.Table) -> list[tuple[object, ...]]:
    """Rows sorted by their exact columns, then by the others: rounding changes no place."""
    columns = [column.to_pylist() for column in rows.columns]
    exact = [i for i, kind in enumerate(rows.schema.types) if not pa.types.is_floating(kind)]
    rest = [i for i in range(len(columns)) if i not in exact]
    found = list(zip(*columns, strict=True))
    return sorted(found, key=lambda row: [repr(_plain(row[i])) for i in (*exact, *rest)])


def _plain(value: object) -> object:
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC).isoformat()
    if isinstance(value, float):
        return f"{value:.6e}"
    return value


def _equal(a: object, b: object) -> bool:
    if isinstance(a, float) or isinstance(b, float):
        if a is None or b is None:
            return a is b
        one, other = float(a), float(b)  # type: ignore[arg-type]
        if math.isnan(one):
            return math.isnan(other)
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return a == b


@dataclass
class Seen:
    """Addresses that Spark's processes listen on and talk to, and their command lines."""

    addresses: set[str] = field(default_factory=set)
    arguments: set[str] = field(default_factory=set)


@contextlib.contextmanager
def watched() -> Iterator[Seen]:
    """Watch the Spark processes below this one for a block."""
    seen = Seen()
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(ended, seen))
    watcher.start()
    try:
        yield seen
    finally:
        ended.set()
        watcher.join()


def _watch(ended: threading.Event, seen: Seen) -> None:
    while not ended.wait(0.2):
        for process in family(os.getpid()):
            with contextlib.suppress(psutil.Error):
                line = " ".join(process.cmdline())
                if process.name() == "java" or "driver.py" in line:
                    seen.arguments.add(line)
                    for each in process.net_connections("inet"):
                        ends = (end.ip for end in (each.laddr, each.raddr) if end)
                        seen.addresses.update(ip.removeprefix("::ffff:") for ip in ends)


def javas(pid: int) -> list[psutil.Process]:
    """Return the JVMs below a process. Spark starts many short-lived helpers beside them."""
    found = []
    for each in family(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            if each.name() == "java":
                found.append(each)
    return found


def family(pid: int) -> Iterator[psutil.Process]:
    """Yield the processes below one."""
    try:
        yield from psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return
