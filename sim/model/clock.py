"""Virtual time: numbered samples a fixed step apart.

Samples are numbered from 0. Times are UTC microseconds since 1970. A sample is the mean over the
step that ends at its time.

Machines do not wait for a slow sampler, so the model computes on inner steps: k equal steps a
sample, none longer than INNER_LONGEST_US. Inner steps are numbered from 0 like samples. Step j of
sample n has the number n k + j and ends at time_us(n) - (k - 1 - j) h.

Only the functions that return arrays import numpy: `windfleet check` needs a clock and no array.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from sim.units import DAY_US

if TYPE_CHECKING:
    from sim.arrays import Ints

INNER_LONGEST_US: Final = 30_000_000
"""Rotor, pitch and control move in seconds to a minute; longer steps would skip their motion."""
INNER_SHORTEST_US: Final = 1_000_000  # applies only to sampling steps that are cut
# inner steps in a page of random numbers; another value gives other data for the same seed
PAGE_STEPS: Final = 600


@dataclass(frozen=True)
class SimClock:
    """A clock of `samples` samples, the first at `start_us`.

    Raises ValueError when there is nothing to sample, or when the step cannot be cut into equal
    inner steps of 1 to 30 s.
    """

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
        """Microseconds of an inner step: the largest divisor of the sampling step up to 30 s."""
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
        """Samples in a page: random numbers are drawn for up to PAGE_STEPS inner steps at once."""
        return max(1, PAGE_STEPS // self.inner[0])

    def inner_times_us(self, first: int, last: int) -> Ints:
        """UTC microseconds at which the inner steps of the samples first..last-1 end."""
        import numpy as np

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
        return self.samples * self.sample_us / DAY_US

    def time_us(self, sample: int) -> int:
        """UTC microseconds of a sample."""
        return self.start_us + sample * self.sample_us

    def seconds(self, sample: int) -> float:
        """Seconds from the start to a sample: the time of the SimPy environment."""
        return sample * self.sample_us / 1e6

    def times_us(self, first: int, last: int) -> Ints:
        """UTC microseconds of the samples first..last-1."""
        import numpy as np

        return self.start_us + np.arange(first, last, dtype=np.int64) * self.sample_us


def flush_samples(start_us: int, sample_us: int, samples: int, every_us: int) -> Ints:
    """Number of samples taken so far at each flush, ascending.

    A flush comes at each multiple of `every_us`. It covers all samples up to the first at or after
    that time, since that row closes a batch (`pipeline.batch`). A flush that would come with the
    last sample is left to the drain.
    """
    import numpy as np

    end_us = start_us + samples * sample_us
    boundaries = np.arange(start_us // every_us + 1, (end_us - 1) // every_us + 1) * every_us
    found = np.unique(-(-(boundaries - start_us) // sample_us) + 1)
    return found[found < samples]
