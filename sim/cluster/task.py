"""One part as a task of Dask: it runs on a worker, in a process of its own.

The node files stay in the worker's folder, and that process judges them. The record of the part
comes back (`sim.cluster.record_files`).

The store is the one that the client names. A worker's own AWS_ENDPOINT_URL is left out, so a part
without a named store has an embedded LocalStack, wherever it runs. Credentials, region, CA bundle
and proxies are the worker's own.

A part is stopped when its task is cancelled, which a client that goes away does too, and when the
worker closes. It ends by itself when the worker dies (`sim.cluster.child`).
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.settings import ENDPOINTS
from sim.cluster import child
from sim.cluster.presence import presence
from sim.cluster.record_files import RecordFiles, read
from sim.errors import ENVIRONMENT, ClusterError
from sim.run.part_index import PartIndex
from sim.run_directory import PART_FILE

POLL_S: Final = 0.2
MESSAGE_LINES: Final = 3
BEGAN, ENDED = "began", "ended"


@dataclass(frozen=True)
class PartTask:
    """A part to run.

    run: id of the run: topic of its events, and its folder below `folder`, which is relative to
    the worker's working directory. scenario: the resolved text. versions: that the worker must
    have. workers: processes of the part; None: the host's cores, divided by `threads_on` the host.
    options: of the store, for the command line.
    """

    run: str
    part: PartIndex
    scenario: str
    folder: str
    versions: Mapping[str, str]
    workers: int | None
    threads_on: Mapping[str, int]
    options: tuple[str, ...]


@dataclass(frozen=True)
class PartReply:
    """A part that came to its verdict, or that cannot: then `files` is None.

    worker: its address. folder: of the node files there. message: the part's last words.
    """

    part: PartIndex
    worker: str
    folder: str
    exit_code: int
    files: RecordFiles | None
    message: str


def part_folder(part: PartIndex) -> str:
    """Return the name of a part's directory."""
    return f"part-{part.index}-of-{part.count}"


def run_part(task: PartTask) -> PartReply:
    """Run a part. Raises ClusterError for a failure of this machine: Dask tries the part again."""
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
    here = presence()
    if here["versions"] != {**task.versions, "python": here["versions"]["python"]}:
        # It came after the roll call. Another attempt could meet it again.
        text = "joined with other versions of windfleet or its packages"
        return PartReply(task.part, worker.address, "", ENVIRONMENT, None, text)
    threads = task.threads_on.get(here["host"], worker.state.nthreads)
    workers = task.workers or max(1, here["cores"] // threads)
    folder = Path(task.folder) / task.run
    out = folder / part_folder(task.part)
    scenario = out.with_suffix(".yaml")
    log = out.with_suffix(".log")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        scenario.write_text(task.scenario, encoding="utf-8")
        (out / PART_FILE).unlink(missing_ok=True)  # of an attempt before
        with log.open("wb") as output:
            arguments = ["run", str(scenario), "--shard", str(task.part), "--out", str(out)]
            more = ["--overwrite", "--workers", str(workers), *task.options]
            process = child.start([*arguments, *more], _environment(), output)
            try:
                _wait(process, worker, key)
            finally:
                child.stop(process)
        message = _last_words(log)
    except OSError as error:
        raise ClusterError(f"{worker.address}: {folder}: {error.strerror or error}") from None
    code = process.returncode
    if code == ENVIRONMENT or code < 0 or (code == 0 and not (out / PART_FILE).exists()):
        ended = f"signal {-code}" if code < 0 else f"exit code {code}"
        raise ClusterError(f"{worker.address} ({here['host']}): {ended}: {message}")
    files = read(out) if (out / PART_FILE).exists() else None
    return PartReply(task.part, worker.address, str(out.resolve()), code, files, message)


def _environment() -> dict[str, str]:
    """Return the child's environment: the worker's, without a store of its own."""
    kept = {name: value for name, value in os.environ.items() if name not in ENDPOINTS}
    return kept | child.safe_path()


def _wait(process: subprocess.Popen[bytes], worker: Any, key: str) -> None:
    """Wait until the process ends. Return earlier when nobody waits for the part any more."""
    while process.poll() is None:
        if not _is_wanted(worker, key):
            return
        time.sleep(POLL_S)


def _is_wanted(worker: Any, key: str) -> bool:
    state = worker.state.tasks.get(key)
    return worker.status.name in ("running", "paused") and (
        state is not None and state.state not in ("cancelled", "forgotten", "released")
    )


def _last_words(log: Path) -> str:
    """Return the last lines of a part's output."""
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return "; ".join([line.strip() for line in lines if line.strip()][-MESSAGE_LINES:])
