"""A strict object store in memory: the pipeline's S3, for campaigns and tests that need many runs.

It refuses what S3 leaves vague: an unknown bucket, a key that is not one, a body that is not bytes, an empty object.
`fault` is asked before and after the effect of each call, and may raise: before is an error that did nothing, after is
an answer that was lost. Calls are counted and kept, so that a test can enumerate them.

Not covered: latency, and calls at the same moment in two threads (each call is one step, under a lock).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from pipeline.ports import AlreadyExists, Conflict, NoBucket, NotFound, Refused
from pipeline.records import BUCKET_NAMES, BUCKET_PREFIX, STAGES


class Call(NamedTuple):
    """One call: its number from 1, its verb (create | replace | get | list), and where."""

    number: int
    verb: str
    bucket: str
    key: str


T = TypeVar("T")
Fault = Callable[[Call, bool], None]
"""fault(call, after): raise to make the call fail, before or after its effect."""


class MemoryStore:
    """See `pipeline.ports.ObjectStore`. `objects` maps (bucket, key) to the body; `calls` holds every call made."""

    def __init__(self, fault: Fault | None = None) -> None:
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
        """The lake's digest: of the sorted keys and the sha256 of every data object."""
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
            finally:  # whatever the answer was, it may be lost
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
    """S3's ETag of an object put at once."""
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
