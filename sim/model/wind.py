"""Wind at every turbine of a farm, sample by sample: slow weather, gusts that cross the farm, local turbulence.

    u = U(t) * exposure_i * (1 + TI * g_i(t)),   g = sqrt(s) * frozen gusts + sqrt(1 - s) * AR(1)

Gusts are a few plane waves drifting with the mean wind (Taylor's frozen turbulence), so neighbours see related wind and
a gust reaches downwind turbines later. TI is the normal turbulence model of IEC 61400-1 at its mean value, sigma =
Iref (0.75 U + 3.8), Iref 0.12. Made in fixed pages of samples, each with generators of its own.

Does not cover: wakes (a fixed exposure per turbine stands in), shear, terrain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim import seeds
from sim.fleet.farm import Farm
from sim.model.clock import SimClock
from sim.model.noise import Array, autoregress, blend
from sim.model.weather import Weather

PAGE = 600
"""Samples per page; part of the data's definition: another number is another fleet."""

TURBULENCE = 0.12  # Iref, class C
TI_CEILING = 0.28
GUST_SHARE = 0.4  # of the variance
GUSTS = 12
GUST_METRES = (700.0, 7000.0)
LOCAL_MEMORY_S = 12.0  # length scale of some 100 m over a usual wind; averaged by the rotor
VEER_MEMORY_S = 45.0
VEER_DEG = 4.0
LIMIT_SIGMA = 3.2


@dataclass
class WindPage:
    """`speed` m/s and `direction` deg (not wrapped), (PAGE, turbines); `air` degC, (PAGE,)."""

    speed: Array
    direction: Array
    air: Array


class Wind:
    """The wind of one farm; pages must be asked for in order (they carry the turbulence on)."""

    def __init__(self, farm: Farm, clock: SimClock, seed: int) -> None:
        self.farm, self.clock, self.seed = farm, clock, seed
        self.weather = Weather(farm, seed)
        n = farm.turbines
        start = seeds.rng(seed, "wind", farm.farm_id)
        self.exposure = start.normal(0.97, 0.025, n).clip(0.9, 1.03)
        self._state = start.standard_normal(2 * n) * np.repeat([1.0, VEER_DEG], n)
        wavelength = GUST_METRES[0] * (GUST_METRES[1] / GUST_METRES[0]) ** start.random(GUSTS)
        heading = start.uniform(0, 2 * math.pi, GUSTS)
        self._waves = 2 * math.pi / wavelength * np.stack([np.sin(heading), np.cos(heading)])  # (2, GUSTS): east, north
        phase = farm.positions @ self._waves + start.uniform(0, 2 * math.pi, GUSTS)
        self._pattern = np.concatenate([np.cos(phase), np.sin(phase)], axis=1) * math.sqrt(2.0 / GUSTS)
        self._drift = np.zeros(GUSTS)

    def page(self, index: int) -> WindPage:
        """Samples index*PAGE .. (index+1)*PAGE-1."""
        n, first = self.farm.turbines, index * PAGE
        times = self.clock.times_us(first, first + PAGE)
        mean, toward = self.weather.wind(times)
        white = seeds.rng(self.seed, "wind", self.farm.farm_id, index).standard_normal((PAGE, 2 * n))
        move = np.repeat([blend(self.clock.step_s, LOCAL_MEMORY_S), blend(self.clock.step_s, VEER_MEMORY_S)], n)
        keep = 1.0 - move
        white *= np.sqrt(1.0 - keep**2) * np.repeat([1.0, VEER_DEG], n)
        self._state = autoregress(white, self._state, keep)
        gusts = self._gusts(mean, toward)
        gusts *= math.sqrt(GUST_SHARE)
        local = white[:, :n]
        local *= math.sqrt(1.0 - GUST_SHARE)
        gusts += local
        np.clip(gusts, -LIMIT_SIGMA, LIMIT_SIGMA, out=gusts)
        gusts *= np.minimum(TURBULENCE * (0.75 + 3.8 / mean), TI_CEILING)[:, None]
        gusts += 1.0
        gusts *= mean[:, None]
        gusts *= self.exposure
        return WindPage(gusts, white[:, n:] + toward[:, None], self.weather.temperature(times))

    def _gusts(self, mean: Array, toward: Array) -> Array:
        """The drifting pattern at every turbine, (PAGE, turbines), variance 1."""
        radians = np.deg2rad(toward)
        velocity = -mean[:, None] * np.stack([np.sin(radians), np.cos(radians)], axis=1)  # where the air goes
        angle = np.cumsum(_product(velocity, self._waves), axis=0) * self.clock.step_s + self._drift
        self._drift = np.mod(angle[-1], 2 * math.pi)
        return _product(np.concatenate([np.cos(angle), np.sin(angle)], axis=1), self._pattern.T)


def _product(left: Array, right: Array) -> Array:
    """Matrix product without BLAS, whose last bits may depend on the number of threads."""
    result: npt.NDArray[np.float64] = np.einsum("ik,kj->ij", left, right)
    return result
