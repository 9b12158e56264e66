"""Temperatures of nacelle air, generator winding and gearbox oil: losses heat, coolers switch.

Each body is one heat capacity (lumped, e.g. Incropera, Fundamentals of Heat and Mass Transfer, ch.
5): C dT/dt = Q - sum of G (T - sink). It is integrated exactly over a tick, during which Q, G and
sinks are constant. G has no unit. Q is in kelvin: the rise over the sink that the losses would
cause at G = 1. Winding and oil stand in the nacelle's air and warm it. Their coolers are outside,
and are closed when there is little to cool. Tons of steel therefore stay warm: a winding for hours,
the oil for half a day after the rotor has stopped. At any load they are far above ambient.
Thermostats, coolers and sensors differ from machine to machine.

- Winding: copper losses with load and its square, iron and excitation with speed. Its cooling
  circuit opens by thermostat and runs while the rotor turns. A second stage starts at 74 degC and
  stops at 62.
- Oil: gear friction with speed and load. Below 54 degC a thermostat valve makes it bypass the
  cooler; from 62 on all of it passes through. Above that, two fans switch with hysteresis. A heater
  keeps a resting machine's oil from freezing stiff. The reading is that of the oil at the bearing,
  so it adds the friction of worn bearings and teeth. Direct-drive machines report their main
  bearing as gearbox.
- Nacelle: the heat of winding and oil and the drives' own losses leave through the walls. Fans run
  under load; otherwise they start at 31 degC and stop at 17. At little load the nacelle's
  temperature therefore goes up and down over hours. At full load it is hardly above the outside
  air. Louvres close before it freezes.

Levels and time constants are those of published SCADA sets of 2 MW machines (La Haute Borne,
Kelmarsh, Penmanshiel): oil 55 degC at no load, 60 to 70 at full, falling by 1 to 3 K an hour in a
lull; winding 55 to 65 below 80 % load, 80 at full; a nacelle 10 K above ambient at rest. A healthy
machine stays under the alarms of `pipeline.records` in a 40 degC summer. A worn generator, gearbox,
main bearing or cooling system runs hotter.

Not covered: sun on the nacelle, water and converter temperatures, derating.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from sim import seeds
from sim.arrays import Floats
from sim.fleet.part import FarmPart
from sim.model.first_order import blend
from sim.model.machine.wear import Wear
from sim.model.ticks import Draws, SlowSeries

TICK_S: Final = 240.0
# computed before the run, with the load and speed of its first step
SETTLED_TICKS: Final = 120

NACELLE, WINDING, OIL = range(3)  # rows of the arrays below
# heat capacities: time constants at G = 1
CAPACITY_S: Final = np.array([[2400.0], [2600.0], [3600.0]])
WARM_K: Final = np.array([[10.0], [30.0], [40.0]])  # above ambient, before the settling ticks
# K: with load, its square, speed
HEAT: Final = np.array([[8.0, 0.0, 0.0], [18.0, 54.0, 26.0], [14.0, 0.0, 34.0]])
ALWAYS: Final = np.array([[6.0], [1.0], [0.0]])  # K, at any load
# bodies that switch the nacelle's fans, second stage, the oil's two fans and heater
SEEN: Final = [
    NACELLE,
    WINDING,
    OIL,
    OIL,
    OIL,
]
SIGN: Final = np.array([[1.0], [1.0], [1.0], [1.0], [-1.0]])  # a heater goes on below
ON: Final = np.array([[31.0], [74.0], [68.0], [74.0], [-18.0]])  # degC
OFF: Final = np.array([[17.0], [62.0], [62.0], [66.0], [-25.0]])
# conductance of the nacelle's fans, the second stage, each of the oil's fans
MORE: Final = np.array([[3.0], [0.4], [0.35]])
# thermostats of winding and oil, degC
CLOSED, OPEN = np.array([[52.0], [54.0]]), np.array([[70.0], [62.0]])
COOLER: Final = np.array([[0.9], [0.85]])  # conductance of their coolers, thermostat open
FORCED: Final = 0.45  # load above which the nacelle's fans run
FROST: Final = (6.0, 12.0)  # degC: louvres, closed and open
HULL: Final = 0.6  # conductance of the nacelle's walls
WALLS: Final = np.array([[0.15], [0.1]])  # conductance of winding and oil to the nacelle
WARMED: Final = (0.14, 0.14)  # heat from them to the nacelle's air, per kelvin
TURNING: Final = 3.0  # the winding's circuit runs in full from a third of rated speed on
HEATER_K: Final = 10.0
WORN_WINDING: Final = 0.8  # more heat at wear 1
WORN_BEARING_K: Final = 30.0  # friction at the gearbox's own bearings, under load
WORN_MAIN_BEARING_K: Final = 10.0
WORN_COOLING: Final = 0.45  # less cooling at wear 1
HEAT_SPREAD: Final = 0.05  # std of machines' heat
HEAT_BOUNDS: Final = (0.88, 1.12)
FRICTION_S: Final = 900.0  # memory of a bearing that its friction warms
FRICTION_SPEED, FRICTION_LOAD = 0.3, 0.7  # shares of that friction
SET_K: Final = np.array([[0.8], [1.5], [2.2]])  # std of thermostats and switches
SET_SIGMAS, SENSOR_SIGMAS = 2.0, 2.5  # upper bounds of their deviations and of the sensors'
# std of the sensors of nacelle, winding, oil and ambient
SENSORS_K: Final = np.array([[0.5], [0.8], [0.7], [0.45]])
# K: std of the varying errors of ambient sensors, slow (sun, wind side) and fast (eddies)
MICROCLIMATE: Final = np.array([[0.3], [0.04]])
MICROCLIMATE_S: Final = np.array([[36_000.0], [2400.0]])  # their time constants
# strength of eddies: std of the logarithm, memory s
LIVELY: Final = (0.9, 28_800.0)


class Thermal:
    """The temperatures of a part of a farm, with their heat carried from call to call."""

    def __init__(self, part: FarmPart, seed: int, step_s: float) -> None:
        farm, own = part.farm, part.own
        n, self._n, self._rated_rpm = farm.turbines, part.turbines, farm.turbine_type.rated_rpm
        self.every = max(1, round(TICK_S / step_s))
        self._tick_s = self.every * step_s
        draw = seeds.rng(seed, "thermal", farm.farm_id)
        self._scatter = draw.normal(1.0, HEAT_SPREAD, (3, n))[:, own].clip(*HEAT_BOUNDS)
        off, switches = (draw.normal(0.0, 1.0, (rows, n))[:, own] for rows in (4, 3))
        self._off = off.clip(-SENSOR_SIGMAS, SENSOR_SIGMAS) * SENSORS_K
        self._set = switches.clip(-SET_SIGMAS, SET_SIGMAS) * SET_K
        self._keep = np.exp(-self._tick_s / MICROCLIMATE_S)
        self._kick = MICROCLIMATE * np.sqrt(1.0 - self._keep**2)
        self._moving = MICROCLIMATE * draw.standard_normal((2, n))[:, own]
        self._lively, self._lively_keep = (
            float(draw.standard_normal()),
            math.exp(-self._tick_s / LIVELY[1]),
        )
        self._draws = Draws(
            seed, ("thermal", farm.farm_id, "ticks"), part.indices, len(MICROCLIMATE)
        )
        self._lively_draws = Draws(seed, ("thermal", farm.farm_id, "lively"), range(1))
        self._bodies = np.zeros((3, self._n))  # degC
        self._friction = np.zeros(self._n)  # K, of worn bearings
        self._on = np.zeros((len(SEEN), self._n), dtype=bool)
        self._warming = blend(self._tick_s, FRICTION_S)
        self._sums = np.zeros((1, 3 * self._n))  # of load, its square and speed since the last tick
        self._slow: SlowSeries | None = None

    def advance(
        self, first: int, air: Floats, load: Floats, rotor_rpm: Floats, wear: Wear, reads: Floats
    ) -> tuple[Floats, Floats, Floats, Floats]:
        """(nacelle, winding, gearbox, ambient) degC, (reads, turbines) each.

        `reads`: step numbers (float) among the steps from `first` on. `air` (steps,) degC; `load`
        and `rotor_rpm` (steps, turbines).
        """
        n, count = self._n, len(load)
        if self._slow is None:
            self._slow = self._settle(float(air[0]), load[0], rotor_rpm[0] / self._rated_rpm, wear)
        self._heat = np.concatenate(
            [load, load * load, rotor_rpm * (1.0 / self._rated_rpm)], axis=1
        )
        self._now = first, air, wear
        points = self._slow.read(first, count, reads)
        # first step of the stretch that is unfinished when the call ends
        begun = (first + count - 1) // self.every * self.every - first
        self._sums = self._sum(begun, count)
        points += np.interp(reads, np.arange(first, first + count), air)[:, None]
        return points[:, :n], points[:, n : 2 * n], points[:, 2 * n : 3 * n], points[:, 3 * n :]

    def _sum(self, begun: int, end: int) -> Floats:
        """Sums of load, its square and speed over the steps from `begun` of this call to `end`.

        (1, columns). Earlier rows may be in `_sums` already. The sum goes row by row, so it does
        not depend on how steps are cut into calls.
        """
        rows = self._heat[max(begun, 0) : end]
        return np.add.reduce(
            np.concatenate([self._sums, rows]) if begun < 0 else rows, axis=0, keepdims=True
        )

    def _tick(self, tick: int) -> Floats:
        """The bodies above ambient at the end of the previous stretch."""
        first, air, wear = self._now
        at = tick * self.every - first
        if tick:
            means = self._sum(at - self.every, at)[0] / self.every
            self._move(float(air[at]), means.reshape(3, -1), wear)
        keep, drawn = self._lively_keep, float(self._lively_draws.normal(tick)[0, 0])
        self._lively = keep * self._lively + math.sqrt(1.0 - keep**2) * drawn
        kick = self._kick * self._draws.normal(tick)
        kick[1] *= math.exp(LIVELY[0] * self._lively - LIVELY[0] ** 2)
        self._moving = self._moving * self._keep + kick
        return self._points(float(air[at]))

    def _points(self, air: float) -> Floats:
        points = np.concatenate([self._bodies - air, self._moving.sum(axis=0, keepdims=True)])
        points[OIL] += self._friction
        points += self._off
        return points.ravel()

    def _move(self, air: float, means: Floats, wear: Wear) -> None:
        """Advance the bodies by one tick.

        `means` (3, turbines), over the tick: of load, its square, and speed over rated speed.
        """
        felt = self._bodies - self._set
        seen = felt[SEEN] * SIGN
        self._on |= seen > ON
        self._on &= seen >= OFF
        self._on[0] |= means[0] > FORCED
        nacelle, drive = self._bodies[NACELLE], self._bodies[1:]
        cooler = (felt[1:] - CLOSED) * (1.0 / (OPEN - CLOSED))
        np.minimum(np.maximum(cooler, 0.0, out=cooler), 1.0, out=cooler)
        cooler *= COOLER
        cooler[0] *= np.minimum(TURNING * means[2], 1.0)
        cooler[0] += MORE[1] * self._on[1]
        cooler[1] += MORE[2] * self._on[2]
        cooler[1] += MORE[2] * self._on[3]
        cooler *= 1.0 - WORN_COOLING * wear.cooling
        # term by term: the order of a sum must not depend on the number of turbines
        heat = ALWAYS + HEAT[:, :1] * means[0]
        heat += HEAT[:, 1:2] * means[1]
        heat += HEAT[:, 2:] * means[2]
        heat *= self._scatter
        heat[WINDING] *= 1.0 + WORN_WINDING * wear.generator
        heat[OIL] += HEATER_K * self._on[4]
        heat[NACELLE] += WARMED[0] * (drive[0] - nacelle) + WARMED[1] * (drive[1] - nacelle)
        heat[1:] += WALLS * (nacelle - air)
        conductance = np.empty_like(heat)
        louvres = np.minimum(
            np.maximum((nacelle - FROST[0]) * (1.0 / (FROST[1] - FROST[0])), 0.0), 1.0
        )
        conductance[NACELLE] = HULL + MORE[0] * self._on[0] * louvres
        conductance[1:] = cooler + WALLS
        # exact for constant heat and conductance, so stable for any length of tick
        heat /= conductance
        heat += air
        conductance *= -self._tick_s / CAPACITY_S
        self._bodies -= heat
        self._bodies *= np.exp(conductance, out=conductance)
        self._bodies += heat
        worn = WORN_BEARING_K * wear.gearbox + WORN_MAIN_BEARING_K * wear.main_bearing
        self._friction += (
            worn * (FRICTION_SPEED * means[2] + FRICTION_LOAD * means[0]) - self._friction
        ) * self._warming

    def _settle(self, air: float, load: Floats, speed: Floats, wear: Wear) -> SlowSeries:
        """Set the state before the run."""
        self._bodies += air + WARM_K
        means = np.stack([load, load * load, speed])
        for _ in range(SETTLED_TICKS):
            self._move(air, means, wear)
        return SlowSeries(self.every, self._points(air), self._tick)
