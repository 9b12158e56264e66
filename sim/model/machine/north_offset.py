"""North offset of a machine: its nacelle position and reported wind direction are off by degrees.

The position sensor is set to north by eye at commissioning, and again whenever it is exchanged or
loses count. In an archive the error is therefore constant for months, and then jumps. (A. Clerc et
al. find and correct such steps at every machine of the open Hill of Towie data with their package
wind-up; B. M. Doekemeijer et al., FLASC, call it northing calibration.) The machine itself follows
its vane and does not need north.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sim import seeds
from sim.arrays import Floats
from sim.fleet.part import FarmPart
from sim.units import DAY_S

SET_EVERY_S: Final = (250 * DAY_S, 1200 * DAY_S)  # shortest and longest, by machine
OFF_DEG: Final = 3.5  # std
SETTINGS: Final = 64  # settings drawn for a machine, used in turn


class NorthOffset:
    """The errors of the machines of a part of a farm.

    `start_s`: the run's start since 1970; `step_s`: an inner step.
    """

    def __init__(self, part: FarmPart, seed: int, step_s: float, start_s: float) -> None:
        n, own = part.farm.turbines, part.own
        draw = seeds.rng(seed, "north", part.farm.farm_id)
        self._every = draw.uniform(*SET_EVERY_S, n)[own]
        self._phase = draw.uniform(0.0, 1.0, n)[own]
        self._off = draw.normal(0.0, OFF_DEG, (SETTINGS, n))[:, own]
        self._machine = np.arange(part.turbines)
        self._start_s, self._step_s = start_s, step_s

    def read(self, first: int, count: int) -> Floats:
        """Degrees to add at the steps first..first+count-1, (count, turbines).

        The shape is (1, turbines) if no sensor is set again during these steps.
        """
        ends = self._setting(np.array([first, first + count - 1]))
        setting = (
            ends[:1]
            if (ends[0] == ends[1]).all()
            else self._setting(np.arange(first, first + count))
        )
        off: Floats = self._off[setting, self._machine]
        return off

    def _setting(self, step: np.ndarray) -> np.ndarray:
        seconds = self._start_s + step[:, None] * self._step_s
        return np.floor(seconds / self._every + self._phase).astype(np.intp) % SETTINGS
