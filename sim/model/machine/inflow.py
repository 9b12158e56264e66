"""Factors between the site's wind and a machine: the rotor's wind, and the anemometer's reading.

They cause the scatter of a power curve measured with a nacelle anemometer. That scatter is
correlated in time.

- Rotor: the wind at hub height is taken for that of the whole disc. The error changes with shear,
  veer and slopes over minutes to hours (one part per machine, one shared by the farm). Blades soil
  over weeks and rain washes them. Machines differ.
- Anemometer: behind the rotor it reads some per cent low in operation (IEC 61400-12-2, nacelle
  transfer function), its calibration drifts, and its surroundings bias it for minutes.
- Density: wind is scaled with (rho / 1.225)^(1/3), the correction of IEC 61400-12-1 for machines
  with active power control.
- Stability: a stable night (low turbulence) has more shear, and the disc then gets less than the
  hub (Wharton and Lundquist 2012, Environ. Res. Lett. 7: some per cent of power at equal wind).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from sim import seeds
from sim.arrays import Floats
from sim.fleet.part import FarmPart
from sim.model.ticks import Draws, SlowSeries
from sim.units import DAY_S

TICK_S: Final = 240.0
OWN: Final = (0.017, 900.0)  # deviation of the rotor's wind from the hub's, memory s
SHARED: Final = (0.009, 7200.0)  # the same of the whole farm
MACHINE_MEAN, MACHINE_STD = 0.995, 0.006  # mean and std of a machine's constant factor
MACHINE_BOUNDS: Final = (0.975, 1.01)
# largest loss, shortest and longest time between washings
SOILING: Final = (0.004, 12 * DAY_S, 40 * DAY_S)
BEHIND_ROTOR: Final = 0.97  # nacelle transfer function, in operation
CALIBRATION: Final = 0.012  # std between anemometers
CALIBRATION_BOUNDS: Final = (0.96, 1.04)
DRIFT: Final = (0.006, 20 * DAY_S)  # of the calibration: std, memory s
SURROUNDINGS: Final = (0.011, 600.0)  # bias of the reading: std, memory s
STANDARD_DENSITY: Final = 1.225  # kg/m3
STABLE: Final = 0.25  # of the wind, per unit of turbulence intensity below NEUTRAL
NEUTRAL: Final = 0.10  # turbulence intensity
STABLE_BOUNDS: Final = (-0.015, 0.01)


class Inflow:
    """The factors of the machines of a part of a farm.

    `seconds`: the run's start since 1970; `step_s`: an inner step.
    """

    def __init__(self, part: FarmPart, seed: int, step_s: float, seconds: float) -> None:
        farm, own = part.farm, part.own
        n, self._start_s = farm.turbines, seconds
        every = max(1, round(TICK_S / step_s))
        self._tick_s = every * step_s
        draw = seeds.rng(seed, "inflow", farm.farm_id)
        self._machine = draw.normal(MACHINE_MEAN, MACHINE_STD, n)[own].clip(*MACHINE_BOUNDS)
        self._calibration = draw.normal(1.0, CALIBRATION, n)[own].clip(*CALIBRATION_BOUNDS)
        self._washed = draw.uniform(SOILING[1], SOILING[2], n)[own]
        self._phase = draw.uniform(0.0, 1.0, n)[own]
        sizes, memories = np.array([OWN, SURROUNDINGS, DRIFT]).T[..., None]
        self._keep = np.exp(-self._tick_s / memories)
        self._kick = sizes * np.sqrt(1.0 - self._keep**2)
        self._draws = Draws(seed, ("inflow", farm.farm_id, "ticks"), part.indices, len(sizes))
        self._state = sizes * draw.standard_normal((len(sizes), n))[:, own]
        self._shared_keep = math.exp(-self._tick_s / SHARED[1])
        self._shared_draws = Draws(seed, ("inflow", farm.farm_id, "shared"), range(1))
        self._shared = SHARED[0] * float(draw.standard_normal())
        self._slow = SlowSeries(every, self._factors(0.0), self._tick)

    def read(self, first: int, count: int) -> tuple[Floats, Floats]:
        """(rotor's wind / hub's wind, anemometer's reading / true wind), each (count, turbines).

        For the inner steps first..first+count-1.
        """
        both = self._slow.read(first, count)
        n = both.shape[1] // 2
        return both[:, :n], both[:, n:]

    def _tick(self, tick: int) -> Floats:
        self._state = self._keep * self._state + self._kick * self._draws.normal(tick)
        kick = SHARED[0] * math.sqrt(1.0 - self._shared_keep**2)
        drawn = float(self._shared_draws.normal(tick)[0, 0])
        self._shared = self._shared_keep * self._shared + kick * drawn
        return self._factors(tick * self._tick_s)

    def _factors(self, after_s: float) -> Floats:
        own, surroundings, drift = self._state
        since = np.mod((self._start_s + after_s) / self._washed + self._phase, 1.0)
        rotor = self._machine * (1.0 + own + self._shared) - SOILING[0] * since
        reading = self._calibration * (1.0 + surroundings + drift)
        return np.concatenate([rotor, reading])


def air_factor(density: Floats, turbulence: Floats) -> Floats:
    """Factor on the wind by `density` (kg/m3) and stability (`turbulence` intensity)."""
    stable: Floats = STABLE * (turbulence - NEUTRAL)
    return np.cbrt(density / STANDARD_DENSITY) * (1.0 + stable.clip(*STABLE_BOUNDS))
