"""A node's SQLite file in its last committed state, whatever journal its writer left; the run's files stay untouched.

    no journal beside it      the file itself, opened as immutable: SQLite makes nothing and waits for nobody
    -journal or -wal with     a private copy of the file and its journals, which SQLite recovers when it opens it: a hot
    content                   rollback journal is rolled back, a write-ahead log is read, a stale one is passed over

A copy is needed, because a reader that may not write cannot recover, and an immutable file that has a journal shows
uncommitted pages. Files that change meanwhile are refused: their writer is still at work.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

_JOURNALS: Final = ("-journal", "-wal")


class NodeError(Exception):
    """A node's files cannot be read; the text names the file and why."""


def shown(path: Path | str) -> str:
    """A file's name as text; bytes that are not UTF-8 as `\\xNN`."""
    return os.fsencode(path).decode(errors="backslashreplace")


@contextmanager
def settled(path: Path) -> Iterator[str]:
    """A SQLite URI of the file as last committed. Raises NodeError, also when it was written to within the block."""
    path = Path(
        os.path.realpath(path)
    )  # journals lie beside the file, not beside a symbolic link to it
    before = _stamps(path)
    if all(size == 0 for _, size, _ in before[1:]):
        yield _uri(path, "mode=ro&immutable=1")
    else:
        with tempfile.TemporaryDirectory(prefix="windfleet-node-") as folder:
            copy = Path(folder, "node.db")
            for ending in ("", *_JOURNALS):
                if os.path.exists(f"{path}{ending}"):
                    shutil.copyfile(f"{path}{ending}", f"{copy}{ending}")
            _refuse_changes(path, before)
            yield _uri(copy, "mode=rw")
    _refuse_changes(path, before)


def _refuse_changes(path: Path, before: list[tuple[int, int, int]]) -> None:
    if _stamps(path) != before:
        raise NodeError(
            f"{shown(path)}: was written to while it was read; judge again when its writer is done"
        )


def _stamps(path: Path) -> list[tuple[int, int, int]]:
    """Inode, size and time of change of the file and its journals; zeros of one that is not there."""
    found = []
    for ending in ("", *_JOURNALS):
        try:
            status = os.stat(f"{path}{ending}")
        except FileNotFoundError:
            found.append((0, 0, 0))
        else:
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
    return found


def _uri(path: Path, parameters: str) -> str:
    """Its authority is empty: two leading slashes of a path name no host."""
    return f"file://{quote(os.fsencode(os.path.abspath(path)))}?{parameters}"
