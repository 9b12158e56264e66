"""Ownership of a folder by one process, through a lock on a file in the folder.

The process holds the lock as long as it lives. The kernel releases it when the process ends, also
by SIGKILL, so a file left behind blocks nobody. Child processes do not inherit it. On NFS the lock
works between machines only if the server's lock service runs.
"""

from __future__ import annotations

import fcntl
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

LOCK_FILE: Final = ".windfleet.lock"


class Occupied(Exception):
    """A folder that another process owns; the text names the process and the time."""


@contextmanager
def owned(folder: Path, wait: bool = False) -> Iterator[None]:
    """Own an existing folder for the block. wait: True to wait until its present owner ends.

    Raises Occupied, and OSError if no lock is possible.
    """
    path = folder / LOCK_FILE
    file = _locked(path, wait)
    try:
        os.ftruncate(file, 0)
        since = datetime.now(UTC).isoformat(timespec="seconds")
        os.pwrite(
            file, f"process {os.getpid()} on {socket.gethostname()}, since {since}".encode(), 0
        )
        yield
    finally:
        with suppress(OSError):
            if _is(path, file):
                # Still locked: a process that has it open finds it removed, and makes another.
                path.unlink()
        os.close(file)


def is_owned(folder: Path) -> bool:
    """Return True while a process owns the folder. Never takes the lock itself.

    The owner may run on another machine, where nobody here sees it end: it counts as there.
    """
    try:
        text = (folder / LOCK_FILE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    owner = re.match(r"process (\d+) on (\S+),", text)
    if owner is None or owner[2] != socket.gethostname():
        return True
    with suppress(ProcessLookupError):
        with suppress(PermissionError):
            os.kill(int(owner[1]), 0)
        return True
    return False


def _locked(path: Path, wait: bool) -> int:
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if _is(path, file):
                return file
        except BlockingIOError:
            owner = os.pread(file, 1000, 0).decode(errors="replace")
            os.close(file)
            raise Occupied(owner or "a process that has just begun") from None
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def _is(path: Path, file: int) -> bool:
    """Return True while the path still leads to the open file."""
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(file))
    except FileNotFoundError:
        return False
