"""`make peers`: the pipeline beside plain copies of the same node files to the same store.

    python -m tests.peers [--turbines 100] [--rows 600 3600] [--rounds 3] [--gateway short|stock]

The peers are polars, DuckDB, pandas with boto3, and dlt (`peer_copies.py`), each in a process of
its own, in the environment `.peers/venv` of `.lock/peers.txt`. In each round the pipeline and all
peers run once, in turn; the least CPU time counts. Each copy is read back and compared with the
node files. Then everybody runs once more on the same rows: the table has how many rows the store
holds afterwards. Prints Markdown, asserts no time.

Not covered: peers that were tuned, or that do the work of the pipeline: nobody else's does.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import lake
from pipeline.batch import READ_ROWS
from pipeline.partition import bucket
from pipeline.records import CHANNEL_NAMES
from pipeline.settings import settings
from pipeline.store import S3ObjectStore
from sim.bench import parts, workload
from sim.bench.floors import nodefiles
from sim.bench.rounds import Rounds, run_once
from sim.bench.workload import Workload
from sim.measure.environment import machine
from sim.store.gateway import chosen
from sim.store.localstack import EmbeddedLocalStack
from tests import peer_copies
from tests.support.paths import ROOT

PYTHON = ROOT / ".peers" / "venv" / "bin" / "python"
US = "windfleet"
COLUMNS = ("turbine_id", "id", *CHANNEL_NAMES)
DOES = {
    US: ("four", "nothing new", "yes", "yes", "per node, by compare-and-set"),
    "polars": ("copy", "objects replaced", "no", "no", "no"),
    "duckdb": ("copy", "objects replaced", "no", "no", "no"),
    "pandas": ("copy", "objects replaced", "no", "no", "no"),
    "dlt": ("copy", "appended", "no", "a line per load", "per pipeline, with a cursor"),
}
"""Stages, a second run, windows, manifests, position kept."""
NAMES = {
    US: "windfleet",
    "polars": "polars (connectorx)",
    "duckdb": "DuckDB (sqlite_scanner, httpfs)",
    "pandas": "pandas + boto3",
    "dlt": "dlt (filesystem, one object for all nodes)",
}


class PeerError(Exception):
    """A copy that failed, or holds other rows than the node files."""


@dataclass
class Measured:
    """One peer at one size. again: rows in the store after a second run, as a multiple."""

    rounds: Rounds = field(default_factory=Rounds)
    objects: int = 0
    again: float = 0.0


@contextmanager
def process_of(name: str, folder: Path, url: str, state: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a peer for the block, and wait until it is ready. Raises PeerError."""
    command = [PYTHON, ROOT / "tests" / "peer_copies.py", name, folder, url]
    environment = {**os.environ, "PEERS_STATE": str(state)}
    with (
        (state / f"{name}.log").open("wb") as log,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            text=True,
            encoding="utf-8",
        ) as process,
    ):
        try:
            ask(process, name, state)
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()


def ask(process: subprocess.Popen[str], name: str, state: Path, line: str = "") -> dict[str, Any]:
    """Send a line, if there is one, and return the answer. Raises PeerError."""
    assert process.stdin is not None
    assert process.stdout is not None
    if line:
        print(line, file=process.stdin, flush=True)
    answer = process.stdout.readline()
    if not answer:
        tail = (state / f"{name}.log").read_text(encoding="utf-8").splitlines()[-15:]
        raise PeerError("\n".join([f"{name} ended:", *tail]))
    found: dict[str, Any] = json.loads(answer)
    return found


def copied(store: S3ObjectStore, place: str, folder: str) -> tuple[int, pa.Table]:
    """Return the number of Parquet objects in a folder of a bucket, and their rows, in order."""
    keys = [key for key in store.list(place, folder, "") if key.endswith(".parquet")]
    tables = [
        pq.read_table(pa.BufferReader(store.get(place, key)[0]), columns=list(COLUMNS))
        for key in keys
    ]
    return len(keys), ordered(tables)


def ordered(tables: Sequence[pa.Table]) -> pa.Table:
    columns = pa.schema(
        [
            (
                name,
                pa.string()
                if name == "turbine_id"
                else pa.int64()
                if name == "id"
                else pa.float64(),
            )
            for name in COLUMNS
        ]
    )
    table = pa.concat_tables([table.select(COLUMNS).cast(columns) for table in tables])
    return table.sort_by([("turbine_id", "ascending"), ("id", "ascending")]).combine_chunks()


