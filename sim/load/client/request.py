"""One request of a load test, made by the real pipeline code between its `start` and `end`.

- A flush commits the node's next prepared batch (`pipeline.commit`). With `encode_inside`, it first
  reads the node's file, runs the four stages and encodes, as `pipeline.node` does for one batch.
- A flush that failed is not repeated. The node keeps its position, and its next flush starts with
  the same batch, as a node of the fleet would.
- Reads go to objects that were committed before the clock started: the first batches of `SEEDED`
  nodes. An hour's listing grows with the run.

Nothing here retries, and the client library makes a single attempt, so that each failure shows. Any
number of threads may call, but flushes of one node must not overlap (`sim.load.client.dispatch`
keeps them apart).
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
from sim.load.arrivals import Mix
from sim.load.batches import Prepared, next_batch
from sim.load.phase import OUTCOMES
from sim.load_schedule import REQUEST_KINDS

SEEDED: Final = 32
"""The most nodes whose first batch is in the lake before the clock starts, if the mix has reads."""
SCAN_OBJECTS: Final = 8
"""Objects of an hour that a scan reads, starting at its node's own."""
_ERRORS: Final[dict[type[Exception], str]] = {
    ContentConflict: "conflict",
    Conflict: "conflict",
    AlreadyExists: "exists",
    NotFound: "missing",
    Refused: "refused",
    StoreError: "unavailable",
    CheckpointError: "corrupt",
    HistoryError: "corrupt",
    ValueError: "corrupt",  # invalid JSON or Parquet
    KeyError: "corrupt",
}


@dataclass(frozen=True)
class Done:
    """The result of a request, as in `phase.REQUESTS`.

    outcome: index in OUTCOMES. size: bytes. error: a message.
    """

    outcome: int = 0
    size: int = 0
    objects: int = 0
    rows: int = 0
    error: str = ""


def seeded_nodes(mix: Mix, nodes: int) -> int:
    """Return how many nodes need a batch in the lake: the first SEEDED if the mix has reads."""
    return min(SEEDED, nodes) if any(kind != "flush" for kind, _ in mix) else 0


def seed(store: ObjectStore, prepared: Prepared, nodes: Sequence[int]) -> None:
    """Commit the first batch of each node. Raises StoreError, ContentConflict."""
    for node in nodes:
        commit(store, prepared.commit_of(node, 0), Position(Checkpoint(), None))


class Client:
    """The nodes of one client process.

    seeded: the number of nodes, from the first, that have a batch in the lake.
    repeat_batch: every flush of a node commits its last prepared batch, as if it were the first.
    """

    def __init__(
        self,
        store: ObjectStore,
        prepared: Prepared,
        seeded: int,
        encode_inside: bool,
        repeat_batch: bool = False,
    ) -> None:
        self._store, self._prepared = store, prepared
        self._seeded, self._encode_inside, self._repeat_batch = seeded, encode_inside, repeat_batch
        self._positions: dict[int, Position] = {}
        self._flushed: dict[int, int] = {}

    def recover(self, store: ObjectStore, seeded: Sequence[int]) -> None:
        """Read the positions of these nodes. Raises StoreError, CheckpointError."""
        for node in seeded:
            self._positions[node] = recover(store, self._prepared.configs[node])
            self._flushed[node] = 1

    def work_for(self, kind: int, node: int) -> Commit | None:
        """Return the batch of a flush, which is fetched before the request starts.

        None for reads, and for a flush that encodes. Raises IndexError if no batch is left.
        """
        if REQUEST_KINDS[kind] != "flush" or self._encode_inside:
            return None
        return self._prepared.commit_of(
            node, self._prepared.ready - 1 if self._repeat_batch else self._flushed.get(node, 0)
        )

    def perform(self, kind: int, node: int, work: Commit | None) -> Done:
        """Make one request. Errors of the store and of the bytes become outcomes."""
        name = REQUEST_KINDS[kind]
        try:
            return self._flush(node, work) if name == "flush" else self._read(name, node)
        except tuple(_ERRORS) as error:
            outcome = next(name for type_, name in _ERRORS.items() if isinstance(error, type_))
            size = _size(work) if work else 0
            return Done(outcome=OUTCOMES.index(outcome), size=size, error=str(error))

    def _flush(self, node: int, work: Commit | None) -> Done:
        position = self._positions.get(node) or Position(Checkpoint(), None)
        work = work or self._encode(node, position)
        reached = commit(self._store, work, position)
        if not self._repeat_batch:
            self._positions[node] = reached
            self._flushed[node] = self._flushed.get(node, 0) + 1
        rows = work.state.last_id - position.state.last_id
        return Done(size=_size(work), objects=len(work.objects) + 2, rows=rows)

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
        at = keys.index(mine.key)  # ValueError, thus "corrupt", if the listing lacks the key
        if kind == "list_hour":
            return Done(size=sum(map(len, keys)), objects=len(keys))
        bodies = [
            self._store.get(mine.bucket, key)[0] for key in (keys[at:] + keys[:at])[:SCAN_OBJECTS]
        ]
        rows = sum(_rows(body) for body in bodies)
        return Done(size=sum(map(len, bodies)), objects=len(bodies), rows=rows)


def _size(work: Commit) -> int:
    """Return the bytes of a flush. A flush that failed has sent at most as many."""
    return sum(len(item.body) for item in work.objects) + len(work.manifest)


def _rows(body: bytes) -> int:
    table: Any = pq.read_table(io.BytesIO(body))
    return int(table.num_rows)
