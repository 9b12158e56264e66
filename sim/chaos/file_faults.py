"""Faults of a node's own file, made for real: SQLite's locks, WAL and journal, and a full disk.

node.busy       Another process holds an exclusive lock on the file, as a backup or a VACUUM does
                (`LockHolder`).
node.wal        The writer was killed. `copy_with_wal` of a file in use gives exactly that
                state: the newest rows are only in the WAL, and there is no -shm to read it with.
node.journal    The writer was killed within a transaction, in rollback-journal mode.
                `interrupt_transaction` leaves some of its pages in the file and a hot journal
                beside it, which only a writer can roll back.
node.disk-full  The state of node.wal, under `disk_full`. The pipeline writes nothing on a node, but
                SQLite must create the -shm for any reader. Meanwhile no file of this process may
                grow (RLIMIT_FSIZE, which needs no root), and SQLite fails as on a full disk. A node
                whose -shm exists can still read on a full disk.

Files that the node's software has retired (`pipeline.generations`) are copied with the file in use.

Not covered: a torn WAL or a damaged file. Then the expected rows would not be known.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pipeline.generations import retired_files
from pipeline.records import TABLE

_HOLD: Final = """\
import json, sqlite3, sys
held = []
for line in sys.stdin:  # until the parent closes the pipe, or dies
    held.append(sqlite3.connect(json.loads(line), isolation_level=None))
    held[-1].execute("PRAGMA locking_mode = EXCLUSIVE")  # keeps readers out in WAL mode, too
    held[-1].execute("BEGIN EXCLUSIVE")
    print("held", flush=True)
"""


class LockHolder:
    """Another process that keeps databases locked. A context manager.

    The locks end with `close`, or with this process.
    """

    def __init__(self) -> None:
        command = [sys.executable, "-I", "-S", "-c", _HOLD]
        pipe = subprocess.PIPE
        # no stderr: its reader, this process, may have been killed
        self._process = subprocess.Popen(
            command,
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="ascii",
        )

    def lock(self, database: Path) -> None:
        """Lock a database, and return once the lock is taken. Raises OSError."""
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None
        assert answers is not None
        # JSON, since a file name may hold a newline or bytes that are not UTF-8
        requests.write(f"{json.dumps(str(database))}\n")
        requests.flush()
        if answers.readline() != "held\n":
            raise OSError(f"{database}: could not be locked by another process")

    def close(self) -> None:
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@cache
def _process_holder() -> LockHolder:
    return LockHolder()


@cache
def locked_copy(database: Path, folder: Path) -> Path:
    """Return a copy in `folder` that stays locked until this process ends.

    It is made once per database and folder, since a campaign makes many short runs.
    """
    copy = copy_with_wal(database, folder)
    _process_holder().lock(copy)
    return copy


def copy_with_wal(database: Path, folder: Path) -> Path:
    """Copy a database and its WAL as they are now, without the -shm. Return the copy's path.

    Names stay the same. An earlier copy of this database in `folder` is removed. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    copy, wal = folder / database.name, Path(f"{database}-wal")
    for old in folder.glob(f"{database.stem}.*"):
        old.unlink()
    for path in retired_files(database):
        shutil.copyfile(path, folder / path.name)
    shutil.copyfile(database, copy)
    if wal.exists():
        shutil.copyfile(wal, f"{copy}-wal")
    return copy


def interrupt_transaction(copy: Path) -> None:
    """Give a copy the hot journal of a writer that was killed within a transaction.

    Raises OSError, sqlite3.Error.
    """
    checkpoint_wal(copy)
    file, work = str(copy), f"{copy}.work"
    shutil.copyfile(copy, work)
    with contextlib.closing(sqlite3.connect(work, isolation_level=None)) as writer:
        # a cache of two pages: the others reach the file before the transaction ends
        writer.execute("PRAGMA cache_size = 2")
        writer.execute("BEGIN")
        writer.execute(f"UPDATE {TABLE} SET status = NULL")
        writer.executemany(f"INSERT INTO {TABLE} (turbine_id) VALUES (?)", [("x" * 2000,)] * 20)
        for ending in ("", "-journal"):
            shutil.copyfile(work + ending, file + ending)
    os.unlink(work)


def checkpoint_wal(database: Path) -> None:
    """Write the WAL into the database and leave one plain file. Raises sqlite3.Error."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")


def process_folder(top: Path, name: str) -> Path:
    """Return a folder for this process only, within one that several processes share."""
    return top / f"{name}-{os.getpid()}"


@contextlib.contextmanager
def disk_full(room: int = 0) -> Iterator[None]:
    """Keep every file of this process from growing beyond `room` bytes.

    Reads still work, and so do writes within a file's length.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
