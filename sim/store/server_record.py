"""The record of the detached LocalStack of this checkout: `.localstack/server.json`.

The system reuses pids. A process is the recorded server only if pid and start time both agree.
"""

import dataclasses
import json
import os
import pathlib

import psutil

FILE = "server.json"
START_TIME_TOLERANCE_S = 2.0
"""psutil derives the start time from the boot time, which moves with the clock."""


@dataclasses.dataclass(frozen=True)
class Server:
    """A detached LocalStack.

    create_time: start of the process as psutil has it, s since 1970.
    started: ISO 8601, UTC.
    directory: its files and its log.
    """

    endpoint_url: str
    port: int
    pid: int
    create_time: float
    started: str
    directory: str
    gateway: str = "stock"  # of a record without it
    processes: int = 1


def read_state(home: pathlib.Path) -> Server | None:
    """Return the recorded server, alive or not; None without a record that can be read."""
    try:
        return Server(**json.loads((home / FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_state(home: pathlib.Path, server: Server) -> None:
    """Record `server`. The file appears whole or not at all."""
    draft = home / f"{FILE}.{os.getpid()}"
    draft.write_text(json.dumps(dataclasses.asdict(server), indent=2) + "\n", encoding="utf-8")
    draft.replace(home / FILE)


def remove_state(home: pathlib.Path, pid: int) -> None:
    """Remove the record of the server `pid`. A record of another one stays."""
    server = read_state(home)
    if server is not None and server.pid == pid:
        (home / FILE).unlink(missing_ok=True)


def is_alive(server: Server) -> bool:
    """Return True if the recorded process runs, and not a later one with its pid."""
    try:
        process = psutil.Process(server.pid)
        return (
            abs(process.create_time() - server.create_time) < START_TIME_TOLERANCE_S
            and process.status() != psutil.STATUS_ZOMBIE
        )
    except psutil.NoSuchProcess:
        return False
