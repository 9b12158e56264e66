"""New records of files that other processes append to.

A file stays open, so that its last bytes are read even when the run has removed it. The end of an
incomplete record is kept for the next time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

PIECE_BYTES: Final = 8 * 1024 * 1024
"""Most bytes that are read at once. It bounds the memory of a watch that begins late."""


class Tail:
    """A file that grows. record_bytes: size of a record; None: records are lines."""

    def __init__(self, path: Path, record_bytes: int | None = None) -> None:
        """Open the file. Raises OSError."""
        self._file = os.open(path, os.O_RDONLY)
        self._record_bytes = record_bytes
        self._offset = 0
        self._rest = b""

    def pieces(self) -> Iterator[bytes]:
        """Yield complete records that were appended since the last call."""
        while found := os.pread(self._file, PIECE_BYTES, self._offset):
            self._offset += len(found)
            whole, self._rest = self._split(self._rest + found)
            if whole:
                yield whole

    def _split(self, data: bytes) -> tuple[bytes, bytes]:
        if self._record_bytes is None:
            end = data.rfind(b"\n") + 1
        else:
            end = len(data) - len(data) % self._record_bytes
        return data[:end], data[end:]

    @property
    def removed(self) -> bool:
        """Return True once the file has no name any more."""
        return os.fstat(self._file).st_nlink == 0

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


class FolderTail:
    """All files of a folder whose names match a pattern, also those that appear later."""

    def __init__(self, folder: Path, pattern: str, record_bytes: int | None = None) -> None:
        self._folder, self._pattern, self._record_bytes = folder, pattern, record_bytes
        self._tails: dict[str, Tail] = {}
        self.seen = 0

    def pieces(self) -> Iterator[bytes]:
        """Yield new records of all files. Files that were removed are read to their end first."""
        with suppress(OSError):
            for path in sorted(self._folder.glob(self._pattern)):
                if path.name not in self._tails:
                    with suppress(OSError):  # removed since
                        self._tails[path.name] = Tail(path, self._record_bytes)
                        self.seen += 1
        for name, tail in list(self._tails.items()):
            removed = tail.removed
            yield from tail.pieces()
            if removed:
                tail.close()
                del self._tails[name]

    def close(self) -> None:
        """Close all files."""
        for tail in self._tails.values():
            tail.close()
        self._tails.clear()
