"""An object store in a folder, `<bucket>/<key>`, for data sets as files.

It is as strict as S3: a bucket must exist, `create` never overwrites, `replace` compares ETags. An
object appears whole or not at all: it is written to a temporary file in the same folder, and then
linked to its name. ETags are content hashes.

Not covered: two processes that replace the same key at the same moment (each node has one writer
here), and disks without hard links.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pipeline.ports import AlreadyExists, Conflict, NoBucket, NotFound, Unavailable
from pipeline.records import BUCKET_NAMES, BUCKET_PREFIX
from pipeline.terminal import cause

PARTIAL: Final = ".partial"


def make(folder: Path) -> None:
    """Make the six buckets, empty. Raises OSError."""
    for name in BUCKET_NAMES:
        (folder / (BUCKET_PREFIX + name)).mkdir(parents=True, exist_ok=True)


class FolderStore:
    """See `pipeline.ports.ObjectStore`. Safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: set[str] = set()
        self._lock = threading.Lock()

    def create(self, bucket: str, key: str, body: bytes) -> str:
        with self._written("create", bucket, key, body) as (partial, path):
            try:
                os.link(partial, path)
            except FileExistsError as error:
                raise AlreadyExists(f"create {bucket}/{key}") from error
        return _etag(body)

    def replace(self, bucket: str, key: str, body: bytes, etag: str) -> str:
        with self._lock:
            try:
                if self.get(bucket, key)[1] != etag:
                    raise Conflict(f"replace {bucket}/{key}: another version is there")
            except NotFound as error:
                raise Conflict(f"replace {bucket}/{key}: nothing is there") from error
            with self._written("replace", bucket, key, body) as (partial, path):
                os.replace(partial, path)
        return _etag(body)

    def get(self, bucket: str, key: str) -> tuple[bytes, str]:
        root = self._root("get", bucket, key)
        try:
            with open(f"{root}/{key}", "rb") as file:
                body = file.read()
        except FileNotFoundError as error:
            raise NotFound(f"get {bucket}/{key}") from error
        except OSError as error:
            raise Unavailable(f"get {bucket}/{key}: {cause(error)}") from error
        return body, _etag(body)

    def list(self, bucket: str, folder: str, name_prefix: str) -> list[str]:
        root = self._root("list", bucket, folder)
        try:
            names = os.listdir(f"{root}/{folder}")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise Unavailable(f"list {bucket}/{folder}: {cause(error)}") from error
        return sorted(
            folder + n for n in names if n.startswith(name_prefix) and not n.endswith(PARTIAL)
        )

    def _root(self, verb: str, bucket: str, key: str) -> str:
        root = f"{self._folder}/{bucket}"
        if bucket not in self._made:
            if not os.path.isdir(root):
                raise NoBucket(f"{verb} {bucket}/{key}: the bucket does not exist")
            self._made.add(bucket)
        return root

    @contextmanager
    def _written(self, verb: str, bucket: str, key: str, body: bytes) -> Iterator[tuple[str, str]]:
        """Write the body to a temporary file beside its place. Raises Unavailable."""
        path = f"{self._root(verb, bucket, key)}/{key}"
        parent = path.rpartition("/")[0]
        partial = f"{path}.{os.getpid()}-{threading.get_native_id()}{PARTIAL}"
        try:
            if parent not in self._made:
                os.makedirs(parent, exist_ok=True)
                self._made.add(parent)
            try:
                with open(partial, "wb") as file:
                    file.write(body)
                yield partial, path
            finally:
                if os.path.exists(partial):
                    os.unlink(partial)
        except OSError as error:
            raise Unavailable(f"{verb} {bucket}/{key}: {cause(error)}") from error


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()}"'
