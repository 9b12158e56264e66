"""Locust as subprocesses: one process, a master with workers that it forks, or a master that workers join.

All on loopback. They run in sessions of their own: Ctrl-C is for us, and we end them when their record is safe; a
process whose parent has died ends itself. Workers that join are started elsewhere on this machine by `windfleet load
--worker` (`join`): they find each phase in a file of the master's run directory, since each phase is a Locust run of
its own.
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
_CALL: Final = "crew.json"


class Crew:
    """The processes of one phase.

    awaited: the folder in which joining workers look for the phase, None when workers are forked.
    """

    def __init__(
        self, folder: Path, endpoint_url: str, users: int, workers: int, awaited: Path | None = None
    ) -> None:
        """Start them. Raises EngineError."""
        self._folder, self._workers = folder, workers
        arguments = [
            "--headless",
            "--only-summary",
            "--exit-code-on-error",
            "0",
            "--plan",
            str(folder),
        ]
        arguments += ["--host", endpoint_url, "--users", str(users), "--spawn-rate", str(users)]
        if awaited is not None or workers > 1:
            port = str(_free_port())
            arguments += [
                "--master-bind-host",
                "127.0.0.1",
                "--master-bind-port",
                port,
                "--master-port",
                port,
            ]
            how = ["--processes"] if awaited is None else ["--master", "--expect-workers"]
            arguments += [*how, str(workers)]
            if awaited is not None:
                _replace(awaited / _CALL, {"pid": os.getpid(), "phase": str(folder), "port": port})
        self._process = _locust(arguments, folder / _LOG)
        self._alone = workers == 1 and awaited is None

    def processes(self) -> dict[str, int]:
        """Process ids by name, as far as they are known: `client-0`, ..., and `master`."""
        pids = {} if self._alone else {"master": self._process.pid}
        for worker in range(self._workers):
            with contextlib.suppress(OSError, ValueError):
                pids[f"client-{worker}"] = int(
                    pid_path(self._folder, worker).read_text(encoding="utf-8")
                )
        return pids

    def lost(self) -> list[int]:
        """Workers that have died before they had done their part."""
        pids = [self.processes().get(f"client-{worker}") for worker in range(self._workers)]
        dead = [w for w, pid in enumerate(pids) if pid is not None and not _alive(pid)]
        return [worker for worker in dead if not over_path(self._folder, worker).exists()]

    def failed(self) -> bool:
        """Whether Locust has ended with an error of its own."""
        return self._process.poll() not in (None, 0)

    def running(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        """Let them write what they know; then make sure that none is left. Safe to call again."""
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
        """The end of what Locust said."""
        with contextlib.suppress(OSError):
            lines = (
                (self._folder / _LOG)
                .read_text(encoding="utf-8", errors="replace")
                .strip()
                .splitlines()
            )
            if lines:
                return "\nThe end of Locust's log:\n" + "\n".join(
                    f"  {line}" for line in lines[-_LOG_LINES:]
                )
        return ""


def dismiss(awaited: Path) -> None:
    """Tell workers that joined that no further phase comes."""
    _replace(awaited / _CALL, {"pid": os.getpid(), "phase": None, "port": ""})


def join(awaited: Path, say: Any) -> None:
    """Be a worker for every phase of the master whose folder this is, until it has no more. `say` tells people.

    Raises EngineError when there is no master.
    """
    give_up, seen = time.monotonic() + START_WITHIN_S, ""
    process: subprocess.Popen[bytes] | None = None
    try:
        while True:
            call = _read(awaited / _CALL)
            if call is not None and not _alive(call["pid"]):  # of a master of old, or of ours
                call = None
                if seen:
                    return
            if call is None and time.monotonic() > give_up:
                raise EngineError(
                    f"{awaited}: no `windfleet load --master` has called for workers here"
                )
            if call is not None and not call["phase"]:
                return
            if call is not None and call["phase"] != seen:
                if process is not None:
                    _end(process)
                seen = call["phase"]
                say(f"joining phase {Path(seen).name}")
                arguments = [
                    "--worker",
                    "--master-host",
                    "127.0.0.1",
                    "--master-port",
                    call["port"],
                    "--plan",
                    seen,
                ]
                process = _locust(arguments, Path(seen) / f"locust-{os.getpid()}.log")
            time.sleep(JOIN_POLL_S)
    finally:
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Its phase is over: let it end by itself, and kill it if it does not within END_WITHIN_S."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_WITHIN_S)
    process.kill()  # nothing, if it has ended


def _locust(arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "locust",
        "-f",
        str(LOCUSTFILE),
        "--loglevel",
        "WARNING",
        *arguments,
    ]
    env = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    try:
        with log.open("wb") as out:
            return subprocess.Popen(
                command,
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


def _replace(path: Path, call: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(call), encoding="utf-8")
    part.replace(path)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        call: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        return None
    return call


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
