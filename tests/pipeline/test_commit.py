"""The commit protocol: after any fault, the drained lake equals that of a run without faults."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.checkpoint import CheckpointError
from pipeline.commit import ContentConflict
from pipeline.manifest import equal
from pipeline.node import Delivered, EdgeNode, Failed, run
from pipeline.ports import AlreadyExists, Clock, Unavailable
from sim.campaign.inline_executor import Inline
from sim.campaign.memory_store import Call, MemoryStore
from tests.support.pipeline_world import (
    HOUR,
    FixedClock,
    Row,
    config,
    documents,
    drain,
    drive,
    good,
    write,
)


class Crash(BaseException):
    """The process ends: no handler catches this."""


def rows() -> list[Row]:
    """Three batches over two hours, with a late, a repeated and a poisoned row."""
    made = [{**good(i, step_s=60), "id": i - 44} for i in range(45, 80)]
    made[20]["timestamp"] = made[2]["timestamp"] + 5
    made[25]["timestamp"] = made[3]["timestamp"]
    made[10]["status"] = "dancing"
    return made


def failing(number: int, after: bool, error: BaseException) -> Callable[[Call, bool], None]:
    def fault(call: Call, is_after: bool) -> None:
        if call.number == number and is_after == after:
            raise error

    return fault


def last_id(store: MemoryStore) -> int:
    return next((document["last_id"] for document in documents(store, "checkpoints").values()), 0)


def durable(store: MemoryStore) -> int:
    """Return the last id up to which manifests name every row and all their objects exist."""
    reached = 0
    for document in sorted(
        documents(store, "metadata").values(), key=lambda d: d["source"]["first_id"]
    ):
        assert all((o["bucket"], o["key"]) in store.objects for o in document["objects"])
        if document["source"]["first_id"] == reached + 1:
            reached = document["source"]["last_id"]
    return reached


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("kind", ["crash", "error"])
def test_any_single_fault_leaves_the_same_lake(tmp_path: Path, kind: str, after: bool) -> None:
    database = tmp_path / "n.db"
    clean = drain(database, rows())
    for number in range(1, len(clean.calls) + 1):
        store = MemoryStore(
            failing(number, after, Crash() if kind == "crash" else Unavailable("down"))
        )
        node = EdgeNode(config(), database)
        if kind == "crash":
            with pytest.raises(Crash):
                drive([node], store)
            node = EdgeNode(config(), database)
        else:
            assert [type(r) for r in drive([node], store) if isinstance(r, Failed)] == [Failed]
        reached = last_id(store)
        assert reached <= durable(store)
        results = drive([node], store)
        assert all(isinstance(r, Delivered) for r in results), (number, results)
        assert last_id(store) == len(rows()) >= reached
        assert store.objects == clean.objects, clean.calls[number - 1]


def test_two_faults_one_after_the_other(tmp_path: Path) -> None:
    database = tmp_path / "n.db"
    clean = drain(database, rows())
    for first in range(1, len(clean.calls) + 1, 3):
        for second in range(1, 8):
            store = MemoryStore()
            for number, after in ((first, True), (second, False)):
                store.fault = failing(len(store.calls) + number, after, Crash())
                with contextlib.suppress(Crash):  # the last calls leave nothing that could fail
                    drive([EdgeNode(config(), database)], store)
            store.fault = None
            drive([EdgeNode(config(), database)], store)
            assert store.objects == clean.objects


def test_data_then_manifest_then_checkpoint(tmp_path: Path) -> None:
    store = drain(tmp_path / "n.db", rows())
    buckets = [
        c.bucket.removeprefix("expanso-databricks-")
        for c in store.calls
        if c.verb in ("create", "replace")
    ]
    kinds = ["data" if bucket not in ("metadata", "checkpoints") else bucket for bucket in buckets]
    starts = [
        i
        for i, kind in enumerate(kinds)
        if kind == "data" and (i == 0 or kinds[i - 1] == "checkpoints")
    ]
    for start, end in zip(starts, [*starts[1:], len(kinds)], strict=True):
        batch = kinds[start:end]
        assert batch == ["data"] * (len(batch) - 2) + ["metadata", "checkpoints"]
    assert len(starts) == 3


def test_other_content_under_our_key_stops_the_node_before_manifest_and_checkpoint(
    tmp_path: Path,
) -> None:
    database = tmp_path / "n.db"
    clean = drain(database, rows())
    for place in clean.objects:
        store = MemoryStore()
        store.objects[place] = b"{}" if place[1].endswith(".json") else b"something else"
        node = EdgeNode(config(), database)
        results = drive([node], store)
        assert isinstance(results[-1], Failed)
        assert isinstance(node.stopped, ContentConflict | CheckpointError)
        assert place[1] in str(node.stopped) or isinstance(node.stopped, CheckpointError)
        assert store.objects[place] in (b"{}", b"something else")
        assert drive([node], store) == []


def test_a_manifest_of_another_attempt_is_ours(tmp_path: Path) -> None:
    class Later:
        def now_us(self) -> int:
            return FixedClock().now_us() + HOUR

    clean = drain(tmp_path / "n.db", rows())
    store = MemoryStore()
    store.objects = {
        place: body for place, body in clean.objects.items() if "checkpoints" not in place[0]
    }
    later: Clock = Later()
    results = list(run([EdgeNode(config(), tmp_path / "n.db")], store, later, Inline(), 2**62))
    assert all(isinstance(r, Delivered) for r in results)
    assert store.objects == clean.objects


@pytest.mark.parametrize("number", range(1, 36))
def test_a_second_writer_in_between(tmp_path: Path, number: int) -> None:
    """Another process drains the same node completely at the n-th call of the first one."""
    database = tmp_path / "n.db"
    clean = drain(database, rows())
    store = MemoryStore()

    def fault(call: Call, after: bool) -> None:
        if call.number == number and not after:
            drive([EdgeNode(config(), database)], store)

    store.fault = fault
    first = EdgeNode(config(), database)
    results = drive([first], store)
    assert all(isinstance(r, Delivered) for r in results), results
    assert store.objects == clean.objects
    assert first.position is not None
    assert first.position.state.last_id == len(rows())


def test_a_suspended_node_accepts_the_work_of_another(tmp_path: Path) -> None:
    made = rows()
    database, store = tmp_path / "n.db", MemoryStore()
    write(database, made[:5])
    asleep, awake = EdgeNode(config(), database), EdgeNode(config(), database)
    drive([asleep], store, None)
    write(database, made[5:])
    drive([awake], store)
    assert all(isinstance(r, Delivered) for r in drive([asleep], store))
    assert store.objects == drain(database, []).objects


def test_a_level_checkpoint_with_other_content_is_a_conflict(tmp_path: Path) -> None:
    database = write(tmp_path / "n.db", rows()[:5])
    clean = drain(database, [])
    (place,) = [p for p in clean.objects if "checkpoints" in p[0]]
    forged = json.loads(clean.objects[place])
    forged["max_event_us"] += 1
    store = MemoryStore()

    def fault(call: Call, after: bool) -> None:
        if call.verb == "create" and call.bucket == place[0] and not after:
            store.objects[place] = json.dumps(forged).encode()

    store.fault = fault
    node = EdgeNode(config(), database)
    drive([node], store)
    assert isinstance(node.stopped, ContentConflict)
    assert place[1] in str(node.stopped)


def test_a_checkpoint_that_vanished_is_written_again(tmp_path: Path) -> None:
    clean = drain(tmp_path / "n.db", rows())
    (place,) = [p for p in clean.objects if "checkpoints" in p[0]]
    store = MemoryStore()

    def fault(call: Call, after: bool) -> None:
        if call.verb == "replace" and not after:
            store.objects.pop(place, None)

    store.fault = fault
    assert all(
        isinstance(r, Delivered) for r in drive([EdgeNode(config(), tmp_path / "n.db")], store)
    )
    assert store.objects == clean.objects


def test_a_checkpoint_of_other_batches_is_a_conflict(tmp_path: Path) -> None:
    """A writer that flushes at other times stores the same rows under other keys: stop."""
    database = tmp_path / "n.db"
    drain(database, rows())
    store = MemoryStore()

    def fault(call: Call, after: bool) -> None:
        if call.verb == "create" and "checkpoints" in call.bucket and not after:
            store.fault = None
            other = config(flush_every_s=300)
            list(
                run(
                    [EdgeNode(other, database)],
                    store,
                    FixedClock(),
                    Inline(),
                    good(50, step_s=60)["timestamp"],
                )
            )

    store.fault = fault
    node = EdgeNode(config(), database)
    drive([node], store)
    assert isinstance(node.stopped, ContentConflict)
    assert "checkpoints" in str(node.stopped)


def test_a_store_that_contradicts_itself_about_a_key_is_unavailable(tmp_path: Path) -> None:
    store = MemoryStore()

    def fault(call: Call, after: bool) -> None:
        if call.verb == "create":
            raise AlreadyExists("says it")

    store.fault = fault
    node = EdgeNode(config(), write(tmp_path / "n.db", rows()))
    (result,) = drive([node], store)
    assert isinstance(result, Failed)
    assert isinstance(result.error, Unavailable)
    assert node.stopped is None
    # nothing after it was tried
    assert len({call.key for call in store.calls if call.verb == "create"}) == 1


def test_a_store_that_contradicts_itself_about_a_checkpoint_is_unavailable(tmp_path: Path) -> None:
    store = MemoryStore()

    def fault(call: Call, after: bool) -> None:
        if call.verb == "create" and call.bucket.endswith("checkpoints"):
            raise AlreadyExists("says it")

    store.fault = fault
    node = EdgeNode(config(), write(tmp_path / "n.db", rows()))
    (result,) = drive([node], store)
    assert isinstance(result, Failed)
    assert isinstance(result.error, Unavailable)
    assert node.stopped is None
    store.fault = None
    assert all(isinstance(r, Delivered) for r in drive([node], store))


def test_an_invalid_manifest_equals_none() -> None:
    assert equal(b'{"a": 1, "upload_timestamp": 2}', b'{"upload_timestamp": 3, "a": 1}')
    for body in (b"", b"\xff", b"[]", b"null", b'{"a": 2}', b"{}"):
        assert not equal(b'{"a": 1}', body)
        assert not equal(body, b'{"a": 1}')


def test_a_manifest_contains_its_time_of_creation(tmp_path: Path) -> None:
    made = documents(drain(tmp_path / "n.db", rows()), "metadata").values()
    assert {document["upload_timestamp"] for document in made} == {"2024-01-16T00:00:00.000+00:00"}


def test_a_level_checkpoint_without_an_anchor_is_no_conflict(tmp_path: Path) -> None:
    database = write(tmp_path / "n.db", rows()[:5])
    (place,) = [p for p in drain(database, []).objects if "checkpoints" in p[0]]
    store = MemoryStore()

    def fault(call: Call, after: bool) -> None:
        if call.verb == "create" and call.bucket == place[0] and after:
            older = json.loads(store.objects[place])
            assert older.pop("anchor_us")
            store.objects[place] = json.dumps(older).encode()
            raise AlreadyExists("by another")

    store.fault = fault
    assert all(isinstance(r, Delivered) for r in drive([EdgeNode(config(), database)], store))
