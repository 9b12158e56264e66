"""A store that has a part of the shard's rows already, as a new run of the shard sees it.

A shard that ended early is run again, from its first row. Its nodes must make the same batches at
the same flushes. So the store looks to them as it did then:

- A node that has a checkpoint in the lake does not see it. Up to there its writes go nowhere: what
  a checkpoint promises is durable. Once the node writes the same checkpoint, it has caught up.
- The next batch may have been under way. Each of its objects is looked for before it is written.
- After that every call goes through.

Its own looks are no calls of a node. They go past the fault proxy, so none of them meets a fault.

A checkpoint that differs from the lake's goes through at once. The node then finds a conflict,
stops, and names the key.

The record of store operations has each call once: those of the earlier attempt are not recorded
again, unless that attempt was killed before it could record an answer, or its record died with its
machine. Such a record has no length in time, and no time or rate is made of it. A lake without any
checkpoint of the shard counts as new. Not covered: failed requests of a record that is lost.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

import pyarrow as pa

from pipeline import manifest, partition
from pipeline.checkpoint import CheckpointError
from pipeline.commit import recover
from pipeline.config import NodeConfig
from pipeline.ports import AlreadyExists, Conflict, NotFound, ObjectStore, StoreError
from pipeline.records import BUCKET_PREFIX
from pipeline.retry import Operation
from sim.chaos.call import turbine_of
from sim.errors import StoreGone
from sim.forwarding import Forwarding, StoreCall

T = TypeVar("T")
Recorded = Counter[tuple[str, str, str, str]]
"""Number of recorded attempts at a store operation by kind, bucket, key and outcome."""
_CHECKPOINTS = partition.bucket("checkpoints")
_METADATA = partition.bucket("metadata")


def recorded(operations: pa.Table) -> Recorded:
    """Count the operations of an earlier attempt, in the columns of operations.parquet."""
    names = ["kind", "bucket", "key", "outcome"]
    counts = operations.group_by(names).aggregate([([], "count_all")])
    columns = [counts[name].to_pylist() for name in (*names, "count_all")]
    return Counter({(k, b, key, o): n for k, b, key, o, n in zip(*columns, strict=True)})


@dataclass
class _Node:
    """Progress of a node: in earlier attempts, and since. body, etag: the checkpoint it sees."""

    state: Literal["behind", "under way", "passed"]
    last_id: int = 0
    in_lake: tuple[bytes, str] = (b"", "")
    body: bytes = b""
    etag: str | None = None


class Continued(Forwarding):
    """The store of a shard that is run again. Safe to share between threads."""

    def __init__(
        self,
        inner: ObjectStore,
        silent: ObjectStore,
        faultless: ObjectStore,
        configs: Sequence[NodeConfig],
        earlier: Recorded | None = None,
        record: Callable[[Operation], None] = lambda operation: None,
    ) -> None:
        """Begin without knowledge of the lake; see `look`.

        silent: the same store as `inner`, whose calls are not recorded. faultless: the same
        objects, without a fault proxy in front of them. earlier: operations that the earlier
        attempts recorded; None if it is not known whether there was one: its record is lost.
        """
        super().__init__(inner)
        self._silent, self._faultless = silent, faultless
        self._configs, self._record = configs, record
        self._complete, self._earlier = earlier is not None, Counter(earlier or {})
        self._is_sure = earlier is not None
        self._nodes: dict[str, _Node] = {}
        self._lock = threading.RLock()

    def look(self) -> None:
        """Read the checkpoints: one listing, and a GET for each. Raises StoreGone."""
        try:
            folder = partition.checkpoint_key(self._configs[0].farm_id, "").rpartition("/")[0] + "/"
            known = set(self._faultless.list(_CHECKPOINTS, folder, ""))
            keys = [partition.checkpoint_key(c.farm_id, c.turbine_id) for c in self._configs]
            self._complete = self._is_sure or not known.isdisjoint(keys)
            for config, key in zip(self._configs, keys, strict=True):
                self._nodes[config.turbine_id] = self._node(config, key, key in known)
        except StoreError as error:
            raise StoreGone(str(error)) from error

    def _node(self, config: NodeConfig, key: str, is_known: bool) -> _Node:
        begun = _Node("under way" if self._complete else "passed")
        if not is_known:
            return begun
        try:
            last_id = recover(self._faultless, config).state.last_id
        except CheckpointError:
            return begun  # the node itself reports it
        return (
            _Node("behind", last_id, self._faultless.get(_CHECKPOINTS, key)) if last_id else begun
        )

    @property
    def durable(self) -> Mapping[str, int]:
        """Turbine -> last id that an earlier attempt delivered."""
        return {turbine: node.last_id for turbine, node in self._nodes.items()}

    def around(self, call: StoreCall, effect: Callable[[], T]) -> T:
        """See `Forwarding`."""
        turbine = turbine_of(call.bucket.removeprefix(BUCKET_PREFIX), call.key)
        node = self._nodes.get(turbine)
        if node is None or node.state == "passed":
            return effect()
        with self._lock:
            answer = self._checkpoint(node, call) if call.bucket == _CHECKPOINTS else None
        if answer is not None:
            return cast(T, answer)
        if call.kind != "put":
            return cast(T, self._read(call)) if self._complete else effect()
        if call.bucket == _CHECKPOINTS:
            result = effect()
            node.state = "passed"
            return result
        if node.state == "behind" or self._is_there(call):
            return cast(T, self._taken(call, _etag(call.body or b"")))
        return effect()

    def _checkpoint(self, node: _Node, call: StoreCall) -> bytes | str | tuple[bytes, str] | None:
        """Answer a call of a node that is behind; None where the lake answers it.

        Raises NotFound, AlreadyExists and Conflict, as a store does.
        """
        if node.state != "behind":
            return None
        if call.body is None:
            if node.etag is None:
                self._account(call, 0, "missing")
                raise NotFound(f"get {call.bucket}/{call.key}")
            self._account(call, len(node.body), "ok")
            return node.body, node.etag
        if call.etag != node.etag:
            error, outcome = (
                (AlreadyExists, "exists") if call.verb == "create" else (Conflict, "conflict")
            )
            self._account(call, len(call.body), outcome)
            raise error(f"{call.verb} {call.bucket}/{call.key}: another version is there")
        if json.loads(call.body)["last_id"] >= node.last_id:
            node.state = "under way" if self._complete else "passed"
            return self._taken(call, node.in_lake[1]) if call.body == node.in_lake[0] else None
        node.body, node.etag = call.body, _etag(call.body)
        return self._taken(call, node.etag)

    def _read(self, call: StoreCall) -> Any:
        """Make a GET or a listing that the earlier attempt may have recorded."""
        folder, _, name = call.key.rpartition("/")
        try:
            if call.verb == "list":
                found: Any = self._silent.list(call.bucket, f"{folder}/", name)
            else:
                found = self._silent.get(call.bucket, call.key)
        except NotFound:
            self._account(call, 0, "missing")
            raise
        self._account(call, len(found[0]) if call.verb == "get" else 0, "ok")
        return found

    def _is_there(self, call: StoreCall) -> bool:
        """Return True for an object that the lake has, with the same content."""
        if not self._complete or call.body is None:
            return False
        try:
            body, _ = self._faultless.get(call.bucket, call.key)
        except StoreError:
            return False  # the write itself shows it
        return manifest.equal(call.body, body) if call.bucket == _METADATA else call.body == body

    def _taken(self, call: StoreCall, etag: str) -> str:
        self._account(call, len(call.body or b""), "ok")
        return etag

    def _account(self, call: StoreCall, size: int, outcome: str) -> None:
        """Record a call that took effect before, if that was not recorded."""
        if not self._complete:
            return
        name = (call.kind, call.bucket, call.key, outcome)
        with self._lock:
            if self._earlier[name] > 0:
                self._earlier[name] -= 1
                return
        now = time.time_ns()
        self._record(Operation(now, now, now, *name[:3], size, outcome, 1))


def _etag(body: bytes) -> str:
    """Return the ETag that S3 gives such a body, as a rule."""
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
