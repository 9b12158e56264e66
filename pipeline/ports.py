"""Interfaces Clock and ObjectStore: the pipeline's only access to the outside world.

    StoreError
      NotFound            the key holds no object
      AlreadyExists       create-if-absent found an object
      Conflict            compare-and-set found another version than the named one
      Unavailable         no answer, or one that asks for a later attempt; a retry may succeed
      Refused             a final refusal: credentials, bad request
        NoBucket          the bucket does not exist

The error tree is part of the interface: `commit` decides by type, never by an SDK's exception or
text.
"""

from __future__ import annotations

import time
from typing import Protocol


class StoreError(Exception):
    """A failed operation on an object store; the text names operation, bucket and key."""


class NotFound(StoreError):
    pass


class AlreadyExists(StoreError):
    pass


class Conflict(StoreError):
    pass


class Unavailable(StoreError):
    pass


class Refused(StoreError):
    """A final refusal. `denied`: True if the credentials or their rights are the reason."""

    denied = False


class NoBucket(Refused):
    pass


class Clock(Protocol):
    def now_us(self) -> int:
        """Return microseconds since 1970, UTC."""


class SystemClock:
    def now_us(self) -> int:
        return time.time_ns() // 1000


class ObjectStore(Protocol):
    """S3 as the pipeline needs it: four verbs, each atomic on one object.

    Any verb may raise Unavailable or Refused.
    """

    def create(self, bucket: str, key: str, body: bytes) -> str:
        """Write an object that must not exist yet (If-None-Match: *), and return its ETag.

        Raises AlreadyExists.
        """

    def replace(self, bucket: str, key: str, body: bytes, etag: str) -> str:
        """Write over the version `etag` (If-Match), and return the new ETag.

        Raises Conflict, also if there is no object.
        """

    def get(self, bucket: str, key: str) -> tuple[bytes, str]:
        """Return body and ETag. Raise NotFound."""

    def list(self, bucket: str, folder: str, name_prefix: str) -> list[str]:
        """Return all keys `folder` + name whose name begins with `name_prefix`, sorted.

        `folder` ends in a slash.
        """
