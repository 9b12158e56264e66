"""The short gateway beside the stock one: the same answers to the same requests, byte for byte.

Two real servers get one corpus, the short one as one process, as two and as three. Left out of the
comparison: dates and ids of requests.
"""

from __future__ import annotations

import base64
import hashlib
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from sim.store.localstack import EmbeddedLocalStack
from tests.support.raw_http import AUTHORIZATION, Answer, Connection, answered, request

BODY = b"id,wind_speed\n1,7.5\n"
ETAG = f'"{hashlib.md5(BODY).hexdigest()}"'
SHA256 = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
CRC32 = base64.b64encode(zlib.crc32(BODY).to_bytes(4, "big")).decode()
MD5 = base64.b64encode(hashlib.md5(BODY).digest()).decode()
HASH = hashlib.sha256(BODY).hexdigest()
LARGE = bytes(range(256)) * (5 << 12)  # 5 MiB: more than the short way takes


def put_bucket(name: str) -> bytes:
    return request("PUT", f"/{name}")


class Servers(dict[str, str]):
    """Endpoint URLs by gateway. processes: of the short one."""

    processes: int


@pytest.fixture(
    scope="module",
    params=[1, *(pytest.param(n, marks=pytest.mark.campaign) for n in (2, 3))],
)
def servers(request: pytest.FixtureRequest) -> Iterator[Servers]:
    """Two servers with the bucket `plain`."""
    with (
        EmbeddedLocalStack("short", request.param) as short,
        EmbeddedLocalStack("stock") as stock,
    ):
        urls = Servers(short=short.endpoint_url, stock=stock.endpoint_url)
        urls.processes = request.param
        for url in urls.values():
            with Connection(url) as connection:
                assert connection.ask(put_bucket("plain")).code == 200
        yield urls


def both(servers: Servers, *sent: bytes) -> list[Answer]:
    """Send requests to both servers over a kept connection; they must agree. Return the answers."""
    found = {}
    for gateway, url in servers.items():
        with Connection(url) as connection:
            found[gateway] = [connection.ask(each) for each in sent]
    for one, short, stock in zip(sent, found["short"], found["stock"], strict=True):
        assert short.lasting == stock.lasting, one[:200]
    return found["short"]


def ways(servers: Servers, *sent: bytes) -> tuple[int, int]:
    """Return how many requests the short server answers the short way, and the stock way."""
    before = answered(servers["short"], servers.processes)
    both(servers, *sent)
    after = answered(servers["short"], servers.processes)
    return after["short"] - before["short"], after["stock"] - before["stock"]


def put(key: str, *headers: tuple[str, str], body: bytes = BODY) -> bytes:
    return request("PUT", f"/plain/{key}", body, *headers)


def get(key: str, *headers: tuple[str, str], method: str = "GET") -> bytes:
    return request(method, f"/plain/{key}", None, *headers)


def every_reading(key: str, *headers: tuple[str, str]) -> list[bytes]:
    return [get(key, *headers), get(key, *headers, method="HEAD")]


PLAIN = {
    "nothing": [],
    "content type": [("Content-Type", "application/vnd.apache.parquet")],
    "hash of the payload": [("x-amz-content-sha256", HASH)],
    "unsigned payload": [("x-amz-content-sha256", "UNSIGNED-PAYLOAD")],
    "sha256": [("x-amz-checksum-sha256", SHA256)],
    "crc32": [("x-amz-checksum-crc32", CRC32), ("x-amz-sdk-checksum-algorithm", "CRC32")],
    "md5": [("Content-MD5", MD5)],
    "expect": [("Expect", "100-continue")],
    "metadata": [("x-amz-meta-Turbine", "A-001"), ("x-amz-meta-b", "a, b; c")],
    "create": [("If-None-Match", "*")],
    "names in lower case": [("content-type", "text/csv"), ("host", "localhost:4566")],
    "names of an SDK": [
        ("User-Agent", "Boto3/1.42"),
        ("Accept-Encoding", "identity"),
        ("amz-sdk-invocation-id", "5d1cb0e3"),
        ("amz-sdk-request", "attempt=1"),
        ("X-Amz-Date", "20240101T000000Z"),
        ("Accept", "*/*"),
        ("Connection", "keep-alive"),
    ],
}


@pytest.mark.parametrize("case", PLAIN)
def test_a_plain_object_is_put_and_read_the_short_way(servers: Servers, case: str) -> None:
    key = f"plain/year%3D2024/{case.replace(' ', '-')}"
    reading = [
        *every_reading(key),
        *every_reading(key, ("Range", "bytes=3-6")),
        *every_reading(key, ("Range", "bytes=-4")),
        *every_reading(key, ("Range", "bytes=4-")),
        *every_reading(key, ("If-Match", ETAG)),
        *every_reading(key, ("x-amz-checksum-mode", "ENABLED")),
    ]
    sent = [put(key, *PLAIN[case]), *reading]
    assert ways(servers, *sent) == (len(sent), 0)
    assert both(servers, get(key))[0].body == BODY


