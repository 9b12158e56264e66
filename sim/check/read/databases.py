"""A node's SQLite file in its last committed state. The run's files are never changed.

no journal          The file itself, opened as immutable: SQLite creates no file and takes no lock.
-journal or -wal    A private copy of the file and its journals. SQLite recovers the copy when it
with content        opens it: it rolls back a hot rollback journal, reads a write-ahead log, and
                    ignores a stale one.

The copy is needed because a reader without write access cannot recover, and because an immutable
file with a journal shows uncommitted pages. Files that change during the read are refused: their
writer is still at work.
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
    """A node's files cannot be read. The text names the file and the reason."""


def path_text(path: Path | str) -> str:
    """Return a path as text, with `\\xNN` for bytes that are not UTF-8."""
    return os.fsencode(path).decode(errors="backslashreplace")


@contextmanager
def settled(path: Path) -> Iterator[str]:
    """Yield a SQLite URI of the file as last committed.

    Raises NodeError, also when the file was written to within the block.
    """
    if os.path.islink(path):  # journals are beside the file, not beside a symbolic link to it
        path = Path(os.path.realpath(path))
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
            f"{path_text(path)}: written to during the read; judge again when its writer has ended"
        )


def _stamps(path: Path) -> list[tuple[int, int, int]]:
    """Inode, size and modification time (ns) of the file and its journals; zeros if missing."""
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
    """SQLite URI of a file. Its authority is empty, so that a path with `//` at its start works."""
    return f"file://{quote(os.fsencode(os.path.abspath(path)))}?{parameters}"
