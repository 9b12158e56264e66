"""The steady behaviour of a turbine type, tabulated: power, rotor speed, pitch, rotor inertia.

Tables have fine steps and are read at the step below, which costs a tenth of an interpolation.

Long time steps: the wind varies within them, so power is the curve's mean over that scatter. The
curve is smoothed with a Gaussian. Its standard deviation is the part of the scatter that disc and
rotor do not average out (`left_of_scatter`). Steps of 1 s and of 30 s therefore give the same
energy.

Region 2: the rotor keeps the optimal tip-speed ratio and turns as fast as its inertia lets it. With
K w^2 as generator torque, a deviation decays with J w / (3 Q) (linearised about the optimum, where
dCp/d(lambda) = 0; e.g. Burton et al., Wind Energy Handbook, 2nd ed., section 8.3). J comes from the
inertia constant of the NREL 5 MW, J w^2 / (2 P) = 7 s (TP-500-38060: 43.8e6 kg m2 with the
generator's).

Pitch above rated wind is that report's schedule (table 7-1) over the wind's ratio to rated wind. A
machine with a power limit begins to pitch at the wind that gives the limit.

Not covered: stall, flexible blades, peak shaving.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sim.arrays import Floats, Indices
from sim.fleet.turbine import TurbineType

INERTIA_CONSTANT_S: Final = 7.0
RATED_SPEED_AT: Final = 0.95  # of rated wind, where rated rotor speed is reached
PITCH_ACTUATOR_S: Final = 4.0  # time constant of blades and drive train
# of rotor diameter / rated wind: the time over which the disc averages a gust
DISC: Final = 0.65
ABOVE_RATED_S: Final = 4.0  # time constant of pitch control
PLATEAU_S: Final = 1.5  # time constant of torque control at constant rotor speed
SLOWEST_S: Final = 12.0  # upper bound of the rotor's time constant
LEAST_SLOPE: Final = 0.05  # of the curve below cut-in wind, rated power per m/s
DRAIN: Final = -0.004  # of rated power, just before a becalmed machine leaves the grid
HIGHEST: Final = 50.0  # m/s, end of the tables
SCATTER_STEP: Final = 0.125  # m/s
SCATTERS: Final = 24
LENGTH_SCALE_M: Final = 340.2  # Kaimal spectrum, IEC 61400-1 annex C
STEP_S: Final = 2.0  # the wind is taken to scatter within steps longer than this
PITCH_SCHEDULE: Final = (  # wind over rated wind, deg
    (1.0, 0.0), (1.053, 3.83), (1.140, 6.60), (1.228, 8.70), (1.316, 10.45), (1.404, 12.06),
    (1.491, 13.54), (1.579, 14.92), (1.667, 16.23), (1.754, 17.47), (1.842, 18.70), (1.930, 19.94),
    (2.018, 21.18), (2.105, 22.35), (2.193, 23.47), (3.0, 32.0),
)  # fmt: skip
PITCH_STEPS: Final = 2000  # per unit of the ratio


class Curve:
    """The tables of one type for time steps of `step_s`."""

    def __init__(self, kind: TurbineType, step_s: float) -> None:
        self.kind = kind
        self.scattered = step_s > STEP_S
        self._steps = 64 if self.scattered else 256  # per m/s
        speed = np.arange(int(HIGHEST * self._steps) + 1) / self._steps
        wind, power = (np.array(column) for column in zip(*kind.power_curve, strict=True))
        steady = _steady(speed, wind, power / kind.rated_power)
        self._load = _smoothed(steady, self._steps) if self.scattered else steady
        self.tip = kind.rated_rpm / (RATED_SPEED_AT * kind.rated_wind)
        """1/min per m/s: optimal tip-speed ratio; rated speed comes a little before rated power."""
        self.inertia_s = _inertia(kind, speed, steady, self.tip)
        self._keep = np.exp(-step_s / self.inertia_s)
        schedule = np.array(PITCH_SCHEDULE).T
        self._pitch = np.interp(np.arange(3 * PITCH_STEPS) / PITCH_STEPS, schedule[0], schedule[1])
        self._rising = np.flatnonzero(np.diff(steady) > 0)
        self._steady, self._speed = steady, speed
        self.disc_s = DISC * kind.rotor_diameter / kind.rated_wind
        self.scatter_left = left_of_scatter(
            step_s, (self.disc_s, PITCH_ACTUATOR_S), kind.rated_wind
        )

    def index(self, wind: Floats) -> Indices:
        """Index of a wind (m/s, 0 or more) in the tables."""
        return (wind * self._steps).astype(np.intp)

    def load(self, at: Indices, sigma: Floats | None) -> Floats:
        """Power over rated power.

        `sigma` (m/s): scatter of the wind within the step, for tables of long steps.
        """
        if not self.scattered or sigma is None:
            return self._load.take(at, mode="clip")
        row = (sigma * (self.scatter_left / SCATTER_STEP)).astype(np.intp)
        np.minimum(row, SCATTERS - 1, out=row)
        row *= self._steady.size
        row += np.minimum(at, self._steady.size - 1)
        return self._load.take(row, mode="clip")

    def keep(self, at: Indices) -> Floats:
        """Share of a deviation of the rotor's speed that is left after one step."""
        return self._keep.take(at, mode="clip")

    def pitch(self, ratio: Floats) -> Floats:
        """Blade pitch (deg) at a `ratio` of the wind to the one at which pitching begins."""
        pitch: Floats = self._pitch.take((ratio * PITCH_STEPS).astype(np.intp), mode="clip")
        return pitch

    def wind_at(self, load: Floats) -> Floats:
        """The wind (m/s) that gives a share of rated power; rated wind gives all of it."""
        wind = np.interp(load, self._steady[self._rising], self._speed[self._rising])
        return np.where(load < 1.0, wind, self.kind.rated_wind)


