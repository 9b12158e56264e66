"""The supervisor of each machine: starts, stops, and the motion of the rotor between them.

- Start: a minute's average wind is above cut-in. Stop: it falls below (with hysteresis).
- Storm: the ten-minute average passes cut-out, or a gust passes GUST times cut-out. The machine
  starts again when the average has come down by RESTART_BELOW.
- While it starts, the rotor spins up and is synchronised at its slowest producing speed. A stop for
  lack of wind or a storm ramps power down first. A fault opens the breaker at once.

Numbers without a source are ours.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sim import seeds
from sim.arrays import Bools, Floats
from sim.fleet.part import FarmPart
from sim.model.first_order import blend

TEN_MINUTES_S: Final = 300.0  # time constant; the wind's mean age is then that of a ten-minute mean
START_ABOVE: Final = 0.3  # m/s over cut-in
STOP_BELOW: Final = 0.7  # m/s under cut-in
RESTART_BELOW: Final = 3.0  # m/s under cut-out
GUST: Final = 1.35  # of cut-out
GUST_SIGMAS: Final = 1.5  # of the wind within a step
SPIN_UP_S, SPIN_DOWN_S, BLADES_S = 30.0, 9.0, 8.0  # time constants
# std between machines, m/s; cut-out varies by this factor more
CUT_IN_SPREAD, CUT_OUT_FACTOR = 0.12, 2.0
CONNECT: Final = 0.92  # of the way from idling to full spin: here the generator connects
OFF_GRID: Final = 0.3  # of the same way: here the power of a stopping machine reaches 0
# pitch of the blades when stopped, and while waiting for wind; bounds of the farm's setting
FEATHER_DEG, WAIT_DEG = (84.0, 92.0), (45.0, 75.0)


class Controller:
    """The supervisors of a part of a farm."""

    def __init__(self, part: FarmPart, seed: int, step_s: float) -> None:
        farm = part.farm
        kind = farm.turbine_type
        stops = seeds.rng(seed, "controller", farm.farm_id, "blades")
        self.feather_deg, self.wait_deg = (
            round(float(stops.uniform(*deg)), 2) for deg in (FEATHER_DEG, WAIT_DEG)
        )
        draw = seeds.rng(seed, "controller", farm.farm_id)
        setting = draw.normal(0.0, CUT_IN_SPREAD, (2, farm.turbines))[:, part.own]
        self._cut_in, self._cut_out = (
            kind.cut_in + setting[0],
            kind.cut_out + CUT_OUT_FACTOR * setting[1],
        )
        self._keep_up, self._keep_down = (
            1.0 - blend(step_s, SPIN_UP_S),
            1.0 - blend(step_s, SPIN_DOWN_S),
        )
        self.keep_blades = 1.0 - blend(step_s, BLADES_S)
        self._up: Bools | None = None

    def operating(
        self, minute: Floats, ten_minutes: Floats, gust: Floats, available: Bools
    ) -> Bools:
        """True for the machines that should run, (steps, turbines).

        `minute`, `ten_minutes`: average wind; `gust`: the gusts in it, m/s. `available`: not down.
        """
        start = (minute > self._cut_in + START_ABOVE) & (
            ten_minutes < self._cut_out - RESTART_BELOW
        )
        stop = (
            (minute < self._cut_in - STOP_BELOW)
            | (ten_minutes > self._cut_out)
            | (gust > GUST * self._cut_out)
        )
        stop |= ~available
        start &= ~stop
        if self._up is None:
            self._up = ~stop[0] & (minute[0] > self._cut_in)
        up = np.where(start, np.int8(1), np.where(stop, np.int8(0), np.int8(-1)))  # -1: as before
        up[0] = np.where(up[0] < 0, self._up, up[0])
        unclear = up < 0
        if unclear.any():
            step = np.arange(len(up), dtype=np.int32)[:, None]
            known = np.maximum.accumulate(np.where(unclear, 0, step), axis=0)
            up = np.take_along_axis(up, known, axis=0)
        self._up = up[-1].astype(bool)
        return up.astype(bool)

    def keep_spin(self, up: Bools) -> Floats:
        """Share of the rotor's distance to its target speed that is left after one step."""
        return np.where(up, self._keep_up, self._keep_down)
