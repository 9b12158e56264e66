"""Turbines in the wind: rotor speed, pitch, power and operating state, step by step.

Variable speed, pitch regulated.

- The rotor feels the wind averaged over its disc, reduced by the yaw error (`yaw`), changed by
  density, shear, soiling (`inflow`) and ice.
- Below rated wind its speed follows the optimum through its inertia, between a slowest and rated
  speed. Power is that of the wind that the rotor has caught up with (`curve`).
- Above rated wind, pitch keeps power constant. A gust faster than the pitch lets speed and power
  overshoot a little.
- `controller` starts and stops. A machine off the grid draws power for its controls, pumps, heaters
  and yaw drives.
- Worn pitch, yaw and rotor cost power. A limit (`limit`, share of rated power) is kept by pitch.

Numbers without a source are ours.

Not covered: dynamic stall, grid codes, reactive power, loads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline.records import STATES
from sim import seeds
from sim.arrays import Bools, Floats
from sim.fleet.part import FarmPart
from sim.model.first_order import autoregress, blend
from sim.model.machine import ice as icing
from sim.model.machine import inflow, yaw
from sim.model.machine.controller import CONNECT, GUST_SIGMAS, OFF_GRID, TEN_MINUTES_S, Controller
from sim.model.machine.curve import Curve
from sim.model.machine.north_offset import NorthOffset
from sim.model.machine.wear import Wear
from sim.model.ticks import Draws, SlowSeries
from sim.model.wind.wind import WindPage
from sim.units import MINUTE_S

RUNNING, STANDBY, CURTAILED = (STATES.index(name) for name in ("running", "standby", "curtailed"))

IDLE, IDLE_SPREAD = 0.06, 0.25  # of rated speed at cut-in wind; std of its logarithm
IDLE_MOST: Final = 1.6  # upper bound of the factor wind / cut-in wind
CEILING: Final = 1.05  # of rated power; no turbine produces more
# relative rise of rotor speed per relative rise of wind that pitch has not answered yet
OVERSPEED: Final = 0.35
OVERSHOOT: Final = 0.5  # relative rise of power over that of rotor speed
SWING: Final = 0.06  # upper bound of that rise of rotor speed: pitch answers large gusts faster
# pitch holds the speed from 11.5/12 of rated wind, fully at 12.5/12
HELD_FROM, HELD_WITHIN = 11.5, 12.0
RAMPED: Final = 0.96  # of the way from idling: the generator has its full torque
YAWS_FROM: Final = 2.2  # m/s, a minute's average
VANE_TURNS: Final = 2.0  # m/s; in less wind a vane turns ever more slowly on its bearing
# share of the inflow's deviation that power and speed show at rated; std between machines
WANDER, RATED_SPREAD = 0.1, 0.002
LIMIT_MEMORY_S: Final = 8.0
STANDBY_DRAW: Final = (0.0015, 0.0035)  # of rated power
HEATING_DRAW: Final = 0.004  # of rated power, in full HEATED_WITHIN_K below HEATED_BELOW_DEGC
HEATED_BELOW_DEGC, HEATED_WITHIN_K = 8.0, 20.0
PUMP_DRAW: Final = 0.004  # now and then: oil, hydraulics, batteries
PUMPS_AT: Final = 1.0  # normal draw above which they run
DRIVE_DRAW: Final = 0.003  # yaw motors
FINE_PITCH_DEG: Final = 0.25  # std between machines
# share of a deviation from the nacelle's direction that the vane behind the rotor shows
VANE_GAIN: Final = (0.75, 0.95)
PITCH_LOSS, ROTOR_LOSS = 0.10, 0.05  # of the rotor's wind, at wear 1


@dataclass
class Machine:
    """Behaviour of the machines, each (steps, turbines).

    Power in MW; `load` is its share of rated power, 0..CEILING.
    """

    status: npt.NDArray[np.int8]
    rotor_rpm: Floats
    pitch: Floats  # deg
    power: Floats
    load: Floats
    wind: Floats  # m/s, at the nacelle's anemometer
    direction: Floats  # deg, from nacelle position and vane
    ice: Floats | None  # 0..1


class Turbines:
    """The machines of a part of a farm with the state they carry from call to call."""

    def __init__(self, part: FarmPart, seed: int, step_s: float, start_s: float) -> None:
        """Set up from `step_s`, an inner step, and `start_s`, the run's start since 1970."""
        farm, own = part.farm, part.own
        self.kind, self._n = farm.turbine_type, part.turbines
        n = farm.turbines
        self.curve = Curve(self.kind, step_s)
        self.ice = icing.Ice(part, seed, step_s)
        self._inflow = inflow.Inflow(part, seed, step_s, start_s)
        self._yaw = yaw.Yaw(part, seed, step_s)
        self._controller = Controller(part, seed, step_s)
        draw = seeds.rng(seed, "turbine", farm.farm_id)
        self.fine_pitch = draw.normal(0.0, FINE_PITCH_DEG, n)[own].round(2)
        rated = draw.normal(1.0 - WANDER, RATED_SPREAD, (2, n))
        self._rated, self._rated_speed = rated[:, own]
        self._north = NorthOffset(part, seed, step_s, start_s)
        self._vane_gain = draw.uniform(*VANE_GAIN, n)[own]
        self._draw = draw.uniform(*STANDBY_DRAW, n)[own]
        self._idle = IDLE * self.kind.rated_rpm * draw.lognormal(0.0, IDLE_SPREAD, n)[own]
        self._pumps = SlowSeries(self.ice.every, np.zeros(self._n), self._pump)
        self._pump_draws = Draws(seed, ("turbine", farm.farm_id, "pumps"), part.indices)
        averages = (self.curve.disc_s, MINUTE_S, TEN_MINUTES_S, yaw.VANE_MEMORY_S)
        self._move = np.repeat([blend(step_s, memory) for memory in averages], self._n)
        self._limit_move = blend(step_s, LIMIT_MEMORY_S)
        self._averages: Floats | None = None
        self._lull = False  # at some turbine, in these steps
        self._rotor: Floats | None = None
        self._short = np.zeros(self._n)  # share of rated power that the limit takes now
        self._nacelle: Floats | None = None  # position in the step before

    def advance(
        self, first: int, wind: WindPage, down: npt.NDArray[np.int8], limit: Floats, wear: Wear
    ) -> Machine:
        """Compute the steps from `first` on.

        `down`: 0, or the index of the state in which a machine stands still. `limit`: share of
        rated power that it may make. Both are (steps, turbines).
        """
        kind, count = self.kind, len(wind.speed)
        felt, minute, ten_minutes, vane = self._average(wind)
        available = down == 0
        nacelle, error, unwinding = self._yaw.advance(
            first, vane, available & (minute > YAWS_FROM), wear.yaw
        )
        if unwinding is not None:
            available &= ~unwinding
        rotor_factor, reading_factor = self._inflow.read(first, count)
        ice = self.ice.read(first, wind.air.temperature, wind.air.humidity)

        read = wind.speed * reading_factor  # at one point, so without the disc's average
        gust = felt + GUST_SIGMAS * wind.sigma
        up = self._controller.operating(minute, ten_minutes, gust, available)
        felt *= inflow.air_factor(wind.air.density, wind.air.turbulence)[:, None]
        felt *= rotor_factor
        felt *= yaw.wind_left(error)
        felt *= 1.0 - PITCH_LOSS * wear.pitch - ROTOR_LOSS * wear.rotor
        if ice is not None:
            felt *= icing.wind_left(ice)
        caught, spun, blades = self._follow(felt, up, available)

        gap = self._unanswered(felt, caught)
        allowed = self._allowed(limit)
        on_grid = up & (spun >= CONNECT)
        leaving = ~up & available & (spun > OFF_GRID)
        load = self._load(caught, wind.sigma, gap, rotor_factor, allowed, spun, on_grid, leaving)
        on_grid |= leaving
        status = np.where(
            on_grid, np.where(limit < 1.0, np.int8(CURTAILED), np.int8(RUNNING)), np.int8(STANDBY)
        )
        np.copyto(status, down, where=down != 0)
        power = load * kind.rated_power
        if not on_grid.all():
            power -= self._consumption(first, wind, nacelle) * ~on_grid
        self._nacelle = nacelle[-1]
        begins = self.curve.wind_at(allowed) if isinstance(allowed, np.ndarray) else kind.rated_wind
        gap += self._rated_speed - 1.0 + WANDER * rotor_factor
        speed = self._speed(np.minimum(caught, begins), gap, spun, caught, down)
        pitch = self.curve.pitch(caught / begins)
        pitch *= spun
        pitch += blades
        pitch += self.fine_pitch
        read *= np.where(on_grid, inflow.BEHIND_ROTOR, 1.0)
        seen = self._direction(wind, vane, nacelle)
        seen += self._north.read(first, count)
        return Machine(status, speed, pitch, power, load, read, seen, ice)

    def _unanswered(self, felt: Floats, caught: Floats) -> Floats:
        """Wind that pitch or inertia has not answered yet, (steps, turbines).

        As a share of rated speed.
        """
        gap = felt - caught
        gap *= OVERSPEED / self.kind.rated_wind
        gap *= 1.0 / SWING
        np.tanh(gap, out=gap)
        gap *= SWING
        gap *= np.clip(caught * (HELD_WITHIN / self.kind.rated_wind) - HELD_FROM, 0.0, 1.0)
        return gap

    def _load(
        self,
        caught: Floats,
        sigma: Floats,
        gap: Floats,
        rotor_factor: Floats,
        allowed: Floats | float,
        spun: Floats,
        on_grid: Bools,
        leaving: Bools,
    ) -> Floats:
        """Power as a share of rated power, (steps, turbines).

        On the grid, ramped up after connecting to it, and ramped down by machines that leave it.
        """
        at = self.curve.index(caught)
        load = self.curve.load(at, sigma)
        np.minimum(load, allowed, out=load)
        load += OVERSHOOT * gap * load
        load *= self._rated + WANDER * rotor_factor
        np.minimum(load, CEILING, out=load)
        load *= on_grid
        if (starting := on_grid & (spun < RAMPED)).any():
            load = np.where(starting, load * ((spun - CONNECT) / (RAMPED - CONNECT)), load)
        if leaving.any():
            ramp = self.curve.load(at, sigma) * ((spun - OFF_GRID) / (1.0 - OFF_GRID))
            load = np.where(leaving, np.minimum(np.maximum(ramp, 0.0), allowed), load)
        return load

    def _direction(self, wind: WindPage, vane: Floats, nacelle: Floats) -> Floats:
        """Wind direction as nacelle position and vane show it, deg, (steps, turbines)."""
        seen = wind.direction - nacelle
        if self._lull:
            seen = np.where(wind.speed < VANE_TURNS, vane - nacelle, seen)
        seen *= self._vane_gain
        seen += nacelle
        return seen

    def _average(self, wind: WindPage) -> tuple[Floats, Floats, Floats, Floats]:
        """First-order averages: (disc, minute, ten minutes, vane), (steps, turbines) each.

        The first three are of the wind speed, the last is of its direction.
        """
        n = self._n
        columns = np.concatenate([wind.speed, wind.speed, wind.speed, wind.direction], axis=1)
        if self._averages is None:
            self._averages = columns[0].copy()
        keep = 1.0 - self._move
        self._lull = bool(wind.speed.min() < VANE_TURNS)
        if self._lull:
            slower = np.minimum(wind.speed * (1.0 / VANE_TURNS), 1.0) ** 2
            move = np.concatenate(
                [
                    np.broadcast_to(self._move[: 3 * n], (len(slower), 3 * n)),
                    self._move[3 * n :] * slower,
                ],
                axis=1,
            )
            columns *= move
            keep = 1.0 - move
        else:
            columns *= self._move
        self._averages = autoregress(columns, self._averages, keep)
        return columns[:, :n], columns[:, n : 2 * n], columns[:, 2 * n : 3 * n], columns[:, 3 * n :]

    def _follow(self, felt: Floats, up: Bools, available: Bools) -> tuple[Floats, Floats, Floats]:
        """(wind the rotor has caught up with m/s, spin-up 0..1, blades turned out deg).

        Each is (steps, turbines).
        """
        n, control = self._n, self._controller
        goal = np.empty((len(felt), 3 * n))
        keep = np.empty_like(goal)
        goal[:, :n] = felt
        goal[:, n : 2 * n] = up
        goal[:, 2 * n :] = np.where(
            up, 0.0, np.where(available, control.wait_deg, control.feather_deg)
        )
        keep[:, :n] = self.curve.keep(self.curve.index(felt))
        keep[:, n : 2 * n] = control.keep_spin(up)
        keep[:, 2 * n :] = control.keep_blades
        if self._rotor is None:
            self._rotor = goal[0].copy()
        goal *= 1.0 - keep
        self._rotor = autoregress(goal, self._rotor, keep)
        return goal[:, :n], goal[:, n : 2 * n], goal[:, 2 * n :]

    def _allowed(self, limit: Floats) -> Floats | float:
        """The limit as the machines carry it out, (steps, turbines); 1.0 when there is none.

        Steps of the limit become ramps of seconds.
        """
        short = 1.0 - limit
        if not short.any() and not self._short.any():
            return 1.0
        short *= self._limit_move
        self._short = autoregress(short, self._short, np.full(self._n, 1.0 - self._limit_move))
        self._short[self._short < 1e-30] = 0.0  # too small to change a result
        short[short < 1e-4] = 0.0
        allowed: Floats = 1.0 - short
        return allowed

    def _consumption(self, first: int, wind: WindPage, nacelle: Floats) -> Floats:
        """Power that machines off the grid draw, MW."""
        cold = np.clip((HEATED_BELOW_DEGC - wind.air.temperature) / HEATED_WITHIN_K, 0.0, 1.0)
        draw = self._pumps.read(first, len(nacelle)) + self._draw
        draw += HEATING_DRAW * cold[:, None]
        before = nacelle[:1] if self._nacelle is None else self._nacelle[None]
        draw += DRIVE_DRAW * (nacelle != np.concatenate([before, nacelle[:-1]]))
        draw *= self.kind.rated_power
        return draw

    def _pump(self, tick: int) -> Floats:
        return np.where(self._pump_draws.normal(tick)[0] > PUMPS_AT, PUMP_DRAW, 0.0)

    def _speed(
        self, caught: Floats, gap: Floats, spun: Floats, wind: Floats, down: npt.NDArray[np.int8]
    ) -> Floats:
        """Rotor speed, 1/min."""
        kind = self.kind
        speed = caught * self.curve.tip
        np.maximum(speed, kind.rotor_rpm_min, out=speed)
        np.minimum(speed, kind.rated_rpm, out=speed)
        speed *= 1.0 + gap
        idle = np.minimum(wind * (1.0 / kind.cut_in), IDLE_MOST)
        idle *= self._idle
        idle *= down == 0
        speed -= idle
        speed *= spun
        speed += idle
        return speed
