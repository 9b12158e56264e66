"""Ice on the blades: growth in freezing fog and wet frost, melting, sublimation.

Ice mass is 0..1; at 1 a machine produces almost nothing.

- Growth needs air below freezing that is saturated (rime from cloud, ISO 12494 section 6). It is
  fastest some degrees below zero, and slow in deep frost with its little water.
- Above freezing, ice melts within the hour. Otherwise it sublimates over days.
- Losses match the measured icing classes: some per cent in the first hour, half the power and more
  after a night (IEA Wind Task 19, "Wind energy in cold climates", 2012, and its Ice Loss method).
- Ice unbalances the rotor, since the blades never shed it all at once.

Not covered: blade heating, instrument icing, ice throw.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sim import seeds
from sim.arrays import Floats
from sim.fleet.part import FarmPart
from sim.model.machine.inflow import TICK_S
from sim.model.ticks import SlowSeries
from sim.units import HOUR_S

WET: Final = 0.95  # relative humidity above which there is cloud or fog at times
GROWN_S: Final = 8 * HOUR_S  # in saturated air at the best temperature
BEST_DEGC: Final = -3.0  # of fastest growth
GROWTH_DEGC: Final = 6.0  # from the best temperature to half the growth
MELTED_S: Final = 0.7 * HOUR_S  # per degree above freezing
SUBLIMATED_S: Final = 60 * HOUR_S
EXPOSURE: Final = 0.3  # std of the logarithm between machines
EXPOSURE_BOUNDS: Final = (0.4, 2.0)
UNEVEN: Final = (0.2, 1.0)  # bounds of the unevenness between machines
TRACE: Final = 1e-3  # ice mass below which it counts as none while no ice grows
LEAST_RATE: Final = 1e-12  # 1/s, keeps a division finite
LOSS, LOSS_SQUARE = 0.1, 0.42  # of the rotor's wind, per ice and per squared ice


class Ice:
    """The ice on rotors: the same cloud for a farm, each machine with its own exposure."""

    def __init__(self, part: FarmPart, seed: int, step_s: float) -> None:
        n, own = part.farm.turbines, part.own
        draw = seeds.rng(seed, "ice", part.farm.farm_id)
        self._exposure = draw.lognormal(0.0, EXPOSURE, n)[own].clip(*EXPOSURE_BOUNDS)
        self.uneven = draw.uniform(*UNEVEN, n)[own]
        """Unevenness of the ice on each rotor, 0..1."""
        self.every = max(1, round(TICK_S / step_s))
        self._tick_s = self.every * step_s
        self._mass = np.zeros(part.turbines)
        self._slow: SlowSeries | None = None
        self._air: tuple[int, Floats, Floats] | None = None

    def read(self, first: int, temperature: Floats, humidity: Floats) -> Floats | None:
        """Ice (steps, turbines), 0..1, from step `first` on; None when there is none.

        `temperature` (degC) and relative `humidity` of the air, (steps,).
        """
        if self._slow is None:
            self._slow = SlowSeries(self.every, self._mass, self._tick)
        self._air = (first, temperature, humidity)
        ice = self._slow.read(first, len(temperature))
        return ice if ice.any() else None

    def _tick(self, tick: int) -> Floats:
        assert self._air is not None
        first, temperature, humidity = self._air
        at = tick * self.every - first
        grow, lose = rates(float(temperature[at]), float(humidity[at]))
        if grow or self._mass.any():
            target = grow * self._exposure
            total = target + lose
            left = np.exp(-total * self._tick_s)
            self._mass = self._mass * left + (target / np.maximum(total, LEAST_RATE)) * (1.0 - left)
            self._mass[self._mass < TRACE] *= grow > 0.0
        return self._mass


def rates(temperature: float, humidity: float) -> tuple[float, float]:
    """(growth, loss) of ice, 1/s."""
    lose = 1.0 / SUBLIMATED_S
    if temperature > 0.0:
        return 0.0, lose + temperature / MELTED_S
    water = min(max((humidity - WET) / (1.0 - WET), 0.0), 1.0)
    return water / GROWN_S / (1.0 + ((temperature - BEST_DEGC) / GROWTH_DEGC) ** 2), lose


def wind_left(ice: Floats) -> Floats:
    """Factor on the rotor's wind by ice, at most 1.

    At 0.5 a third of the power is gone, at 1 nine tenths.
    """
    return 1.0 - ice * (LOSS + LOSS_SQUARE * ice)
