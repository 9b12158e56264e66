"""Locust's processes for one phase, all on loopback.

They are either a single process, or a master with workers. The master forks its workers, or workers
that were started elsewhere join it.

- They run in sessions of their own. Ctrl-C reaches only windfleet, which ends them when their
  record is safe.
- A process whose parent has died ends itself.
- Workers that join are started elsewhere on this machine with `windfleet load --worker` (`join`).
  Each phase is a Locust run of its own. Workers find it in a file of the master's run directory.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import psutil

from sim.errors import EngineError
from sim.load.client.plan import over_path, pid_path

LOCUSTFILE: Final = Path(__file__).with_name("locustfile.py")
START_WITHIN_S: Final = 60.0
END_WITHIN_S: Final = 10.0
JOIN_POLL_S: Final = 0.2
_LOG: Final = "locust.log"
_LOG_LINES: Final = 6
CURRENT_PHASE: Final = "current-phase.json"
"""File in the folder of joining workers: the master's pid, the phase's folder, its port.

The phase's folder is null when no further phase comes.
"""
_QUIET: Final = ("--headless", "--only-summary", "--exit-code-on-error", "0")


class LocustProcesses:
    """The processes of one phase: a single client, or a master and `workers` clients."""

    def __init__(
        self,
        folder: Path,
        endpoint_url: str,
        users: int,
        workers: int,
        join_folder: Path | None = None,
    ) -> None:
        """Start them. Raises EngineError.

        join_folder: where joining workers look for the phase. None: workers are forked.
        """
        self._folder, self._workers = folder, workers
        self._single = workers == 1 and join_folder is None
        arguments = [*_QUIET, "--plan", str(folder), "--host", endpoint_url]
        arguments += ["--users", str(users), "--spawn-rate", str(users)]
        if not self._single:
            port = str(_free_port())
            arguments += ["--master-bind-host", "127.0.0.1", "--master-bind-port", port]
            arguments += ["--master-port", port]
            if join_folder is None:
                arguments += ["--processes", str(workers)]
            else:
                arguments += ["--master", "--expect-workers", str(workers)]
                _announce(join_folder, str(folder), port)
        self._process = _locust(arguments, folder / _LOG)

    def processes(self) -> dict[str, int]:
        """Return the known process ids by name: `client-0`, ..., and `master`."""
        pids = {} if self._single else {"master": self._process.pid}
        for worker in range(self._workers):
            with contextlib.suppress(OSError, ValueError):
                pid = int(pid_path(self._folder, worker).read_text(encoding="utf-8"))
                pids[f"client-{worker}"] = pid
        return pids

    def lost(self) -> list[int]:
        """Return the workers that died before they were done."""
        pids = [self.processes().get(f"client-{worker}") for worker in range(self._workers)]
        dead = [w for w, pid in enumerate(pids) if pid is not None and not _alive(pid)]
        return [worker for worker in dead if not over_path(self._folder, worker).exists()]

    def failed(self) -> bool:
        """Return True if Locust has ended with an error."""
        return self._process.poll() not in (None, 0)

    def running(self) -> bool:
        """Return True until Locust has ended."""
        return self._process.poll() is None

    def end(self) -> None:
        """Ask all processes to write their rows and end, then kill the rest. Safe to call again."""
        pids = list(self.processes().values())
        if self.running():
            self._process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_WITHIN_S)
        give_up = time.monotonic() + END_WITHIN_S / 2
        while any(_alive(pid) for pid in pids) and time.monotonic() < give_up:
            time.sleep(0.05)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # its session is its own group
        self._process.wait()  # a killed process ends at once

    def log_tail(self) -> str:
        """Return the last lines of Locust's log, as a text to append to a message."""
        try:
            text = (self._folder / _LOG).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        lines = text.strip().splitlines()[-_LOG_LINES:]
        if not lines:
            return ""
        return "\n".join(["\nThe end of Locust's log:", *(f"  {line}" for line in lines)])


def dismiss(join_folder: Path) -> None:
    """Let joined workers know that no further phase comes."""
    _announce(join_folder, None, "")


def join(join_folder: Path, report: Callable[[str], None]) -> None:
    """Run as a worker in every phase of a master, until it has no more.

    join_folder: the master's. report: called with a message for each phase.
    Raises EngineError if there is no master.
    """
    give_up, seen = time.monotonic() + START_WITHIN_S, ""
    process: subprocess.Popen[bytes] | None = None
    try:
        while True:
            current = _read(join_folder / CURRENT_PHASE)
            if current is not None and not _alive(current["pid"]):
                if seen:
                    return  # the master has died
                current = None  # left by an earlier master
            if current is None and time.monotonic() > give_up:
                raise EngineError(
                    f"{join_folder}: no `windfleet load --master` has asked for workers here"
                )
            if current is not None and not current["phase"]:
                return
            if current is not None and current["phase"] != seen:
                if process is not None:
                    _end(process)
                seen = current["phase"]
                report(f"joining phase {Path(seen).name}")
                process = _join_phase(Path(seen), current["port"])
            time.sleep(JOIN_POLL_S)
    finally:
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            _end(process)


def _join_phase(folder: Path, port: str) -> subprocess.Popen[bytes]:
    arguments = ["--worker", "--master-host", "127.0.0.1", "--master-port", port]
    return _locust([*arguments, "--plan", str(folder)], folder / f"locust-{os.getpid()}.log")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait until a process ends, and kill it after END_WITHIN_S."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_WITHIN_S)
    process.kill()  # no effect on a process that has ended


def _locust(arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start Locust without the user's own Locust settings. Raises EngineError."""
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--loglevel", "WARNING"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    try:
        with log.open("wb") as out:
            return subprocess.Popen(
                [*command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=env,
            )
    except OSError as error:
        raise EngineError(f"Locust cannot be started: {error}") from error


def _alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _announce(join_folder: Path, phase: str | None, port: str) -> None:
    """Write CURRENT_PHASE, in one step."""
    path = join_folder / CURRENT_PHASE
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    current = {"pid": os.getpid(), "phase": phase, "port": port}
    part.write_text(json.dumps(current), encoding="utf-8")
    part.replace(path)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        current: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        return None
    return current


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
