"""The modelled line from a farm to the cloud: one link for all its nodes, first come, first served.

Modelled are the wait for the line, bytes over bandwidth, and latency. They give freshness: the
virtual time from a row's event to the moment it can be read in the lake. Wall time plays no part;
the speed of the real store is measured elsewhere.

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
    """Line of one farm. Bandwidth in bit/s, latency in s.

    freshness_s: seconds from event to arrival, of every row sent with an event time in range.
    """

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
        """Send one batch. The process ends when it has arrived.

        event_us: shape (rows,), us since 1970.
        """
        return self._env.process(self._transfer(size_bytes, event_us))

    def _transfer(self, size_bytes: int, event_us: Ints) -> Generator[simpy.Event, Any, None]:
        with self._line.request() as turn:
            yield turn
            yield self._env.timeout(size_bytes * 8 / self._bandwidth)
        yield self._env.timeout(self._latency_s)
        arrived_us = self._start_us + self._env.now * 1e6
        in_range = event_us[(event_us >= TIME_MIN_US) & (event_us < TIME_MAX_US)]
        # Not below zero: a node's clock may be fast.
        self.freshness_s.record_many(np.maximum(arrived_us - in_range, 0.0) / 1e6)
