"""The two seams of the pipeline: Clock and ObjectStore. Everything outside of the process is reached through these.

    StoreError
      NotFound            the key holds no object
      AlreadyExists       create-if-absent found an object
      Conflict            compare-and-set found another version than the one named
      Unavailable         no answer, or one that says "later"; a retry may succeed (retries were already made)
      Refused             the store said no for good: credentials, bad request
        NoBucket          the bucket does not exist

A tree of errors is part of the seam: `commit` decides by type, never by an SDK's exception or text.
"""

from __future__ import annotations

import time
from typing import Protocol


class StoreError(Exception):
    """An object store did not do what was asked; the text names operation, bucket and key."""


class NotFound(StoreError):
    pass


class AlreadyExists(StoreError):
    pass


class Conflict(StoreError):
    pass


class Unavailable(StoreError):
    pass


class Refused(StoreError):
    """`denied`: for the credentials, or what they may do."""

    denied = False


class NoBucket(Refused):
    pass


class Clock(Protocol):
    def now_us(self) -> int:
        """Microseconds since 1970, UTC."""


class SystemClock:
    def now_us(self) -> int:
        return time.time_ns() // 1000


class ObjectStore(Protocol):
    """S3 as the pipeline needs it: four verbs, each atomic on one object. Any may raise Unavailable or Refused."""

    def create(self, bucket: str, key: str, body: bytes) -> str:
        """Write an object that must not exist yet (If-None-Match: *); its ETag. Raises AlreadyExists."""

    def replace(self, bucket: str, key: str, body: bytes, etag: str) -> str:
        """Write over the version `etag` (If-Match); the new ETag. Raises Conflict, also when there is no object."""

    def get(self, bucket: str, key: str) -> tuple[bytes, str]:
        """Body and ETag. Raises NotFound."""

    def list(self, bucket: str, folder: str, name_prefix: str) -> list[str]:
        """All keys `folder` + name with the given beginning of the name, sorted; `folder` ends in a slash."""