def require_rows(name: str, found: pa.Table, expected: pa.Table) -> None:
    """Raise PeerError unless the copy has the rows of the node files."""
    if found.num_rows != expected.num_rows:
        raise PeerError(f"{name}: {found.num_rows} rows of {expected.num_rows}")
    for column in expected.column_names:
        if not found.column(column).equals(expected.column(column)):
            raise PeerError(f"{name}: {column} differs from the node files")


def measure(work: Workload, rounds: int, gateway: str | None) -> dict[str, Measured]:
    """Measure the pipeline and all peers on the same node files, in turn."""
    expected = ordered(nodefiles.read(work.paths, READ_ROWS))
    found = {name: Measured() for name in DOES}
    with ExitStack() as stack:
        server = stack.enter_context(EmbeddedLocalStack(chosen(gateway)))
        state = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="peers-")))
        target = settings(server.endpoint_url, own=True)
        store = S3ObjectStore(target)
        lake.ensure(target)
        make_bucket(server.endpoint_url)
        peers = {
            name: stack.enter_context(
                process_of(name, work.paths[0].parent, server.endpoint_url, state)
            )
            for name in DOES
            if name != US
        }
        for number in range(rounds):
            lake.empty(target)
            cost = run_once(lambda: parts.deliver(work.paths, work.configs, store), server)
            found[US].rounds.add(cost)
            for name, process in peers.items():
                folder = f"{name}-{number}"
                served = server.cpu_seconds()
                answer = ask(process, name, state, folder)
                served = server.cpu_seconds() - served
                own = found[name].rounds
                own.cpu_s.append(answer["cpu_s"])
                own.server_s.append(served)
                own.wall_s.append(answer["wall_s"])
        for name, measured in found.items():
            place, folder = bucket("ingestion"), "ingestion/"
            if name != US:
                place, folder = peer_copies.BUCKET, f"{name}-{rounds - 1}/"
            measured.objects, rows = copied(store, place, folder)
            require_rows(name, rows, expected)
            if name == US:
                parts.deliver(work.paths, work.configs, store)
            else:
                ask(peers[name], name, state, folder.rstrip("/"))
            measured.again = copied(store, place, folder)[1].num_rows / expected.num_rows
    return found


def make_bucket(url: str) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=peer_copies.KEY,
        aws_secret_access_key=peer_copies.SECRET,
        region_name=peer_copies.REGION,
    )
    client.create_bucket(
        Bucket=peer_copies.BUCKET,
        CreateBucketConfiguration={"LocationConstraint": peer_copies.REGION},
    )


def lines(found: dict[int, dict[str, Measured]], turbines: int) -> Iterator[str]:
    """Yield the table of Markdown."""
    sizes = [f"{turbines} x {rows:,} rows: CPU us/row" for rows in found]
    head = ["", *sizes, "stages", "a second run", "windows", "manifests", "position"]
    yield f"| {' | '.join(head)} |"
    yield f"| --- |{' --: |' * len(found)}{' --- |' * 5}"
    for name, does in DOES.items():
        costs = []
        for rows, measured in found.items():
            least = measured[name].rounds.least
            own, served = (s / (rows * turbines) * 1e6 for s in (least.cpu_s, least.server_s))
            costs.append(f"{own:.1f} + {served:.1f}")
        again = max(measured[name].again for measured in found.values())
        stages, twice, *others = does
        twice = f"{twice}: {again:.0f} times the rows" if again > 1 else twice
        yield f"| {' | '.join([NAMES[name], *costs, stages, twice, *others])} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--turbines", type=int, default=100)
    parser.add_argument("--rows", type=int, nargs="+", default=[600, 3600], help="per node")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--gateway", choices=("short", "stock"))
    args = parser.parse_args()
    if not PYTHON.exists():
        parser.error(f"{PYTHON} is missing; make it with: make peers")
    found = {}
    for rows in args.rows:
        with tempfile.TemporaryDirectory(prefix="peers-") as name:
            work = workload.make(Path(name) / "nodes", args.turbines, rows, 7)
            found[rows] = measure(work, args.rounds, args.gateway)
    print("\n".join(lines(found, args.turbines)))
    print(f"\n{machine()}; ours + LocalStack's, {chosen(args.gateway)} gateway")


if __name__ == "__main__":
    main()
