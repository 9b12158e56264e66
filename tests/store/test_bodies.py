"""Bodies of the short gateway's server: in memory up to a bound, then in files; and a full disk.

Each test starts a server whose bound is small.
"""

from __future__ import annotations

import pathlib
import resource
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from pipeline import lake
from sim.store import localstack
from sim.store.localstack import EmbeddedLocalStack
from tests.support.raw_http import Connection, request

MIB = 1 << 20


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedLocalStack]:
    """A server that keeps 2 MiB of bodies in memory, with the bucket `plain`."""
    monkeypatch.setattr(localstack, "BODIES_IN_MEMORY_BYTES", 2 * MIB)
    with EmbeddedLocalStack() as store:
        with Connection(store.endpoint_url) as connection:
            assert connection.ask(request("PUT", "/plain")).code == 200
        yield store


def nameless_bytes(store: EmbeddedLocalStack) -> int:
    """Return the bytes of the server's open files that have no name, as /proc has them."""
    found = 0
    for entry in pathlib.Path(f"/proc/{store.pid}/fd").iterdir():
        try:
            where = entry.readlink()
            if str(where).startswith(str(store._directory)) and " (deleted)" in str(where):
                found += entry.stat().st_size
        except FileNotFoundError:
            continue
    return found


def body(number: int, size: int) -> bytes:
    return (b"%08d" % number * (size // 8 + 1))[:size]


def test_memory_does_not_grow_with_bodies(server: EmbeddedLocalStack) -> None:
    """150 MB of bodies of every size, by both ways, are read back; the process grows by 40 MB."""
    sizes = [700, 80_000, 500_000, 3 * MIB, 6 * MIB, 9 * MIB]
    process = psutil.Process(server.pid)
    with Connection(server.endpoint_url) as connection:
        for number in range(4):  # the first requests load what the process keeps
            connection.ask(request("PUT", "/plain/first", body(number, 9 * MIB)))
        before = process.memory_info().rss
        for number in range(48):
            sent = request("PUT", f"/plain/{number}", body(number, sizes[number % 6]))
            assert connection.ask(sent).code == 200
        grown = process.memory_info().rss - before
        for number in range(48):
            found = connection.ask(request("GET", f"/plain/{number}"))
            assert found.body == body(number, sizes[number % 6])
            part = connection.ask(request("GET", f"/plain/{number}", None, ("Range", "bytes=8-99")))
            assert part.body == body(number, 100)[8:]
    assert grown < 40 * MIB
    assert nameless_bytes(server) > 125 * MIB
    assert server._directory is not None
    named = [path for path in server._directory.rglob("*") if path.stat().st_size > MIB]
    assert named == []  # nothing is left if the server is killed


def test_files_go_with_their_bodies(server: EmbeddedLocalStack) -> None:
    with Connection(server.endpoint_url) as connection:
        connection.ask(request("PUT", "/plain/a", body(1, 9 * MIB)))
        connection.ask(request("PUT", "/plain/b", body(2, 9 * MIB)))
        assert nameless_bytes(server) == 18 * MIB
        connection.ask(request("PUT", "/plain/a", body(3, 9 * MIB)))
        assert nameless_bytes(server) == 18 * MIB
        assert connection.ask(request("DELETE", "/plain/b")).code == 204
        assert nameless_bytes(server) == 9 * MIB
        assert connection.ask(request("DELETE", "/plain/a")).code == 204
        assert nameless_bytes(server) == 0


def test_memory_that_was_given_back_is_used_again(server: EmbeddedLocalStack) -> None:
    with Connection(server.endpoint_url) as connection:
        for number in range(10):
            connection.ask(request("PUT", "/plain/same", body(number, MIB)))
        # The old body is there until the new one is: it never takes more than 2 MiB.
        assert nameless_bytes(server) == 0
        connection.ask(request("PUT", "/plain/other", body(1, MIB)))
        connection.ask(request("PUT", "/plain/third", body(1, MIB)))
        assert nameless_bytes(server) == MIB


def limit_files(store: EmbeddedLocalStack, size: int) -> None:
    """Let the server write no file beyond `size` bytes: a full disk, for it."""
    resource.prlimit(store.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@pytest.mark.parametrize("way", ["short", "stock"])
def test_a_full_disk_is_a_server_error_and_loses_nothing(
    server: EmbeddedLocalStack, way: str
) -> None:
    stock = [("Authorization", "")] if way == "stock" else []

    def put(key: str, number: int) -> int:
        return connection.ask(request("PUT", f"/plain/{key}", body(number, MIB), *stock)).code

    def get(key: str) -> tuple[int, bytes]:
        found = connection.ask(request("GET", f"/plain/{key}"))
        return found.code, found.body

    with Connection(server.endpoint_url) as connection:
        limit_files(server, 3 * MIB + 100)
        codes = [put(f"key-{number}", number) for number in range(8)]
        assert codes == 5 * [200] + 3 * [500]  # two in memory, three in the file
        assert put("key-4", 99) == 500
        assert put("key-0", 99) == 500
        assert get("key-5")[0] == 404
        for number in range(5):
            assert get(f"key-{number}") == (200, body(number, MIB))
        limit_files(server, resource.RLIM_INFINITY)
        assert put("key-4", 77) == put("key-7", 7) == 200
        assert (get("key-4"), get("key-7")) == ((200, body(77, MIB)), (200, body(7, MIB)))


def test_a_large_body_on_a_full_disk_is_not_acknowledged(server: EmbeddedLocalStack) -> None:
    """The HTTP server cannot even take it in, and closes the connection."""
    with Connection(server.endpoint_url) as connection:
        assert connection.ask(request("PUT", "/plain/key", body(1, 9 * MIB))).code == 200
    limit_files(server, MIB)
    with Connection(server.endpoint_url) as connection, pytest.raises((OSError, EOFError)):
        connection.ask(request("PUT", "/plain/key", body(2, 9 * MIB)))
    with Connection(server.endpoint_url) as connection:
        assert connection.ask(request("GET", "/plain/key")).body == body(1, 9 * MIB)


def parts(s3: Any, key: str) -> None:
    """Upload an object in parts: two sent, one copied, one sent twice, one refused."""
    upload = s3.create_multipart_upload(Bucket="parts", Key=key, Metadata={"a": "b"})["UploadId"]
    at: dict[str, Any] = {"Bucket": "parts", "Key": key, "UploadId": upload}
    s3.put_object(Bucket="parts", Key="source", Body=body(5, 6 * MIB))
    tags = [s3.upload_part(**at, PartNumber=1, Body=body(1, 5 * MIB))["ETag"]]
    s3.upload_part(**at, PartNumber=2, Body=body(0, 6 * MIB))
    tags.append(s3.upload_part(**at, PartNumber=2, Body=body(2, 5 * MIB))["ETag"])
    with pytest.raises(s3.exceptions.ClientError, match="BadDigest"):
        s3.upload_part(**at, PartNumber=4, Body=b"x", ContentMD5="AAAAAAAAAAAAAAAAAAAAAA==")
    copied = s3.upload_part_copy(
        **at, PartNumber=3, CopySource="parts/source", CopySourceRange="bytes=8-5242895"
    )
    tags.append(copied["CopyPartResult"]["ETag"])
    tags.append(s3.upload_part(**at, PartNumber=4, Body=b"the end")["ETag"])
    named = [{"PartNumber": n, "ETag": tag} for n, tag in enumerate(tags, 1)]
    s3.complete_multipart_upload(**at, MultipartUpload={"Parts": named})
    abandoned = s3.create_multipart_upload(Bucket="parts", Key=key)["UploadId"]
    s3.upload_part(Bucket="parts", Key=key, UploadId=abandoned, PartNumber=1, Body=body(1, MIB))
    s3.abort_multipart_upload(Bucket="parts", Key=key, UploadId=abandoned)


def copies(s3: Any, key: str) -> None:
    """Copy to another key, then onto itself with other metadata."""
    s3.copy_object(Bucket="parts", Key=f"{key}-copy", CopySource=f"parts/{key}")
    s3.copy_object(
        Bucket="parts",
        Key=key,
        CopySource=f"parts/{key}",
        MetadataDirective="REPLACE",
        Metadata={"c": "d"},
        ContentType="text/plain",
    )
    s3.copy_object(
        Bucket="parts", Key=f"{key}-sha", CopySource=f"parts/{key}", ChecksumAlgorithm="SHA256"
    )


def versions(s3: Any, key: str) -> None:
    """Write three versions and delete the middle one."""
    s3.put_bucket_versioning(Bucket="parts", VersioningConfiguration={"Status": "Enabled"})
    ids = [
        s3.put_object(Bucket="parts", Key=key, Body=body(n, 80_000))["VersionId"] for n in range(3)
    ]
    s3.delete_object(Bucket="parts", Key=key, VersionId=ids[1])
    assert s3.get_object(Bucket="parts", Key=key, VersionId=ids[0])["Body"].read() == body(
        0, 80_000
    )


def test_all_other_ways_to_write_an_object_are_as_with_the_stock_server(
    server: EmbeddedLocalStack,
) -> None:
    steps: list[Callable[[Any, str], None]] = [parts, copies, versions]
    with EmbeddedLocalStack("stock") as stock:
        found = []
        for url in (server.endpoint_url, stock.endpoint_url):
            s3 = lake.client(url)
            s3.create_bucket(
                Bucket="parts", CreateBucketConfiguration={"LocationConstraint": lake.REGION}
            )
            seen: list[Any] = []
            for step in steps:
                step(s3, "object")
                for entry in s3.list_objects_v2(Bucket="parts")["Contents"]:
                    got = s3.get_object(Bucket="parts", Key=entry["Key"], ChecksumMode="ENABLED")
                    content = got.pop("Body").read()
                    shown = {
                        name: value
                        for name, value in got.items()
                        if name not in ("ResponseMetadata", "LastModified", "VersionId")
                    }
                    seen.append((step.__name__, entry["Key"], shown, content, entry["Size"]))
            found.append(seen)
        assert [
            *pathlib.Path(tempfile.gettempdir()).glob(
                f"{localstack.DIRECTORY_PREFIX}*/s3-storage/parts"
            )
        ], "the stock server, too, keeps large bodies in a folder that goes away with it"
    for short, plain in zip(*found, strict=True):
        assert short == plain
