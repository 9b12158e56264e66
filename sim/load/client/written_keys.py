"""Every key that a load test may have written. The test removes these objects at its end.

A key is recorded before its PUT. An answer may be lost and a process may be killed, and the object
may exist all the same. A PUT that finds an object under its key cancels the record, so that the
test removes no object of another writer. Earlier records of the same key stay: the object may be
the test's own.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from pipeline import lake
from pipeline.lake import LakeError
from pipeline.ports import AlreadyExists, ObjectStore
from pipeline.settings import Place
from sim.errors import EngineError
from sim.forwarding import Forwarding, StoreCall

T = TypeVar("T")
RETRY_AFTER_S: Final = (0.5, 1.0, 2.0)
"""Waits before each further try to remove objects."""
Key = tuple[str, str]
"""(bucket, key)"""


class KeyRecorder(Forwarding):
    """A store that records the key of each `create`. Safe to share between threads."""

    def __init__(self, inner: ObjectStore, folder: Path, name: str) -> None:
        """Append records to a file of that name in the folder. Raises OSError."""
        super().__init__(inner)
        path = folder / f"keys-{name}.tsv"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def around(self, call: StoreCall, effect: Callable[[], T]) -> T:
        """Record the key before a `create`. A `replace` writes only an object that exists."""
        if call.verb != "create":
            return effect()
        self._record("+", call)
        try:
            return effect()
        except AlreadyExists:
            self._record("-", call)
            raise

    def _record(self, sign: str, call: StoreCall) -> None:
        os.write(self._file, f"{sign}{call.bucket}\t{call.key}\n".encode())


def read_keys(folder: Path) -> set[Key]:
    """Return the keys in a phase's folder that were recorded more often than cancelled."""
    records: Counter[str] = Counter()
    for path in sorted(folder.glob("keys-*.tsv")):
        for line in path.read_text(encoding="utf-8").splitlines():
            records[line[1:]] += 1 if line[0] == "+" else -1
    places = (place.partition("\t") for place, count in records.items() if count > 0)
    return {(bucket, key) for bucket, _, key in places}


def remove(store: Place, keys: set[Key]) -> None:
    """Remove these objects, with a few tries. Raises EngineError."""
    for wait_s in (*RETRY_AFTER_S, None):
        try:
            lake.remove(store, keys)
            return
        except LakeError as error:
            if wait_s is None:
                raise EngineError(
                    f"{len(keys):,} objects of the load test are left: {error}"
                ) from error
            time.sleep(wait_s)
