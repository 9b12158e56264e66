"""Virtual time: samples numbered from 0, a fixed step apart, from a start in UTC microseconds since 1970."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class SimClock:
    """`samples` samples, the first at `start_us`. Raises ValueError when there is nothing to sample."""

    start_us: int
    sample_us: int
    samples: int

    def __post_init__(self) -> None:
        if self.sample_us < 1 or self.samples < 1:
            raise ValueError(f"a clock needs a positive step and at least one sample, not {self}")

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

    def times_us(self, first: int, last: int) -> npt.NDArray[np.int64]:
        """UTC microseconds of the samples first..last-1."""
        return self.start_us + np.arange(first, last, dtype=np.int64) * self.sample_us
