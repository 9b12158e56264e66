"""The modelled line from a farm to the cloud: one link that its nodes share, first come, first served. Virtual time.

What is modelled is the wait for the line, bytes over bandwidth, and latency. It gives freshness, from a row's event to
the moment it could be read in the lake. Wall time plays no part: the real store's speed is measured elsewhere.
Not covered: losses, and protocol overhead per object.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import simpy

from pipeline.partition import Ints
from pipeline.records import TIME_MAX_US, TIME_MIN_US
from sim.measure.histogram import Histogram


class FarmUplink:
    """`freshness_s`: seconds from event to arrival, of every row that was sent
    and has a sane event time. Bandwidth bit/s, latency s."""

    def __init__(
        self, env: simpy.Environment, start_us: int, bandwidth_bit_per_s: float, latency_s: float
    ) -> None:
        self._env = env
        self._start_us = start_us
        self._bandwidth = bandwidth_bit_per_s
        self._latency_s = latency_s
        self._line = simpy.Resource(env, capacity=1)
        self.freshness_s = Histogram()

    def send(self, size_bytes: int, event_us: Ints) -> simpy.Process:
        """Send one batch; the process ends when it has arrived. event_us: shape (rows,), us since 1970."""
        return self._env.process(self._transfer(size_bytes, event_us))

    def _transfer(self, size_bytes: int, event_us: Ints) -> Generator[simpy.Event, Any, None]:
        with self._line.request() as turn:
            yield turn
            yield self._env.timeout(size_bytes * 8 / self._bandwidth)
        yield self._env.timeout(self._latency_s)
        arrived_us = self._start_us + self._env.now * 1e6
        sane = event_us[(event_us >= TIME_MIN_US) & (event_us < TIME_MAX_US)]  # nonsense has no age
        self.freshness_s.record_many(
            np.maximum(arrived_us - sane, 0.0) / 1e6
        )  # nor has a clock that is ahead
