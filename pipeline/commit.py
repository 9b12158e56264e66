"""The commit protocol: at-least-once attempts with an exactly-once effect.

    data objects  ->  manifest  ->  checkpoint

The order of all writes is decided in this file. A data object is created if absent. "Already there"
is not yet a success: the object is read back and compared. Equal content means that an earlier
attempt, or another writer of the same batch, has already written it. Different content is a
conflict, and the node stops before it writes more. The manifest follows the same rule. The
checkpoint is replaced by compare-and-set on the ETag that was read, so a late or second writer can
never set it back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipeline import manifest, partition
from pipeline.checkpoint import Checkpoint, CheckpointError
from pipeline.config import NodeConfig
from pipeline.manifest import DataObject
from pipeline.ports import AlreadyExists, Conflict, NotFound, ObjectStore, Unavailable

CONFIRMATIONS = 3
"""Attempts when "exists" is followed by "not found", as after a racing writer that failed."""


class ContentConflict(Exception):
    """An object of this node with other content than the node writes; the text names the key.

    The node must stop.
    """


@dataclass(frozen=True)
class Commit:
    """All objects of one batch.

    rejected: rule -> rows in quarantine. state: the checkpoint once the batch is durable.
    """

    config: NodeConfig
    objects: tuple[DataObject, ...]
    manifest_key: str
    manifest: bytes
    rejected: dict[str, int]
    state: Checkpoint


@dataclass(frozen=True)
class Position:
    """A node's position in the lake.

    state: its checkpoint. etag: of the checkpoint's object, None before the first batch.
    """

    state: Checkpoint
    etag: str | None


def recover(store: ObjectStore, config: NodeConfig) -> Position:
    """Read a node's position from the lake. Raise StoreError or CheckpointError."""
    bucket, key = _checkpoint_address(config)
    try:
        body, etag = store.get(bucket, key)
    except NotFound:
        return Position(Checkpoint(), None)
    try:
        return Position(Checkpoint.from_json(body, config.turbine_id, config.window_s), etag)
    except CheckpointError as error:
        raise CheckpointError(
            f"{bucket}/{key}: {error}; restore its last good version, or remove it: "
            "then the node starts again at its first row, and compares each object in the lake"
        ) from error


def commit(store: ObjectStore, work: Commit, position: Position) -> Position:
    """Make the batch durable, and return the node's position afterwards.

    The position is further on if another writer was faster. Raises ContentConflict, StoreError.
    After any error it is safe to repeat the call, or to deliver the same batch after a restart.
    """
    for item in work.objects:
        _create(store, item.bucket, item.key, item.body, same=lambda ours, theirs: ours == theirs)
    _create(
        store, partition.bucket("metadata"), work.manifest_key, work.manifest, same=manifest.equal
    )
    return _advance(store, work, position)


def _create(
    store: ObjectStore, bucket: str, key: str, body: bytes, same: Callable[[bytes, bytes], bool]
) -> None:
    for _ in range(CONFIRMATIONS):
        try:
            store.create(bucket, key, body)
            return
        except AlreadyExists:
            try:
                found, _ = store.get(bucket, key)
            except NotFound:
                continue
            if not same(body, found):
                raise ContentConflict(
                    f"{bucket}/{key} exists with other content than this node would write"
                ) from None
            return
    raise Unavailable(f"put {bucket}/{key}: it exists, then is not found, {CONFIRMATIONS} times")


def _advance(store: ObjectStore, work: Commit, position: Position) -> Position:
    bucket, key = _checkpoint_address(work.config)
    body = work.state.to_json(work.config.turbine_id, work.config.node_id)
    etag = position.etag
    for _ in range(CONFIRMATIONS):
        try:
            written = (
                store.create(bucket, key, body)
                if etag is None
                else store.replace(bucket, key, body, etag)
            )
            return Position(work.state, written)
        except (AlreadyExists, Conflict):
            found = recover(store, work.config)
            if found.state.last_id > work.state.last_id or found.state == work.state:
                # Another writer is at least as far, or only the answer to our own write was lost.
                return found
            if found.etag is not None and found.state != position.state:
                at = found.state.last_id
                raise ContentConflict(
                    f"{bucket}/{key} at id {at} does not follow from this node's rows"
                ) from None
            etag = found.etag
    raise Unavailable(f"put {bucket}/{key}: another writer changed it, {CONFIRMATIONS} times")


def _checkpoint_address(config: NodeConfig) -> tuple[str, str]:
    return partition.bucket("checkpoints"), partition.checkpoint_key(
        config.farm_id, config.turbine_id
    )
