"""`--cluster`: a command in parts on the workers of a cluster, merged here.

The path, the same for `run`, `demo`, `campaign` and `verify` (`sim.cluster.work`): the cluster is
reached or started, its workers answer the roll call, the parts are sent, their records come back,
and `sim.merge` makes one result of them.

    number of parts     --parts, else twice the threads of all workers
    workers of a part   --workers, else the cores of its host over the threads of Dask there
    files of a part     on its worker: `runs/NAME-SEED.parts/ID` in the working directory of
                        `dask worker`, or --worker-dir
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from pipeline import settings
from sim.cluster import library, place, record_files
from sim.cluster.address import ClusterAddress
from sim.cluster.local import local_cluster
from sim.cluster.parts import Begun, Parts
from sim.cluster.place import Place
from sim.cluster.roll_call import Workers, call_workers
from sim.cluster.task import PartReply, PartTask, workers_of_part
from sim.cluster.work import Work
from sim.cluster.worker_info import worker_info
from sim.errors import ClusterError, NeedsError
from sim.merge.command import merge
from sim.report import numbers
from sim.report.progress import RunProgress
from sim.run.part_index import PartIndex

CONNECT_WITHIN_S: Final = 5.0
PARTS_PER_THREAD: Final = 2


@dataclass(frozen=True)
class ClusterOptions:
    """Options of the command line. workers: of each part. folder: of node files on a worker."""

    cluster: ClusterAddress
    parts: int | None = None
    workers: int | None = None
    folder: str | None = None
    allow_remote: bool = False


def run_on_cluster(work: Work, options: ClusterOptions, console: Console) -> int:
    """Run all parts, make one result of them, report. Return the exit code.

    Raises ClusterError, NeedsError, DirectoryError, TargetError, PartError.
    """
    _require_allowed(work, options)
    dask = library.distributed()
    if options.parts is not None:
        work.parts(options.parts, options.parts)
    run = f"windfleet-{work.name}-{secrets.token_hex(4)}"
    with work.records(run) as records:
        with ExitStack() as stack, RunProgress(console) as progress:
            client = stack.enter_context(_connected(dask, options.cluster, progress))
            progress.phase("calling the workers", None, "")
            there = call_workers(client, work.needs_localstack)
            count = work.parts(options.parts, PARTS_PER_THREAD * there.threads)
            if (line := _needs(work, options, there, count)) is not None:
                progress.log(line)
            tasks = _tasks(work, options, there, run, count, client)
            stack.enter_context(work.opened())
            progress.phase(
                f"running {len(tasks)} parts, {min(count, there.threads)} at a time",
                work.total,
                work.unit,
            )
            again = _run_parts(client, dask, tasks, work, records, progress)
        folders = [records / task.part.folder for task in tasks]
        return merge(replace(work.merge_options(folders), notes=tuple(again)), console)


def _require_allowed(work: Work, options: ClusterOptions) -> None:
    """Raise ClusterError for a scheduler elsewhere without leave, or a store it cannot reach."""
    cluster, endpoint_url = options.cluster, work.endpoint_url
    if cluster.loopback:
        return
    if not options.allow_remote:
        only = "windfleet sends parts there only with --allow-remote"
        raise ClusterError(f"{cluster} is not on this machine; {only}")
    if endpoint_url is not None and settings.parsed(endpoint_url).loopback:
        raise ClusterError(
            f"{endpoint_url} is on this machine, and the workers of {cluster} are not; name the "
            f"store by an address that they reach, or {work.without_store}"
        )


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


def _needs(work: Work, options: ClusterOptions, there: Workers, count: int) -> str | None:
    """Return the needs of a part in words. Raises NeedsError for a host that cannot hold its parts.

    A host runs as many parts at once as its workers have threads.
    """
    line, problems = None, []
    for name, host in sorted(there.hosts.items()):
        need = work.needs(count, workers_of_part(options.workers, host.cores, host.threads))
        if need is None:
            continue
        line = line or f"{need}; {min(count, there.threads)} parts at once"
        at_once = min(count, host.threads)
        if (bytes_ := at_once * need.memory_bytes) > host.memory_bytes:
            held = host.memory_bytes // need.memory_bytes
            threads = f"start its workers with {held} threads in all" if held else "use more memory"
            problems.append(
                f"{name}: {at_once} parts at once need about {numbers.size(bytes_)} of memory, it "
                f"has {numbers.size(host.memory_bytes)}; {threads}, use fewer --workers, or ask "
                "for more parts with --parts N"
            )
    if problems:
        raise NeedsError("\n".join(problems))
    return line


def _tasks(
    work: Work, options: ClusterOptions, there: Workers, run: str, count: int, client: Any
) -> list[PartTask]:
    places = work.places(client, count)
    tasks = []
    for index in range(1, count + 1):
        part = PartIndex(index, count)
        source, hosts = places.get(index, (None, ()))
        tasks.append(
            PartTask(
                run=run,
                part=part,
                command=work.command(part),
                scenario=work.scenario_text,
                record=work.record,
                keep=work.keeps,
                folder=work.folder(options.folder),
                versions=worker_info()["versions"],
                workers=options.workers,
                threads_on=there.threads_on,
                source=source,
                hosts=hosts,
            )
        )
    return tasks


def _run_parts(
    client: Any,
    dask: Any,
    tasks: list[PartTask],
    work: Work,
    records: Path,
    progress: RunProgress,
) -> list[str]:
    """Run the parts, and gather their records. Return a note for each dead worker.

    Raises ClusterError.
    """
    parts = Parts(client, dask, tasks, progress.log)
    count = len(tasks)

    def began(begun: Begun) -> None:
        progress.log(f"part {begun.index} of {count} begins on {begun.worker}")

    def ended(reply: PartReply) -> None:
        folder = records / reply.part.folder
        assert reply.files is not None
        if work.keeps:
            place.write(folder, Place(reply.host, reply.folder))
        record_files.write(folder, work.scenario.text, reply.files)
        text, amount = work.outcome(folder)
        where = f", {reply.folder}" if work.keeps else ""
        progress.log(f"part {reply.part.index} of {count}: {text} on {reply.worker}{where}")
        progress.advance(amount)

    try:
        parts.collect(began, ended)
    except ClusterError as error:
        failed = _others(parts.failed, error)
        raise ClusterError(f"{error}{failed}; {_left(records, work, count)}") from None
    finally:
        parts.stop()
    return parts.again


def _others(failed: Mapping[int, str], error: ClusterError) -> str:
    """Return which parts failed besides the one that the error names."""
    more = [
        str(index) for index, reason in failed.items() if str(error) != f"part {index}: {reason}"
    ]
    return f"; failed too: part {', '.join(more)}" if more else ""


def _left(records: Path, work: Work, count: int) -> str:
    """Return how to complete a command of which some parts have ended."""
    there = len(list(records.glob(f"part-*-of-{count}/{work.record[-1]}")))
    if not there:
        return "no part has ended"
    if (fix := work.completed_by(count)) is None:
        return f"{there} of {count} parts ended; repeat the command for all"
    return f"{there} of {count} parts are in {records}; {fix}"
