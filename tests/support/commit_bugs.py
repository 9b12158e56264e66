"""Bugs of the commit path, planted one at a time. A campaign must find each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import commit as protocol
from pipeline import manifest, node, objects, partition, source
from pipeline.batch import Batch, ints
from pipeline.checkpoint import Checkpoint, CheckpointError
from pipeline.commit import Commit, ContentConflict, Position
from pipeline.parquet.file import Layout
from pipeline.ports import AlreadyExists, Conflict, ObjectStore, StoreError
from sim.chaos.call import METADATA

Patch = Callable[[pytest.MonkeyPatch], None]


def checkpoint_before_data(monkeypatch: pytest.MonkeyPatch) -> None:
    def commit(store: ObjectStore, work: Commit, position: Position) -> Position:
        after = protocol._advance(store, work, position)
        for item in work.objects:
            protocol._create(store, item.bucket, item.key, item.body, same=lambda a, b: a == b)
        protocol._create(store, METADATA, work.manifest_key, work.manifest, same=manifest.equal)
        return after

    monkeypatch.setattr(node, "commit", commit)


def manifest_before_data(monkeypatch: pytest.MonkeyPatch) -> None:
    def commit(store: ObjectStore, work: Commit, position: Position) -> Position:
        protocol._create(store, METADATA, work.manifest_key, work.manifest, same=manifest.equal)
        for item in work.objects:
            protocol._create(store, item.bucket, item.key, item.body, same=lambda a, b: a == b)
        return protocol._advance(store, work, position)

    monkeypatch.setattr(node, "commit", commit)


def random_object_names(monkeypatch: pytest.MonkeyPatch) -> None:
    names = iter(range(10**9))
    key = partition.data_key

    def data_key(stage: str, hour: int, turbine_id: str, first_id: int, last_id: int) -> str:
        return key(stage, hour, turbine_id, first_id, last_id).replace(
            ".parquet", f"-{next(names)}.parquet"
        )

    monkeypatch.setattr(partition, "data_key", data_key)


def batch_of_whatever_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(raw: Any, flush_every_s: int, until_us: int | None) -> list[Batch]:
        return [Batch(raw, final=until_us is not None)] if raw.num_rows else []

    monkeypatch.setattr(node, "cut", cut)


def partition_by_the_batchs_last_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only after a crash, as a shortcut of recovery would: runs without faults hide it."""
    fresh, hours = [False], objects.event_hours
    recover = protocol.recover

    def recovering(store: ObjectStore, config: Any) -> Position:
        position = recover(store, config)
        fresh[0] = position.etag is not None
        return position

    def last(table: Any) -> Any:
        hour = hours(table)
        return np.full_like(hour, hour[-1]) if fresh[0] and len(hour) else hour

    monkeypatch.setattr(node, "recover", recovering)
    monkeypatch.setattr(objects, "event_hours", last)


def exists_trusted_and_bytes_that_vary(monkeypatch: pytest.MonkeyPatch) -> None:
    """412 counts as success, while the content depends on the time of the attempt."""
    file, tries = Layout.file, iter(range(10**9))

    def varying(layout: Any, *of_part: Any) -> bytes:
        body = file(layout, *of_part)
        return body.replace(b"windfleet version 0.1.0", b"windfleet version %05d" % next(tries))

    def create(store: ObjectStore, bucket: str, key: str, body: bytes, same: Any) -> None:
        try:
            store.create(bucket, key, body)
        except AlreadyExists:
            return

    monkeypatch.setattr(Layout, "file", varying)
    monkeypatch.setattr(protocol, "_create", create)


def cursor_on_the_timestamp(monkeypatch: pytest.MonkeyPatch) -> None:
    """A restarted node skips rows of known event times, as `WHERE timestamp > ?` does."""
    read = source.read

    def by_time(
        path: Path, after_id: int, limit: int, anchor_us: int | None, lock_wait_s: float
    ) -> Any:
        table = read(path, 0, limit)
        before = ints(table, "timestamp")[ints(table, "id") <= after_id]
        newest = before.max() if len(before) else -1
        return table.filter((ints(table, "id") > after_id) & (ints(table, "timestamp") > newest))

    monkeypatch.setattr(source, "read", by_time)


def off_by_one_after_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    recover = protocol.recover

    def one_less(store: ObjectStore, config: Any) -> Position:
        position = recover(store, config)
        if position.etag is None:
            return position
        return replace(position, state=replace(position.state, last_id=position.state.last_id + 1))

    monkeypatch.setattr(node, "recover", one_less)


def state_saved_although_a_bucket_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def commit(store: ObjectStore, work: Commit, position: Position) -> Position:
        for item in work.objects:
            try:
                protocol._create(store, item.bucket, item.key, item.body, same=lambda a, b: a == b)
            except StoreError:
                if item.stage != "enriched":
                    raise
        protocol._create(store, METADATA, work.manifest_key, work.manifest, same=manifest.equal)
        return protocol._advance(store, work, position)

    monkeypatch.setattr(node, "commit", commit)


