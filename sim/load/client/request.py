"""One request of a load test, by the real pipeline code: what a client process does between `start` and `end`.

A flush commits the node's next prepared batch (`pipeline.commit`), or, with `encode_inside`, reads the node's file,
runs the four stages and encodes first, as `pipeline.node` does for one batch. A flush that failed is not tried again by
itself: the node keeps its place, and its next flush begins with the same batch, as a node of the fleet would. Reads go
to what was committed before the clock started (`SEEDED` nodes' first batches): an hour's listing grows with the run.

No retries in here and one attempt in the client library, so that a failure is a failure. Threads: any number, but the
flushes of one node must not overlap (`sim.load.client.dispatch` sees to it).
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from pipeline import partition
from pipeline.checkpoint import Checkpoint, CheckpointError
from pipeline.commit import Commit, ContentConflict, Position, commit, recover
from pipeline.history import HistoryError
from pipeline.history import read as read_history
from pipeline.ports import AlreadyExists, Conflict, NotFound, ObjectStore, Refused, StoreError
from pipeline.process import Work, process
from sim.load.batches import Prepared, next_batch
from sim.load.phase import OUTCOMES
from sim.load_schedule import REQUEST_KINDS

SEEDED: Final = 32
"""Nodes whose first batch is in the lake before the clock starts, where the mix has reads."""
SCAN_OBJECTS: Final = 8
"""How many objects of an hour a scan reads, beginning at its node's own."""
_ERRORS: Final[dict[type[Exception], str]] = {
    ContentConflict: "conflict",
    Conflict: "conflict",
    AlreadyExists: "exists",
    NotFound: "missing",
    Refused: "refused",
    StoreError: "unavailable",
    CheckpointError: "corrupt",
    HistoryError: "corrupt",
    ValueError: "corrupt",  # JSON or Parquet that is none
    KeyError: "corrupt",
}


@dataclass(frozen=True)
class Done:
    """What came of it, as in `phase.REQUESTS`; `outcome` is an index in OUTCOMES, `error` a text for people."""

    outcome: int = 0
    size: int = 0
    objects: int = 0
    rows: int = 0
    error: str = ""


def seed(store: ObjectStore, prepared: Prepared, nodes: Sequence[int]) -> None:
    """Commit the first batch of each node. Raises StoreError, ContentConflict."""
    for node in nodes:
        commit(store, prepared.commit_of(node, 0), Position(Checkpoint(), None))


class Client:
    """The nodes as one client process drives them. `seeded`: how many of the first nodes have a batch in the lake.

    again: every flush of a node is that of its last prepared batch, as if there had been none before.
    """

    def __init__(
        self,
        store: ObjectStore,
        prepared: Prepared,
        seeded: int,
        encode_inside: bool,
        again: bool = False,
    ) -> None:
        self._store, self._prepared, self._seeded, self._encode_inside = (
            store,
            prepared,
            seeded,
            encode_inside,
        )
        self._again = again
        self._positions: dict[int, Position] = {}
        self._flushed: dict[int, int] = {}

    def ready(self, store: ObjectStore, seeded: Sequence[int]) -> None:
        """Find out where these nodes stand. Raises StoreError, CheckpointError."""
        for node in seeded:
            self._positions[node] = recover(store, self._prepared.configs[node])
            self._flushed[node] = 1

    def work_for(self, kind: int, node: int) -> Commit | None:
        """What is fetched before the start: a flush's batch. None for reads, and where the flush encodes.

        Raises IndexError when the node has no batch left.
        """
        if REQUEST_KINDS[kind] != "flush" or self._encode_inside:
            return None
        return self._prepared.commit_of(
            node, self._prepared.ready - 1 if self._again else self._flushed.get(node, 0)
        )

    def perform(self, kind: int, node: int, work: Commit | None) -> Done:
        """Do one request; whatever the store or the bytes do wrong is an outcome, never an exception."""
        try:
            return (
                self._flush(node, work)
                if REQUEST_KINDS[kind] == "flush"
                else self._read(REQUEST_KINDS[kind], node)
            )
        except tuple(_ERRORS) as error:
            name = next(name for type_, name in _ERRORS.items() if isinstance(error, type_))
            return Done(
                outcome=OUTCOMES.index(name), size=_size(work) if work else 0, error=str(error)
            )

    def _flush(self, node: int, work: Commit | None) -> Done:
        position = self._positions.get(node) or Position(Checkpoint(), None)
        work = work or self._encode(node, position)
        reached = commit(self._store, work, position)
        if not self._again:
            self._positions[node] = reached
            self._flushed[node] = self._flushed.get(node, 0) + 1
        first_id = position.state.last_id
        return Done(
            size=_size(work), objects=len(work.objects) + 2, rows=work.state.last_id - first_id
        )

    def _encode(self, node: int, position: Position) -> Commit:
        config, database = self._prepared.configs[node], self._prepared.databases[node]
        batch = next_batch(config, database, position.state, self._prepared.rows)
        history = read_history(self._store, config, position.state, batch)
        work = Work(config, database.name, batch, position.state, history)
        recorded = batch.rows.column("recorded_at")[-1].as_py()
        return next(process([work], recorded))

    def _read(self, kind: str, node: int) -> Done:
        first = self._prepared.commit_of(node % self._seeded, 0)
        if kind == "get_manifest":
            body, _ = self._store.get(partition.bucket("metadata"), first.manifest_key)
            return Done(size=len(body), objects=1, rows=json.loads(body)["source"]["record_count"])
        mine = next(item for item in first.objects if item.stage == "validated")
        folder = str(Path(mine.key).parent) + "/"
        keys = self._store.list(mine.bucket, folder, "")
        at = keys.index(mine.key)  # a listing without it is wrong
        if kind == "list_hour":
            return Done(size=sum(map(len, keys)), objects=len(keys))
        bodies = [
            self._store.get(mine.bucket, key)[0] for key in (keys[at:] + keys[:at])[:SCAN_OBJECTS]
        ]
        rows = sum(_rows(body) for body in bodies)
        return Done(size=sum(map(len, bodies)), objects=len(bodies), rows=rows)


def _size(work: Commit) -> int:
    """Bytes of a flush: what one that failed has sent at most."""
    return sum(len(item.body) for item in work.objects) + len(work.manifest)


def _rows(body: bytes) -> int:
    table: Any = pq.read_table(io.BytesIO(body))
    return int(table.num_rows)
