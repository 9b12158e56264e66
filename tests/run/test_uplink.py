"""The modelled line: first come, first served, in virtual time."""

from __future__ import annotations

import numpy as np

from sim.run.uplink import FarmUplink

START_US = 1_705_276_800_000_000


def events(*at_s: float) -> np.ndarray:
    return np.array([START_US + round(s * 1e6) for s in at_s])


def test_batches_wait_for_the_line() -> None:
    line = FarmUplink(START_US, bandwidth_bit_per_s=8000.0, latency_s=0.5)
    line.send(100.0, 1000, events(100.0))  # 1 s on the line
    assert line.last_arrival_s == 101.5
    line.send(100.0, 2000, events(100.0))  # after the first
    assert line.last_arrival_s == 103.5
    line.send(110.0, 1000, events(110.0))  # the line is free again
    assert line.last_arrival_s == 111.5
    seconds = [line.freshness_s.quantile(q) for q in (0.01, 0.99)]
    assert [round(s or 0, 1) for s in seconds] == [1.5, 3.5]


def test_a_fast_clock_and_times_out_of_range_do_not_count_as_fresh() -> None:
    line = FarmUplink(START_US, bandwidth_bit_per_s=8000.0, latency_s=0.5)
    line.send(0.0, 1000, np.array([0, 2**62]))
    assert line.freshness_s.quantile(0.5) is None
    line.send(0.0, 0, events(50.0))
    assert line.freshness_s.quantile(0.5) == 0.0
