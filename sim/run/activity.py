"""The time that a worker spends with each activity, sent to the parent in short spans."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from sim.measure.timeline import Activity, Span

EVERY_NS: Final = 250_000_000
"""Shortest span. One batch takes milliseconds, and a message for each would cost more."""


class Activities:
    """Clock of one worker's thread. send: gets each span."""

    def __init__(self, send: Callable[[Span], None]) -> None:
        self._send = send
        self._seconds: dict[Activity, float] = {}
        self._waited_s = 0.0
        self._now: Activity | None = None
        self._begun_ns = self._since_ns = time.time_ns()

    @contextmanager
    def during(self, name: Activity) -> Iterator[None]:
        """Count the block's time to an activity."""
        self._count()
        before, self._now = self._now, name
        try:
            yield
        finally:
            self._count()
            self._now = before
            self._send_due(0 if before is None else EVERY_NS)

    def waited(self, total_s: float) -> None:
        """Take the seconds that this thread has waited for the store so far."""
        self._count()
        if self._now is not None and total_s > self._waited_s:
            self._add("wait", total_s - self._waited_s)
            self._add(self._now, self._waited_s - total_s)
        self._waited_s = total_s
        self._send_due(EVERY_NS)

    def _count(self) -> None:
        now_ns = time.time_ns()
        if self._now is not None:
            self._add(self._now, (now_ns - self._since_ns) / 1e9)
        else:
            self._begun_ns = now_ns
        self._since_ns = now_ns

    def _send_due(self, shortest_ns: int) -> None:
        if self._since_ns - self._begun_ns > shortest_ns:
            self._send(Span(self._begun_ns, self._since_ns, self._seconds))
            self._seconds, self._begun_ns = {}, self._since_ns

    def _add(self, name: Activity, seconds: float) -> None:
        self._seconds[name] = self._seconds.get(name, 0.0) + seconds
