"""A node's SQLite file, opened read-only: its URI, its readability, and the validity of its ids.

SQLite's result codes classify an error, never its messages. ADBC does not report the codes: when a
read through it fails, Python's sqlite3 opens the file to get the code. A reader waits LOCK_WAIT_S
for a lock.

A temporary state raises SourceBusy:

- A lock.
- A full disk.
- A hot rollback journal: the writer died within a transaction. The node's software rolls it back
  when it opens the file; a read-only reader may not.
- A file in WAL mode whose -shm cannot be created in its folder. If it has no write-ahead log, it is
  read with `immutable` instead, provided that it does not change meanwhile.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from pipeline.records import TABLE

LOCK_WAIT_S = 5.0
"""Longest wait of one read for a lock. In journal mode DELETE a commit locks readers out."""
_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_EXHAUSTED = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM}
_NO_SHM = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
"""Primary codes of a WAL-mode file whose -shm cannot be created, if it has no hot journal."""
_LONGEST_PATH = 504  # 512, less the suffix `-journal`
_FIX = (
    "copy the rows into a table whose id is INTEGER PRIMARY KEY, "
    "numbered in the order in which they were stored"
)


class SourceError(Exception):
    """A node's database that cannot be read; the text names the file and the defect."""


class SourceBusy(SourceError):
    """A database that cannot be read now (locked, disk full); a later attempt may succeed."""


def shown(path: Path | str) -> str:
    """Return a file's name as text for messages and documents.

    Bytes that are not UTF-8 become `\\xNN`.
    """
    return os.fsencode(path).decode(errors="backslashreplace")


def uri(path: Path, parameters: str = "mode=ro") -> str:
    """Return the file's SQLite URI.

    Its authority is empty, so that two leading slashes of a path name no host.
    """
    return f"file://{quote(os.fsencode(os.path.abspath(path)))}?{parameters}"


@contextmanager
def readable(path: Path, wait_s: float = LOCK_WAIT_S) -> Iterator[str]:
    """Yield the URI under which SQLite can read the file now.

    Raises SourceError, also if the file changed during a read with `immutable`. `source.read`
    first tries the plain URI, and uses this one only after that has failed.
    """
    if not os.path.isfile(path):
        exists = os.path.lexists(path)
        problem = "not a regular file; name a SQLite database" if exists else "no such file"
        raise SourceError(f"{shown(path)}: {problem}")
    before, file_uri = _stamp(path), uri(path)
    try:
        _probe(file_uri, wait_s)
    except sqlite3.Error as error:
        if error.sqlite_errorcode & 0xFF not in _NO_SHM or _has_log(path):
            raise reason(path, error) from error
        file_uri = uri(path, "mode=ro&immutable=1")
        try:
            _probe(file_uri, wait_s)
        except sqlite3.Error:
            raise reason(path, error) from error
    yield file_uri
    if file_uri != uri(path) and (_has_log(path) or _stamp(path) != before):
        raise SourceBusy(
            f"{shown(path)}: changed while it was read without a write-ahead log; try again"
        )


@contextmanager
def opened(path: Path, wait_s: float = LOCK_WAIT_S) -> Iterator[sqlite3.Connection]:
    """Open a read-only connection, whose errors leave the block as SourceError."""
    with readable(path, wait_s) as file_uri:
        try:
            with closing(sqlite3.connect(file_uri, uri=True, timeout=wait_s)) as connection:
                yield connection
        except sqlite3.Error as error:
            raise reason(path, error) from error


