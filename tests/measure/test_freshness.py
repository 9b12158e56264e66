"""Freshness over fleet time: it agrees with the figures over all rows."""

from __future__ import annotations

import numpy as np
import pytest

from sim.measure.freshness import Arrival, series
from sim.run.uplink import Sent, arrivals, freshness

START_US = 1_705_276_800_000_000


def sent(at_s: float, turbine: str, first_s: float, rows: int) -> Sent:
    return Sent(at_s, turbine, 1, 12_500, ((START_US + int(first_s * 1e6), 1_000_000, rows),))


BATCHES = [
    sent(300.0, "A-001", 0.0, 300),
    sent(300.0, "A-002", 0.0, 300),
    sent(600.0, "A-001", 300.0, 300),
    sent(600.0, "A-002", -3_000_000_000.0, 5),  # before 1970: not a time that counts
]


def test_the_oldest_and_the_mean_are_those_of_the_rows() -> None:
    found = arrivals(BATCHES, START_US, 100_000.0, 0.5)
    assert [each.at_s for each in found] == [301.5, 302.5, 601.5]
    whole = freshness(BATCHES, START_US, 100_000.0, 0.5)
    assert max(each.oldest_s for each in found) == whole.quantile(1.0)
    ages = np.concatenate([each.at_s - start - np.arange(300.0) for each, start in zip(
        found, (0.0, 0.0, 300.0), strict=True)])  # fmt: skip
    mean = sum(each.mean_s * each.rows for each in found) / sum(each.rows for each in found)
    assert mean == pytest.approx(float(ages.mean()))


def test_spans_without_arrivals_have_no_value() -> None:
    made = series([Arrival(10.0, 1, 4.0, 5.0), Arrival(20.0, 3, 8.0, 9.0),
                   Arrival(190.0, 1, 1.0, 1.0)], 200.0)  # fmt: skip
    assert made is not None
    assert made.bucket_s == 60.0
    assert made.mean_s == (7.0, None, None, 1.0)
    assert made.oldest_s == (9.0, None, None, 1.0)
    assert series([], 200.0) is None
