"""The lake as the oracle reads it, from a folder and from S3: listing, reading, saving, errors."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from sim.check.read.lake import BUCKETS, LakeError, LakeReader, ObjectRef
from sim.store.s3_lake import s3_lake

METADATA, INGESTION = "expanso-databricks-metadata", "expanso-databricks-ingestion"
LAKE = {
    f"{INGESTION}/ingestion/hour=01/a.parquet": b"one",
    f"{INGESTION}/ingestion/hour=00/b.parquet": b"",
    f"{INGESTION}/ingestion/hour=00/a.parquet": b"second",
    f"{INGESTION}/top.txt": b"at the top",
    f"{METADATA}/m.json": b"{}",
}
REFS = [ObjectRef(*name.split("/", 1), len(content)) for name, content in sorted(LAKE.items())]
GONE = ObjectRef(INGESTION, "ingestion/gone.parquet", 7)


@pytest.fixture
def folder(tmp_path: Path) -> LakeReader:
    for name, content in LAKE.items():
        path = tmp_path / "lake" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return LakeReader.folder(tmp_path / "lake")


class Bucketless(BaseHTTPRequestHandler):
    """An S3 server of the objects of LAKE: empty buckets are absent, `forbidden` ones refuse."""

    forbidden: tuple[str, ...] = ()
    seen: tuple[list[str], ...] = ([], [])  # hosts, and the region in each signature

    def do_GET(self) -> None:
        self.seen[0].append(self.headers["Host"].split(":")[0])
        self.seen[1].append(self.headers["Authorization"].split("Credential=")[1].split(",")[0])
        bucket, _, key = unquote(urlsplit(self.path).path).lstrip("/").partition("/")
        held = {
            name.split("/", 1)[1]: data
            for name, data in LAKE.items()
            if name.startswith(bucket + "/")
        }
        if bucket in self.forbidden or key in self.forbidden:
            self.answer(403, b"<Error><Code>AccessDenied</Code></Error>")
        elif not held:
            self.answer(404, b"<Error><Code>NoSuchBucket</Code></Error>")
        elif key:
            self.answer(
                200 if key in held else 404, held.get(key, b"<Error><Code>NoSuchKey</Code></Error>")
            )
        else:
            assert parse_qs(urlsplit(self.path).query)["list-type"] == ["2"]
            stamp = (
                "<LastModified>2024-01-15T00:00:00.000Z</LastModified><ETag>&quot;x&quot;</ETag>"
            )
            entries = (
                f"<Contents><Key>{k}</Key><Size>{len(d)}</Size>{stamp}</Contents>"
                for k, d in held.items()
            )
            listing = f"<IsTruncated>false</IsTruncated>{''.join(entries)}"
            self.answer(200, f"<ListBucketResult>{listing}</ListBucketResult>".encode())

    def answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Last-Modified", "Mon, 15 Jan 2024 00:00:00 GMT")
        self.send_header("ETag", '"x"')
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Bucketless, "seen", ([], []))
    with ThreadingHTTPServer(("127.0.0.1", 0), Bucketless) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_folder_is_listed_and_read(folder: LakeReader) -> None:
    assert folder.objects() == REFS
    assert [ref.name for ref in REFS] == sorted(LAKE)
    assert list(folder.read([*REFS[::-1], GONE])) == [LAKE[ref.name] for ref in REFS[::-1]] + [None]


def test_an_s3_is_listed_and_read(endpoint: str) -> None:
    lake = s3_lake(endpoint)
    assert lake.objects() == REFS
    assert list(lake.read([*REFS[::-1], GONE])) == [LAKE[ref.name] for ref in REFS[::-1]] + [None]
    assert set(Bucketless.seen[0]) == {"127.0.0.1"}
    assert {(who.split("/")[0], who.split("/")[2]) for who in Bucketless.seen[1]} == {
        ("test", "us-west-2")
    }


def test_keys_of_the_environment_sign_on_loopback_too(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert s3_lake(endpoint).objects() == REFS
    assert {who.split("/")[0] for who in Bucketless.seen[1]} == {"mine"}


def test_an_s3_that_refuses_is_not_read_as_empty(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = s3_lake(endpoint)
    monkeypatch.setattr(Bucketless, "forbidden", (METADATA, REFS[0].key))
    with pytest.raises(
        LakeError, match=rf"{endpoint}: cannot list bucket {METADATA}: .*(403|denied|Forbidden)"
    ):
        lake.objects()
    with pytest.raises(
        LakeError, match=rf"{endpoint}: cannot read {REFS[0].name}: .*(403|denied|Forbidden)"
    ):
        list(lake.read(REFS))
    with pytest.raises(LakeError, match="cannot list bucket"):
        s3_lake("http://127.0.0.1:9").objects()


def test_an_s3_without_buckets_is_no_lake(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "LAKE", {})
    for lake in (LakeReader.folder(tmp_path), s3_lake(endpoint)):
        with pytest.raises(
            LakeError, match=rf"{lake.location}: has no bucket named expanso-databricks-\*"
        ):
            lake.objects()
    (tmp_path / BUCKETS[0]).mkdir()
    assert LakeReader.folder(tmp_path).objects() == []


def test_an_unreadable_file_is_none_and_affects_no_other(folder: LakeReader) -> None:
    top = Path(folder.location) / INGESTION / "ingestion"
    (top / "circle").symlink_to("circle")
    (top / "nowhere").symlink_to("gone")
    os.mkfifo(top / "pipe")
    odd = {f"ingestion/{name}" for name in ("circle", "nowhere", "pipe")}
    refs = [ref for ref in folder.objects() if ref.key in odd]
    assert [(ref.key, ref.size) for ref in refs] == [(key, 0) for key in sorted(odd)]
    refs.append(ObjectRef(INGESTION, "ingestion", 0))  # a folder
    assert list(folder.read([*refs, REFS[0]]))[:4] == [None] * 4
    assert list(folder.read([REFS[0]])) != [None]


def test_a_saved_lake_equals_the_lake(folder: LakeReader, tmp_path: Path) -> None:
    for _ in range(2):
        assert folder.save(tmp_path / "deep" / "copy") == len(LAKE)
    copy = LakeReader.folder(tmp_path / "deep" / "copy")
    assert copy.objects() == REFS
    assert list(copy.read(REFS)) == [LAKE[ref.name] for ref in REFS]
    assert sorted(path.name for path in (tmp_path / "deep" / "copy").iterdir()) == sorted(BUCKETS)
    with pytest.raises(LakeError, match="has no bucket named"):
        LakeReader.folder(tmp_path / "deep").save(tmp_path / "other")


def test_a_lake_that_changes_during_the_save_is_an_error(
    folder: LakeReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LakeReader, "objects", lambda _: [*REFS, GONE])
    with pytest.raises(LakeError, match=f"{GONE.name}: vanished after the listing"):
        folder.save(tmp_path / "copy")


def test_a_folder_that_cannot_be_listed_is_not_read_as_empty(
    folder: LakeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def refused(path: str) -> object:
        if str(path).endswith("hour=00"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)  # root may list any folder
    with pytest.raises(LakeError, match="hour=00: cannot be listed: Permission denied"):
        folder.objects()
