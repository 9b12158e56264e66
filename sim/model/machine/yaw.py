"""Yaw: the nacelle follows the wind late and in steps, and unwinds twisted cables.

The drive starts when a slow average of the vane leaves the dead band. It runs at its own slow speed
until the nacelle faces the average again. A yaw error costs power: it reduces the rotor's wind by
cos^(2/3), so power falls with about cos^2 (measured: exponents of 1.8 to 2.1; Liew, Urban and
Andersen 2020, Wind Energ. Sci. 5). Each machine has a constant misalignment of a few degrees. A
worn yaw system has a wider dead band, a slower drive and an error that grows.

Numbers without a source are ours.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from sim import seeds
from sim.arrays import Bools, Floats
from sim.fleet.part import FarmPart
from sim.model.ticks import SlowSeries

TICK_S: Final = 10.0
SLOWER_S: Final = 60.0  # tick of steps that are longer than TICK_S
VANE_MEMORY_S: Final = 40.0
DEAD_BAND_DEG: Final = (6.0, 10.0)  # between machines
FIRST_OFFSET: Final = 0.7  # of the dead band: largest yaw error at the start
DRIVE_DEG_S: Final = 0.3
MISALIGNED_DEG: Final = 2.5  # std between machines
WORN_DEG: Final = 40.0  # misalignment of a yaw system that is about to fail
WORN_DRIVE: Final = 0.5  # share of the drive's speed lost at wear 1
TWIST_DEG: Final = 900.0  # two and a half turns
FIRST_TWIST: Final = 0.6  # of that, at the start
TWIST_EVERY: Final = 16  # ticks between checks of the twist
EXPONENT: Final = 2.0 / 3.0  # of the cosine, on wind
LEAST: Final = 0.3  # lower bound of the wind left


class Yaw:
    """The yaw systems of a part of a farm."""

    def __init__(self, part: FarmPart, seed: int, step_s: float) -> None:
        n, own = part.farm.turbines, part.own
        draw = seeds.rng(seed, "yaw", part.farm.farm_id)
        self.every = max(1, round((TICK_S if step_s <= TICK_S else SLOWER_S) / step_s))
        self._tick_s = self.every * step_s
        self._band = draw.uniform(*DEAD_BAND_DEG, n)[own]
        self._askew = draw.normal(0.0, MISALIGNED_DEG, n)[own]
        # cable twist minus nacelle position, deg
        self._wound = draw.uniform(-FIRST_TWIST, FIRST_TWIST, n)[own] * TWIST_DEG
        self._offset = draw.uniform(-FIRST_OFFSET, FIRST_OFFSET, n)[own]
        self._busy: Floats | None = None  # remaining ticks of unwinding
        self._moving = np.zeros(part.turbines, dtype=bool)
        self._left_unwinding: Bools | None = None
        self._unwinding: dict[int, Bools] = {}
        self._nacelle: Floats = np.zeros(part.turbines)
        self._slow: SlowSeries | None = None

    def advance(
        self, first: int, vane: Floats, available: Bools, worn: Floats
    ) -> tuple[Floats, Floats, Bools | None]:
        """(nacelle position deg, yaw error deg, unwinding or None), (steps, turbines).

        From step `first` on. `vane`: the wind's slow average, deg, not wrapped. `worn` (turbines,)
        0..1. Machines that are not `available` stay.
        """
        if self._slow is None:
            self._nacelle = vane[0] + self._offset * self._band
            self._wound -= self._nacelle
            self._seen = vane[0].copy()
            self._slow = SlowSeries(self.every, self._nacelle, self._tick)
        self._now, self._unwinding = (first, vane, available), {}
        self._worn_band = self._band * (1.0 + worn)
        self._reach = DRIVE_DEG_S * self._tick_s * (1.0 - WORN_DRIVE * worn)
        nacelle = self._slow.read(first, len(vane))
        self._seen = vane[-1].copy()
        error = vane - nacelle
        error += self._askew + np.copysign(WORN_DEG, self._askew) * worn
        return nacelle, error, self._unwound(first, len(vane))

    def _tick(self, tick: int) -> Floats:
        """Positions of the nacelles at the end of the stretch that begins."""
        first, vane, available = self._now
        at = tick * self.every - first
        error = (vane[at - 1] if at else self._seen) - self._nacelle
        size = np.abs(error)
        self._moving |= size > self._worn_band
        self._moving &= available[at]
        if tick % TWIST_EVERY == 0 or self._busy is not None:
            self._unwind(tick)
        error = np.maximum(np.minimum(error, self._reach), -self._reach)
        error *= self._moving
        self._nacelle = self._nacelle + error
        self._moving &= size > self._reach
        return self._nacelle

    def _unwind(self, tick: int) -> None:
        """Begin or continue to unwind. A machine that unwinds does not follow the wind."""
        busy = np.zeros(len(self._band)) if self._busy is None else self._busy
        if tick % TWIST_EVERY == 0:
            twist = self._nacelle + self._wound
            back = np.rint(twist / 360.0) * 360.0 * (np.abs(twist) > TWIST_DEG)
            self._wound -= back
            busy += np.ceil(np.abs(back) / (DRIVE_DEG_S * self._tick_s))
        self._busy = None
        if busy.any():
            self._unwinding[tick] = busy > 0
            self._moving &= busy == 0
            self._busy = np.maximum(busy - 1.0, 0.0)
            if not self._busy.any():
                self._busy = None

    def _unwound(self, first: int, count: int) -> Bools | None:
        """True for the machines that unwind, by step; None when there are none."""
        tick = first // self.every
        if first % self.every and self._left_unwinding is not None:
            self._unwinding[tick] = self._left_unwinding
        self._left_unwinding = self._unwinding.get((first + count - 1) // self.every)
        if not self._unwinding:
            return None
        mask = np.zeros((count, len(self._band)), dtype=bool)
        for tick, busy in self._unwinding.items():
            mask[max(tick * self.every - first, 0) : (tick + 1) * self.every - first] = busy
        return mask


def wind_left(error: Floats) -> Floats:
    """Factor on the wind by a yaw error (deg): the first terms of the series of cos^(2/3)."""
    square = error * error
    square *= -0.5 * EXPONENT * math.radians(1.0) ** 2
    square += 1.0
    return np.maximum(square, LEAST, out=square)
