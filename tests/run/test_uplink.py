"""The modelled line: first come, first served, in virtual time."""

from __future__ import annotations

import random

import numpy as np
import pytest

from sim.measure.histogram import Histogram
from sim.run.uplink import Sent, freshness, runs

START_US = 1_705_276_800_000_000


def events(*at_s: float) -> np.ndarray:
    return np.array([START_US + round(s * 1e6) for s in at_s])


def sent(at_s: float, turbine: str, size: int, event_us: np.ndarray, first_id: int = 1) -> Sent:
    return Sent(at_s, turbine, first_id, size, runs(event_us))


def line(*batches: Sent) -> Histogram:
    """Return freshness on a line of 1,000 bytes a second, with a latency of half a second."""
    return freshness(batches, START_US, bandwidth_bit_per_s=8000.0, latency_s=0.5)


def ages(found: Histogram, count: int) -> list[float]:
    assert found.count == count
    return [round(found.quantile((i + 0.5) / count) or 0, 1) for i in range(count)]


def test_batches_wait_for_the_line() -> None:
    found = line(
        sent(100.0, "A-001", 1000, events(100.0)),  # 1 s on the line
        sent(100.0, "A-002", 2000, events(100.0)),  # after the first
        sent(110.0, "A-001", 1000, events(110.0)),  # the line is free again
    )
    assert ages(found, 3) == [1.5, 1.5, 3.5]


def test_the_order_of_the_shards_does_not_matter() -> None:
    batches = [
        sent(flush, f"A-{turbine:03d}", 700 * turbine, events(flush - 9, flush - 1), first_id)
        for flush in (60.0, 120.0)
        for turbine in range(1, 6)
        for first_id in (1, 3)
    ]
    want = ages(line(*batches), 40)
    random.Random(7).shuffle(batches)
    assert ages(line(*batches), 40) == want
    assert want[-1] > want[0] + 20, "the batches must wait for each other"


def test_a_fast_clock_and_times_out_of_range_do_not_count_as_fresh() -> None:
    out_of_range = sent(0.0, "A-001", 1000, np.array([0, 2**62]))
    assert line(out_of_range).quantile(0.5) is None
    assert ages(line(out_of_range, sent(0.0, "A-002", 0, events(50.0))), 1) == [0.0]


@pytest.mark.parametrize(
    ("event_us", "count"),
    [
        ([], 0),
        ([5], 1),
        ([0, 1, 2], 1),
        ([0, 1, 2, 10, 11, 12], 3),
        ([3, 3, 3, 2, 9], 3),
        ([-(2**63), 2**63 - 1, 0], 3),
        (list(range(0, 900 * 1_000_000, 1_000_000)), 1),
    ],
)
def test_runs_hold_every_time(event_us: list[int], count: int) -> None:
    found = runs(np.array(event_us, dtype=np.int64))
    assert len(found) <= count
    with np.errstate(over="ignore"):
        back = [int(time) for first, step, rows in found for time in first + step * np.arange(rows)]
    assert back == event_us
