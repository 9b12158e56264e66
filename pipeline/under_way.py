"""Commits under way: given to a pool, not yet reported. Bounded by the bytes of their bodies.

    commits = Commits(pool)
    commits.begin(...)           hands a commit to the pool
    commits.ended()              yields those that ended; waits while more than the bound are begun
    commits.rest()               waits for all of them

So a caller encodes the next batches while earlier ones are on their way, however slow the store is.
The memory that this takes does not depend on the number of nodes or threads.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from pipeline.commit import Position

MOST_BYTES = 32 << 20
"""Bodies under way. A batch of 900 rows has 80 kB, so this is 400 nodes of a farm."""
T = TypeVar("T")


@dataclass(frozen=True)
class Ended(Generic[T]):
    """A commit that ended. at_ns: the wall time of its end, ns since 1970."""

    owner: T
    future: Future[Position]
    at_ns: int


class Commits(Generic[T]):
    """Commits under way, each with a value of its owner. For one thread.

    waited_s: wall seconds in which this thread did nothing but wait for the store.
    """

    def __init__(self, pool: Executor, most_bytes: int = MOST_BYTES) -> None:
        self.pool, self._most_bytes = pool, most_bytes
        self.waited_s = 0.0
        self._begun: dict[Future[Position], tuple[int, T]] = {}
        self._bytes = 0
        self._ended: SimpleQueue[tuple[Future[Position], int]] = SimpleQueue()

    def begin(self, future: Future[Position], size: int, owner: T) -> None:
        """Take a commit that the pool makes. size: bytes of its bodies."""
        self._begun[future] = size, owner
        self._bytes += size
        future.add_done_callback(lambda done: self._ended.put((done, time.time_ns())))

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the block, in which this thread waits for the store."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.waited_s += time.perf_counter() - begun

    def ended(self) -> Iterator[Ended[T]]:
        """Yield each commit that ended, and wait while there are too many."""
        return self._take(self._most_bytes)

    def rest(self) -> Iterator[Ended[T]]:
        """Yield every commit, as they end."""
        return self._take(-1)

    def _take(self, most_bytes: int) -> Iterator[Ended[T]]:
        while self._begun:
            try:
                future, at_ns = self._ended.get_nowait()
            except Empty:
                if self._bytes <= most_bytes:
                    return
                with self.waiting():
                    future, at_ns = self._ended.get()
            size, owner = self._begun.pop(future)
            self._bytes -= size
            yield Ended(owner, future, at_ns)