REFUSED = {
    "create of a key that exists": put("there", ("If-None-Match", "*")),
    "replace of another version": put("there", ("If-Match", '"d41d8cd98f00b204e9800998ecf8427e"')),
    "replace of a missing key": put("not-there", ("If-Match", ETAG)),
    "both conditions": put("there", ("If-Match", ETAG), ("If-None-Match", "*")),
    "a condition S3 does not know": put("there", ("If-None-Match", ETAG)),
    "wrong sha256": put("there", ("x-amz-checksum-sha256", SHA256[::-1])),
    "another sha256": put("there", ("x-amz-checksum-sha256", base64.b64encode(bytes(32)).decode())),
    "another crc32": put("there", ("x-amz-checksum-crc32", "AAAAAA==")),
    "two checksums": put(
        "there", ("x-amz-checksum-sha256", SHA256), ("x-amz-checksum-crc32", CRC32)
    ),
    "odd md5": put("there", ("Content-MD5", "nonsense")),
    "another md5": put("there", ("Content-MD5", base64.b64encode(bytes(16)).decode())),
    "missing bucket": request("PUT", "/no-such-bucket/there", BODY),
    "read of a missing bucket": request("GET", "/no-such-bucket/there"),
    "read of a missing key": get("not-there"),
    "head of a missing key": get("not-there", method="HEAD"),
    "read of another version": get("there", ("If-Match", '"0"')),
    "not modified": get("there", ("If-None-Match", ETAG)),
    "head not modified": get("there", ("If-None-Match", ETAG), method="HEAD"),
    "range beyond the end": get("there", ("Range", "bytes=500-")),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_is_the_stock_one_and_changes_nothing(servers: Servers, case: str) -> None:
    short = case in ("read of a missing key", "head of a missing key")
    # The last request shows that the refusal has ended where it should.
    sent = [put("there"), REFUSED[case], put("after")]
    assert ways(servers, *sent) == ((3, 0) if short else (2, 1))
    # Where a checksum is wrong, the stock storage loses the object that was there.
    with Connection(servers["short"]) as connection:
        found = connection.ask(get("there"))
        assert (found.code, found.body, found.header("etag")) == (200, BODY, ETAG)
        assert connection.ask(get("not-there")).code == 404


CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
AWS_CHUNKED = b"%x;chunk-signature=%s\r\n%s\r\n0;chunk-signature=%s\r\n\r\n" % (
    len(BODY),
    b"0" * 64,
    BODY,
    b"0" * 64,
)
TRAILING = b"%x\r\n%s\r\n0\r\nx-amz-checksum-crc32:%s\r\n\r\n" % (
    len(BODY),
    BODY,
    CRC32.encode(),
)
STREAMED = [
    ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
    ("Content-Encoding", "aws-chunked"),
    ("x-amz-decoded-content-length", str(len(BODY))),
]
OTHER = {
    "chunks": put("other", ("Content-Length", ""), ("Transfer-Encoding", "chunked"), body=CHUNKED),
    "signed chunks": put("other", *STREAMED, body=AWS_CHUNKED),
    "trailing checksum": put(
        "other",
        ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ("Content-Encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", str(len(BODY))),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
        body=TRAILING,
    ),
    "no length": request("PUT", "/plain/other"),
    "large": put("other", body=LARGE),
    "stored with more": put(
        "other",
        ("Cache-Control", "no-cache"),
        ("Content-Encoding", "gzip"),
        ("Expires", "Wed, 21 Oct 2026 07:28:00 GMT"),
        ("x-amz-storage-class", "STANDARD_IA"),
        ("x-amz-tagging", "a=1&b=2"),
    ),
    "copy": request(
        "PUT", "/plain/other", None, ("x-amz-copy-source", "/plain/there"), ("Content-Length", "0")
    ),
    "no credentials": put("other", ("Authorization", "")),
    "another account": put(
        "other", ("Authorization", AUTHORIZATION.replace("test/", "111111111111/"))
    ),
    "another region": put("other", ("Authorization", AUTHORIZATION.replace("us-", "xx-"))),
    "odd authorization": put("other", ("Authorization", "Bearer x")),
    "origin": put("other", ("Origin", "http://localhost:3000")),
    "virtual host": request(
        "PUT", "/other", BODY, host="plain.s3.us-east-1.localhost.localstack.cloud"
    ),
    "metadata beyond ASCII": put("other", ("x-amz-meta-name", "Käse")),
    "a header twice": put("other", ("x-amz-meta-a", "1"), ("X-Amz-Meta-A", "2")),
    "grant": put("other", ("x-amz-acl", "public-read")),
    "tags": request("GET", "/plain/other?tagging"),
    "attributes": request(
        "GET", "/plain/other?attributes", None, ("x-amz-object-attributes", "ETag,ObjectSize")
    ),
    "response headers": request("GET", "/plain/other?response-content-type=text/x"),
    "presigned": request(
        "GET", "/plain/other?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=x", None
    ),
    "post": request("POST", "/plain/other", b""),
    "options": request("OPTIONS", "/plain/other"),
    "delete": request("DELETE", "/plain/other"),
    "since": get("there", ("If-Modified-Since", "Wed, 21 Oct 2020 07:28:00 GMT")),
    "read with a body": request("GET", "/plain/there", b"x"),
    "read as JSON": get("there", ("Accept", "application/json")),
}


@pytest.mark.parametrize("case", OTHER)
def test_the_stock_gateway_answers_all_else(servers: Servers, case: str) -> None:
    short = case == "another account"  # an account is understood
    before = [put("there"), put("other", body=b"before")]
    assert ways(servers, *before, OTHER[case]) == ((3, 0) if short else (2, 1))
    both(servers, *every_reading("other"), *every_reading("other", ("Range", "bytes=0-2")))


KEYS = [
    *("a=b", "a%3Db", "a%3db", "a%2Fb", "a%2fb", "a+b", "a%2Bb", "a%20b", "a//b", "/a", "a/"),
    *("a//", ".", "..", "a/./b", "a/../b", "a..b", ".a", "%C3%A9", "%c3%a9", "%FF", "%25", "%"),
    *("a%", "%3", "%3Dx", "a&b", "a:b", "a@b", "a~b", "a*b", "a'b", "a(b)", "a;b", "a,b", "a!b"),
    *("%00", "a%0Ab", "a%5Cb", "a\\b", "a|b", "x" * 1024, "x" * 1025, "y/" * 300),
]


@pytest.mark.parametrize("key", KEYS)
def test_odd_keys_name_the_same_object(servers: Servers, key: str) -> None:
    both(servers, put(key, body=key.encode()), *every_reading(key))
    listing = [b.split(b"<Key>")[1:] for b in listed(servers)]
    names = [[part.partition(b"</Key>")[0] for part in parts] for parts in listing]
    assert names[0] == names[1]


def listed(servers: Servers) -> list[bytes]:
    found = []
    for url in servers.values():
        with Connection(url) as connection:
            found.append(connection.ask(request("GET", "/plain?list-type=2")).body)
    return found


@pytest.mark.parametrize("size", [0, 1, 99_999, 100_000, 700_000, 4 << 20, (4 << 20) + 1])
def test_bodies_of_every_size_are_the_same(servers: Servers, size: int) -> None:
    body = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    key = f"size-{size}"
    found = both(servers, put(key, body=body), *every_reading(key))
    assert found[1].body == body


@pytest.mark.parametrize("setting", ["versioning", "object-lock", "encryption"])
def test_a_bucket_with_more_than_objects_is_left_to_the_stock_gateway(
    servers: Servers, setting: str
) -> None:
    bucket = f"with-{setting}"
    change = {
        "versioning": request(
            "PUT",
            f"/{bucket}?versioning",
            b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
        ),
        "object-lock": request("GET", f"/{bucket}?object-lock"),
        "encryption": request(
            "PUT",
            f"/{bucket}?encryption",
            b"<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>"
            b"<SSEAlgorithm>aws:kms:dsse</SSEAlgorithm></ApplyServerSideEncryptionByDefault>"
            b"</Rule></ServerSideEncryptionConfiguration>",
        ),
    }[setting]
    locked = [("x-amz-bucket-object-lock-enabled", "true")] if setting == "object-lock" else []
    both(servers, request("PUT", f"/{bucket}", None, *locked), change)
    before = answered(servers["short"], servers.processes)
    for url in servers.values():
        with Connection(url) as connection:
            assert connection.ask(request("PUT", f"/{bucket}/key", BODY)).code == 200
            assert connection.ask(request("GET", f"/{bucket}/key")).body == BODY
    after = answered(servers["short"], servers.processes)
    assert after["short"] == before["short"]


def test_of_concurrent_creates_exactly_one_wins(servers: Servers) -> None:
    """Some go the stock way (they name no credentials), with bodies that take it milliseconds."""
    bodies = {number: b"%d" % number * (1 if number < 4 else 2 << 20) for number in range(8)}

    together = threading.Barrier(len(bodies))

    def create(number: int) -> list[int]:
        stock = [] if number < 4 else [("Authorization", "")]
        codes = []
        with Connection(servers["short"]) as connection:
            for race in range(12):
                key = f"race-{race}"
                sent = put(key, ("If-None-Match", "*"), *stock, body=bodies[number])
                connection.socket.sendall(sent[:-1])
                together.wait()
                # the stock gateway is slower: the short one comes while it is at work
                time.sleep(0.0 if stock else 0.005 * (number + 1))
                codes.append(connection.ask(sent[-1:]).code)
        return codes

    with ThreadPoolExecutor(len(bodies)) as pool:
        codes = list(pool.map(create, bodies))
    with Connection(servers["short"]) as connection:
        for race in range(12):
            assert sorted(code[race] for code in codes) == [200] + [412] * 7
            winner = next(number for number in bodies if codes[number][race] == 200)
            assert connection.ask(get(f"race-{race}")).body == bodies[winner]