def _steady(speed: Floats, wind: Floats, load: Floats) -> Floats:
    """The published curve, continued at both ends.

    Below cut-in wind it falls further, to DRAIN. Above its last wind it is constant: there the
    controller stops the machine.
    """
    slope = (load[1] - load[0]) / (wind[1] - wind[0])
    below = np.maximum(load[0] + (speed - wind[0]) * max(slope, LEAST_SLOPE), DRAIN)
    return np.where(speed < wind[0], below, np.interp(speed, wind, load))


def _smoothed(steady: Floats, steps: int) -> Floats:
    """The mean of the curve over Gaussian scatters, flattened (SCATTERS, speeds).

    Row i is for a scatter (standard deviation) of i * SCATTER_STEP m/s.
    """
    rows = [steady]
    for row in range(1, SCATTERS):
        half = int(4 * row * SCATTER_STEP * steps)
        weight = np.exp(-0.5 * (np.arange(-half, half + 1) / (row * SCATTER_STEP * steps)) ** 2)
        padded = np.concatenate([np.full(half, steady[0]), steady, np.full(half, steady[-1])])
        rows.append(np.convolve(padded, weight / weight.sum(), mode="valid"))
    return np.concatenate(rows)


def _inertia(kind: TurbineType, speed: Floats, steady: Floats, tip: float) -> Floats:
    """Time constant (s) with which power follows the wind."""
    share = np.clip(speed * tip, kind.rotor_rpm_min, kind.rated_rpm) / kind.rated_rpm
    free = 2.0 * INERTIA_CONSTANT_S * share**2 / (3.0 * np.maximum(steady, 0.01))
    constant = (speed * tip <= kind.rotor_rpm_min) | (speed * tip >= kind.rated_rpm)
    time = np.where(constant, PLATEAU_S, np.minimum(free, SLOWEST_S))
    time = np.where(speed >= kind.rated_wind, ABOVE_RATED_S, time)
    around = np.ones(129) / 129  # the regions blend into each other
    padded = np.concatenate([np.full(64, time[0]), time, np.full(64, time[-1])])
    return np.convolve(padded, around, mode="valid")


def left_of_scatter(step_s: float, memories_s: tuple[float, ...], wind: float) -> float:
    """Share of the wind's standard deviation within a step that first-order lags let through.

    For the Kaimal spectrum, f / (1 + 6 f L / U)^(5/3), without the variance of the step's mean.
    """
    f = np.geomspace(1e-4, 10.0, 4000)
    within = 1.0 - np.sinc(f * step_s) ** 2
    spectrum = within / (1.0 + 6.0 * f * LENGTH_SCALE_M / wind) ** (5.0 / 3.0)
    passed = np.prod(
        [1.0 / (1.0 + (2.0 * np.pi * f * memory) ** 2) for memory in memories_s], axis=0
    )
    return float(np.sqrt(np.trapezoid(spectrum * passed, f) / np.trapezoid(spectrum, f)))
