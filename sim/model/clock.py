"""Virtual time: samples numbered from 0, a fixed step apart, from a start in UTC microseconds since 1970.

A sample tells the step that ends at its time. Machines do not wait for a slow sampler, so the model computes on inner
steps, k a sample, no longer than INNER_LONGEST_US, and a sample is the mean over them. Inner steps are numbered
from 0 like samples; step j of sample n has the number n k + j and ends at time_us(n) - (k - 1 - j) h.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from sim.arrays import Ints

INNER_LONGEST_US: Final = 30_000_000
"""Rotor, pitch and control move in seconds to a minute; longer steps would skip what they do."""
INNER_SHORTEST_US: Final = 1_000_000  # of a sampling step that has to be cut
PAGE_STEPS: Final = (
    600  # inner steps; part of the data's definition: another number is another fleet
)


@dataclass(frozen=True)
class SimClock:
    """`samples` samples, the first at `start_us`. Raises ValueError when there is nothing to sample, or if the step
    cannot be cut into equal inner steps of 1 to 30 s."""

    start_us: int
    sample_us: int
    samples: int

    def __post_init__(self) -> None:
        if self.sample_us < 1 or self.samples < 1:
            raise ValueError(f"a clock needs a positive step and at least one sample, not {self}")
        if self.inner_us < min(self.sample_us, INNER_SHORTEST_US):
            raise ValueError(
                f"a sampling step of {self.sample_us} us cannot be cut into steps of 1 to 30 s"
            )

    @cached_property
    def inner_us(self) -> int:
        """Microseconds of an inner step: the largest divisor of the sampling step that is 30 s or less."""
        parts = -(-self.sample_us // INNER_LONGEST_US)
        while self.sample_us % parts and self.sample_us // parts >= INNER_SHORTEST_US:
            parts += 1
        return self.sample_us // parts

    @property
    def inner(self) -> tuple[int, float]:
        """(k, h): inner steps in a sample, and seconds of an inner step."""
        return self.sample_us // self.inner_us, self.inner_us / 1e6

    @property
    def page(self) -> int:
        """Samples of a page: randomness comes by pages of up to PAGE_STEPS inner steps."""
        return max(1, PAGE_STEPS // self.inner[0])

    def inner_times_us(self, first: int, last: int) -> Ints:
        """UTC microseconds at which the inner steps of the samples first..last-1 end."""
        k = self.inner[0]
        steps = np.arange(first * k, last * k, dtype=np.int64)
        return self.start_us + (steps - (k - 1)) * self.inner_us

    @property
    def end_us(self) -> int:
        """Exclusive end of the run."""
        return self.time_us(self.samples)

    @property
    def step_s(self) -> float:
        return self.sample_us / 1e6

    @property
    def days(self) -> float:
        return self.samples * self.sample_us / 86_400e6

    def time_us(self, sample: int) -> int:
        """UTC microseconds of a sample."""
        return self.start_us + sample * self.sample_us

    def seconds(self, sample: int) -> float:
        """Seconds from the start to a sample: the time of the SimPy environment."""
        return sample * self.sample_us / 1e6

    def times_us(self, first: int, last: int) -> Ints:
        """UTC microseconds of the samples first..last-1."""
        return self.start_us + np.arange(first, last, dtype=np.int64) * self.sample_us


def flush_samples(start_us: int, sample_us: int, samples: int, every_us: int) -> Ints:
    """How many samples there are at each flush, ascending: up to the first at or behind each multiple of `every_us`.

    That row closes a batch (`pipeline.batch`). What would come with the last sample is left to the drain.
    """
    end_us = start_us + samples * sample_us
    boundaries = np.arange(start_us // every_us + 1, (end_us - 1) // every_us + 1) * every_us
    found = np.unique(-(-(boundaries - start_us) // sample_us) + 1)
    return found[found < samples]
