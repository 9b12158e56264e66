"""One part as a task of Dask: it runs on a worker, in a process of its own.

The files of a part of a run or a data set stay where it was made, and that process judges them. The
record of the part comes back (`sim.cluster.record_files`).

The store is the one that the client names. A worker's own AWS_ENDPOINT_URL is left out, so a part
without a named store has an embedded LocalStack, wherever it runs. Credentials, region, CA bundle
and proxies are the worker's own.

A part is stopped when its task is cancelled, which a client that goes away does too, and when the
worker closes. It ends by itself when the worker dies (`sim.cluster.child`).
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.settings import ENDPOINTS
from sim.cluster import child
from sim.cluster.record_files import RecordFiles, read
from sim.cluster.shared_files import digest
from sim.cluster.worker_info import worker_info
from sim.errors import ENVIRONMENT, ClusterError
from sim.run.part_index import PartIndex

POLL_S: Final = 0.2
MESSAGE_LINES: Final = 3
BEGAN, ENDED = "began", "ended"
SCENARIO: Final = "{scenario}"
OUT: Final = "{out}"
"""Words of a command line that stand for two paths on the worker."""


@dataclass(frozen=True)
class Source:
    """A file that must be on the worker before the part begins. sha256: of its contents."""

    path: str
    sha256: str


@dataclass(frozen=True)
class PartTask:
    """A part to run.

    run: id of the run: topic of its events, and its folder below `folder`, which is relative to
        the worker's working directory.
    command: words of the command line, with SCENARIO and OUT in them, without `--workers`.
    scenario: text of the file SCENARIO; empty if the command reads none.
    record: names of the files that come back. The last one shows that the part is complete.
    keep: the part's files stay on the worker.
    versions: that the worker must have.
    workers: processes of the part; None: the host's cores, divided by `threads_on` the host.
    source: None if the part needs no file that is there before.
    hosts: addresses of machines that may run the part; empty: all.
    """

    run: str
    part: PartIndex
    command: tuple[str, ...]
    scenario: str
    record: tuple[str, ...]
    keep: bool
    folder: str
    versions: Mapping[str, str]
    workers: int | None
    threads_on: Mapping[str, int]
    source: Source | None = None
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True)
class PartReply:
    """A part that came to its verdict, or that cannot: then `files` is None.

    worker: its address. host: its machine. folder: of the part's files there. message: the end of
    the part's output.
    """

    part: PartIndex
    worker: str
    host: str
    folder: str
    exit_code: int
    files: RecordFiles | None
    message: str


def workers_of_part(asked: int | None, cores: int, threads: int) -> int:
    """Return the worker processes of a part. threads: parts at once on its host."""
    return asked or max(1, cores // threads)


def run_part(task: PartTask) -> PartReply:
    """Run a part. Raises ClusterError for a failure of this machine: the part is tried again."""
    import distributed

    worker = distributed.get_worker()
    key = str(worker.get_current_task())
    event = {"part": task.part.index, "worker": worker.address}
    worker.log_event(task.run, event | {"event": BEGAN})
    try:
        return _run(task, worker, key)
    finally:
        worker.log_event(task.run, event | {"event": ENDED})


def _run(task: PartTask, worker: Any, key: str) -> PartReply:
    here = worker_info()
    if here["versions"] != {**task.versions, "python": here["versions"]["python"]}:
        # It came after the roll call. Another attempt could meet it again.
        text = "joined with other versions of windfleet or its packages"
        return PartReply(task.part, worker.address, here["host"], "", ENVIRONMENT, None, text)
    where = f"{worker.address} ({here['host']})"
    if (source := task.source) is not None and digest(source.path) != source.sha256:
        raise ClusterError(f"{where}: {source.path} is not there, or is another file")
    threads = task.threads_on.get(here["host"], worker.state.nthreads)
    workers = workers_of_part(task.workers, here["cores"], threads)
    try:
        with _folder(task) as folder:
            out = folder / task.part.folder
            complete = out / task.record[-1]
            code, message = _run_command(task, worker, key, out, workers)
            if code == ENVIRONMENT or code < 0 or (code == 0 and not complete.exists()):
                ended = f"signal {-code}" if code < 0 else f"exit code {code}"
                raise ClusterError(f"{where}: {ended}: {message}")
            files = read(out, task.record) if complete.exists() else None
            place = str(out.resolve())
            if code == 0:
                for name in (".yaml", ".log"):
                    out.with_suffix(name).unlink(missing_ok=True)
    except OSError as error:
        raise ClusterError(f"{where}: {task.folder}: {error.strerror or error}") from None
    return PartReply(task.part, worker.address, here["host"], place, code, files, message)


def _run_command(task: PartTask, worker: Any, key: str, out: Path, workers: int) -> tuple[int, str]:
    """Run a part's command. Return its exit code and the end of its output. Raises OSError."""
    scenario, log = out.with_suffix(".yaml"), out.with_suffix(".log")
    paths = {SCENARIO: str(scenario), OUT: str(out)}
    if task.scenario:
        scenario.write_text(task.scenario, encoding="utf-8")
    (out / task.record[-1]).unlink(missing_ok=True)  # of an attempt before
    with log.open("wb") as output:
        arguments = [*(paths.get(word, word) for word in task.command), "--workers", str(workers)]
        process = child.start(arguments, _environment(), output)
        try:
            _wait(process, worker, key)
        finally:
            child.stop(process)
    return process.returncode, _log_tail(log)


@contextmanager
def _folder(task: PartTask) -> Iterator[Path]:
    """Make the folder of a run on this worker, for the block only if nothing of it is kept."""
    if task.keep:
        folder = Path(task.folder) / task.run
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="windfleet-", ignore_cleanup_errors=True) as made:
        yield Path(made)


def _environment() -> dict[str, str]:
    """Return the child's environment: the worker's, without a store of its own."""
    kept = {name: value for name, value in os.environ.items() if name not in ENDPOINTS}
    return kept | child.safe_path()


def _wait(process: subprocess.Popen[bytes], worker: Any, key: str) -> None:
    """Wait until the process ends. Return earlier when nobody waits for the part any more."""
    while not child.has_ended(process):
        if not _is_wanted(worker, key):
            return
        time.sleep(POLL_S)


def _is_wanted(worker: Any, key: str) -> bool:
    state = worker.state.tasks.get(key)
    return worker.status.name in ("running", "paused") and (
        state is not None and state.state not in ("cancelled", "forgotten", "released")
    )


def _log_tail(log: Path) -> str:
    """Return the last lines of a part's output."""
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return "; ".join([line.strip() for line in lines if line.strip()][-MESSAGE_LINES:])
