"""Stock S3 clients through the fault proxy; unusual but valid HTTP; faults of any call.

By hand, as it cannot be installed with our boto3: s3fs.

Not covered: the effect of each kind of fault (test_proxy.py).
"""

from __future__ import annotations

import asyncio
import io
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import boto3
import obstore
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError
from obstore.store import S3Store
from pyarrow import fs

from sim.campaign.schedule import Line, Schedule
from sim.chaos import wire, wire_faults
from sim.chaos.call import Call
from sim.chaos.choice import INJECTIONS_PER_CALL, Chooser
from sim.chaos.faults import Fault
from sim.chaos.operations import OPERATIONS
from sim.chaos.proxy import FaultProxy, report_time
from sim.chaos.request import call_of
from sim.errors import ScheduleError
from sim.run.planned_faults import planned_faults
from sim.scenario import load
from sim.scenario.plan import plan
from tests.support.chaos_world import scenario_file

MB: Final = 1 << 20
ODD: Final = "year=2024/ü b+c&d%20/1.parquet"
SMALL: Final = bytes(range(256)) * 32
LARGE: Final = bytes(range(251)) * (6 * MB // 251)
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


def boto(url: str) -> Any:
    config = Config(retries={"total_max_attempts": 1}, read_timeout=10)
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client("s3", endpoint_url=url, region_name="us-west-2", config=config, **keys)


@contextmanager
def bucket(url: str, name: str = "anybodys-bucket") -> Iterator[str]:
    """Create a bucket outside the lake, for the length of a block."""
    client = boto(url)
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    try:
        yield name
    finally:
        for found in client.list_objects_v2(Bucket=name).get("Contents", []):
            client.delete_object(Bucket=name, Key=found["Key"])
        client.delete_bucket(Bucket=name)


def use_boto3(url: str, name: str) -> list[object]:
    s3 = boto(url)
    part = TransferConfig(multipart_threshold=5 * MB, multipart_chunksize=5 * MB, max_concurrency=3)
    seen: list[object] = [
        s3.put_object(Bucket=name, Key=ODD, Body=SMALL, Metadata={"A": "b"})["ETag"]
    ]
    seen += [s3.put_object(Bucket=name, Key="empty", Body=b"")["ETag"]]
    s3.upload_fileobj(io.BytesIO(LARGE), name, "large", Config=part)
    s3.copy_object(Bucket=name, Key="copy", CopySource={"Bucket": name, "Key": ODD})
    for key in (ODD, "empty", "large", "copy"):
        head = s3.head_object(Bucket=name, Key=key)
        seen += [
            head["ContentLength"],
            head["ETag"],
            head["Metadata"],
            s3.get_object(Bucket=name, Key=key)["Body"].read(),
        ]
    seen += [s3.get_object(Bucket=name, Key="large", Range="bytes=7-99")["Body"].read()]
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket=name, Key=ODD, Body=b"other", IfNoneMatch="*")
    seen += [refused.value.response["Error"]["Code"]]
    with pytest.raises(ClientError) as missing:
        s3.head_object(Bucket=name, Key="none")
    seen += [missing.value.response["ResponseMetadata"]["HTTPStatusCode"]]
    s3.delete_object(Bucket=name, Key="empty")
    seen += [s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": "copy"}]})["Deleted"]]
    seen += [[found["Key"] for found in s3.list_objects_v2(Bucket=name)["Contents"]]]
    return seen


def use_boto3_with_trailers(url: str, name: str) -> list[object]:
    """Send `aws-chunked` with a checksum in the trailer, as botocore does over TLS."""
    s3 = boto(url)

    def in_trailer(params: dict[str, Any], **_: object) -> None:
        params["context"]["checksum"]["request_algorithm"]["in"] = "trailer"

    s3.meta.events.register("before-call.s3.PutObject", in_trailer)
    sent: list[Any] = []
    s3.meta.events.register(
        "before-send.s3.PutObject", lambda request, **_: sent.append(request.headers)
    )
    s3.put_object(Bucket=name, Key=ODD, Body=SMALL)
    stream = io.BufferedReader(io.BytesIO(LARGE[: 3 * MB]))  # type: ignore[arg-type]
    answer = s3.put_object(Bucket=name, Key="streamed", Body=stream)
    assert sent[0]["X-Amz-Content-SHA256"] == b"STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    assert sent[0]["Transfer-Encoding"] == b"chunked"
    bodies = [s3.get_object(Bucket=name, Key=key)["Body"].read() for key in (ODD, "streamed")]
    return [answer["ChecksumCRC32"], *bodies]


def use_obstore(url: str, name: str) -> list[object]:
    keys = {"access_key_id": "test", "secret_access_key": "test", "region": "us-west-2"}
    http: Any = {"allow_http": True}
    store = S3Store(name, endpoint=url, client_options=http, **keys)  # type: ignore[arg-type]
    obstore.put(store, "a/" + ODD, SMALL)
    obstore.put(store, "a/large", LARGE, use_multipart=True, chunk_size=5 * MB)
    obstore.copy(store, "a/large", "a/copy")
    seen: list[object] = [
        bytes(obstore.get(store, "a/" + key).bytes()) for key in (ODD, "large", "copy")
    ]
    seen += [
        bytes(obstore.get_range(store, "a/large", start=5, end=50)),
        obstore.head(store, "a/large")["size"],
    ]
    obstore.delete(store, ["a/copy"])
    return [*seen, sorted(found["path"] for found in obstore.list(store, "a").collect())]


def use_pyarrow(url: str, name: str) -> list[object]:
    keys = {"access_key": "test", "secret_key": "test", "region": "us-west-2"}
    files = fs.S3FileSystem(endpoint_override=url.removeprefix("http://"), scheme="http", **keys)
    with files.open_output_stream(f"{name}/a/large", buffer_size=5 * MB) as out:
        for start in range(0, len(LARGE), 5 * MB):
            out.write(LARGE[start : start + 5 * MB])
    with files.open_output_stream(f"{name}/{ODD}") as out:
        out.write(SMALL)
    files.copy_file(f"{name}/{ODD}", f"{name}/a/copy")
    seen: list[object] = [
        files.open_input_stream(f"{name}/{key}").read() for key in ("a/large", ODD, "a/copy")
    ]
    files.delete_file(f"{name}/a/copy")
    found = files.get_file_info(fs.FileSelector(name, recursive=True))
    return [*seen, sorted((each.path, each.size) for each in found if each.is_file)]


@pytest.mark.parametrize("use", [use_boto3, use_boto3_with_trailers, use_obstore, use_pyarrow])
def test_a_stock_client_has_the_same_results_through_the_proxy(
    localstack: str, use: Callable[[str, str], list[object]]
) -> None:
    def lake(name: str) -> dict[str, bytes]:
        keys = [found["Key"] for found in boto(localstack).list_objects_v2(Bucket=name)["Contents"]]
        return {
            key: boto(localstack).get_object(Bucket=name, Key=key)["Body"].read() for key in keys
        }

    with bucket(localstack) as name:
        direct = use(localstack, name), lake(name)
    with FaultProxy(localstack, 7, []) as proxy, bucket(localstack) as name:
        assert (use(proxy.endpoint_url, name), lake(name)) == direct
        assert SMALL in direct[1].values()
        proxy.settle()


# HTTP variants of clients and stores


@contextmanager
def store_of(*answers: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Run a store that sends one answer per request, then hangs up; yield the raw requests too."""
    came: list[bytes] = []
    left = list(answers)

    def serve(client: socket.socket) -> None:
        with client, client.makefile("rb") as file, suppress(EOFError, OSError):
            while left:
                came.append(_request(file))
                client.sendall(left.pop(0))

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=server.accept()[:1], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", came
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def _request(file: Any) -> bytes:
    head = _lines(file)
    if length := re.search(rb"(?i)\r\ncontent-length: (\d+)", head):
        return head + bytes(file.read(int(length[1])))
    return head + _lines(file) if b"chunked" in head else head


def _lines(file: Any) -> bytes:
    """Read up to an empty line, inclusive.

    Raises EOFError.
    """
    lines = []
    while not lines or lines[-1] != b"\r\n":
        lines.append(file.readline())
        if not lines[-1]:
            raise EOFError
    return b"".join(lines)


def caller(url: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 10)


def talk(url: str, *sent: bytes, until: int = 0) -> bytes:
    """Send bytes and return the answer: `until` so many bytes, or all up to the hang-up."""
    got = b""
    with caller(url) as client:
        for part in sent:
            client.sendall(part)
        while not until or len(got) < until:
            if not (part := client.recv(65536)):
                break
            got += part
    return got


@contextmanager
def before(*answers: bytes, faults: tuple[Fault, ...] = ()) -> Iterator[tuple[str, list[bytes]]]:
    """Run a proxy in front of a store with these answers."""
    with store_of(*answers) as (url, came), FaultProxy(url, 7, list(enumerate(faults))) as proxy:
        yield proxy.endpoint_url, came


HEAD: Final = (
    b"PUT /b/k?x-id=PutObject HTTP/1.1\r\nhost: elsewhere:99\r\n"
    b"X-Amz-Meta-B: 1\r\nx-amz-meta-a:  two  \r\nX-AMZ-Meta-B: 2\r\n"
    b"EXPECT: 100-Continue\r\nx-amz-meta-u: \xc3\xbc\r\nContent-Length: 4\r\n\r\n"
)


def test_heads_pass_unchanged_and_interim_answers_do_not() -> None:
    answer = (
        b'HTTP/1.1 201 Made  It\r\nx-B: 1\r\nETag: "x"\r\nX-b: 2\r\nContent-Length: 2\r\n\r\nhi'
    )
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    with before(interim + answer) as (url, came), caller(url) as client:
        client.sendall(HEAD)
        assert client.recv(999) == b"HTTP/1.1 100 Continue\r\n\r\n"  # before a byte of the body
        client.sendall(b"body")
        assert client.recv(999) == answer
    assert came == [HEAD + b"body"]


def test_a_client_that_does_not_wait_gets_no_100_continue() -> None:
    with before(OK) as (url, came):
        assert talk(url, HEAD + b"body", until=len(OK)) == OK
    assert came == [HEAD + b"body"]


def test_chunks_and_trailers_pass_in_both_directions() -> None:
    head = b"PUT /b/k HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with before(answer + b"3\r\nabc\r\n1;x=y\r\nd\r\n0\r\nX-After: 1\r\n\r\n") as (url, came):
        ended = answer + b"4\r\nabcd\r\n0\r\nX-After: 1\r\n\r\n"
        got = talk(
            url,
            head + b"2\r\nhe\r\n",
            b"3\r\nllo\r\n0\r\nX-Sum: 5\r\nx-sum: 6\r\n\r\n",
            until=len(ended),
        )
        assert got == ended
    assert came == [head + b"5\r\nhello\r\n0\r\nX-Sum: 5\r\nx-sum: 6\r\n\r\n"]


def test_answers_without_a_body_and_pipelined_requests() -> None:
    """Send four requests over one connection: a HEAD, 204, 304 and the end of the connection."""
    answers = (
        b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nas long as it goes",
    )
    lines = [
        b"%s /b/k HTTP/1.1\r\nHost: x\r\n\r\n" % method
        for method in (b"HEAD", b"DELETE", b"GET", b"GET")
    ]
    with before(*answers) as (url, came):
        assert talk(url, b"".join(lines)) == b"".join(answers)
    assert came == lines


def test_a_closed_connection_is_closed_on_both_sides() -> None:
    closing = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"
    line = b"GET /b/k HTTP/1.1\r\nHost: x\r\n\r\n"
    with before(closing) as (url, came):
        assert talk(url, line + line) == closing
    with before(OK) as (url, came):
        assert talk(url, b"GET /b/k HTTP/1.0\r\n\r\n" + line) == OK
    assert came == [b"GET /b/k HTTP/1.0\r\n\r\n"]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # TLS
        (b"GET /b/k HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"GET /b/k HTTP/1.1\r\nHost: x\r\nno header\r\n\r\n", 400),
        (b"PUT /b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", 400),
        (b"PUT /b/k HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"PUT /b/k HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"PUT /b/k HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (
            b"PUT /b/k HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n",
            413,
        ),
        (
            b"PUT /b/k HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n"
            + b"x" * 1001,
            413,
        ),
        (
            b"PUT /b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n" + b"x" * 5_000_000,
            413,
        ),
        (b"GET /" + b"x" * 99_999, 431),
        (b"POST /-/A/noon HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400),
    ],
)
def test_an_invalid_request_is_refused_and_other_clients_continue(
    monkeypatch: pytest.MonkeyPatch, sent: bytes, status: int
) -> None:
    monkeypatch.setattr(wire, "BODY_BYTES", 1000)
    with before(OK) as (url, came):
        got = talk(url, sent)
        assert got.startswith(b"HTTP/1.1 %d " % status)
        assert b"<Error><Code>" in got
        assert talk(url, b"GET //[x HTTP/1.1\r\nHost: x\r\n\r\n", until=len(OK)) == OK
    assert len(came) == 1


def test_a_client_that_disconnects_leaves_no_tasks() -> None:
    with before(OK) as (url, came):
        with caller(url) as client:
            client.sendall(b"PUT /b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        assert talk(url, b"GET /b/k HTTP/1.1\r\nHost: x\r\n\r\n", until=len(OK)) == OK
    assert [each.split(b" ")[0] for each in came] == [b"GET"]


def test_a_slow_client_delays_no_other_client() -> None:
    """It did not send Expect: 100-continue, so it gets no interim answer."""
    slow = b"PUT /b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nslow"
    with before(OK, OK, OK) as (url, came), caller(url) as client:
        for part in (slow[:20], slow[20:-2]):
            client.sendall(part)
            assert talk(url, b"GET /b/k HTTP/1.1\r\nHost: x\r\n\r\n", until=len(OK)) == OK
        client.sendall(slow[-2:])
        assert client.recv(999) == OK
    assert came[2] == slow


# faults of any call


def asked(line: str, headers: str = "") -> Call:
    async def message() -> wire.Message | None:
        stream = asyncio.StreamReader()
        stream.feed_data(f"{line} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode())
        return await wire.Connection(stream, None).request()  # type: ignore[arg-type]

    request = asyncio.run(message())
    assert request is not None
    return call_of(request)


@pytest.mark.parametrize(
    ("line", "operation", "key"),
    [
        ("GET /", "ListBuckets", ""),
        ("HEAD /b", "HeadBucket", ""),
        ("PUT /b/", "CreateBucket", ""),
        ("DELETE /b", "DeleteBucket", ""),
        ("GET /b?prefix=a", "ListObjects", ""),
        ("GET /b?list-type=2&prefix=a%2Fb", "ListObjectsV2", "a/b"),
        ("GET /b?versions", "ListObjectVersions", ""),
        ("GET /b/?uploads", "ListMultipartUploads", ""),
        ("POST /b?delete", "DeleteObjects", ""),
        ("HEAD /b/k", "HeadObject", "k"),
        ("GET /b/a%3D1/k?x-id=GetObject&partNumber=1", "GetObject", "a=1/k"),
        ("PUT /b/k?x-id=PutObject", "PutObject", "k"),
        ("DELETE /b/k?versionId=1", "DeleteObject", "k"),
        ("POST /b/k?uploads=", "CreateMultipartUpload", "k"),
        ("PUT /b/k?partNumber=3&uploadId=u", "UploadPart", "k"),
        ("POST /b/k?uploadId=u", "CompleteMultipartUpload", "k"),
        ("DELETE /b/k?uploadId=u", "AbortMultipartUpload", "k"),
        ("GET /b/k?uploadId=u", "ListParts", "k"),
        ("PUT /b/k?tagging", "", "k"),
        ("GET /b?lifecycle", "", ""),
        ("OPTIONS /b/k", "", "k"),
    ],
)
def test_the_operation_and_key_of_a_request(line: str, operation: str, key: str) -> None:
    call = asked(line)
    assert (call.operation, call.key, call.method, call.point) == (
        operation,
        key,
        line.split(" ")[0],
        "other",
    )
    assert call.bucket in ("b", "")
    assert call.verb.startswith(operation or call.method)


def test_copies_and_parts_are_separate_operations() -> None:
    copy = "x-amz-copy-source: b/k\r\n"
    assert (asked("PUT /b/k", copy).operation, asked("PUT /b/k?uploadId=u", copy).operation) == (
        "CopyObject",
        "UploadPartCopy",
    )
    assert (
        asked("PUT /b/k?partNumber=3&uploadId=u").verb
        == asked("PUT /b/k?uploadId=v&partNumber=3").verb
    )
    assert (
        asked("PUT /b/k?partNumber=3&uploadId=u").verb
        != asked("PUT /b/k?partNumber=4&uploadId=u").verb
    )


def test_a_node_requests_whole_objects_of_the_lake_only() -> None:
    place = "expanso-databricks-ingestion/ingestion/A-001-1-2.parquet"
    assert (asked(f"PUT /{place}").point, asked(f"GET /{place}").point) == ("data", "history")
    assert asked("PUT /expanso-databricks-ingestion/x/A-001-1-2.parquet").farm == "A"
    assert asked("PUT /ingestion/ingestion/A-001-1-2.parquet").point == "other"
    for line in ("HEAD /", "DELETE /", "GET /?tagging ", "PUT /?uploadId=u ", "POST /?uploads "):
        method, _, words = line.strip().partition(" /")
        assert asked(f"{method} /{place}{words}").point == "other"


def code(call: Callable[[], object]) -> str:
    """Return the error code of a call, "" if it has none."""
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    except ConnectionClosedError:
        return "reset"
    return ""


def test_faults_hit_the_calls_and_keys_they_name_and_heal(localstack: str) -> None:
    faults = [
        Fault("store.error", calls=("HEAD",), keys=("a/*",)),
        Fault("store.reset", calls=("DeleteObject",)),
        Fault(
            "bucket.refuses", calls=("POST",), buckets=("anybodys-bucket",), for_s=1.0, keys=("",)
        ),
        Fault("store.error-after", calls=("CompleteMultipartUpload",), count=1),
        Fault("store.ack-lost", calls=("UploadPart",), keys=("large",), count=1),
        Fault("store.error"),  # for calls of nodes: it skips other calls
    ]
    with FaultProxy(localstack, 7, list(enumerate(faults))) as proxy, bucket(localstack) as name:
        s3 = boto(proxy.endpoint_url)
        for key in ("a/k", "b/k"):
            s3.put_object(Bucket=name, Key=key, Body=b"x")
        heads = [
            code(lambda: s3.head_object(Bucket=name, Key="a/k"))
            for _ in range(INJECTIONS_PER_CALL + 1)
        ]
        assert heads == ["503"] * INJECTIONS_PER_CALL + [""]
        assert code(lambda: s3.head_object(Bucket=name, Key="b/k")) == ""
        assert code(lambda: s3.delete_object(Bucket=name, Key="b/k")) == "reset"
        assert s3.head_object(Bucket=name, Key="b/k")["ContentLength"] == 1  # before any effect
        gone = {"Objects": [{"Key": "b/k"}]}
        assert code(lambda: s3.delete_objects(Bucket=name, Delete=gone)) == "AccessDenied"
        upload = s3.create_multipart_upload(Bucket=name, Key="large")["UploadId"]
        place = {"Bucket": name, "Key": "large", "UploadId": upload}
        part = {"Body": LARGE[: 5 * MB], "PartNumber": 1, **place}
        assert code(lambda: s3.upload_part(**part)) == "reset"
        etag = s3.upload_part(**part)["ETag"]
        parts = {"Parts": [{"ETag": etag, "PartNumber": 1}]}
        assert (
            code(lambda: s3.complete_multipart_upload(MultipartUpload=parts, **place))
            == "InternalError"
        )
        # after the effect
        assert s3.head_object(Bucket=name, Key="large")["ContentLength"] == 5 * MB
        assert proxy.injections.by_kind == {
            "store.error": INJECTIONS_PER_CALL,
            "store.reset": 1,
            "bucket.refuses": 1,
            "store.error-after": 1,
            "store.ack-lost": 1,
        }


def test_a_corrupted_body_with_its_checksum_leaves_the_object_unchanged(localstack: str) -> None:
    fault = Fault("store.corrupted-put", calls=("PUT",), count=1)
    with FaultProxy(localstack, 7, [(0, fault)]) as proxy, bucket(localstack) as name:
        boto(localstack).put_object(Bucket=name, Key="k", Body=b"first")
        s3 = boto(proxy.endpoint_url)
        assert code(lambda: s3.put_object(Bucket=name, Key="k", Body=b"second")) == "BadDigest"
        assert s3.get_object(Bucket=name, Key="k")["Body"].read() == b"first"


def test_a_hang_continues_while_the_client_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request after the hanging one does not mean that the client left; a timeout ends it."""
    monkeypatch.setattr(wire_faults, "PATIENCE_S", 1.0)
    line = b"GET /b/k HTTP/1.1\r\nHost: x\r\n\r\n"
    hang = Fault("store.hang", calls=("GET",))
    with before(OK, faults=(hang,)) as (url, came), caller(url) as client:
        client.sendall(line)
        time.sleep(0.1)
        client.sendall(line)
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(10)
        assert client.recv(1) == b""
    assert came == []


def test_an_error_for_a_head_has_no_body() -> None:
    lines = [b"%s /b/k HTTP/1.1\r\nHost: x\r\n\r\n" % method for method in (b"HEAD", b"GET")]
    with (
        before(OK, faults=(Fault("store.error", calls=("HEAD",)),)) as (url, _),
        caller(url) as client,
    ):
        client.sendall(lines[0])
        answer = client.recv(999)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert answer.endswith(b"\r\n\r\n")
        client.sendall(lines[1])
        assert client.recv(999) == OK


def test_a_call_of_no_node_uses_the_latest_time_of_any_farm() -> None:
    outage = Fault("store.outage", calls=("GET",), from_s=5.0, for_s=5.0)
    line = b"GET /b/k HTTP/1.1\r\nHost: x\r\n\r\n"
    with before(OK, OK, faults=(outage,)) as (url, _):
        assert talk(url, line, until=len(OK)) == OK
        report_time(url, "A", 6.0)
        report_time(url, "B", 2.0)
        with pytest.raises(ConnectionResetError):
            talk(url, line)
        report_time(url, "B", 10.0)
        assert talk(url, line, until=len(OK)) == OK


def test_faults_of_a_call_are_a_function_of_seed_and_call() -> None:
    def met(seed: int, order: list[int]) -> dict[int, bool]:
        chooser = Chooser(seed, [(0, Fault("store.error", calls=("HeadObject",), share=0.4))])
        return {i: chooser.choose(asked(f"HEAD /b/{i}"), 0.0) is not None for i in order}

    first = met(7, list(range(60)))
    assert 10 < sum(first.values()) < 40
    assert met(7, list(range(60))[::-1]) == first != met(8, list(range(60)))


@pytest.mark.parametrize(
    ("kind", "may", "cannot"),
    [
        ("store.ack-lost", "DELETE", "GET"),
        ("store.truncated-get", "GET", "HEAD"),
        ("store.corrupted-put", "POST", "DELETE"),
        ("bucket.refuses", "PUT", "HEAD"),
    ],
)
def test_a_kind_applies_only_to_its_possible_calls(kind: str, may: str, cannot: str) -> None:
    chooser = Chooser(7, [(0, Fault(kind, for_s=1.0, calls=(may, cannot)))])
    assert chooser.choose(asked(f"{cannot} /b/k"), 0.0) is None
    assert chooser.choose(asked(f"{may} /b/k"), 0.0) is not None


def test_faults_of_calls_require_the_proxy(tmp_path: Path) -> None:
    for fault in (Fault("store.error", calls=("PUT",)), Fault("store.error", keys=("x",))):
        with pytest.raises(
            ScheduleError, match=r"store\.error: calls and keys select requests on the wire"
        ):
            Schedule(Line((fault,)))


def test_expected_injections_count_the_calls_of_nodes(tmp_path: Path) -> None:
    words = "calls: [PutObject], buckets: [expanso-databricks-metadata, my-bucket]"
    scenario = load(scenario_file(tmp_path), [f"faults=[{{kind: store.error, {words}}}]"])
    assert scenario.faults == (
        Fault("store.error", calls=("PutObject",), buckets=("metadata", "my-bucket")),
    )

    def meant(**words: tuple[str, ...]) -> int:
        fault = Fault("store.error", **words)  # type: ignore[arg-type]
        changed = scenario.model_copy(update={"faults": (fault,)})
        return planned_faults(changed, plan(changed))["store.error"].times

    puts, manifests, gets = (
        meant(calls=("PUT",)),
        planned_faults(scenario, plan(scenario))["store.error"].times,
        meant(calls=("GetObject",)),
    )
    assert puts > manifests > gets > 1
    assert meant(calls=("GET",), buckets=("checkpoints",)) == gets == meant(at=("recover",))
    assert meant(calls=("PUT", "GET")) == puts + gets
    assert meant(calls=("HEAD", "UploadPart")) == meant(calls=("PUT",), buckets=("my-bucket",)) == 1
    assert meant(keys=("*/A-*",)) == 1


def test_every_operation_has_a_request() -> None:
    assert len(OPERATIONS) == len(set(OPERATIONS)) == 20
