"""Bounded retries around any ObjectStore, each attempt recorded as one `Operation`.

The store below makes no retries (`pipeline.store`). So a retry shows in operations.parquet instead
of hiding in a latency, and every store (S3, or one in memory) is retried alike. Only `Unavailable`
is retried: any other error is the store's answer. If only the answer of an attempt was lost, its
retry finds the effect (AlreadyExists, Conflict). `pipeline.commit` then compares the contents.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from pipeline.ports import (
    AlreadyExists,
    Conflict,
    NotFound,
    ObjectStore,
    Refused,
    StoreError,
    Unavailable,
)

T = TypeVar("T")

ATTEMPTS = 4
BACKOFF_S = 0.2  # doubles, with jitter: 0.2, 0.4, 0.8 s at most


class Operation(NamedTuple):
    """One attempt at one store operation. Times are wall time in ns since 1970."""

    intended_start: int
    start: int
    end: int
    kind: str  # put | get | list
    bucket: str
    key: str
    bytes: int
    outcome: str  # ok | exists | conflict | missing | unavailable | refused
    attempt: int


_OUTCOMES: dict[type[StoreError], str] = {
    AlreadyExists: "exists",
    Conflict: "conflict",
    NotFound: "missing",
    Unavailable: "unavailable",
    Refused: "refused",
}


def _outcome(error: StoreError) -> str:
    return next(outcome for kind, outcome in _OUTCOMES.items() if isinstance(error, kind))


class Retrying:
    """An ObjectStore that retries another. Safe to share between threads.

    record: called with each Operation, from the thread that made it. sleep: waits the given
    seconds. now_ns: the clock of operations, ns since 1970.
    """

    def __init__(
        self,
        store: ObjectStore,
        record: Callable[[Operation], None] | None = None,
        attempts: int = ATTEMPTS,
        sleep: Callable[[float], None] = time.sleep,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._store = store
        self._record = record
        self._attempts = attempts
        self._sleep = sleep
        self._now_ns = now_ns

    def create(self, bucket: str, key: str, body: bytes) -> str:
        return self.run(
            "put", bucket, key, len(body), lambda: self._store.create(bucket, key, body)
        )

    def replace(self, bucket: str, key: str, body: bytes, etag: str) -> str:
        return self.run(
            "put", bucket, key, len(body), lambda: self._store.replace(bucket, key, body, etag)
        )

    def get(self, bucket: str, key: str) -> tuple[bytes, str]:
        return self.run("get", bucket, key, 0, lambda: self._store.get(bucket, key))

    def list(self, bucket: str, folder: str, name_prefix: str) -> list[str]:
        return self.run(
            "list",
            bucket,
            folder + name_prefix,
            0,
            lambda: self._store.list(bucket, folder, name_prefix),
        )

    def run(self, kind: str, bucket: str, key: str, size: int, call: Callable[[], T]) -> T:
        """Return the result of any operation, retried like the four above."""
        intended = self._now_ns()
        for attempt in range(1, self._attempts + 1):
            start = self._now_ns()

            def record(outcome: str, size: int, start: int = start, attempt: int = attempt) -> None:
                if self._record is not None:
                    end = self._now_ns()
                    self._record(
                        Operation(intended, start, end, kind, bucket, key, size, outcome, attempt)
                    )

            try:
                result = call()
            except StoreError as error:
                record(_outcome(error), size)
                if not isinstance(error, Unavailable) or attempt == self._attempts:
                    raise
                self._sleep(BACKOFF_S * 2 ** (attempt - 1) * random.uniform(0.5, 1.0))
            else:
                record("ok", size or (len(result[0]) if isinstance(result, tuple) else 0))
                return result
        raise AssertionError("unreachable: the last attempt returns or raises")
