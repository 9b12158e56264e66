"""The short gateway under real clients and odd connections; where the wire is odd, beside stock."""

from __future__ import annotations

import http.client
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import obstore
import pytest
from obstore.exceptions import AlreadyExistsError, PreconditionError
from obstore.store import S3Store

from pipeline import lake
from pipeline.ports import AlreadyExists, Conflict
from pipeline.store import S3ObjectStore
from sim.store.localstack import EmbeddedLocalStack
from tests.support.raw_http import AUTHORIZATION, Connection, answered, request

BUCKET = "clients"
KEY = "validated/year=2024/month=01/day=15/hour=05/A-001-0-599.parquet"
BODY = bytes(range(256)) * 300


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, str]]:
    """Endpoint URLs by gateway, with the bucket `clients`."""
    with EmbeddedLocalStack("short") as short, EmbeddedLocalStack("stock") as stock:
        urls = {"short": short.endpoint_url, "stock": stock.endpoint_url}
        for url in urls.values():
            lake.client(url).create_bucket(
                Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": lake.REGION}
            )
        yield urls


@pytest.fixture
def short(servers: dict[str, str]) -> str:
    return servers["short"]


def short_answers(url: str) -> int:
    return answered(url)["short"]


def test_boto3_goes_the_short_way(short: str) -> None:
    before = short_answers(short)
    s3 = lake.client(short)
    etag = s3.put_object(Bucket=BUCKET, Key=f"boto3/{KEY}", Body=BODY, IfNoneMatch="*")["ETag"]
    with pytest.raises(s3.exceptions.ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=BUCKET, Key=f"boto3/{KEY}", Body=BODY, IfNoneMatch="*")
    s3.put_object(Bucket=BUCKET, Key=f"boto3/{KEY}", Body=BODY[::-1], IfMatch=etag)
    found = s3.get_object(Bucket=BUCKET, Key=f"boto3/{KEY}")
    assert found["Body"].read() == BODY[::-1]
    assert s3.head_object(Bucket=BUCKET, Key=f"boto3/{KEY}")["ContentLength"] == len(BODY)
    assert short_answers(short) - before == 4


def test_obstore_goes_the_short_way(short: str) -> None:
    before = short_answers(short)
    store = S3Store(
        BUCKET,
        endpoint=short,
        region=lake.REGION,
        access_key_id="test",
        secret_access_key="test",
        client_options={"allow_http": True},
    )
    made = obstore.put(store, f"obstore/{KEY}", BODY, mode="create")
    with pytest.raises(AlreadyExistsError):
        obstore.put(store, f"obstore/{KEY}", BODY, mode="create")
    obstore.put(store, f"obstore/{KEY}", BODY[::-1], mode={"e_tag": made["e_tag"]})
    with pytest.raises(PreconditionError):
        obstore.put(store, f"obstore/{KEY}", BODY, mode={"e_tag": made["e_tag"]})
    assert bytes(obstore.get(store, f"obstore/{KEY}").bytes()) == BODY[::-1]
    assert bytes(obstore.get_range(store, f"obstore/{KEY}", start=5, end=9)) == BODY[::-1][5:9]
    assert obstore.head(store, f"obstore/{KEY}")["size"] == len(BODY)
    assert short_answers(short) - before == 5


def test_the_pipeline_goes_the_short_way(short: str) -> None:
    before = short_answers(short)
    store = S3ObjectStore(short)
    etag = store.create(BUCKET, f"own/{KEY}", BODY)
    with pytest.raises(AlreadyExists):
        store.create(BUCKET, f"own/{KEY}", BODY)
    other = store.replace(BUCKET, f"own/{KEY}", BODY[::-1], etag)
    with pytest.raises(Conflict):
        store.replace(BUCKET, f"own/{KEY}", BODY, etag)
    assert store.get(BUCKET, f"own/{KEY}") == (BODY[::-1], other)
    assert short_answers(short) - before == 3


