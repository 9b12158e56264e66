"""Commits under way: given to a pool, not yet reported. Bounded by the bytes of their bodies.

    pool = Pool()                makes as many calls at once as the store's latency asks for
    commits = Commits(pool)
    commits.begin(...)           hands a commit to the pool
    commits.ended()              yields those that ended; waits while more than the bound are begun
    commits.rest()               waits for all of them

So a caller encodes the next batches while earlier ones are on their way, however slow the store is.
The memory that this takes does not depend on the number of nodes or threads.

A call waits for the store, so the calls at once times their latency is the rate (Little's law). A
store that is far away takes hundreds at once, one on this machine is busy with a few. So the pool
doubles their number while that raises the rate, and takes it back where it does not.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Generic, ParamSpec, TypeVar

from pipeline.commit import Position

MOST_BYTES = 32 << 20
"""Bodies under way. A batch of 900 rows has 80 kB, so this is 400 nodes of a farm."""
LEAST_CALLS = 32
"""Calls at once before anything is known of the store: at 30 ms a call, 1,000 calls per second."""
MOST_CALLS = 256
"""Calls at once, of a store however far away. Each has a thread and a connection."""
RAISED = 1.2
"""Factor on the rate that makes twice the calls worth it."""
KEPT = 0.95
"""Factor on the rate below which half the calls are too few."""
PAUSE = 8
"""Windows between an attempt that failed and the next one."""
P = ParamSpec("P")
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


class CallBound:
    """The number of calls at once, by the rate at which they end. Not thread-safe.

    A window is as many ends as twice the bound, while calls wait for a place. Only windows of one
    kind of call are compared.
    """

    def __init__(self, least: int = LEAST_CALLS, most: int = MOST_CALLS) -> None:
        self.calls, self._least, self._most = least, least, most
        self._kind: object = None
        self._ends, self._begun_s = 0, 0.0
        self._before: tuple[int, float] | None = None
        self._up, self._pause = True, 0

    def ended(self, kind: object, waiting: bool, now_s: float) -> None:
        """Count the end of a call. waiting: another one waits for its place."""
        if not waiting or kind != self._kind:
            # The rate was that of the callers, or another kind's.
            if kind != self._kind:
                self._take_back()
            self._kind, self._ends, self._begun_s = kind, 0, now_s
            return
        self._ends += 1
        if self._ends < 2 * self.calls:
            return
        rate = self._ends / max(now_s - self._begun_s, 1e-9)
        self._ends, self._begun_s = 0, now_s
        if self._before is None:
            if self._pause:
                self._pause -= 1
            else:
                self._attempt(rate)
        elif rate > self._before[1] * (RAISED if self._up else KEPT):
            self._attempt(rate)
        else:
            self._take_back()
            self._up, self._pause = not self._up or self.calls == self._least, PAUSE

    def _attempt(self, rate: float) -> None:
        self._before = self.calls, rate
        wanted = self.calls * 2 if self._up else self.calls // 2
        self.calls = min(max(wanted, self._least), self._most)

    def _take_back(self) -> None:
        if self._before is not None:
            self.calls, self._before = self._before[0], None


class Pool(Executor):
    """Threads for calls of the store, as many at once as `bound` says. Made on demand."""

    def __init__(self, bound: CallBound | None = None, most: int = MOST_CALLS) -> None:
        self._bound = bound or CallBound(most=most)
        self._threads = ThreadPoolExecutor(most, thread_name_prefix="store-call")
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Future[Any], Callable[[], Any], object]] = deque()
        self._running, self._ending = 0, False

    @property
    def calls(self) -> int:
        """Most calls at once, for now."""
        return self._bound.calls

    def submit(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Make a call when there is a place for it. Raise RuntimeError after `shutdown`."""
        future = Future[T]()
        with self._lock:
            if self._ending:
                raise RuntimeError("a call after the pool's end")
            kind = getattr(call, "__qualname__", None)
            self._waiting.append((future, partial(call, *args, **kwargs), kind))
            self._start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls. Those that wait for a place are still made, or cancelled."""
        with self._lock:
            self._ending = True
            dropped = list(self._waiting) if cancel_futures else []
            if cancel_futures:
                self._waiting.clear()
        for future, _, _ in dropped:
            future.cancel()
        self._threads.shutdown(wait)

    def _start(self) -> None:
        """Give threads to waiting calls, as far as there are places. With the lock."""
        for _ in range(min(len(self._waiting), self._bound.calls - self._running)):
            self._running += 1
            self._threads.submit(self._make_calls)

    def _make_calls(self) -> None:
        """Make waiting calls, one after the other, while there is a place for this thread."""
        while True:
            with self._lock:
                if not self._waiting or self._running > self._bound.calls:
                    self._running -= 1
                    return
                future, call, kind = self._waiting.popleft()
            if future.set_running_or_notify_cancel():
                try:
                    result = call()
                except BaseException as error:
                    future.set_exception(error)
                else:
                    future.set_result(result)
            with self._lock:
                self._bound.ended(kind, bool(self._waiting), time.perf_counter())
                if not self._ending:
                    self._start()
