"""The log of a table's batches, as Structured Streaming keeps its offsets.

A batch is written here before its rows go into the Delta table, whose transaction carries the
batch's number. After a kill the last batch is in the log and perhaps not in the table: it is made
again with the same objects. So each object is in one batch, and each batch in one transaction.

The log is one file that only grows: a line per batch, which is a JSON array of keys. The first line
is batch 1. A line without its end was cut off by a kill before the batch counted; the next batch
takes its place.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sim.errors import QueryError, reason


@dataclass
class Offsets:
    """The batches of one table.

    last: number of the last batch. latest: its keys. known: the keys of all batches.
    """

    path: Path
    last: int = 0
    latest: list[str] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    _end: int = 0

    @classmethod
    def read(cls, path: Path) -> Offsets:
        """Raises QueryError for a log that cannot be read."""
        log = cls(path)
        try:
            with path.open("rb") as file:
                for line in file:
                    if line.endswith(b"\n"):
                        log._add(_keys(line), len(line))
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            why = reason(error) if isinstance(error, OSError) else error
            raise QueryError(
                f"{path}: batch {log.last + 1} cannot be read ({why}); "
                "remove the warehouse and load again"
            ) from error
        return log

    def append(self, keys: Sequence[str]) -> int:
        """Add a batch and return its number. Durable when this returns. Raises OSError."""
        line = json.dumps(list(keys), separators=(",", ":")).encode() + b"\n"
        new = not self.path.exists()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.truncate(self._end)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        if new:
            _sync(self.path.parent)
        self._add(list(keys), len(line))
        return self.last

    def _add(self, keys: list[str], size: int) -> None:
        self.latest = keys
        self.known.update(keys)
        self.last += 1
        self._end += size


def _keys(line: bytes) -> list[str]:
    keys = json.loads(line)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError("not a list of keys")
    return keys


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
