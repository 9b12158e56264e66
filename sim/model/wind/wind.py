"""Wind at every turbine of a farm, inner step by inner step.

    u_i = U(t - d_i / U) * (1 + m(x_i, t)) * wake_i(direction, U) + sigma_i * turbulence_i

- U: the weather's wind. It reaches turbine i with the delay of its distance d_i downwind.
- m: changes of 10 min to 3 h. These are octaves of frozen patterns over the sphere (`octaves`),
  carried along by the wind of their hour. Neighbouring turbines therefore share slow changes, the
  downwind one later, and hardly share fast ones. Their std is the climate's `mesoscale`, their
  spectrum f^-5/3 (Larsen et al. 2016, Boundary-Layer Meteorol. 159: no gap between weather and
  turbulence offshore).
- wake_i: from `wake`. Wakes turn with the wind that has reached the rows, LAG_D rotor diameters
  late, and are deeper in stable, calmer air.
- sigma_i, turbulence_i: each turbine's own turbulence (`turbulence`) and local direction. Ambient
  intensity and the wakes' added intensity combine in squares.

All but turbulence is a function of absolute time, tabulated on a grid of GRID_S.

Changes and turbulence are intermittent: their strength is log-normal. For the farm it varies over
hours and days (ACTIVITY: showers, convection, stable layers), more across the wind than along it.
For each machine it varies over a minute or two (GUSTINESS). For that reason days differ, and
measured ramps from 10 min to hours have far heavier tails than a normal distribution (DeMarco and
Basu 2018, Wind Energy 21). So have increments within seconds (Boettcher, Barth and Peinke 2007,
Stoch. Environ. Res. Risk Assess. 21).

Pages hold clock.page samples. Times of values are the middles of inner steps.

Not covered: vertical shear over the rotor, flow over real terrain, wakes from other farms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim.arrays import Floats
from sim.fleet.part import FarmPart
from sim.model.air import normal_turbulence
from sim.model.clock import SimClock
from sim.model.events import Event
from sim.model.wind.fields import SHORTEST_S
from sim.model.wind.octaves import Octave, Place, bspline, knots, series
from sim.model.wind.turbulence import Turbulence
from sim.model.wind.wake import Wakes
from sim.model.wind.weather import Air, Weather

GRID_S = 60.0  # of the table of changes that cross the farm
OCTAVES = 5  # periods of 10 to 160 min
FEATURES = 2  # of each of the four patterns that overlap at any time
COMPONENTS = ("along", "across")
# m/s; a pattern of period T reaches CARRIED T / 4.4: coherence exp(-7 f d / U) (Davenport 1961)
CARRIED = 6.0
LAG_D = 7.0  # rotor diameters between a change of direction at a row and in its wake
LATERAL_M = (40.0,)  # length of lateral turbulence, one process, as a vane sees it
LATERAL = 0.8  # std of lateral over longitudinal turbulence (IEC 61400-1)
# share by which wakes deepen as turbulence falls to nothing, and weaken as it doubles
STABLE = 0.35
FLOOR = 0.1  # m/s
LIMIT_SIGMA = 3.3
LULL = 0.35  # of the mean: lower bound of the wind in an eddy
# octaves of 80 min (showers, plumes) and of 5 and 21 h (lively and calm afternoons and days)
ACTIVITY = (3, 5, 7)
ACTIVE = (0.55, 0.7, 0.2)  # std of the logarithm of changes along and across, and of turbulence
LIVELIEST = 1.7  # upper bound of the activity, in standard deviations
ACROSS = 1.3  # changes across the wind over those along it
# changing strength of each machine's turbulence: length m, std of its logarithm
GUSTINESS = (600.0, 0.3)
MOST = 1.7  # times usual turbulence
LIMIT_CHANGE = 0.5  # of the wind: upper bound of a change along it
# factor on the climate's `mesoscale`: UNREST + UNREST_CALM (m/s) over the wind
UNREST, UNREST_CALM = 0.6, 4.0
UNREST_LEAST = 2.0  # m/s, lower bound of the wind in that factor
LONGEST_DELAY_S = 1500.0  # from the farm's middle to a turbine
LONGEST_LAG_S = 600.0  # of wakes
# m/s, lower bounds of the wind that carries patterns, and of the mean that gusts turn
SLOWEST, SLOWEST_TURN = 1.0, 1.5


@dataclass(frozen=True)
class WindPage:
    """Wind of each inner step of a page, arrays (steps, turbines).

    `speed`: mean at the rotor, m/s. `direction`: deg, not wrapped. `sigma`: std within the step,
    m/s. `air`: of the farm, arrays (steps,).
    """

    speed: Floats
    direction: Floats
    sigma: Floats
    air: Air


class Wind:
    """The wind of a part of a farm.

    Pages must be requested in order, since turbulence has memory.
    """

    def __init__(
        self, part: FarmPart, clock: SimClock, seed: int, events: Sequence[Event] = ()
    ) -> None:
        farm, turbines = part.farm, part.indices
        self.farm, self.clock, self.seed = farm, clock, seed
        self._positions = farm.positions[part.own]
        self.weather = Weather(farm, seed, events, clock.start_us)
        self.wakes = Wakes(part, seed)
        self._place = Place.at(farm.latitude, farm.longitude)
        self._octaves = [_octave(i) for i in range(OCTAVES)]
        energy = np.array([octave.period_s ** (2 / 3) for octave in self._octaves])
        self._amplitude = np.sqrt(energy / energy.sum())
        h = clock.inner[1]
        self._along = Turbulence(turbines, h, seed, "wind", farm.farm_id, "along")
        self._across = Turbulence(
            turbines, h, seed, "wind", farm.farm_id, "across", lengths_m=LATERAL_M
        )
        self._gusts = Turbulence(
            turbines, h, seed, "wind", farm.farm_id, "spells", lengths_m=GUSTINESS[:1]
        )

    def page(self, index: int) -> WindPage:
        """Inner steps of the samples index * clock.page .. (index + 1) * clock.page - 1."""
        first = index * self.clock.page
        h = self.clock.inner[1]
        middles = self.clock.inner_times_us(first, first + self.clock.page) - round(h * 5e5)
        air = self.weather.at(middles)
        low = int(np.floor(middles[0] / (GRID_S * 1e6)))
        high = int(np.floor(middles[-1] / (GRID_S * 1e6))) + 2
        grid: Floats = np.arange(low, high, dtype=np.float64) * GRID_S
        mean, bearing, added = self._tabulated(grid)
        cell = np.floor(middles / (GRID_S * 1e6)).astype(np.int64) - low
        part = (middles / (GRID_S * 1e6) - (cell + low))[:, None]
        mean, bearing, added = (
            _interpolated(values, cell, part) for values in (mean, bearing, added)
        )
        unit, within = self._along.page(index, air.speed)
        np.clip(unit, -LIMIT_SIGMA, LIMIT_SIGMA, out=unit)
        sigma = added  # free and wake turbulence, m/s
        sigma *= self._gustiness(index, air.speed)
        speed = unit
        speed *= sigma
        speed += mean
        np.maximum(speed, LULL * mean, out=speed)
        swing, hidden = self._across.page(index, air.speed)
        sigma *= LATERAL
        swing *= sigma
        # length of both components, which cups and rotors respond to; never 0 in a calm
        speed *= speed
        speed += swing * swing
        speed += sigma * sigma * hidden[:, None]
        np.sqrt(speed, out=speed)
        np.maximum(speed, FLOOR, out=speed)
        swing /= np.maximum(mean, SLOWEST_TURN)
        np.arctan(swing, out=swing)
        bearing += np.degrees(swing, out=swing)
        sigma *= (np.sqrt(within) / LATERAL)[:, None]
        return WindPage(speed, bearing, sigma, air)

    def _gustiness(self, index: int, wind: Floats) -> Floats:
        """Strength of turbulence over its usual one, (steps, turbines), mean square 1."""
        gusts, within = self._gusts.page(index, wind)
        gusts *= GUSTINESS[1]
        gusts -= (GUSTINESS[1] ** 2 * (1.0 - within))[:, None]
        np.exp(gusts, out=gusts)
        return np.minimum(gusts, MOST, out=gusts)

    def _activity(self, seconds: Floats) -> Floats:
        """Liveliness of the farm's air, (times,): normal, variance 1, bounded by LIVELIEST."""
        name = ("activity",)
        parts = [
            series(self.seed, "mesoscale", _octave(i), name, self._place, seconds, (0, 0))
            for i in ACTIVITY
        ]
        total: Floats = np.add.reduce(parts)[:, 0] / math.sqrt(len(parts))
        return np.minimum(total, LIVELIEST, out=total)

    def _tabulated(self, seconds: Floats) -> tuple[Floats, Floats, Floats]:
        """(mean wind m/s, direction deg, std of turbulence m/s) at grid times.

        Each is (times, turbines).
        """
        times = np.round(seconds * 1e6).astype(np.int64)
        air = self.weather.at(times)
        speed = np.maximum(air.speed, SLOWEST)
        radians = np.radians(air.direction)
        east, north = self._positions.T
        downwind = -(np.sin(radians)[:, None] * east + np.cos(radians)[:, None] * north)  # m
        delay = np.clip(downwind / speed[:, None], -LONGEST_DELAY_S, LONGEST_DELAY_S)
        # the longest delays first: a direction's whole turns depend on the times requested before
        self.weather.wind(seconds[[0, -1]] + [-LONGEST_DELAY_S, LONGEST_DELAY_S])
        mean, bearing = self.weather.wind(seconds[:, None] - delay)
        lag = np.minimum(LAG_D * self.farm.turbine_type.rotor_diameter / speed, LONGEST_LAG_S)
        _, felt = self.weather.wind(seconds - lag)
        factor, added = self.wakes.at(felt, air.speed)
        intensity = air.turbulence[:, None]
        usual = normal_turbulence(self.farm.climate.iref, air.speed)
        along, across = self._mesoscale(seconds)
        unrest = (
            self.farm.climate.mesoscale
            * (UNREST + UNREST_CALM / np.maximum(air.speed, UNREST_LEAST))
            * (air.turbulence / usual)
        )
        activity = self._activity(seconds)
        lively = [np.exp(size * activity - size**2) for size in ACTIVE]
        intensity = intensity * lively[2][:, None]
        along *= (unrest * lively[0])[:, None]
        np.clip(along, -LIMIT_CHANGE, LIMIT_CHANGE, out=along)
        along += 1.0
        across *= np.degrees(ACROSS * unrest * lively[1])[:, None]
        bearing += across
        depth = 1.0 + STABLE * np.clip(1.0 - air.turbulence / usual, -1.0, 1.0)
        factor -= 1.0
        factor *= depth[:, None]
        factor += 1.0
        mean *= along
        spread = np.hypot(intensity, added)
        spread *= mean  # the free wind's: wakes slow the mean, not the gusts
        mean *= factor
        return mean, bearing, spread

    def _mesoscale(self, seconds: Floats) -> tuple[Floats, Floats]:
        """Changes of 10 min to 3 h, along and across the wind, at each turbine.

        Unit variance, (times, turbines) each.
        """
        # two columns at least: einsum sums a single one in another order
        turbines = len(self._positions)
        east, north = self._positions[np.arange(max(turbines, 2)) % turbines].T
        along = np.zeros((len(seconds), len(east)))
        across = np.zeros_like(along)
        for octave, amplitude in zip(self._octaves, self._amplitude, strict=True):
            spacing, steps = octave.spacing_s, round(octave.spacing_s / GRID_S)
            first = math.floor(seconds[0] / spacing)  # the knot at or before the first time
            spans = math.floor(seconds[-1] / spacing) - first + 1
            found = knots(
                self.seed,
                "mesoscale",
                octave,
                COMPONENTS,
                self._place,
                first - 1,
                first + spans + 2,
                FEATURES,
            )
            carrier, heading = self.weather.wind(np.arange(first - 1, first + spans + 2) * spacing)
            heading = np.radians(heading)
            turn = carrier[:, None] * (
                found.east * np.sin(heading)[:, None] + found.north * np.cos(heading)[:, None]
            )
            phase = (
                found.phase[..., None]
                + found.east[..., None] * east
                + found.north[..., None] * north
            )
            shape = _knots_of_spans(np.concatenate([np.cos(phase), np.sin(phase)], axis=1), spans)
            x = np.arange(steps) / steps
            # (4, steps): s after each of the four knots
            since = (x - np.arange(-1, 3)[:, None]) * spacing
            # (spans, features, 4)
            swept = np.lib.stride_tricks.sliding_window_view(turn, 4, axis=0)[:spans]
            # (spans, 4, steps, features)
            angle = swept.transpose(0, 2, 1)[:, :, None] * since[:, :, None]
            weight = (bspline(x) * amplitude).T[:, :, None]
            cosine, sine = np.cos(angle) * weight, np.sin(angle) * weight
            skip = round((seconds[0] - first * spacing) / GRID_S)
            for target, column in ((along, 0), (across, 1)):
                strength = np.lib.stride_tricks.sliding_window_view(
                    found.strength[..., column], 4, axis=0
                )[:spans]
                strength = strength.transpose(0, 2, 1)[:, :, None]  # (spans, 4, 1, 2 * features)
                even, odd = strength[..., :FEATURES], strength[..., FEATURES:]
                wave = np.concatenate(
                    [even * cosine + odd * sine, odd * cosine - even * sine], axis=-1
                )
                wave = wave.transpose(0, 2, 1, 3).reshape(spans, steps, -1)
                field = np.einsum("brk,bkn->brn", wave, shape).reshape(spans * steps, -1)
                target += field[skip : skip + len(seconds)]
        return along[:, :turbines], across[:, :turbines]


def _octave(number: int) -> Octave:
    period_s = SHORTEST_S * 2.0**number
    return Octave(number, period_s, CARRIED * period_s / (math.sqrt(2.0) * math.pi))


def _interpolated(values: Floats, cell: np.ndarray, part: Floats) -> Floats:
    """Linear interpolation of rows: values[cell] + part * (values[cell + 1] - values[cell])."""
    result: Floats = values[cell + 1]
    result -= values[cell]
    result *= part
    result += values[cell]
    return result


def _knots_of_spans(basis: Floats, spans: int) -> Floats:
    """View of each span's four knots, (spans, 4 * basis per knot, turbines)."""
    basis = np.ascontiguousarray(basis)
    each, turbines = basis.shape[1:]
    shape, (knot, _, column) = (spans, 4 * each, turbines), basis.strides
    return np.lib.stride_tricks.as_strided(
        basis, shape, (knot, basis.strides[1], column), writeable=False
    )
