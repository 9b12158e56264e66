"""The lake: six buckets to list and read, in an S3 store or in a folder `<bucket>/<key>`.

A reader is a small value that can be pickled for another process; connections open on first use.
For an S3 store it gets an `Opener` and calls it once in each process. Every bucket is listed once,
or the ranges of it that belong to a part of a fleet.
Objects are fetched whole, `FETCHES` at a time. Nothing here writes to a bucket; `save` writes to a
local folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Final, Protocol

from pipeline.records import BUCKET_NAMES, BUCKET_PREFIX
from sim.check.read.ranges import Listed, NameRanges

BUCKETS: Final = tuple(BUCKET_PREFIX + name for name in BUCKET_NAMES)
FETCHES: Final = 8
_GROUP: Final = 4
"""Objects that a thread fetches in a row: to hand one over costs as much as half a GET."""


class LakeError(Exception):
    """The lake cannot be reached or listed. The text names the endpoint or folder, and the fix."""


@dataclass(frozen=True)
class ObjectRef:
    """One listed object. etag: its version in S3, empty if it is not known."""

    bucket: str
    key: str
    size: int
    etag: str = field(default="", compare=False)

    @property
    def name(self) -> str:
        return f"{self.bucket}/{self.key}"


class Reads(Protocol):
    """Source of objects' contents: a LakeReader, or a wrapper around one."""

    def read(self, refs: Iterable[ObjectRef]) -> Iterator[bytes | None]:
        """Yield each object's content in order, None for a vanished one. Raises LakeError."""


class Buckets(Protocol):
    """An S3 store, open for reading. Safe to share between threads."""

    def listing(self, bucket: str) -> list[Listed] | None:
        """Return key, size and ETag of every object, None for a missing bucket.

        Raises LakeError.
        """

    def page(self, bucket: str, after: str, most: int) -> tuple[list[Listed], bool] | None:
        """Return objects behind the key `after`, `most` at most, and if there are more.

        None for a missing bucket. Raises LakeError.
        """

    def body(self, bucket: str, key: str) -> bytes | None:
        """Return an object's content, None for a vanished one. Raises LakeError."""


class Opener(Protocol):
    """A small hashable, picklable value that opens an S3 store."""

    def __call__(self) -> Buckets:
        """Open the store. Raises LakeError."""

    def __hash__(self) -> int: ...


@dataclass(frozen=True)
class LakeReader:
    """Reader of a lake.

    location: a path, or an endpoint URL, which is used only in messages.
    opener: None for a folder.
    """

    location: str
    opener: Opener | None = None

    @classmethod
    def s3(cls, endpoint_url: str, opener: Opener) -> LakeReader:
        """Return a reader of an S3 store."""
        return cls(endpoint_url, opener)

    @classmethod
    def folder(cls, path: Path) -> LakeReader:
        """Return a reader of a folder `<bucket>/<key>`."""
        return cls(str(path))

    def objects(self, ranges: NameRanges | None = None) -> list[ObjectRef]:
        """Return all objects of the six buckets, sorted.

        ranges: those of the part of a fleet whose objects are wanted. Others may be among them.
        A missing bucket counts as empty. Raises LakeError if all six are missing.
        """
        found = [self._list(bucket, ranges) for bucket in BUCKETS]
        if all(listing is None for listing in found):
            raise LakeError(
                f"{self.location}: has no bucket named {BUCKET_PREFIX}*; is this the run's lake?"
            )
        return sorted(
            (ref for listing in found for ref in listing or ()),
            key=lambda ref: (ref.bucket, ref.key),
        )

    def bucket(self, name: str) -> list[ObjectRef] | None:
        """Return the objects of one bucket, None if it does not exist. Raises LakeError."""
        return self._list(name)

    def read(self, refs: Iterable[ObjectRef]) -> Iterator[bytes | None]:
        """Yield each object's content in order, None for a vanished one. Raises LakeError."""
        refs = list(refs)
        groups = [refs[at : at + _GROUP] for at in range(0, len(refs), _GROUP)]
        for contents, error in _pool(os.getpid()).map(self._read_group, groups):
            yield from contents
            if error is not None:
                raise error

    def save(self, folder: Path) -> int:
        """Copy every object to `folder/<bucket>/<key>`; return their number.

        Raises LakeError and OSError.
        """
        refs = self.objects()
        for bucket in BUCKETS:
            (folder / bucket).mkdir(parents=True, exist_ok=True)
        for ref, content in zip(refs, self.read(refs), strict=True):
            if content is None:
                raise LakeError(
                    f"{ref.name}: vanished after the listing; is the lake still being written to?"
                )
            path = folder / ref.bucket / ref.key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return len(refs)

    def _list(self, bucket: str, ranges: NameRanges | None = None) -> list[ObjectRef] | None:
        if self.opener is None:
            return self._list_folder(bucket)
        opened = _opened(self.opener)
        found: Iterable[Listed] | None = (
            opened.listing(bucket)
            if ranges is None
            else ranges.objects(partial(opened.page, bucket))
        )
        return None if found is None else [ObjectRef(bucket, *each) for each in found]

    def _read_group(self, refs: Sequence[ObjectRef]) -> tuple[list[bytes | None], LakeError | None]:
        """Return the contents up to the first error, and the error."""
        fetch = self._read_file if self.opener is None else self._fetch
        contents: list[bytes | None] = []
        try:
            for ref in refs:
                contents.append(fetch(ref))
        except LakeError as error:
            return contents, error
        return contents, None

    def _fetch(self, ref: ObjectRef) -> bytes | None:
        assert self.opener is not None
        body = _opened(self.opener).body(ref.bucket, ref.key)
        if body is not None and len(body) != ref.size:
            raise LakeError(
                f"{self.location}: {ref.name}: {len(body):,} bytes received, {ref.size:,} listed; "
                "is the lake still being written to, or does a proxy alter responses?"
            )
        return body

    def _list_folder(self, bucket: str) -> list[ObjectRef] | None:
        root = Path(self.location) / bucket
        if not root.is_dir():
            return None
        refs = []
        for directory, folders, names in os.walk(root, onerror=_unlisted):
            prefix = Path(directory).relative_to(root)
            # os.walk does not follow links to folders, so each counts as an object.
            linked = [name for name in folders if os.path.islink(os.path.join(directory, name))]
            refs += [
                ObjectRef(bucket, (prefix / name).as_posix(), _size(os.path.join(directory, name)))
                for name in (*names, *linked)
            ]
        return refs

    def _read_file(self, ref: ObjectRef) -> bytes | None:
        path = Path(self.location) / ref.bucket / ref.key
        try:
            return path.read_bytes() if path.is_file() else None  # a read of a named pipe blocks
        except OSError:  # an unreadable file must not cost other objects their verdict
            return None


def _unlisted(error: OSError) -> None:
    raise LakeError(f"{error.filename}: cannot be listed: {error.strerror or error}") from error


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:  # a link to a missing file, or to itself
        return 0


@lru_cache(maxsize=1)
def _pool(process: int) -> ThreadPoolExecutor:
    """Threads that fetch, started once: a thread keeps its connection. A fork has none of them."""
    return ThreadPoolExecutor(FETCHES, f"fetch-{process}")


@lru_cache(maxsize=8)
def _opened(opener: Opener) -> Buckets:
    """Open an S3 store, once per opener and process."""
    return opener()
