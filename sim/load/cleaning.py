"""Every key that a load test may have written, noted before the PUT goes out: all that its end removes.

An answer that never came, a process that was killed: the object may be there all the same, and no record of what was
done would name it.
"""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.ports import ObjectStore

Key = tuple[str, str]
"""(bucket, key)"""


class Noting:
    """See `pipeline.ports.ObjectStore`. Safe to share between threads: a note is one append."""

    def __init__(self, store: ObjectStore, folder: Path, name: str) -> None:
        """Notes go to a file of that name in the folder. Raises OSError."""
        self._store = store
        self._file = os.open(folder / f"keys-{name}.tsv", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.get, self.list = store.get, store.list

    def create(self, bucket: str, key: str, body: bytes) -> str:
        os.write(self._file, f"{bucket}\t{key}\n".encode())
        return self._store.create(bucket, key, body)

    def replace(self, bucket: str, key: str, body: bytes, etag: str) -> str:
        return self._store.replace(bucket, key, body, etag)  # it is there already


def noted(folder: Path) -> set[Key]:
    """All notes of a phase's folder."""
    lines = [line for path in sorted(folder.glob("keys-*.tsv")) for line in path.read_text().splitlines()]
    return {(bucket, key) for bucket, _, key in (line.partition("\t") for line in lines)}
