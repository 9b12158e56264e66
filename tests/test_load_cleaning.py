"""What a load test removes at its end: all that it may have written, nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.ports import AlreadyExists, Unavailable
from sim.chaos.memory import MemoryStore
from sim.load.cleaning import Noting, noted

BUCKET = "expanso-databricks-ingestion"


class AckLost(MemoryStore):
    """The object is there, and nobody is told."""

    def create(self, bucket: str, key: str, body: bytes) -> str:
        super().create(bucket, key, body)
        raise Unavailable("the answer is lost")


def test_what_somebody_else_wrote_is_not_removed(tmp_path: Path) -> None:
    store = MemoryStore()
    noting = Noting(store, tmp_path, "0")
    store.create(BUCKET, "theirs", b"dear")
    with pytest.raises(AlreadyExists):
        noting.create(BUCKET, "theirs", b"ours")
    noting.create(BUCKET, "ours", b"ours")
    assert noted(tmp_path) == {(BUCKET, "ours")}


def test_what_a_lost_answer_may_have_made_is_removed_although_it_then_exists(tmp_path: Path) -> None:
    store = AckLost()
    noting = Noting(store, tmp_path, "0")
    with pytest.raises(Unavailable):
        noting.create(BUCKET, "key", b"ours")
    for _ in range(2):
        with pytest.raises(AlreadyExists):
            Noting(store, tmp_path, "1").create(BUCKET, "key", b"ours")
    assert noted(tmp_path) == {(BUCKET, "key")}