def test_one_connection_is_kept_for_thousands_of_requests(short: str) -> None:
    port = int(short.rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": AUTHORIZATION}
    connection.connect()
    used = connection.sock
    before = short_answers(short)
    for number in range(1_000):
        connection.request("PUT", f"/{BUCKET}/kept/{number % 7}", b"%d" % number, headers)
        assert connection.getresponse().read() == b""
        connection.request("GET", f"/{BUCKET}/kept/{number % 7}", headers=headers)
        assert connection.getresponse().read() == b"%d" % number
        assert connection.sock is used
    assert short_answers(short) - before == 2_000


def test_pipelined_requests_are_answered_in_their_order(servers: dict[str, str]) -> None:
    """Plain ones and others in turn, sent at once, and in pieces that end anywhere."""
    sent, heads = b"", []
    for number in range(60):
        key = f"/{BUCKET}/pipelined/{number}"
        sent += request("PUT", key, b"%d" % number * (number * 50))
        sent += request("GET", key) + request("HEAD", key) + request("GET", f"{key}?tagging")
        sent += request("GET", f"/{BUCKET}/none/{number}")
        heads += [False, False, True, False, False]
    found = {}
    for gateway, url in servers.items():
        with Connection(url) as connection:
            writer = threading.Thread(target=_in_pieces, args=(connection.socket, sent))
            writer.start()
            found[gateway] = [connection.answer(of_head).lasting for of_head in heads]
            writer.join()
    assert found["short"] == found["stock"]


def _in_pieces(connection: socket.socket, sent: bytes) -> None:
    at, size = 0, 1
    while at < len(sent):
        connection.sendall(sent[at : at + size])
        at, size = at + size, (size * 7 + 3) % 10_007


def test_a_connection_is_closed_where_the_client_wants_it(servers: dict[str, str]) -> None:
    for url in servers.values():
        with Connection(url) as connection:
            found = connection.ask(
                request("PUT", f"/{BUCKET}/close", b"x", ("Connection", "close"))
            )
            assert (found.code, found.header("connection")) == (200, "close")
            with pytest.raises(EOFError):
                connection.answer()


WRONG_LENGTHS = {
    "too short": b"PUT {} HTTP/1.1\r\n{}Content-Length: 10\r\n\r\nabc",
    "too long": b"PUT {} HTTP/1.1\r\n{}Content-Length: 2\r\n\r\nabcdef\r\n\r\n",
    "no number": b"PUT {} HTTP/1.1\r\n{}Content-Length: ten\r\n\r\nabc",
    "negative": b"PUT {} HTTP/1.1\r\n{}Content-Length: -3\r\n\r\nabc",
    "two lengths": b"PUT {} HTTP/1.1\r\n{}Content-Length: 3\r\nContent-Length: 5\r\n\r\nabc",
    "length and chunks": b"PUT {} HTTP/1.1\r\n{}Content-Length: 3\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "cut headers": b"PUT {} HTTP/1.1\r\n{}Content-Len",
    "cut chunks": b"PUT {} HTTP/1.1\r\n{}Transfer-Encoding: chunked\r\n\r\n3\r\nab",
    "HTTP/1.0": b"PUT {} HTTP/1.0\r\n{}Content-Length: 3\r\n\r\nabc",
    "no protocol": b"PUT {}\r\n{}Content-Length: 3\r\n\r\nabc",
    "bad header": b"PUT {} HTTP/1.1\r\n{}Content Length 3\r\n\r\nabc",
    "zero byte": b"PUT {} HTTP/1.1\r\n{}x-amz-meta-a: \0\r\nContent-Length: 3\r\n\r\nabc",
    "folded header": b"PUT {} HTTP/1.1\r\n{}x-amz-meta-a: 1\r\n 2\r\nContent-Length: 3\r\n\r\nabc",
}


@pytest.mark.parametrize("case", WRONG_LENGTHS)
def test_a_body_of_another_length_leaves_what_stock_leaves(
    servers: dict[str, str], case: str
) -> None:
    """The object is there as it was, or whole; the client closes after its last byte."""
    key = f"/{BUCKET}/wrong-length"
    head = f"Host: 127.0.0.1\r\nAuthorization: {AUTHORIZATION}\r\n"
    sent = WRONG_LENGTHS[case].replace(b"{}", key.encode(), 1).replace(b"{}", head.encode(), 1)
    found = {}
    for gateway, url in servers.items():
        with Connection(url) as connection:
            assert connection.ask(request("PUT", key, b"before")).code == 200
        with Connection(url, timeout_s=0.5) as connection:
            connection.socket.sendall(sent)
            answer = _until_closed(connection.socket)
        with Connection(url) as connection:
            found[gateway] = (answer, connection.ask(request("GET", key)).lasting)
    assert found["short"] == found["stock"]


_VARYING = re.compile(rb"(?i)(date|x-amz-request-id|last-modified): [^\r]*")


def _until_closed(connection: socket.socket) -> bytes:
    """Return all bytes until the server closes, or is silent for the time-out."""
    found = b""
    try:
        while data := connection.recv(1 << 16):
            found += data
    except TimeoutError:
        pass
    return _VARYING.sub(rb"\1", found)


def test_a_client_that_closes_its_side_leaves_a_whole_object_or_none(
    servers: dict[str, str],
) -> None:
    for url in servers.values():
        for size in (0, 700, 3 << 20):
            with Connection(url) as connection:
                connection.socket.sendall(request("PUT", f"/{BUCKET}/half-{size}", b"x" * size))
                connection.socket.shutdown(socket.SHUT_WR)
                _until_closed(connection.socket)
            with Connection(url) as connection:
                found = connection.ask(request("GET", f"/{BUCKET}/half-{size}"))
                assert (found.code == 200 and found.body == b"x" * size) or found.code == 404


def test_slow_clients_hold_up_no_other(short: str) -> None:
    """Twenty send a body byte by byte, or do not read their answer, while others work."""
    large = os.urandom(3 << 20)
    with Connection(short) as connection:
        connection.ask(request("PUT", f"/{BUCKET}/large", large))
    senders = [Connection(short) for _ in range(10)]
    readers = [Connection(short) for _ in range(10)]
    slow = [request("PUT", f"/{BUCKET}/slow-{n}", b"%04d" % n) for n in range(10)]
    for sender, sent in zip(senders, slow, strict=True):
        sender.socket.sendall(sent[:-4])
    for reader in readers:
        reader.socket.sendall(request("GET", f"/{BUCKET}/large"))
    for at in range(4):
        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(lambda n: _put_and_get(short, n), range(20)))
        for sender, sent in zip(senders, slow, strict=True):
            sender.socket.sendall(sent[len(sent) - 4 + at : len(sent) - 3 + at])
        time.sleep(0.01)
    for number, sender in enumerate(senders):
        assert sender.answer().code == 200
        assert sender.ask(request("GET", f"/{BUCKET}/slow-{number}")).body == b"%04d" % number
    for reader in readers:
        assert reader.answer().body == large
    for connection in (*senders, *readers):
        connection.socket.close()


def _put_and_get(url: str, number: int) -> bool:
    with Connection(url) as connection:
        body = b"%d" % number * 100
        assert connection.ask(request("PUT", f"/{BUCKET}/quick-{number}", body)).code == 200
        return connection.ask(request("GET", f"/{BUCKET}/quick-{number}")).body == body
