"""The log of a table's batches, as Structured Streaming keeps its offsets.

A batch is written here before its rows go into the Delta table, whose transaction carries the
batch's number. After a kill the last batch is in the log and perhaps not in the table: it is made
again with the same objects. So each object is in one batch, and each batch in one transaction.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sim.check.read.lake import ObjectRef
from sim.errors import QueryError

_SUFFIX: Final = ".json"


@dataclass
class Offsets:
    """The batches of one table. `known`: key -> size of every object in one of them."""

    folder: Path
    bucket: str
    last: int = 0
    known: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path, bucket: str) -> Offsets:
        """Raises QueryError for a log that cannot be read."""
        log = cls(folder, bucket)
        for path in sorted(folder.glob(f"*{_SUFFIX}")) if folder.is_dir() else ():
            log.known.update((ref.key, ref.size) for ref in log._batch(path))
            log.last = int(path.stem)
        return log

    def batch(self, number: int) -> list[ObjectRef]:
        """Return the objects of a batch. Raises QueryError."""
        return self._batch(self._path(number))

    def append(self, refs: Sequence[ObjectRef]) -> int:
        """Add a batch and return its number. Durable when this returns. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        number = self.last + 1
        part = self.folder / f".{number}.part"
        with part.open("w", encoding="utf-8") as file:
            json.dump([[ref.key, ref.size] for ref in refs], file, separators=(",", ":"))
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._path(number))
        _sync(self.folder)
        self.last = number
        self.known.update((ref.key, ref.size) for ref in refs)
        return number

    def _batch(self, path: Path) -> list[ObjectRef]:
        try:
            entries = json.loads(path.read_text(encoding="utf-8"))
            return [ObjectRef(self.bucket, str(key), int(size)) for key, size in entries]
        except (OSError, ValueError, TypeError) as error:
            raise QueryError(
                f"{path}: not a batch of a warehouse ({error}); remove the warehouse and load again"
            ) from error

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:08}{_SUFFIX}"


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
