"""The lake as the oracle sees it: six buckets to list and read, in an S3 or in a folder `<bucket>/<key>`.

A reader is a small value that can be sent to another process; connections open on first use. How an S3 is reached is
not the oracle's business: it is handed an `Opener`, and calls it once in each process. Every bucket is listed once;
objects are fetched whole, `FETCHES` at a time. Reads only: `save` writes to a local folder, nothing here ever writes to
a bucket.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, Protocol

from pipeline.records import BUCKET_NAMES, BUCKET_PREFIX

BUCKETS: Final = tuple(BUCKET_PREFIX + name for name in BUCKET_NAMES)
FETCHES: Final = 8


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


class Buckets(Protocol):
    """An S3 that is open for reading. Safe to share between threads."""

    def listing(self, bucket: str) -> list[tuple[str, int]] | None:
        """Key and size of every object, None where there is no such bucket. Raises LakeError."""

    def body(self, bucket: str, key: str) -> bytes | None:
        """The content of an object, None for one that is gone. Raises LakeError."""


class Opener(Protocol):
    """A small value, hashable and picklable, that opens an S3."""

    def __call__(self) -> Buckets:
        """Raises LakeError."""

    def __hash__(self) -> int: ...


@dataclass(frozen=True)
class LakeReader:
    """Where the lake is. `location`: an endpoint URL, for messages, or a path. `opener`: None for a folder."""

    location: str
    opener: Opener | None = None

    @classmethod
    def s3(cls, endpoint_url: str, opener: Opener) -> LakeReader:
        """The lake in an S3."""
        return cls(endpoint_url, opener)

    @classmethod
    def folder(cls, path: Path) -> LakeReader:
        """The lake as files."""
        return cls(str(path))

    def objects(self) -> list[ObjectRef]:
        """All objects of the six buckets, sorted. A missing bucket is empty, but if all six are missing: LakeError."""
        found = [self._list(bucket) for bucket in BUCKETS]
        if all(listing is None for listing in found):
            raise LakeError(
                f"{self.location}: holds none of the buckets {BUCKET_PREFIX}*; is this the run's lake?"
            )
        return sorted(
            (ref for listing in found for ref in listing or ()),
            key=lambda ref: (ref.bucket, ref.key),
        )

    def bucket(self, name: str) -> list[ObjectRef] | None:
        """Return the objects of one bucket, None where there is no such bucket. Raises LakeError."""
        return self._list(name)

    def read(self, refs: Iterable[ObjectRef]) -> Iterator[bytes | None]:
        """The content of each object in the order given, None for one that is gone. Raises LakeError."""
        fetch = self._read_file if self.opener is None else self._fetch
        with ThreadPoolExecutor(FETCHES) as pool:
            yield from pool.map(fetch, refs)

    def save(self, folder: Path) -> int:
        """Copy every object to `folder/<bucket>/<key>`; returns how many. Raises LakeError, OSError."""
        refs = self.objects()
        for bucket in BUCKETS:
            (folder / bucket).mkdir(parents=True, exist_ok=True)
        for ref, content in zip(refs, self.read(refs), strict=True):
            if content is None:
                raise LakeError(
                    f"{ref.name}: was listed but is gone; is something still writing to the lake?"
                )
            path = folder / ref.bucket / ref.key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return len(refs)

    def _list(self, bucket: str) -> list[ObjectRef] | None:
        if self.opener is None:
            return self._list_folder(bucket)
        found = _opened(self.opener).listing(bucket)
        return None if found is None else [ObjectRef(bucket, key, size) for key, size in found]

    def _fetch(self, ref: ObjectRef) -> bytes | None:
        assert self.opener is not None
        body = _opened(self.opener).body(ref.bucket, ref.key)
        if body is not None and len(body) != ref.size:
            raise LakeError(
                f"{self.location}: {ref.name}: {len(body):,} bytes came, and {ref.size:,} were listed; "
                "is something still writing to the lake, or in the way to it?"
            )
        return body

    def _list_folder(self, bucket: str) -> list[ObjectRef] | None:
        root = Path(self.location) / bucket
        if not root.is_dir():
            return None
        refs = []
        for directory, folders, names in os.walk(root, onerror=_unlisted):
            prefix = Path(directory).relative_to(root)
            linked = [
                name for name in folders if os.path.islink(os.path.join(directory, name))
            ]  # not walked into
            refs += [
                ObjectRef(bucket, (prefix / name).as_posix(), _size(os.path.join(directory, name)))
                for name in (*names, *linked)
            ]
        return refs

    def _read_file(self, ref: ObjectRef) -> bytes | None:
        path = Path(self.location) / ref.bucket / ref.key
        try:
            return path.read_bytes() if path.is_file() else None  # a pipe would never end
        except OSError:  # of one file; it costs no other object its verdict
            return None


def _unlisted(error: OSError) -> None:
    raise LakeError(f"{error.filename}: cannot be listed: {error.strerror or error}") from error


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:  # a link that leads nowhere, or in a circle
        return 0


@lru_cache(maxsize=8)
def _opened(opener: Opener) -> Buckets:
    """One open S3 per opener and process."""
    return opener()
