"""Ice on the blades: it grows in freezing fog and wet frost, stays, and is shed when the air warms, or in pieces.

Ice mass is counted 0..1: at 1 a machine produces almost nothing. Growth needs air below freezing that is saturated
(rime from cloud, ISO 12494 section 6; fastest some degrees below zero, slow in deep frost when there is little
water); above freezing it melts within the hour, otherwise it sublimates over days. Losses are of the kind that
measured icing classes show: some per cent in the first hour, half the power and more after a night (IEA Wind Task 19,
"Wind energy in cold climates", 2012 and its Ice Loss method). Ice also unbalances the rotor, for it never sheds from
all blades at once.

Does not cover: blade heating, instrument icing, ice thrown.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sim import seeds
from sim.arrays import Floats
from sim.fleet.farm import Farm
from sim.model.machine.inflow import TICK_S
from sim.model.ticks import SlowSeries
from sim.units import HOUR_S

WET: Final = 0.95  # relative humidity from which on there is cloud or fog at times
GROWN_S: Final = 8 * HOUR_S  # in saturated air at the best temperature
BEST_DEGC: Final = -3.0
MELTED_S: Final = 0.7 * HOUR_S  # per degree above freezing
SUBLIMATED_S: Final = 60 * HOUR_S


class Ice:
    """The ice on one farm's rotors, the same hill of cloud for all, each machine with its own exposure."""

    def __init__(self, farm: Farm, seed: int, step_s: float) -> None:
        draw = seeds.rng(seed, "ice", farm.farm_id)
        self._exposure = draw.lognormal(0.0, 0.3, farm.turbines).clip(0.4, 2.0)
        self.uneven = draw.uniform(0.2, 1.0, farm.turbines)
        """How unevenly each rotor carries its ice, 0..1."""
        self.every = max(1, round(TICK_S / step_s))
        self._tick_s = self.every * step_s
        self._mass = np.zeros(farm.turbines)
        self._slow: SlowSeries | None = None
        self._air: tuple[int, Floats, Floats] | None = None

    def read(self, first: int, temperature: Floats, humidity: Floats) -> Floats | None:
        """Ice (steps, turbines), 0..1, from step `first` on; None when there is none. `temperature` (degC) and
        relative `humidity` of the air, (steps,)."""
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
            self._mass = self._mass * left + (target / np.maximum(total, 1e-12)) * (1.0 - left)
            self._mass[self._mass < 1e-3] *= grow > 0.0
        return self._mass


def rates(temperature: float, humidity: float) -> tuple[float, float]:
    """(growth, loss) of ice, 1/s."""
    lose = 1.0 / SUBLIMATED_S
    if temperature > 0.0:
        return 0.0, lose + temperature / MELTED_S
    water = min(max((humidity - WET) / (1.0 - WET), 0.0), 1.0)
    return water / GROWN_S / (1.0 + ((temperature - BEST_DEGC) / 6.0) ** 2), lose


def loss(ice: Floats) -> Floats:
    """What ice leaves of the rotor's wind: at 0.5 a third of the power is gone, at 1 nine tenths."""
    return 1.0 - ice * (0.1 + 0.42 * ice)
