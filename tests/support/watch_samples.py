"""Records of runs and load tests made by hand, as `windfleet watch` finds them while they last."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import partition
from pipeline.retry import Operation
from sim.folder_lock import LOCK_FILE
from sim.load.client.journal import Journal, OperationLog, Request
from sim.load.client.plan import ClientPlan, write_started
from sim.load.phase import OUTCOMES, REQUESTS, Arrivals
from sim.measure import operations
from sim.run_directory import MARK
from sim.watch.state import RunState

START_S = 1_796_000_000
SCENARIO = """
schema_version: 1
name: watched
seed: 7
fleet: {preset: full, turbines: 16}
clock: {start: 2024-01-15T00:00:00Z, duration: 30m, sample_every: 1m}
pipeline: {flush_every: 10m}
expect: [rows.lost == 0]
"""
HOUR = 1_705_276_800 // 3600


def operation(
    kind: str = "put",
    bucket: str = "metadata",
    key: str = "x",
    outcome: str = "ok",
    at_s: float = 0.0,
    took_s: float = 0.02,
    size: int = 100,
    attempt: int = 1,
) -> Operation:
    """One operation that began `at_s` after START_S."""
    start = START_S * 1_000_000_000 + round(at_s * 1e9)
    end = start + round(took_s * 1e9)
    return Operation(start, start, end, kind, partition.bucket(bucket), key, size, outcome, attempt)


def batch(
    turbine: str, first: int, last: int, at_s: float = 0.0, took_s: float = 0.02
) -> list[Operation]:
    """The operations of a batch that becomes durable: its data object, its manifest."""
    data = partition.data_key("ingestion", HOUR, turbine, first, last)
    manifest = partition.manifest_key(HOUR, turbine, first, last)
    return [
        operation("put", "ingestion", data, at_s=at_s, took_s=took_s, size=1000),
        operation("put", "metadata", manifest, at_s=at_s, took_s=took_s),
    ]


def lines(made: Sequence[Operation], worker: str = "A") -> bytes:
    return b"".join(operations.line(each, worker) for each in made)


def run_dir(folder: Path, owner: int | None = None, scenario: str = SCENARIO) -> Path:
    """A run directory whose run is at work in this process, or in that of `owner`."""
    folder.mkdir(exist_ok=True)
    lock = f"process {owner or os.getpid()} on {socket.gethostname()}, since now"
    (folder / LOCK_FILE).write_text(lock)
    (folder / "scenario.yaml").write_text(MARK + scenario)
    return folder


def append(folder: Path, made: Sequence[Operation], worker: str = "A") -> Path:
    """Append operations as a worker of a run does."""
    (folder / ".operations").mkdir(exist_ok=True)
    path = folder / ".operations" / f"{worker}-1.tsv"
    with path.open("ab") as file:
        file.write(lines(made, worker))
    return path


def merge(folder: Path) -> None:
    """Write operations.parquet and remove the lines, as a run does at its end."""
    paths = sorted((folder / ".operations").glob("*.tsv"))
    table = operations.merged(operations.read_lines(path) for path in paths)
    pq.write_table(table, folder / "operations.parquet")
    for path in paths:
        path.unlink()


def polled(folder: Path, now_s: float = START_S + 60.0) -> RunState:
    """The state of a directory after one poll."""
    state = RunState(folder, lambda: now_s)
    state.poll()
    return state


def delivering(folder: Path) -> Path:
    """A run in its middle: farms at different places, errors, faults, latencies of 20 to 300 ms."""
    run_dir(folder)
    made = []
    for second in range(40):
        took_s = 0.02 if second % 10 else 0.3
        for turbine in ("A-001", "B-001", "B-002", "H-001"):
            if second % 10 == 5 and second // 10 < (2 if turbine == "H-001" else 3):
                first = 1 + 10 * (second // 10)
                made += batch(turbine, first, first + 9, second, took_s)
        made.append(operation("get", "checkpoints", outcome="missing", at_s=second))
        made.append(operation("put", "ingestion", at_s=second, took_s=took_s))
    made.append(operation("put", "ingestion", outcome="unavailable", at_s=3))
    made.append(operation("put", "ingestion", outcome="ok", at_s=3.5, attempt=2))
    append(folder, made)
    faults = '{"at_ns": %d, "by_kind": {"node.crash": 3, "store.error": 12}}\n'
    (folder / ".operations" / "injections.jsonl").write_text(faults % ((START_S + 20) * 10**9))
    return folder


def load_phase(folder: Path, name: str = "001-ramp", requests: int = 40) -> Path:
    """Folder of a phase that is about to start, ten requests a second for four seconds."""
    arrivals = Arrivals(
        np.arange(requests) / 10.0,
        np.zeros(requests, dtype=np.int8),
        np.zeros(requests, dtype=np.int32),
    )
    path = folder / ".load" / "phases" / name
    ClientPlan(
        name=name.partition("-")[2],
        seed=7,
        workers=1,
        users=4,
        endpoint_url="http://127.0.0.1:1",
        batches=folder,
        nodes=1,
        seeded=0,
        encode_inside=False,
        timeout_s=5.0,
        duration_s=4.0,
        drain_s=1.0,
        # On the common clock of this phase all requests are due.
        offset_ns=(START_S + 100) * 10**9 - time.monotonic_ns(),
        mix=(("flush", 1.0),),
        arrivals=arrivals,
    ).write(path)
    return path


def load_requests(phase: Path, ended: int = 20, begun: int = 22) -> None:
    """Start a phase: `ended` requests of `begun` have ended, the first with an error."""
    started_ns = START_S * 10**9
    journal, log = Journal(phase, 0), OperationLog(phase, 0)
    for number in range(begun):
        intended = started_ns + number * 100_000_000
        request = Request(number, 0, 0, intended, intended + 1_000_000)
        journal.append(request)
        if number < ended:
            outcome = OUTCOMES.index("unavailable" if number == 0 else "ok")
            end = intended + 50_000_000
            journal.append(request._replace(end=end, outcome=outcome, size=10, objects=6, rows=5))
        log.append(operation("put", "ingestion", at_s=number / 10))
    os.close(journal._file)
    os.close(log._file)
    write_started(phase, started_ns)


def loading(folder: Path) -> Path:
    """A load test in its first phase."""
    run_dir(folder)
    load_requests(load_phase(folder))
    return folder


def ended_load(folder: Path) -> Path:
    """A load test that is over: 30 requests a second for four seconds, served at 20 a second."""
    run_dir(folder)
    (folder / LOCK_FILE).unlink()
    number = np.arange(120)
    intended = START_S * 10**9 + np.round(number / 30 * 1e9).astype(np.int64)
    start = START_S * 10**9 + np.round(number / 20 * 1e9).astype(np.int64)
    never = number >= 110  # the phase was given up
    columns = {
        "phase": pa.array(["ramp"] * 60 + ["hold"] * 60),
        "kind": pa.array(["flush"] * 120),
        "node": pa.array(number, pa.int32()),
        "intended_start": pa.array(intended).cast(REQUESTS.field("start").type),
        "start": pa.array(start, mask=never).cast(REQUESTS.field("start").type),
        "end": pa.array(start + 20_000_000, mask=never).cast(REQUESTS.field("end").type),
        "bytes": pa.array(number),
        "objects": pa.array(number, pa.int32()),
        "rows": pa.array(number),
        "outcome": pa.array(["ok"] * 110 + ["not-made"] * 10),
        "worker": pa.array(["client-0"] * 120),
        "number": pa.array(number),
    }
    pq.write_table(pa.table(columns, schema=REQUESTS), folder / "requests.parquet")
    made = operations.merged([operations.parse_lines(lines([operation()]))])
    pq.write_table(made, folder / "operations.parquet")
    result = {"verdict": "pass", "exit_code": 0, "errors": [], "faults": []}
    (folder / "result.json").write_text(json.dumps(result))
    return folder
