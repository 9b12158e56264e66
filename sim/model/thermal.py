"""Temperatures: nacelle air, generator winding, gearbox oil. Heat in by losses, heat out by cooling that switches.

Each body is one heat capacity (lumped, e.g. Incropera, Fundamentals of Heat and Mass Transfer, ch. 5):
C dT/dt = Q - G (T - sink), integrated exactly over a tick in which Q and G stand still. Q and G are told in
kelvin: Q is the rise over the sink that the losses would make at G = 1.

- Winding: copper losses with the square of the load, iron and friction with speed; the pump of the cooling circuit
  starts a second stage at 70 degC and stops it at 60.
- Oil: gear friction with speed and load. A thermostat lets it past the cooler below 45 degC and all through it from
  60 on; two fans with hysteresis above. A heater keeps a resting machine's oil from freezing stiff. What is read is
  the oil at the bearing: it shows the friction of worn bearings and teeth by itself. Direct-drive machines report
  their main bearing as gearbox.
- Nacelle: the losses of all, through walls, and louvres and fans from 28 degC on.

Levels are those of published SCADA sets of 2 MW machines (Kelmarsh and Penmanshiel, La Haute Borne, EDP): oil 50-65
degC under load, winding 60-110, nacelle 10-20 K above ambient; and such that a healthy machine stays under the alarms
of `pipeline.records` in a 40 degC summer. A worn generator, gearbox, main bearing or cooling system runs hotter.

Does not cover: sun on the nacelle, water and converter temperatures, derating.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from sim import seeds
from sim.fleet.farm import Farm
from sim.model.noise import Array, blend
from sim.model.slow import Draws, Slow
from sim.model.wear import Wear

Mask = npt.NDArray[np.bool_]

TICK_S: Final = 240.0
SETTLED_TICKS: Final = 120  # before the run: what the machine did until then is taken to be what it does first

NACELLE, WINDING, OIL = range(3)  # rows of what follows
CAPACITY_S: Final = np.array([[2400.0], [1500.0], [2400.0]])  # heat capacities: time constants at G = 1
HEAT: Final = np.array([[20.0, 0.0, 0.0], [0.0, 95.0, 6.0], [30.0, 0.0, 14.0]])  # K: with load, its square, speed
ALWAYS: Final = np.array([[4.0], [3.0], [0.0]])  # K
SEEN: Final = [NACELLE, WINDING, OIL, OIL, OIL]  # what louvres, pump, fans and heater go by
SIGN: Final = np.array([[1.0], [1.0], [1.0], [1.0], [-1.0]])  # a heater goes on below
ON: Final = np.array([[28.0], [70.0], [60.0], [66.0], [-8.0]])  # degC
OFF: Final = np.array([[22.0], [60.0], [54.0], [60.0], [-14.0]])
MORE: Final = np.array([[0.6], [0.5], [0.5], [0.5]])  # conductance
THERMOSTAT: Final = (45.0, 60.0, 0.65)  # closed, open (degC), conductance
OIL_WALLS: Final = 0.35
HEATER_K: Final = 10.0
WORN_WINDING: Final = 1.3  # more heat at wear 1
WORN_BEARING_K: Final = 45.0  # friction at the gearbox's own bearings, under load
WORN_MAIN_BEARING_K: Final = 12.0
WORN_COOLING: Final = 0.55
FRICTION_S: Final = 900.0  # until a bearing's friction has warmed it
MICROCLIMATE: Final = (0.35, 0.25, 3600.0)  # K: standing differences of ambient sensors, moving ones, memory s


class Thermal:
    """The temperatures of one farm with the heat they carry from call to call."""

    def __init__(self, farm: Farm, seed: int, step_s: float) -> None:
        n = farm.turbines
        self._n, self._rated_rpm = n, farm.turbine_type.rated_rpm
        self.every = max(1, round(TICK_S / step_s))
        self._tick_s = self.every * step_s
        draw = seeds.rng(seed, "thermal", farm.farm_id)
        self._scatter = draw.normal(1.0, 0.04, (3, n)).clip(0.9, 1.1)
        self._place = draw.normal(0.0, MICROCLIMATE[0], n)
        self._keep = float(np.exp(-self._tick_s / MICROCLIMATE[2]))
        self._draws = Draws(seed, ("thermal", farm.farm_id, "ticks"), n)
        self._kick = MICROCLIMATE[1] * math.sqrt(1.0 - self._keep**2)
        self._moving = MICROCLIMATE[1] * draw.standard_normal(n)
        self._bodies = np.zeros((3, n))  # degC
        self._friction = np.zeros(n)  # K, of worn bearings
        self._on = np.zeros((len(SEEN), n), dtype=bool)
        self._warming = blend(self._tick_s, FRICTION_S)
        self._sums = np.zeros((1, 3 * n))  # of load, its square and speed since the last tick
        self._slow: Slow | None = None

    def advance(
        self, first: int, air: Array, load: Array, rotor_rpm: Array, wear: Wear, reads: Array
    ) -> tuple[Array, Array, Array, Array]:
        """(nacelle, winding, gearbox, ambient) degC, (reads, turbines), at the steps numbered `reads` (float) of
        those from `first` on; `air` (steps,) degC, `load` and `rotor_rpm` (steps, turbines)."""
        n, count = self._n, len(load)
        if self._slow is None:
            self._slow = self._settle(float(air[0]), load[0], rotor_rpm[0] / self._rated_rpm, wear)
        self._heat = np.concatenate([load, load * load, rotor_rpm * (1.0 / self._rated_rpm)], axis=1)
        self._now = first, air, wear
        points = self._slow.read(first, count, reads)
        begun = (first + count - 1) // self.every * self.every - first  # where the stretch began that goes on
        self._sums = self._sum(begun, count)
        points += np.interp(reads, np.arange(first, first + count), air)[:, None]
        return points[:, :n], points[:, n : 2 * n], points[:, 2 * n : 3 * n], points[:, 3 * n :]

    def _sum(self, begun: int, end: int) -> Array:
        """(1, columns): what the machines did from step `begun` of this call to `end`; some of it may be in `_sums`.
        Row by row, so that cuts change no bit."""
        rows = self._heat[max(begun, 0) : end]
        return np.add.reduce(np.concatenate([self._sums, rows]) if begun < 0 else rows, axis=0, keepdims=True)

    def _tick(self, tick: int) -> Array:
        """The bodies at the end of the stretch before, above ambient."""
        first, air, wear = self._now
        at = tick * self.every - first
        if tick:
            did = self._sum(at - self.every, at)[0] / self.every
            self._move(float(air[at]), did.reshape(3, -1), wear)
        self._moving = self._moving * self._keep + self._kick * self._draws.normal(tick)
        return self._points(float(air[at]))

    def _points(self, air: float) -> Array:
        bodies = self._bodies - air
        bodies[OIL] += self._friction
        return np.concatenate([bodies.ravel(), self._place + self._moving])

    def _move(self, air: float, did: Array, wear: Wear) -> None:
        """One tick; `did` (3, turbines): the means over it of load, its square, and speed as a share of rated speed."""
        seen = self._bodies[SEEN] * SIGN
        self._on |= seen > ON
        self._on &= seen >= OFF
        cooling = 1.0 - WORN_COOLING * wear.cooling
        past = self._bodies[OIL] - THERMOSTAT[0]
        past *= 1.0 / (THERMOSTAT[1] - THERMOSTAT[0])
        conductance = self._on[:3] * MORE[:3]  # louvres, pump, first fan
        conductance[OIL] += MORE[3] * self._on[3] + THERMOSTAT[2] * np.minimum(np.maximum(past, 0.0), 1.0)
        conductance[1:] *= cooling
        conductance[WINDING] += cooling
        conductance[NACELLE] += 1.0
        conductance[OIL] += OIL_WALLS
        heat = np.einsum("bq,qn->bn", HEAT, did)
        heat += ALWAYS
        heat *= self._scatter
        heat[WINDING] *= 1.0 + WORN_WINDING * wear.generator
        heat[OIL] += HEATER_K * self._on[4]
        # exact while heat and conductance stand still, so stable for any tick
        heat /= conductance
        heat += air
        conductance *= -self._tick_s / CAPACITY_S
        self._bodies -= heat
        self._bodies *= np.exp(conductance, out=conductance)
        self._bodies += heat
        worn = WORN_BEARING_K * wear.gearbox + WORN_MAIN_BEARING_K * wear.main_bearing
        self._friction += (worn * (0.3 * did[2] + 0.7 * did[0]) - self._friction) * self._warming

    def _settle(self, air: float, load: Array, speed: Array, wear: Wear) -> Slow:
        """The state before the run."""
        self._bodies += air
        did = np.stack([load, load * load, speed])
        for _ in range(SETTLED_TICKS):
            self._move(air, did, wear)
        return Slow(self.every, self._points(air), self._tick)
