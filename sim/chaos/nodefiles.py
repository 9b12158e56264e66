"""What befalls a node's own file, made real: SQLite's locks, its write-ahead log, a disk that takes nothing more.

    node.busy       another process holds the file by an exclusive lock (a backup, a VACUUM): `Holder`
    node.wal        the writer was killed: `copy_with_log` of a file in use is what is left then, the newest rows in the
                    log alone and no -shm to read it by
    node.journal    the same of a writer with a rollback journal, within a transaction: `interrupted` leaves some of its
                    pages in the file and a hot journal beside it, which only a writer can roll back
    node.disk-full  the file of node.wal under `disk_full`. The pipeline writes nothing on a node, but SQLite has to
                    make that -shm for any reader; meanwhile no file of this process may grow (RLIMIT_FSIZE, which needs
                    no root), and SQLite fails as on a full disk. A node whose -shm is there reads on, however full its
                    disk.

Files that the node's software has retired (`pipeline.generations`) go with the file in use.
Not covered: a log that is torn, a file that is damaged: then other rows than those written are the truth.
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
for line in sys.stdin:  # until whoever started this lets go, or dies
    held.append(sqlite3.connect(json.loads(line), isolation_level=None))
    held[-1].execute("PRAGMA locking_mode = EXCLUSIVE")  # in WAL mode, too, this keeps readers out
    held[-1].execute("BEGIN EXCLUSIVE")
    print("held", flush=True)
"""


class Holder:
    """Another process that holds databases locked until `close`, or until this process ends. A context manager."""

    def __init__(self) -> None:
        command = [sys.executable, "-I", "-S", "-c", _HOLD]
        pipe, nobody = (
            subprocess.PIPE,
            subprocess.DEVNULL,
        )  # whom it would tell may have been killed
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=nobody, text=True, encoding="ascii"
        )

    def hold(self, database: Path) -> None:
        """Raises OSError."""
        tell, hear = self._process.stdin, self._process.stdout
        assert tell is not None
        assert hear is not None
        tell.write(
            f"{json.dumps(str(database))}\n"
        )  # a name may hold anything, also bytes that are not UTF-8
        tell.flush()
        if hear.readline() != "held\n":
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
def _lasting_holder() -> Holder:
    return Holder()


@cache
def lasting_copy(database: Path, folder: Path) -> Path:
    """A locked copy in `folder`, made once, and held until this process ends: for worlds of many short runs."""
    copy = copy_with_log(database, folder)
    _lasting_holder().hold(copy)
    return copy


def copy_with_log(database: Path, folder: Path) -> Path:
    """Database and log as they are now, into `folder` under the same names and without a -shm; the copy's path.

    Whatever an earlier copy left there of this database goes. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    copy, log = folder / database.name, Path(f"{database}-wal")
    for old in folder.glob(f"{database.stem}.*"):
        old.unlink()
    for path in retired_files(database):
        shutil.copyfile(path, folder / path.name)
    shutil.copyfile(database, copy)
    if log.exists():
        shutil.copyfile(log, f"{copy}-wal")
    return copy


def interrupted(copy: Path) -> None:
    """Turn a copy into what a writer that was killed within a transaction leaves. Raises OSError, sqlite3.Error."""
    fold_in(copy)
    file, work = str(copy), f"{copy}.work"
    shutil.copyfile(copy, work)
    with contextlib.closing(sqlite3.connect(work, isolation_level=None)) as writer:
        writer.execute(
            "PRAGMA cache_size = 2"
        )  # pages: the others go to the file before the transaction ends
        writer.execute("BEGIN")
        writer.execute(f"UPDATE {TABLE} SET status = NULL")
        writer.executemany(f"INSERT INTO {TABLE} (turbine_id) VALUES (?)", [("x" * 2000,)] * 20)
        for ending in ("", "-journal"):
            shutil.copyfile(work + ending, file + ending)
    os.unlink(work)


def fold_in(database: Path) -> None:
    """From a database with a log to a plain file. Raises sqlite3.Error."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")


def own_folder(top: Path, name: str) -> Path:
    """A folder of this process alone, in a place that several share."""
    return top / f"{name}-{os.getpid()}"


@contextlib.contextmanager
def disk_full() -> Iterator[None]:
    """No file of this process can grow; what is there can be read, and written within its length."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
