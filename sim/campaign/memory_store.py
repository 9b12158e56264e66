"""A strict object store in memory: the pipeline's S3, for campaigns and tests that need many runs.

It refuses an unknown bucket, an invalid key, a body that is not bytes and an empty object.

A hook `fault` is called before and after the effect of each call, and may raise. Before: an error
without effect. After: a lost answer. Calls are numbered and kept, so that a test can enumerate
them.

Not covered: latency, and concurrent calls (each call is one step, under a lock).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

from pipeline.ports import AlreadyExists, Conflict, NoBucket, NotFound, Refused
from pipeline.records import BUCKET_NAMES, BUCKET_PREFIX, STAGES


class Call(NamedTuple):
    """One call. number: from 1. verb: create, replace, get or list."""

    number: int
    verb: str
    bucket: str
    key: str


T = TypeVar("T")
FaultHook = Callable[[Call, bool], None]
"""fault(call, after): raises to make the call fail, before or after its effect."""


class MemoryStore:
    """An ObjectStore (`pipeline.ports`). objects: by (bucket, key). calls: every call made."""

    def __init__(self, fault: FaultHook | None = None) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}
        self.calls: list[Call] = []
        self.fault = fault
        self._lock = threading.RLock()

    def create(self, bucket: str, key: str, body: bytes) -> str:
        def effect() -> str:
            if (bucket, key) in self.objects:
                raise AlreadyExists(f"create {bucket}/{key}")
            return self._keep(bucket, key, body)

        return self._step("create", bucket, key, effect)

    def replace(self, bucket: str, key: str, body: bytes, etag: str) -> str:
        def effect() -> str:
            if (bucket, key) not in self.objects or etag_of(self.objects[bucket, key]) != etag:
                raise Conflict(f"replace {bucket}/{key}")
            return self._keep(bucket, key, body)

        return self._step("replace", bucket, key, effect)

    def get(self, bucket: str, key: str) -> tuple[bytes, str]:
        def effect() -> tuple[bytes, str]:
            if (bucket, key) not in self.objects:
                raise NotFound(f"get {bucket}/{key}")
            body = self.objects[bucket, key]
            return body, etag_of(body)

        return self._step("get", bucket, key, effect)

    def list(self, bucket: str, folder: str, name_prefix: str) -> list[str]:
        if not folder.endswith("/"):
            raise Refused(f"list {bucket}/{folder}: a folder ends in a slash")
        begin = folder + name_prefix
        return self._step(
            "list",
            bucket,
            begin,
            lambda: sorted(k for b, k in self.objects if b == bucket and k.startswith(begin)),
        )

    def digest(self) -> str:
        """Return the lake's digest: of the sorted keys and the SHA-256 of every data object."""
        data = {BUCKET_PREFIX + stage for stage in STAGES}
        lines = sorted(
            f"{bucket}/{key} {hashlib.sha256(body).hexdigest()}\n"
            for (bucket, key), body in self.objects.items()
            if bucket in data
        )
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def _step(self, verb: str, bucket: str, key: str, effect: Callable[[], T]) -> T:
        with self._lock:
            call = Call(len(self.calls) + 1, verb, bucket, key)
            self.calls.append(call)
            if bucket.removeprefix(BUCKET_PREFIX) not in BUCKET_NAMES:
                raise NoBucket(f"{verb} {bucket}/{key}: the bucket does not exist")
            if self.fault is not None:
                self.fault(call, False)
            try:
                return effect()
            finally:  # an answer may be lost even if it is an error
                if self.fault is not None:
                    self.fault(call, True)

    def _keep(self, bucket: str, key: str, body: bytes) -> str:
        if not isinstance(body, bytes) or not body:
            raise Refused(f"put {bucket}/{key}: no body")
        if not key.isprintable() or key.startswith("/") or "//" in key or len(key.encode()) > 1024:
            raise Refused(f"put {bucket}/{key}: not a key")
        self.objects[bucket, key] = body
        return etag_of(body)


def etag_of(body: bytes) -> str:
    """Return S3's ETag of an object that was written in one part."""
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


def dump(store: MemoryStore, folder: Path) -> None:
    """Write the store's objects as files `folder/<bucket>/<key>`, for the oracle."""
    for (bucket, key), body in store.objects.items():
        path = folder / bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
