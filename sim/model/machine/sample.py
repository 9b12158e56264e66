"""Samples from inner steps, k to a sample. With k = 1 a sample is its step; nothing is copied."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pipeline.records import STATES
from sim.arrays import Floats
from sim.model.wind.weather import Air
from sim.model.wind.wind import WindPage

STOOD = 0.4
"""Share of a sample at standstill from which its status is not running.

The rule `underperformance` of `pipeline.records` compares rows with status running with the curve.
"""


def means(values: Floats, k: int) -> Floats:
    """(samples, ...) means of (steps, ...)."""
    if k == 1:
        return values
    # step by step: the order of numpy's own sum depends on the number of turbines
    total: Floats = values[::k] + values[1::k]
    for step in range(2, k):
        total += values[step::k]
    total /= k
    return total


def longest(status: npt.NDArray[np.int8], k: int) -> npt.NDArray[np.int8]:
    """State that each turbine was in for longest, (samples, turbines); ties: the last of STATES.

    `status` is (steps, turbines). A machine that stood still for a share STOOD of the steps or more
    does not count as running, even if it stood in several states.
    """
    if k == 1:
        return status
    of_sample = status.reshape(-1, k, status.shape[1])
    counts = np.stack([(of_sample == state).sum(axis=1) for state in reversed(range(len(STATES)))])
    producing = [len(STATES) - 1 - STATES.index(state) for state in ("running", "curtailed")]
    counts[producing] *= counts[producing].sum(axis=0) > (1.0 - STOOD) * k
    return np.asarray(len(STATES) - 1 - counts.argmax(axis=0), dtype=np.int8)


def steps(page: WindPage, first: int, last: int) -> WindPage:
    """The steps first..last-1 of a page."""
    at = slice(first, last)
    air = Air(**{name: values[at] for name, values in vars(page.air).items()})
    return replace(
        page, speed=page.speed[at], direction=page.direction[at], sigma=page.sigma[at], air=air
    )
