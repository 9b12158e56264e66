"""The fault proxy with LocalStack and the pipeline's S3 client: each kind's effect on the wire.

Not covered: whole runs through it (test_chaos_run.py).
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import pytest

from pipeline.checkpoint import Checkpoint, CheckpointError
from pipeline.commit import Commit, ContentConflict, Position, commit, recover
from pipeline.manifest import DataObject
from pipeline.partition import bucket, checkpoint_key
from pipeline.ports import (
    AlreadyExists,
    Conflict,
    NotFound,
    ObjectStore,
    Refused,
    StoreError,
    Unavailable,
)
from pipeline.retry import Retrying
from pipeline.store import S3ObjectStore
from sim.chaos import wire, wire_faults
from sim.chaos.choice import INJECTIONS_PER_CALL
from sim.chaos.faults import FOREIGN, KINDS, Fault
from sim.chaos.proxy import FaultProxy, report_time
from tests.support.pipeline_world import config

DATA = bucket("ingestion")
FOLDER = "ingestion/year=2024/month=01/day=15/hour=00/"
KEY = FOLDER + "A-001-1-2.parquet"
BODY = b"rows of a batch" * 100
TIMEOUT_S = 1.0
"""Of a client that is to give up; any other has the time that a busy machine takes."""
GIVING_UP = ("store.hang", "store.late-commit")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire_faults, "LATE_S", (0.0, 0.2))
    monkeypatch.setattr(wire_faults, "SLOW_S", (0.1, 0.3))


@contextmanager
def proxied(url: str, *faults: Fault, seed: int = 7) -> Iterator[tuple[FaultProxy, S3ObjectStore]]:
    with FaultProxy(url, seed, list(enumerate(faults))) as proxy:
        gives_up = any(fault.kind in GIVING_UP for fault in faults)
        yield proxy, S3ObjectStore(proxy.endpoint_url, TIMEOUT_S if gives_up else 20)


def once(kind: str, *at: str) -> Fault:
    window = {"for_s": 60.0} if KINDS[kind].windowed else {}
    return Fault(kind, at=at, count=1, **window)


def outcome(call: Callable[[], object]) -> type[StoreError] | None:
    try:
        call()
    except StoreError as error:
        return type(error)
    return None


def test_without_faults_the_proxy_changes_nothing(clean_lake: str) -> None:
    direct = S3ObjectStore(clean_lake)
    with proxied(clean_lake) as (proxy, store):
        with pytest.raises(NotFound):
            store.get(DATA, KEY)
        etag = store.create(DATA, KEY, BODY)
        assert store.get(DATA, KEY) == direct.get(DATA, KEY) == (BODY, etag)
        with pytest.raises(AlreadyExists):
            store.create(DATA, KEY, BODY)
        newer = store.replace(DATA, KEY, BODY * 2, etag)
        with pytest.raises(Conflict):
            store.replace(DATA, KEY, BODY, etag)
        assert direct.get(DATA, KEY) == (BODY * 2, newer)
        names = [f"A-002-{i}-{i}.parquet" for i in range(1, 1103)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda name: store.create(DATA, FOLDER + name, b"x"), names))
        assert store.list(DATA, FOLDER, "A-002-") == sorted(FOLDER + name for name in names)
        with pytest.raises(Refused):
            store.get("no-such-bucket", KEY)
    assert not proxy.injections.by_kind


@pytest.mark.parametrize(
    ("kind", "error", "effect"),
    [
        ("store.error", Unavailable, False),
        ("store.reset", Unavailable, False),
        ("store.ack-lost", Unavailable, True),
        ("store.error-after", Unavailable, True),
        ("store.hang", Unavailable, False),
        ("store.outage", Unavailable, False),
        ("store.corrupted-put", Unavailable, False),
        ("store.slow", None, True),
        ("store.conflict", None, False),
        ("store.precondition", AlreadyExists, False),
        ("bucket.refuses", Refused, False),
    ],
)
def test_a_fault_of_a_create_has_its_effect(
    clean_lake: str, kind: str, error: type[StoreError] | None, effect: bool
) -> None:
    with proxied(clean_lake, once(kind, "data")) as (proxy, store):
        begun = time.monotonic()
        found = outcome(lambda: store.create(DATA, KEY, BODY))
        took_s = time.monotonic() - begun
        if kind == "store.conflict":
            # S3 leaves the meaning of a 409 on a create to the client
            assert found in (
                AlreadyExists,
                Unavailable,
            )
        else:
            assert found is error
        there = outcome(lambda: S3ObjectStore(clean_lake).get(DATA, KEY)) is None
        assert there is effect
        assert proxy.injections.by_kind == {kind: 1}
        if kind == "store.hang":
            assert took_s >= TIMEOUT_S
        if kind == "store.slow":
            assert took_s >= 0.1
        # one injection only
        assert outcome(lambda: store.create(DATA, KEY, BODY)) is (AlreadyExists if effect else None)
    assert S3ObjectStore(clean_lake).get(DATA, KEY)[0] == BODY


HEALING = [
    k
    for k, kind in KINDS.items()
    if "wire" in kind.layers and "data" in kind.points and k != FOREIGN
]


@pytest.mark.parametrize("kind", HEALING)
def test_a_write_through_any_fault_arrives_once_and_unchanged(clean_lake: str, kind: str) -> None:
    """The whole client (retries, and the commit protocol above them) writes until it succeeds."""
    window = {"for_s": 60.0} if KINDS[kind].windowed else {}
    with proxied(clean_lake, Fault(kind, **window)) as (proxy, plain):
        store = Retrying(plain, sleep=lambda _: None)
        position: Position | None = None
        for _ in range(12):
            try:
                position = deliver(store)
                break
            except StoreError:
                report_time(proxy.endpoint_url, "A", 61.0) if KINDS[kind].windowed else None
        assert position is not None
        proxy.settle()
        assert proxy.injections.by_kind[kind] >= (1 if KINDS[kind].windowed else 3)
        with pytest.raises(ContentConflict):
            deliver(Retrying(S3ObjectStore(clean_lake)), b"other rows")
    direct = S3ObjectStore(clean_lake)
    assert direct.get(DATA, KEY)[0] == BODY
    assert recover(direct, config()).state.last_id == 2


def deliver(store: ObjectStore, body: bytes = BODY) -> Position:
    objects = (DataObject("ingestion", DATA, KEY, body, 2, 0, 0, 1, 2),)
    state = Checkpoint(last_id=2, batches=1)
    work = Commit(
        config(),
        objects,
        "metadata/year=2024/month=01/day=15/hour=00/A-001-1-2.json",
        b"{}",
        {},
        state,
    )
    return commit(store, work, recover(store, config()))


@pytest.mark.parametrize("point", ["data", "manifest", "checkpoint"])
def test_foreign_bytes_stop_the_node_and_stay(clean_lake: str, point: str) -> None:
    direct = S3ObjectStore(clean_lake)
    with proxied(clean_lake, once(FOREIGN, point)) as (proxy, plain):
        for _ in range(2):  # another attempt does not help
            with pytest.raises((ContentConflict, CheckpointError)) as stop:
                deliver(Retrying(plain, sleep=lambda _: None))
        ((place, met),) = proxy.foreign.items()
        assert proxy.injections.by_point == {(FOREIGN, point): 1}
    assert "/".join(place) in str(stop.value)
    assert (met.turbine, met.begun) == ("A-001", point != "checkpoint")
    assert direct.get(*place)[0] == met.body


def test_foreign_bytes_replace_a_checkpoint_but_no_newer_one(
    clean_lake: str,
) -> None:
    place, ahead = (
        (bucket("checkpoints"), checkpoint_key("A", "A-001")),
        Checkpoint(last_id=2).to_json("A-001", "n"),
    )
    first = S3ObjectStore(clean_lake).create(*place, b"at 1")
    with proxied(clean_lake, once(FOREIGN)) as (proxy, store):
        with pytest.raises(Conflict):
            # a faster writer would have got the same error
            store.replace(*place, ahead, '"another"')
        assert (proxy.foreign, proxy.injections.by_kind) == ({}, {})
        with pytest.raises(Conflict):
            store.replace(*place, ahead, first)
        assert proxy.injections.by_kind == {FOREIGN: 1}
    assert S3ObjectStore(clean_lake).get(*place)[0] == proxy.foreign[place].body


def test_a_late_commit_does_not_set_the_checkpoint_back(clean_lake: str) -> None:
    place = bucket("checkpoints"), checkpoint_key("A", "A-001")
    direct = S3ObjectStore(clean_lake)
    first = direct.create(*place, b"at 1")
    with proxied(clean_lake, once("store.late-commit", "checkpoint")) as (proxy, store):
        with pytest.raises(Unavailable):
            store.replace(*place, b"at 2, late", first)
        second = store.replace(*place, b"at 2", first)
        store.replace(*place, b"at 3", second)
        proxy.settle()
        assert proxy.injections.by_kind == {"store.late-commit": 1}
    assert direct.get(*place)[0] == b"at 3"


def test_a_late_commit_succeeds_without_a_conflicting_write(clean_lake: str) -> None:
    with proxied(clean_lake, once("store.late-commit")) as (proxy, store):
        with pytest.raises(Unavailable):
            store.create(DATA, KEY, BODY)
        proxy.settle()
    assert S3ObjectStore(clean_lake).get(DATA, KEY)[0] == BODY


def test_a_truncated_body_is_rejected(clean_lake: str) -> None:
    with proxied(clean_lake, once("store.truncated-get")) as (proxy, store):
        assert outcome(lambda: store.get(DATA, KEY)) is NotFound
        assert (
            proxy.injections.by_kind["store.truncated-get"] == 0
        )  # no object, nothing to truncate
        store.create(DATA, KEY, BODY)
        with pytest.raises(Unavailable):
            store.get(DATA, KEY)
        assert store.get(DATA, KEY)[0] == BODY
        assert proxy.injections.by_kind == {"store.truncated-get": 1}


def test_a_corrupted_overwrite_leaves_the_object_unchanged(clean_lake: str) -> None:
    place = bucket("checkpoints"), checkpoint_key("A", "A-001")
    direct = S3ObjectStore(clean_lake)
    first = direct.create(*place, b"at 1")
    with proxied(clean_lake, once("store.corrupted-put")) as (proxy, store):
        with pytest.raises(Unavailable, match="BadDigest"):
            store.replace(*place, b"at 2", first)
        assert proxy.injections.by_kind == {"store.corrupted-put": 1}
        assert direct.get(*place) == (b"at 1", first)
        store.replace(*place, b"at 2", first)
    assert direct.get(*place)[0] == b"at 2"


def test_a_window_follows_the_farms_own_time_and_ends(clean_lake: str) -> None:
    outage = Fault("store.outage", from_s=300, for_s=60, farms=("A",))
    other = FOLDER + "B-001-1-2.parquet"
    with proxied(clean_lake, outage) as (proxy, store):
        store.create(DATA, KEY + ".1", BODY)
        report_time(proxy.endpoint_url, "A", 300)
        report_time(proxy.endpoint_url, "B", 900)
        for _ in range(INJECTIONS_PER_CALL + 2):  # only the window's end limits them
            assert outcome(lambda: store.create(DATA, KEY, BODY)) is Unavailable
        store.create(DATA, other, BODY)
        report_time(proxy.endpoint_url, "A", 360)
        store.create(DATA, KEY, BODY)
        assert proxy.injections.by_kind == {"store.outage": INJECTIONS_PER_CALL + 2}


def test_a_bucket_refuses_writes_and_others_accept_them(clean_lake: str) -> None:
    with proxied(
        clean_lake, Fault("bucket.refuses", for_s=9, buckets=("validated", "metadata"))
    ) as (_, store):
        store.create(DATA, KEY, BODY)
        key = KEY.replace("ingestion", "validated")
        assert outcome(lambda: store.create(bucket("validated"), key, BODY)) is Refused
        assert outcome(lambda: store.get(bucket("validated"), key)) is NotFound
        # same point, another verb
        assert outcome(lambda: store.get(bucket("metadata"), key)) is NotFound


def test_injections_are_a_function_of_the_seed_and_the_call(clean_lake: str) -> None:
    keys = [f"{FOLDER}A-{i:03}-1-2.parquet" for i in range(40)]

    def injected(seed: int, order: list[str]) -> set[str]:
        with proxied(clean_lake, Fault("store.error", share=0.4), seed=seed) as (_, store):
            return {key for key in order if outcome(partial(store.get, DATA, key)) is Unavailable}

    first = injected(7, keys)
    assert 5 <= len(first) <= 30
    assert injected(7, keys[::-1]) == first
    assert injected(8, keys) != first


def test_errors_come_in_bursts_and_end(clean_lake: str) -> None:
    with proxied(clean_lake, Fault("store.error")) as (_, store):
        found = [outcome(lambda: store.get(DATA, KEY)) for _ in range(INJECTIONS_PER_CALL + 2)]
    assert found == [Unavailable] * INJECTIONS_PER_CALL + [NotFound] * 2


def test_a_reset_closes_the_connection(clean_lake: str) -> None:
    with proxied(clean_lake, once("store.reset")) as (proxy, _):
        port = int(proxy.endpoint_url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), 5) as client:
            client.sendall(f"GET /{DATA}/{KEY} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            with pytest.raises(ConnectionResetError):
                client.recv(1)


def test_the_proxy_accepts_only_local_endpoints_and_wire_faults() -> None:
    with pytest.raises(ValueError, match="only plain HTTP on this machine"):
        FaultProxy("http://s3.us-west-2.amazonaws.com", 7, [])
    with pytest.raises(ValueError, match=r"worker\.kill is not a fault of the wire"):
        FaultProxy("http://127.0.0.1:1", 7, [(0, Fault("worker.kill"))])


@pytest.mark.parametrize("body", [b"", b"x" * 1000, b"x" * 1001])
def test_a_body_ended_by_the_connection_is_complete_and_bounded(
    monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    monkeypatch.setattr(wire, "BODY_BYTES", 1000)

    async def answer() -> wire.Message:
        stream = asyncio.StreamReader()
        stream.feed_data(b"HTTP/1.0 200 OK\r\n\r\n" + body)
        stream.feed_eof()
        return await wire.Connection(stream, None).answer("GET")

    if len(body) > 1000:
        with pytest.raises(wire.WireError, match="more than 1000 bytes"):
            asyncio.run(answer())
    else:
        message = asyncio.run(answer())
        assert (message.body, message.last) == (body, True)


def test_an_invalid_request_affects_no_other_client(clean_lake: str) -> None:
    with proxied(clean_lake) as (proxy, store):
        port = int(proxy.endpoint_url.rpartition(":")[2])
        for words in (
            b"",
            b"hello\r\n\r\n",
            b"PUT /x HTTP/1.1\r\nContent-Length: 9999999999999\r\n\r\n",
            b"x" * 99_999,
        ):
            with socket.create_connection(("127.0.0.1", port), 5) as client:
                client.sendall(words)
        assert outcome(lambda: store.get(DATA, KEY)) is NotFound