def reason(path: Path, error: sqlite3.Error) -> SourceError:
    """Return the error that names the file, SQLite's reason and the fix."""
    name, code = shown(path), getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    if code == sqlite3.SQLITE_READONLY_ROLLBACK:
        return SourceBusy(
            f"{name}: its writer died within a transaction, and the journal "
            f"{shown(path.name)}-journal has not been rolled back; "
            "the node's software does so when it opens the file: try again after that"
        )
    if code & 0xFF in _LOCKED:
        return SourceBusy(f"{name}: another process holds the database locked; try again")
    if code & 0xFF in _EXHAUSTED:
        return SourceBusy(
            f"{name}: cannot be read now: {error} (is the node's disk full?); try again"
        )
    if code & 0xFF in _NO_SHM:
        if not os.access(path, os.R_OK):
            return SourceError(f"{name}: this user may not read the file; change its permissions")
        if len(os.fsencode(os.path.abspath(path))) > _LONGEST_PATH:
            return SourceError(
                f"{name}: SQLite opens only paths of at most {_LONGEST_PATH} bytes; move the file"
            )
        return SourceBusy(
            f"{name}: in WAL mode, and SQLite cannot create or read {shown(path.name)}-shm beside "
            f"it; let this user write in the folder {shown(path.absolute().parent)}, and try again"
        )
    return SourceError(f"{name}: not a readable SQLite database ({error})")


def id_problem(nulls: int, others: int, repeated: int) -> str | None:
    """Return the defect of a table's ids and the fix.

    None if the ids are integers, none is missing and none is repeated.
    """
    found = [
        f"{count:,} row{'s' * (count > 1)} {text}"
        for count, text in ((nulls, "without an id"), (others, "with an id that is not an integer"))
        if count
    ]
    if repeated:
        found.append(f"{repeated:,} row{'s' * (repeated > 1)} with the id of another row")
    return f"table {TABLE} has {' and '.join(found)}; {_FIX}" if found else None


COUNT_IDS = (
    f"SELECT count(*) - count({TABLE}.id), "
    f"count(CASE WHEN typeof({TABLE}.id) NOT IN ('integer', 'null') THEN 1 END), "
    f"count({TABLE}.id) - count(DISTINCT {TABLE}.id) FROM {TABLE}"
)
"""SQL of the three arguments of `id_problem`, in one scan of the table."""
DEFINITION = (
    f"(SELECT CAST(sql AS BLOB) FROM sqlite_master WHERE name = '{TABLE}' COLLATE NOCASE "
    "AND type IN ('table', 'view'))"
)
"""SQL expression for the table's own CREATE statement, as bytes."""


@lru_cache(1024)
def id_is_rowid(definition: bytes) -> bool:
    """Return True for a table whose id is the rowid, which SQLite itself keeps valid.

    False for a view, WITHOUT ROWID, `id INTEGER` and `id TEXT PRIMARY KEY`. SQLite lets such ids be
    null, text or repeated, so their rows must be checked.
    """
    if not definition.startswith(b"CREATE TABLE"):
        return False
    with closing(sqlite3.connect(":memory:")) as empty:
        try:
            empty.execute(definition.decode())
            keys = [
                row[1].lower() for row in empty.execute(f"PRAGMA table_xinfo({TABLE})") if row[5]
            ]
            indexed = any(row[3] == "pk" for row in empty.execute(f"PRAGMA index_list({TABLE})"))
        except (sqlite3.Error, UnicodeDecodeError):
            # SQL of another version of SQLite, or with a function that only the node defines.
            return False
    return keys == ["id"] and not indexed


def _probe(file_uri: str, wait_s: float) -> None:
    with closing(sqlite3.connect(file_uri, uri=True, timeout=wait_s)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()


def _has_log(path: Path) -> bool:
    """Return True if the file has a journal of either kind that is not empty or cannot be examined.

    A journal lies beside the file itself, to which `path` may be a symbolic link.
    """
    for ending in ("-wal", "-journal"):
        try:
            if os.stat(f"{os.path.realpath(path)}{ending}").st_size:
                return True
        except FileNotFoundError:
            pass
        except OSError:
            return True
    return False


def _stamp(path: Path) -> tuple[int, int, int]:
    """Return inode, size and modification time. Every write or replacement changes one of them."""
    found = os.stat(path)
    return found.st_ino, found.st_size, found.st_mtime_ns
