"""The protocol that turns at-least-once attempts into an exactly-once effect. All of its ordering is in this file.

    data objects  ->  manifest  ->  checkpoint

A data object is created if absent. "Already there" is no success yet: it is read back and compared; equal means an
earlier attempt (or another writer of the same batch) did our work, different is a conflict, and the node stops before
it does harm. The manifest follows the same rule. The checkpoint is replaced by compare-and-set on the ETag that was
read, so that a late or second writer can never take it back.
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
"""How often "exists" followed by "is not there" (a racing writer that failed) is asked again."""


class ContentConflict(Exception):
    """The lake holds something else under a key of ours; the text names the key. The node must stop."""


@dataclass(frozen=True)
class Commit:
    """All that one batch writes. `rejected`: rows in quarantine by rule; `state`: the checkpoint once it is durable."""

    config: NodeConfig
    objects: tuple[DataObject, ...]
    manifest_key: str
    manifest: bytes
    rejected: dict[str, int]
    state: Checkpoint


@dataclass(frozen=True)
class Position:
    """Where a node stands in the lake: its checkpoint and that object's ETag, None before the first batch."""

    state: Checkpoint
    etag: str | None


def recover(store: ObjectStore, config: NodeConfig) -> Position:
    """Where the lake says this node stands. Raises StoreError, CheckpointError."""
    bucket, key = _checkpoint_place(config)
    try:
        body, etag = store.get(bucket, key)
    except NotFound:
        return Position(Checkpoint(), None)
    try:
        return Position(Checkpoint.from_json(body, config.turbine_id, config.window_s), etag)
    except CheckpointError as error:
        fix = "put its last good version back, or remove it: the node then compares the lake from its first row"
        raise CheckpointError(f"{bucket}/{key}: {error}; {fix}") from error


def commit(store: ObjectStore, work: Commit, position: Position) -> Position:
    """Make the batch durable; where the node stands then (further on, if another writer was faster).

    Raises ContentConflict, StoreError. After any error the same call, or the same batch after a restart, is safe.
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
    raise Unavailable(f"put {bucket}/{key}: neither created nor there, {CONFIRMATIONS} times")


def _advance(store: ObjectStore, work: Commit, position: Position) -> Position:
    bucket, key = _checkpoint_place(work.config)
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
                return found  # another writer that is ahead or level; or ours, with its answer lost
            if found.etag is not None and found.state != position.state:
                at = found.state.last_id
                raise ContentConflict(
                    f"{bucket}/{key} is at id {at}: not what this node's rows give"
                ) from None
            etag = found.etag
    raise Unavailable(f"put {bucket}/{key}: changed under us {CONFIRMATIONS} times")


def _checkpoint_place(config: NodeConfig) -> tuple[str, str]:
    return partition.bucket("checkpoints"), partition.checkpoint_key(
        config.farm_id, config.turbine_id
    )
