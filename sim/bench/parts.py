"""The parts of the whole job, product and floor, at one number of rows a batch.

| part    | product                                        | floor               |
|---------|------------------------------------------------|---------------------|
| samples | `FarmModel`: weather, machines, sensors        | none                |
| write   | `NodeWriter`                                   | `floors.nodefiles`  |
| read    | `pipeline.generations.read`                    | `floors.nodefiles`  |
| stages  | `transform`: the part of process that is paid per row | none         |
| process | `pipeline.process`: stages, Parquet, manifests | `floors.objects`    |
| PUT     | `S3ObjectStore.create`, as many threads as a worker | `floors.sockets`    |
| deliver | `pipeline.node.run`: read, process, PUT        | sum of the three    |
| verify  | `sim.check.judge`                              | `floors.lake`       |

The whole job is samples, write, deliver and verify (`record`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pipeline import lake, partition
from pipeline.batch import READ_ROWS
from pipeline.commit import Commit
from pipeline.config import NodeConfig
from pipeline.generations import read
from pipeline.node import Delivered, EdgeNode, run
from pipeline.ports import ObjectStore, SystemClock
from pipeline.process import process, transform
from pipeline.settings import settings
from pipeline.store import S3ObjectStore
from pipeline.under_way import Pool
from sim import check
from sim.bench import agreement, record, workload
from sim.bench.floors import lake as lake_floor
from sim.bench.floors import nodefiles, objects, sockets
from sim.bench.record import PartRounds, SizeRecord
from sim.bench.rounds import Part, interleaved
from sim.bench.workload import EVERYTHING_US, Workload
from sim.errors import LAKE_WRONG, BenchError
from sim.fleet.part import FarmPart
from sim.model.recording.nodefile import NodeWriter
from sim.store.gateway import Gateway
from sim.store.localstack import EmbeddedLocalStack
from sim.store.s3_lake import s3_lake

SOCKETS: Final = 4
"""Of the floor: more are no faster, because the server is one process."""
_Objects = list[tuple[str, str, bytes]]


def measure(turbines: int, rows: int, rounds: int, seed: int, gateway: Gateway) -> SizeRecord:
    """Measure all parts at `rows` rows a batch.

    Raises BenchError, also where floor and product differ; TargetError, OSError.
    """
    with tempfile.TemporaryDirectory(prefix="windfleet-bench-") as name:
        root = Path(name)
        work = workload.make(root / "nodes", turbines, rows, seed)
        commits = list(process(work.works(), 0))
        tables = nodefiles.read(work.paths, READ_ROWS)
        agreement.require_equal(commits, objects.batches(tables, work.configs))
        made = _objects(commits)
        with EmbeddedLocalStack(gateway) as server:
            lake.ensure(server.endpoint_url)
            parts = [*_local(root, work), *_stored(work, made, server.endpoint_url)]
            fixed_s, found = interleaved(parts, rounds, server)
    size = sum(len(body) for _, _, body in made)
    costs = {part: PartRounds(*pair) for part, pair in found.items()}
    return SizeRecord(rows, turbines, len(made), size, fixed_s, costs)


def _objects(commits: Sequence[Commit]) -> _Objects:
    """List (bucket, key, body) of all that a commit writes."""
    found: _Objects = []
    for commit in commits:
        config = commit.config
        found += [(item.bucket, item.key, item.body) for item in commit.objects]
        found.append((partition.bucket("metadata"), commit.manifest_key, commit.manifest))
        key = partition.checkpoint_key(config.farm_id, config.turbine_id)
        state = commit.state.to_json(config.turbine_id, config.node_id)
        found.append((partition.bucket("checkpoints"), key, state))
    return found


def _local(root: Path, work: Workload) -> list[Part]:
    """Return the parts without a store."""
    again, lean = root / "again", root / "lean"
    lean.mkdir()
    empty = nodefiles.template(lean)
    tables = nodefiles.read(work.paths, READ_ROWS)
    works = work.works()

    def write() -> None:
        with NodeWriter(again, FarmPart.whole(work.farm), work.configs) as writer:
            writer.write(work.block)

    return [
        Part(record.SAMPLES, lambda: workload.simulate(work.farm, work.clock, work.seed)),
        Part(
            record.WRITE,
            write,
            lambda: nodefiles.write(work.block, lean, empty, work.farm.turbine_ids),
        ),
        Part(
            record.READ,
            lambda: [read(path, 0, READ_ROWS) for path in work.paths],
            lambda: nodefiles.read(work.paths, READ_ROWS),
        ),
        Part(record.STAGES, lambda: transform(works)),
        Part(
            record.PROCESS,
            lambda: list(process(works, 0)),
            lambda: objects.batches(tables, work.configs),
        ),
    ]


def _stored(work: Workload, made: _Objects, url: str) -> list[Part]:
    """Return the parts with a store, in an order that leaves its lake to `verify`."""
    store = settings(url, own=True)
    port = int(url.rpartition(":")[2])
    names = [(bucket, key) for bucket, key, _ in made]
    requests = sockets.puts(port, made)

    def put() -> None:
        client = S3ObjectStore(store)
        with Pool() as pool:
            list(pool.map(lambda item: client.create(*item), made))

    def empty() -> None:
        lake.empty(store)

    return [
        Part(record.PUT, put, lambda: sockets.exchange(port, requests, SOCKETS), empty),
        Part(
            record.DELIVER,
            lambda: deliver(work.paths, work.configs, S3ObjectStore(store)),
            before=empty,
        ),
        Part(
            record.VERIFY,
            lambda: require_passed(
                check.judge(work.nodes, s3_lake(store), None, 1, compacted=False)
            ),
            lambda: lake_floor.compare(work.paths, READ_ROWS, port, names),
        ),
    ]


def deliver(paths: Sequence[Path], configs: Sequence[NodeConfig], store: ObjectStore) -> int:
    """Drain nodes into a store. Return the number of PUTs. Raises BenchError."""
    nodes = [EdgeNode(config, path) for config, path in zip(configs, paths, strict=True)]
    with Pool() as pool:
        return sum(flush(nodes, store, pool, EVERYTHING_US))


def flush(
    nodes: Sequence[EdgeNode], store: ObjectStore, pool: Pool, until_us: int | None
) -> list[int]:
    """Deliver closed batches, or all before `until_us`. Return the number of PUTs of each.

    Raises BenchError for a node that failed.
    """
    found = []
    for result in run(nodes, store, SystemClock(), pool, until_us):
        if not isinstance(result, Delivered):
            raise BenchError(f"{result.node.config.turbine_id}: {result.error}", LAKE_WRONG)
        found.append(result.objects + 2)  # manifest and checkpoint
    return found


def require_passed(verdict: check.Verdict) -> None:
    """Raise BenchError for any other verdict than pass."""
    if verdict.status != "pass":
        found = verdict.counts or "; ".join(verdict.errors)
        raise BenchError(f"the oracle's verdict is {verdict.status}: {found}", LAKE_WRONG)
