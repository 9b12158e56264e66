"""The lake as the oracle sees it: six buckets to list and read, on an S3 endpoint or in a folder `<bucket>/<key>`.

A reader is a small value (an endpoint or a path) that can be sent to another process; connections open on first use.
Every bucket is listed once; objects are fetched whole, `FETCHES` at a time. The folder form needs no obstore.
Reads only: `save` writes to a local folder, nothing here ever writes to a bucket.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from pipeline.records import BUCKET_NAMES, BUCKET_PREFIX

if TYPE_CHECKING:
    from obstore.store import S3Store

BUCKETS: Final = tuple(BUCKET_PREFIX + name for name in BUCKET_NAMES)
REGION: Final = "us-west-2"
FETCHES: Final = 8
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


class LakeError(Exception):
    """The lake cannot be reached or listed; the text names the endpoint or folder and what to do."""


@dataclass(frozen=True)
class ObjectRef:
    """One listed object."""

    bucket: str
    key: str
    size: int

    @property
    def name(self) -> str:
        return f"{self.bucket}/{self.key}"


class Reads(Protocol):
    """Whatever gives the content of objects: a LakeReader, or something before it that looks on."""

    def read(self, refs: Iterable[ObjectRef]) -> Iterator[bytes | None]:
        """The content of each object in the order given, None for one that is gone. Raises LakeError."""


@dataclass(frozen=True)
class LakeReader:
    """Where the lake is: `kind` is `s3` (then `location` is an endpoint URL) or `folder` (then a path)."""

    kind: str
    location: str

    @classmethod
    def s3(cls, endpoint_url: str) -> LakeReader:
        return cls("s3", endpoint_url)

    @classmethod
    def folder(cls, path: Path) -> LakeReader:
        return cls("folder", str(path))

    def objects(self) -> list[ObjectRef]:
        """All objects of the six buckets, sorted. A missing bucket is empty, but if all six are missing: LakeError."""
        found = [self._list_folder(b) if self.kind == "folder" else self._list_s3(b) for b in BUCKETS]
        if all(listing is None for listing in found):
            raise LakeError(f"{self.location}: holds none of the buckets {BUCKET_PREFIX}*; is this the run's lake?")
        return sorted((ref for listing in found for ref in listing or ()), key=lambda ref: (ref.bucket, ref.key))

    def read(self, refs: Iterable[ObjectRef]) -> Iterator[bytes | None]:
        """The content of each object in the order given, None for one that is gone. Raises LakeError."""
        fetch = self._read_file if self.kind == "folder" else self._fetch
        with ThreadPoolExecutor(FETCHES) as pool:
            yield from pool.map(fetch, refs)

    def save(self, folder: Path) -> int:
        """Copy every object to `folder/<bucket>/<key>`; returns how many. Raises LakeError, OSError."""
        refs = self.objects()
        for bucket in BUCKETS:
            (folder / bucket).mkdir(parents=True, exist_ok=True)
        for ref, content in zip(refs, self.read(refs), strict=True):
            if content is None:
                raise LakeError(f"{ref.name}: was listed but is gone; is something still writing to the lake?")
            path = folder / ref.bucket / ref.key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return len(refs)

    def _list_folder(self, bucket: str) -> list[ObjectRef] | None:
        root = Path(self.location) / bucket
        if not root.is_dir():
            return None
        refs = []
        for directory, _, names in os.walk(root):
            prefix = Path(directory).relative_to(root)
            refs += [
                ObjectRef(bucket, (prefix / name).as_posix(), _size(os.path.join(directory, name))) for name in names
            ]
        return refs

    def _read_file(self, ref: ObjectRef) -> bytes | None:
        path = Path(self.location) / ref.bucket / ref.key
        try:
            return path.read_bytes() if path.is_file() else None  # a pipe would never end
        except OSError:  # of one file; it costs no other object its verdict
            return None

    def _list_s3(self, bucket: str) -> list[ObjectRef] | None:
        import obstore
        from obstore.exceptions import BaseError, NotFoundError

        try:
            pages = obstore.list(_store(self.location, bucket), chunk_size=10_000)
            return [ObjectRef(bucket, meta["path"], meta["size"]) for page in pages for meta in page]
        except (NotFoundError, FileNotFoundError):
            return None
        except (BaseError, OSError) as error:
            if "NoSuchBucket" in str(error):
                return None
            raise LakeError(f"{self.location}: cannot list bucket {bucket}: {_first_line(error)}") from error

    def _fetch(self, ref: ObjectRef) -> bytes | None:
        import obstore
        from obstore.exceptions import BaseError, NotFoundError

        try:
            return bytes(obstore.get(_store(self.location, ref.bucket), ref.key).bytes())
        except (NotFoundError, FileNotFoundError):
            return None
        except (BaseError, OSError) as error:
            raise LakeError(f"{self.location}: cannot read {ref.name}: {_first_line(error)}") from error


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:  # a link that leads nowhere, or in a circle
        return 0


@lru_cache(maxsize=32)
def _store(endpoint_url: str, bucket: str) -> S3Store:
    """One store per endpoint and bucket and process. It signs with the AWS environment's keys; loopback without any,
    where none are checked, with test/test.
    """
    from obstore.store import S3Store

    loopback = urlsplit(endpoint_url).hostname in _LOOPBACK
    unsigned = loopback and "AWS_ACCESS_KEY_ID" not in os.environ
    keys: Any = {"access_key_id": "test", "secret_access_key": "test"} if unsigned else {}  # else from AWS_*
    return S3Store(
        bucket,
        endpoint=endpoint_url,
        region=REGION,
        **keys,
        virtual_hosted_style_request=False,
        client_options={"allow_http": True, "timeout": timedelta(seconds=60)},
        retry_config={"max_retries": 4, "retry_timeout": timedelta(seconds=60)},
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
