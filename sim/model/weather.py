"""Slow weather, hours to weeks: a smooth random function of time for each region and each farm.

A region's weather is the same for all its farms and is recomputed from the seed wherever it is needed, so shards share
nothing. It is a sum of sinusoids with random phases (spectral synthesis), hence a pure function of time: any page of
any run can be made alone. Mean wind follows from a standard normal z by Weibull quantiles (shape 2), the scale rising
with latitude; a rough climatology, good for plausible fleets and not for yield.

Does not cover: fronts travelling from farm to farm, real reanalysis data.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from sim import seeds
from sim.fleet.farm import Farm

Array = npt.NDArray[np.float64]

HOUR, DAY, YEAR = 3600.0, 86_400.0, 365.2425 * 86_400.0
SYNOPTIC = (9 * HOUR, 14 * DAY, 28)  # shortest and longest period, s; number of waves. Van der Hoven's peak is at 4 d
MESOSCALE = (8 * 60.0, 9 * HOUR, 24)


def _waves(seed: int, path: tuple[str, ...], band: tuple[float, float, int], seconds: Array) -> Array:
    """A smooth function of time, mean 0, variance 1: waves with log-spaced periods, longer ones stronger."""
    shortest, longest, count = band
    draw = seeds.rng(seed, "weather", *path).uniform(size=(3, count))
    periods = shortest * (longest / shortest) ** ((np.arange(count) + draw[0]) / count)
    amplitudes = (0.5 + draw[1]) * (periods / longest) ** 0.35
    amplitudes *= math.sqrt(2.0 / float(np.sum(amplitudes**2)))
    total = np.zeros_like(seconds)
    for period, amplitude, phase in zip(periods, amplitudes, draw[2], strict=True):
        total += amplitude * np.sin(2 * math.pi * (np.mod(seconds / period, 1.0) + phase))
    return total


class Weather:
    """Mean wind, its direction and air temperature at one farm. Times are UTC microseconds, shape (samples,)."""

    def __init__(self, farm: Farm, seed: int) -> None:
        self.farm, self.seed = farm, seed

    def _region(self, name: str, seconds: Array) -> Array:
        return _waves(self.seed, ("region", self.farm.region, name), SYNOPTIC, seconds)

    def _farm(self, name: str, seconds: Array) -> Array:
        return _waves(self.seed, ("farm", self.farm.farm_id, name), MESOSCALE, seconds)

    def _solar(self, seconds: Array, peak_hour: float) -> Array:
        """The day's cycle, -1..1, highest at `peak_hour` of local solar time."""
        hour = np.mod(seconds / HOUR + self.farm.longitude / 15.0, 24.0)
        return np.cos(2 * math.pi * (hour - peak_hour) / 24.0)

    def wind(self, times_us: npt.NDArray[np.int64]) -> tuple[Array, Array]:
        """(speed m/s at hub height, direction deg the wind comes from, not wrapped to 0..360)."""
        seconds = times_us / 1e6
        z = 0.88 * self._region("wind", seconds) + 0.42 * self._farm("wind", seconds) + 0.2 * self._solar(seconds, 16.0)
        scale = 6.8 + 0.075 * abs(self.farm.latitude)
        # Weibull quantile of the normal's rank, its distribution taken as logistic: -ln(1 - F) = ln(1 + e^(1.702 z))
        speed = scale * np.sqrt(np.log1p(np.exp(1.702 * z)))
        prevailing = 240.0 if abs(self.farm.latitude) > 23.5 else 30.0
        direction = prevailing + 70.0 * self._region("direction", seconds) + 12.0 * self._farm("direction", seconds)
        return np.maximum(speed, 0.3), direction

    def temperature(self, times_us: npt.NDArray[np.int64]) -> Array:
        """Air temperature at the nacelle, degC."""
        seconds = times_us / 1e6
        latitude = self.farm.latitude
        summer = -np.cos(2 * math.pi * (np.mod(seconds, YEAR) / YEAR - 20 / 365)) * math.copysign(1.0, latitude)
        return (
            28.0
            - 0.36 * abs(latitude)
            + 0.2 * abs(latitude) * summer
            + 3.0 * self._solar(seconds, 15.0)
            + (0.6 + 0.05 * abs(latitude)) * self._region("temperature", seconds)
            + 0.4 * self._farm("temperature", seconds)
        )
