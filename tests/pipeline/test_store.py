"""The S3 client against LocalStack: four verbs, errors, retries, listings beyond 1,000 keys."""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from pipeline.partition import bucket
from pipeline.ports import (
    AlreadyExists,
    Conflict,
    NoBucket,
    NotFound,
    ObjectStore,
    Refused,
    StoreError,
    Unavailable,
)
from pipeline.retry import Operation, Retrying
from pipeline.store import S3ObjectStore
from sim.campaign.memory_store import MemoryStore
from sim.store import folder

BUCKET = bucket("ingestion")
FOLDER = "ingestion/year=2024/month=01/day=15/hour=00/"


@pytest.fixture(params=["memory", "folder", "localstack"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """A store of each kind, under one contract."""
    if request.param == "memory":
        return MemoryStore()
    if request.param == "folder":
        folder.make(tmp_path)
        return folder.FolderStore(tmp_path)
    return S3ObjectStore(request.getfixturevalue("clean_lake"))


def test_the_contract_of_a_store(store: ObjectStore) -> None:
    key = FOLDER + "A-001-1-2.parquet"
    with pytest.raises(NotFound, match="A-001-1-2"):
        store.get(BUCKET, key)
    with pytest.raises(Conflict):
        store.replace(BUCKET, key, b"one", '"abc"')
    etag = store.create(BUCKET, key, b"one")
    assert store.get(BUCKET, key) == (b"one", etag)
    with pytest.raises(AlreadyExists):
        store.create(BUCKET, key, b"one")
    newer = store.replace(BUCKET, key, b"two", etag)
    assert newer != etag
    with pytest.raises(Conflict):
        store.replace(BUCKET, key, b"three", etag)
    assert store.get(BUCKET, key) == (b"two", newer)
    assert store.list(BUCKET, FOLDER, "A-001-") == [key]
    assert store.list(BUCKET, "ingestion/year=1999/", "A-") == []


def test_a_missing_bucket_is_not_a_missing_key(store: ObjectStore) -> None:
    # of a key's real length: the answer names it before the reason
    key = FOLDER + "A-001-1-2.parquet"
    calls: list[Callable[[], Any]] = [
        partial(store.get, "no-such-bucket", key),
        partial(store.create, "no-such-bucket", key, b"x"),
        partial(store.replace, "no-such-bucket", key, b"x", '"abc"'),
        partial(store.list, "no-such-bucket", "f/", "A-"),
    ]
    for call in calls:
        with pytest.raises(NoBucket, match="bucket does not exist"):
            call()


def test_only_one_of_many_writers_creates(store: ObjectStore) -> None:
    def attempt(i: int) -> int | None:
        try:
            store.create(BUCKET, "ingestion/race", b"%d" % i)
        except AlreadyExists:
            return None
        return i

    with ThreadPoolExecutor(8) as pool:
        winners = [i for i in pool.map(attempt, range(16)) if i is not None]
    assert len(winners) == 1
    assert store.get(BUCKET, "ingestion/race")[0] == b"%d" % winners[0]


def test_a_listing_is_complete_and_limited_to_its_prefix(clean_lake: str) -> None:
    store = S3ObjectStore(clean_lake)
    names = {f"{turbine}-{i}-{i + 9}.parquet" for i in range(1, 1100) for turbine in ("A-1",)}
    names |= {
        f"{turbine}-{i}-{i + 9}.parquet"
        for i in range(1, 100)
        for turbine in ("A-10", "A-1-2", "A-001", "A-0010")
    }
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: store.create(BUCKET, FOLDER + name, b"x"), names))
        store.create(BUCKET, FOLDER.replace("hour=00", "hour=01") + "A-1-1-2.parquet", b"x")
    for prefix in ("A-1-", "A-10-", "A-1-2-", "A-001-", "A-0010-", "A-", "B-"):
        expected = sorted(FOLDER + name for name in names if name.startswith(prefix))
        assert store.list(BUCKET, FOLDER, prefix) == expected
    assert len(names) == 1099 + 4 * 99
    keys = sorted([FOLDER + name for name in names] + [FOLDER[:-2] + "1/A-1-1-2.parquet"])
    for after in ("", FOLDER + "A-1", keys[700], FOLDER + "A-1-\U0010ffff", FOLDER + "\U0010ffff"):
        behind = [key for key in keys if key > after]
        for most in (1, 90):
            found, more = store.page(BUCKET, after, most)
            assert [key for key, *_ in found] == behind[:most]
            assert more is (len(behind) > most)


def test_an_endpoint_that_does_not_answer_is_unavailable_after_all_attempts() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    seen: list[Operation] = []
    waits: list[float] = []
    store = Retrying(
        S3ObjectStore(f"http://127.0.0.1:{port}"), seen.append, attempts=3, sleep=waits.append
    )
    with pytest.raises(Unavailable, match="put expanso-databricks-ingestion/k"):
        store.create(BUCKET, "k", b"body")
    assert [(o.attempt, o.outcome, o.bytes) for o in seen] == [
        (n, "unavailable", 4) for n in (1, 2, 3)
    ]
    assert len(waits) == 2
    assert len({o.intended_start for o in seen}) == 1
    assert all(o.intended_start <= o.start <= o.end for o in seen)


def test_every_outcome_is_recorded(clean_lake: str) -> None:
    seen: list[Operation] = []
    store = Retrying(S3ObjectStore(clean_lake), seen.append)
    etag = store.create(BUCKET, "k/a", b"12345")
    store.get(BUCKET, "k/a")
    store.list(BUCKET, "k/", "a")
    for failing in (
        partial(store.create, BUCKET, "k/a", b"1"),
        partial(store.replace, BUCKET, "k/a", b"1", etag[:-3] + 'xx"'),
        partial(store.get, BUCKET, "k/b"),
        partial(store.get, "no-such-bucket", "k/b"),
    ):
        with pytest.raises(StoreError):
            failing()
    assert [(o.kind, o.outcome, o.bytes) for o in seen] == [
        ("put", "ok", 5), ("get", "ok", 5), ("list", "ok", 0),
        ("put", "exists", 1), ("put", "conflict", 1), ("get", "missing", 0), ("get", "refused", 0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (400, "InvalidRequest", Refused),
        (400, "RequestTimeout", Unavailable),
        (400, "BadDigest", Unavailable),
        (400, "XAmzContentSHA256Mismatch", Unavailable),
        (401, "X", Refused),
        (403, "AccessDenied", Refused),
        (429, "X", Unavailable),
        (500, "InternalError", Unavailable),
        (503, "SlowDown", Unavailable),
    ],
)
def test_each_status_of_an_answer_has_its_error(
    status: int, code: str, error: type[StoreError]
) -> None:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = f"<Error><Code>{code}</Code></Error>".encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_PUT = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        store = S3ObjectStore(f"http://127.0.0.1:{server.server_port}")
        key = FOLDER + "A-001-1-2.parquet"
        for call in (
            partial(store.get, BUCKET, key),
            partial(store.create, BUCKET, key, b"x"),
            partial(store.replace, BUCKET, key, b"x", '"abc"'),
            partial(store.list, BUCKET, FOLDER, "A-001-"),
        ):
            with pytest.raises(error):
                call()
        server.shutdown()
