"""Every key that a load test may have written, noted before the PUT goes out: all that its end removes.

An answer that never came, a process that was killed: the object may be there all the same, and no record of what was
done would name it. A key at which something already was is taken back, so that what somebody else wrote stays, unless
an earlier PUT of ours may have made it.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from typing import Final

from pipeline import lake
from pipeline.lake import LakeError
from pipeline.ports import AlreadyExists, ObjectStore
from pipeline.settings import Place
from sim.errors import EngineError

AGAIN_S: Final = (0.5, 1.0, 2.0)
"""How long to wait before a store that did not remove what it should is asked again."""
Key = tuple[str, str]
"""(bucket, key)"""


class Noting:
    """See `pipeline.ports.ObjectStore`. Safe to share between threads: a note is one append."""

    def __init__(self, store: ObjectStore, folder: Path, name: str) -> None:
        """Notes go to a file of that name in the folder. Raises OSError."""
        self._store = store
        self._file = os.open(
            folder / f"keys-{name}.tsv", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644
        )
        self.get, self.list = store.get, store.list

    def create(self, bucket: str, key: str, body: bytes) -> str:
        self._note("+", bucket, key)
        try:
            return self._store.create(bucket, key, body)
        except AlreadyExists:
            self._note("-", bucket, key)
            raise

    def _note(self, sign: str, bucket: str, key: str) -> None:
        os.write(self._file, f"{sign}{bucket}\t{key}\n".encode())

    def replace(self, bucket: str, key: str, body: bytes, etag: str) -> str:
        return self._store.replace(bucket, key, body, etag)  # it is there already


def noted(folder: Path) -> set[Key]:
    """All keys of a phase's folder that were not taken back as often as they were noted."""
    times: Counter[str] = Counter()
    for path in sorted(folder.glob("keys-*.tsv")):
        for line in path.read_text(encoding="utf-8").splitlines():
            times[line[1:]] += 1 if line[0] == "+" else -1
    return {
        (bucket, key)
        for bucket, _, key in (note.partition("\t") for note, n in times.items() if n > 0)
    }


def remove(store: Place, keys: set[Key]) -> None:
    """Remove these objects, also from a store that is in trouble for a moment. Raises EngineError."""
    for wait_s in (*AGAIN_S, None):
        try:
            lake.remove(store, keys)
            return
        except LakeError as error:
            if wait_s is None:
                raise EngineError(
                    f"{len(keys):,} objects of the load test are left: {error}"
                ) from error
            time.sleep(wait_s)
