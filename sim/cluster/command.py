"""`windfleet run --cluster`: a run in parts on the workers of a cluster, merged here.

The path of a run: the cluster is reached or started, its workers answer the roll call, the parts
are sent, their records come back into DIR/parts, and `sim.merge` makes one result of them in DIR.

    number of parts     --parts, else twice the threads of all workers; at most one a turbine
    workers of a part   --workers, else the cores of its host over the threads of Dask there
    files of a part     on its worker: `runs/NAME-SEED.parts/ID` in the working directory of
                        `dask worker`, or --worker-dir
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from pipeline import settings
from sim import run_directory
from sim.cluster import library, record_files
from sim.cluster.address import ClusterAddress
from sim.cluster.local import local_cluster
from sim.cluster.parts import Begun, Parts
from sim.cluster.presence import presence
from sim.cluster.roll_call import Muster, muster
from sim.cluster.task import PartReply, PartTask, part_folder
from sim.errors import ClusterError
from sim.merge.command import merged, report
from sim.merge.fit import require_whole
from sim.report import numbers
from sim.report.progress import RunProgress
from sim.run import part_file
from sim.run.part import part_of
from sim.run.part_index import PartIndex
from sim.run_directory import PARTS
from sim.scenario import Scenario
from sim.scenario.plan import plan
from sim.store import target
from sim.verify.judge import verdict

CONNECT_WITHIN_S: Final = 5.0
PARTS_PER_THREAD: Final = 2


@dataclass(frozen=True)
class ClusterOptions:
    """Options of the command line. workers: of each part. folder: of node files on a worker."""

    cluster: ClusterAddress
    out: Path
    store: target.Options
    parts: int | None = None
    workers: int | None = None
    folder: str | None = None
    overwrite: bool = False
    replay: str = ""


def run_on_cluster(scenario: Scenario, options: ClusterOptions, console: Console) -> int:
    """Run all parts, make one result of them, report. Return the exit code.

    Raises ClusterError, DirectoryError, TargetError, PartError.
    """
    endpoint_url = _require_allowed(options)
    dask = library.distributed()
    if options.parts is not None:
        part_of(scenario.fleet, PartIndex(1, options.parts))
    made = run_directory.made(options.out, options.overwrite, scenario.text, 0)
    with made, RunProgress(console) as progress:
        with ExitStack() as stack:
            client = stack.enter_context(_connected(dask, options.cluster, progress))
            progress.phase("calling the workers", None, "")
            there = muster(client, needs_localstack=endpoint_url is None)
            if endpoint_url is not None:
                stack.enter_context(target.opened(options.store))
            tasks = _tasks(scenario, options, there, endpoint_url)
            progress.phase(
                f"running {len(tasks)} parts, {there.threads} at a time",
                plan(scenario).rows,
                "rows",
            )
            _run_parts(client, dask, tasks, scenario, options.out, progress)
        progress.phase("merging the parts", None, "")
        folders = [options.out / PARTS / part_folder(task.part) for task in tasks]
        parts = {folder: part_file.read(folder) for folder in folders}
        require_whole(parts)
        record = merged(scenario, parts)
        progress.close()
        return report(scenario, record, options.out, options.replay, console)


def _require_allowed(options: ClusterOptions) -> str | None:
    """Return the endpoint of the parts; None: an embedded store each. Raises ClusterError."""
    cluster, store = options.cluster, options.store
    if not cluster.loopback and not store.allow_remote:
        only = "windfleet sends parts there only with --allow-remote"
        raise ClusterError(f"{cluster} is not on this machine; {only}")
    endpoint_url = target.endpoint_of(store)
    if endpoint_url is not None and not cluster.loopback and settings.parsed(endpoint_url).loopback:
        raise ClusterError(
            f"{endpoint_url} is on this machine, and the workers of {cluster} are not; name the "
            "store by an address that they reach, or leave it out for an embedded one each"
        )
    return endpoint_url


@contextmanager
def _connected(dask: Any, cluster: ClusterAddress, progress: RunProgress) -> Iterator[Any]:
    """Connect a client to the cluster, which is started first if it is a local one."""
    if cluster.scheduler is None:
        progress.phase(f"starting {cluster.workers} workers", None, "")
        place: Any = local_cluster(cluster.workers)
    else:
        progress.phase(f"opening the cluster {cluster}", None, "")
        place = nullcontext(cluster.scheduler)
    with place as address:
        try:
            client = dask.Client(address, timeout=CONNECT_WITHIN_S, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            start = "start one with: dask scheduler"
            raise ClusterError(f"no Dask scheduler answers at {address}; {start}") from error
        try:
            yield client
        finally:
            client.close(timeout=CONNECT_WITHIN_S)


def _tasks(
    scenario: Scenario, options: ClusterOptions, there: Muster, endpoint_url: str | None
) -> list[PartTask]:
    count = options.parts or min(PARTS_PER_THREAD * there.threads, scenario.fleet.turbines)
    store = ["--gateway", options.store.gateway]
    store += ["--store-processes", str(options.store.processes)]
    if endpoint_url is not None:
        store += ["--endpoint-url", endpoint_url]
    if options.store.allow_remote:
        store.append("--allow-remote")
    name = f"{scenario.name}-{scenario.seed}"
    run = f"windfleet-{name}-{secrets.token_hex(4)}"
    return [
        PartTask(
            run,
            PartIndex(index, count),
            scenario.text,
            options.folder or f"runs/{name}.parts",
            presence()["versions"],
            options.workers,
            there.threads_on,
            tuple(store),
        )
        for index in range(1, count + 1)
    ]


def _run_parts(
    client: Any,
    dask: Any,
    tasks: list[PartTask],
    scenario: Scenario,
    out: Path,
    progress: RunProgress,
) -> None:
    """Run the parts. Their records go into DIR/parts. Raises ClusterError."""
    parts = Parts(client, dask, tasks)
    count = len(tasks)

    def began(begun: Begun) -> None:
        progress.log(f"part {begun.index} of {count} begins on {begun.worker}")

    def ended(reply: PartReply) -> None:
        folder = out / PARTS / part_folder(reply.part)
        assert reply.files is not None
        record_files.write(folder, scenario.text, reply.files)
        part = part_file.read(folder)
        found, took = verdict([part.judgement]), numbers.duration(part.total_s)
        rows = int(found.figures["rows.generated"])
        progress.log(
            f"part {reply.part.index} of {count}: {found.status}, {rows:,} rows in {took} "
            f"on {reply.worker}, {reply.folder}"
        )
        progress.advance(rows)

    try:
        parts.collect(began, ended)
    except ClusterError as error:
        raise ClusterError(f"{error}; {_left(out, count)}") from None
    finally:
        parts.stop()


def _left(out: Path, count: int) -> str:
    """Return how to complete a run of which some parts have ended."""
    there = len(list((out / PARTS).glob(f"part-*-of-{count}")))
    if not there:
        return "no part has ended"
    again = f"run the others with --shard I/{count}, then windfleet merge"
    return f"{there} of {count} parts are in {out / PARTS}; {again}"
