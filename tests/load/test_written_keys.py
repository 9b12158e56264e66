"""Removal at the end of a load test: all keys that it may have written, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import lake
from pipeline.lake import LakeError
from pipeline.ports import AlreadyExists, Unavailable
from sim.campaign.memory_store import MemoryStore
from sim.errors import EngineError
from sim.load.client import written_keys
from sim.load.client.written_keys import KeyRecorder, read_keys

BUCKET = "expanso-databricks-ingestion"


class AckLost(MemoryStore):
    """Store that creates the object and loses the answer."""

    def create(self, bucket: str, key: str, body: bytes) -> str:
        super().create(bucket, key, body)
        raise Unavailable("the answer is lost")


def test_objects_of_another_writer_are_not_removed(tmp_path: Path) -> None:
    store = MemoryStore()
    recorder = KeyRecorder(store, tmp_path, "0")
    store.create(BUCKET, "theirs", b"dear")
    with pytest.raises(AlreadyExists):
        recorder.create(BUCKET, "theirs", b"ours")
    recorder.create(BUCKET, "ours", b"ours")
    assert read_keys(tmp_path) == {(BUCKET, "ours")}


def test_an_object_whose_answer_was_lost_is_removed(
    tmp_path: Path,
) -> None:
    store = AckLost()
    recorder = KeyRecorder(store, tmp_path, "0")
    with pytest.raises(Unavailable):
        recorder.create(BUCKET, "key", b"ours")
    for _ in range(2):
        with pytest.raises(AlreadyExists):
            KeyRecorder(store, tmp_path, "1").create(BUCKET, "key", b"ours")
    assert read_keys(tmp_path) == {(BUCKET, "key")}


@pytest.mark.parametrize(("failures", "removed"), [(0, True), (3, True), (4, False)])
def test_a_failed_removal_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, failures: int, removed: bool
) -> None:
    calls = []

    def remove(endpoint_url: str, keys: set[written_keys.Key]) -> None:
        calls.append(keys)
        if len(calls) <= failures:
            raise LakeError("503 Slow Down")

    monkeypatch.setattr(lake, "remove", remove)
    monkeypatch.setattr(written_keys, "RETRY_AFTER_S", (0.0, 0.0, 0.0))
    keys = {(BUCKET, "ours")}
    if removed:
        written_keys.remove("http://127.0.0.1:9", keys)
    else:
        with pytest.raises(EngineError, match="1 objects of the load test are left: 503 Slow Down"):
            written_keys.remove("http://127.0.0.1:9", keys)
    assert calls == [keys] * min(failures + 1, 4)
