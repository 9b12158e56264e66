"""The backlog of a load test by windows."""

from __future__ import annotations

import numpy as np

from sim.measure.requests import Requests, backlog_max


def test_a_backlog_between_two_moments_counts() -> None:
    due = np.array([0.1, 0.2, 0.3, 1.5, 9.0])
    start = np.array([0.35, 0.36, 2.5, 1.6, np.nan])  # none waits in the middle of a window
    made = Requests(
        np.full(5, "flush"), due, start, start + 0.1, np.ones(5, bool), np.zeros(5, int), 4.0
    )
    found = backlog_max(made, np.array([0.0, 0.5, 1.0, 2.0, 3.0, 4.0]))
    assert found.tolist() == [3, 1, 2, 1, 0]