def checkpoint_written_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """No If-Match: this writer's state replaces any other."""

    def advance(store: ObjectStore, work: Commit, position: Position) -> Position:
        place = protocol._checkpoint_address(work.config)
        body = work.state.to_json(work.config.turbine_id, work.config.node_id)
        while True:
            try:
                etag = protocol.recover(store, work.config).etag
                done = (
                    store.create(*place, body)
                    if etag is None
                    else store.replace(*place, body, etag)
                )
            except (AlreadyExists, Conflict):
                continue
            return Position(work.state, done)

    monkeypatch.setattr(protocol, "_advance", advance)


def lost_answer_taken_for_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def create(store: ObjectStore, bucket: str, key: str, body: bytes, same: Any) -> None:
        try:
            original(store, bucket, key, body, same)
        except protocol.Unavailable:
            if bucket == METADATA:
                return
            raise

    original = protocol._create
    monkeypatch.setattr(protocol, "_create", create)


def conflict_on_every_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    def create(store: ObjectStore, bucket: str, key: str, body: bytes, same: Any) -> None:
        try:
            store.create(bucket, key, body)
        except AlreadyExists as error:
            raise ContentConflict(f"{bucket}/{key}") from error

    monkeypatch.setattr(protocol, "_create", create)


def compared_by(same: Callable[[bytes, bytes], bool]) -> Patch:
    """Existing objects are compared by less than their content."""

    def plant(monkeypatch: pytest.MonkeyPatch) -> None:
        def create(
            store: ObjectStore,
            bucket: str,
            key: str,
            body: bytes,
            same_content: Any = None,
            **_: Any,
        ) -> None:
            try:
                store.create(bucket, key, body)
            except AlreadyExists as error:
                if not same(body, store.get(bucket, key)[0]):
                    raise ContentConflict(f"{bucket}/{key}") from error

        monkeypatch.setattr(protocol, "_create", create)

    return plant


def exists_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """412 counts as success without a comparison. The bytes are right."""
    compared_by(lambda ours, theirs: True)(monkeypatch)


def only_lengths_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared_by(lambda ours, theirs: len(ours) == len(theirs))(monkeypatch)


def only_first_bytes_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared_by(lambda ours, theirs: ours[:64] == theirs[:64])(monkeypatch)


def only_length_and_both_ends_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared_by(lambda a, b: (len(a), a[:64], a[-64:]) == (len(b), b[:64], b[-64:]))(monkeypatch)


def foreign_manifest_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "equal", lambda ours, theirs: True)


def foreign_bytes_written_over(monkeypatch: pytest.MonkeyPatch) -> None:
    create = protocol._create

    def forceful(store: ObjectStore, bucket: str, key: str, body: bytes, same: Any) -> None:
        try:
            create(store, bucket, key, body, same)
        except ContentConflict:
            store.replace(bucket, key, body, store.get(bucket, key)[1])

    monkeypatch.setattr(protocol, "_create", forceful)


def foreign_checkpoint_written_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unreadable checkpoint counts as none and is replaced."""
    recover = protocol.recover

    def careless(store: ObjectStore, config: Any) -> Position:
        try:
            return recover(store, config)
        except CheckpointError:
            return Position(Checkpoint(), store.get(*protocol._checkpoint_address(config))[1])

    monkeypatch.setattr(protocol, "recover", careless)
    monkeypatch.setattr(node, "recover", careless)


def batch_in_conflict_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The node reports its conflict and continues with the next batch."""
    commit = protocol.commit

    def skipping(store: ObjectStore, work: Commit, position: Position) -> Position:
        try:
            return commit(store, work, position)
        except ContentConflict:
            protocol._advance(store, work, position)
            raise

    monkeypatch.setattr(node, "commit", skipping)


def conflict_goes_on_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A conflict counts as a busy store: the node retries for ever and never stops."""
    commit = protocol.commit

    def patient(store: ObjectStore, work: Commit, position: Position) -> Position:
        try:
            return commit(store, work, position)
        except ContentConflict as error:
            raise protocol.Unavailable(str(error)) from error

    monkeypatch.setattr(node, "commit", patient)


def conflict_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    commit = protocol.commit

    def vague(store: ObjectStore, work: Commit, position: Position) -> Position:
        try:
            return commit(store, work, position)
        except ContentConflict as error:
            raise ContentConflict("the lake holds something else") from error

    monkeypatch.setattr(node, "commit", vague)


def open_windows_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    recover = protocol.recover

    def forgetful(store: ObjectStore, config: Any) -> Position:
        position = recover(store, config)
        return replace(position, state=replace(position.state, open_windows={}))

    monkeypatch.setattr(node, "recover", forgetful)
