"""The modelled line from a farm to the cloud: one link for all its nodes, first come, first served.

Modelled are the wait for the line, bytes over bandwidth, and latency. They give freshness: the
virtual time from a row's event to the moment it can be read in the lake. Wall time plays no part;
the speed of the real store is measured elsewhere.

A batch is sent when its flush begins. It may be sent later in wall time, so the line keeps its own
virtual time.

Not covered: losses, and protocol overhead per object.
"""

from __future__ import annotations

import numpy as np

from pipeline.partition import Ints
from pipeline.records import TIME_MAX_US, TIME_MIN_US
from sim.measure.histogram import Histogram


class FarmUplink:
    """Line of one farm. Bandwidth in bit/s, latency in s.

    freshness_s: seconds from event to arrival, of every row sent with an event time in range.
    last_arrival_s: virtual seconds since the start.
    """

    def __init__(self, start_us: int, bandwidth_bit_per_s: float, latency_s: float) -> None:
        self._start_us = start_us
        self._bandwidth = bandwidth_bit_per_s
        self._latency_s = latency_s
        self._free_s = 0.0
        self.last_arrival_s = 0.0
        self.freshness_s = Histogram()

    def send(self, at_s: float, size_bytes: int, event_us: Ints) -> None:
        """Send one batch at a virtual time, no earlier than the batch before it.

        event_us: shape (rows,), us since 1970.
        """
        self._free_s = max(self._free_s, at_s) + size_bytes * 8 / self._bandwidth
        self.last_arrival_s = self._free_s + self._latency_s
        arrived_us = self._start_us + self.last_arrival_s * 1e6
        in_range = event_us[(event_us >= TIME_MIN_US) & (event_us < TIME_MAX_US)]
        # Not below zero: a node's clock may be fast.
        self.freshness_s.record_many(np.maximum(arrived_us - in_range, 0.0) / 1e6)
