"""Weather at a farm, minutes to weeks: wind, temperature, pressure, humidity, turbulence.

A pure function of (seed, place on the sphere, absolute time): every run, farm, worker and block has
the same weather.

- Wind: Gaussian fields (`fields`) and the climate's mean flow add up to one flow vector. Its
  direction is the wind's. Its length, scaled by season and hour, is mapped by rank to the climate's
  Weibull distribution (`climatology`). The wind therefore veers with passing lows and swings
  widely in lulls.
- Fronts: a front passes where a synoptic field crosses zero upwards. The wind rises before it and
  veers (backs in the south), the air cools by some degrees, pressure has its trough. Where the
  field crosses zero downwards, all this goes back slowly. The field drifts with the westerlies,
  so a front reaches the eastern farm later.
- Temperature: the flow of the day before (from the equator: warm), a field of air masses, season
  and hour. The day's course depends on the sky: 0.4 times the usual under cloud, 1.6 times under
  a clear sky. Highs bring clear skies more often.
- Density: that of moist air. Turbulence: the normal turbulence model (`sim.model.air`), more by
  day, before fronts and in unsettled air.
- Events `weather.*` of the scenario act on top.

Values are computed on an absolute grid of 10 minutes and interpolated. Faster changes belong to
`wind`. Numbers without a source are ours, chosen so that each climate meets the published ranges
of `tests/model/test_weather.py`.

Not covered: rain, radiation, vertical profiles, cyclones as objects, climate change.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import numpy as np

from sim.arrays import Floats, Ints
from sim.fleet.climate import Climate
from sim.fleet.farm import Farm
from sim.model.air import normal_turbulence, vapour_pressure
from sim.model.events import Event
from sim.model.wind.climatology import (
    HOURS,
    LEAST_WIND,
    MIDWINTER,
    MONTHS,
    calendar,
    flow,
    ranks,
    rhythm,
    wave,
)
from sim.model.wind.fields import fields, steering
from sim.model.wind.octaves import Place
from sim.units import HOUR_S

GRID_S: Final = 600.0
CHUNK: Final = 432  # grid points computed at once: three days
BORDER: Final = 72  # grid point at which a chunk begins: noon, for runs that begin at midnight
KEPT: Final = 4  # chunks remembered besides those in use
TABLES: Final = 64  # remembered in a process: the parts of a farm have the same weather

# Events of the scenario.
VEER_DEG: Final = 150.0  # turn of the wind over a storm
STORM_VARIES: Final = 0.2  # share by which a storm is weaker if there was no wind before
CALM_VARIES: Final = 0.5  # exponent of the usual wind, which still shows in a calm
CALM_MOST: Final = 1.6  # upper bound of that factor
RAMP: Final = 0.35  # share of an event during which it grows, and again during which it ends

# Fronts. Lengths and widths are in standard deviations of the front field.
RISING_PER_S: Final = 8e-6  # rate of the field at which a crossing counts as a front (logistic)
RETURN_WIDTH: Final = 0.6  # width of the change where the field falls
FRONT_SHARPER: Final = 0.55  # less width at a front
FRONT_SEASON: Final = 0.3  # more fronts in winter, fewer in summer: share
AHEAD_AT, AHEAD_WIDTH = 0.08, 0.14  # strip of strong wind ahead of a front
AHEAD_FLOW: Final = 0.6  # flow that the strip adds, in standard deviations
AHEAD_HUMIDITY: Final = 0.08  # relative humidity that it adds
AHEAD_TURBULENCE: Final = 0.12  # share of turbulence that it adds
FRONT_VEER_DEG: Final = 28.0  # turn of the wind on either side of a front
TROUGH_WIDTH: Final = 0.5
TROUGH_HPA: Final = 4.0  # depth

# Wind speed, sky and stratification.
BEYOND_RANKS: Final = 2.0  # flow beyond the table adds 1/2 of the mean wind per standard deviation
CLOUD_WEIGHT, HIGH_WEIGHT = 2.0, 1.0  # of cloud and pressure fields in the logistic of a clear sky
OVERCAST, CLEAR = 0.4, 1.2  # factor on the day's course under cloud, and its rise under a clear sky
SUN_H: Final = 13.5  # local solar hour of most convection
WARMEST_H: Final = 15.0  # local solar hour
NEUTRAL_WIND: Final = 10.0  # m/s at which mixing halves the stratification
DIURNAL_TURBULENCE: Final = 0.6  # convection (sun times calm) that gives the climate's daily swing
UNREST_TURBULENCE: Final = 0.2  # std of the logarithm of turbulence
TURBULENCE: Final = (0.02, 0.6)  # bounds of the intensity

# Temperature.
LAGS_S: Final = (6 * HOUR_S, 15 * HOUR_S, 27 * HOUR_S)  # travel times of the air that arrives
LAGGED_SUM: Final = 2.0  # divides the sum of the three lagged flows
COLDEST_MONTH: Final = 1.0  # in which days warm up least
DIURNAL_SEASON: Final = 0.35  # less daily course in winter, more in summer: share
CALM_DAY: Final = 2.0  # factor on the daily course without wind
AIRMASS, ADVECTED, FRONT_COOLING = 0.75, 0.55, 0.45  # shares of the climate's air-mass figure

# Humidity, relative.
HUMIDITY: Final = (0.15, 1.0)  # bounds
HIGH_HUMIDITY: Final = -0.05  # per standard deviation of pressure
UNREST_HUMIDITY: Final = 0.04  # per standard deviation of unrest
DIURNAL_HUMIDITY: Final = 0.02  # less per degC of the climate's daily course

# Pressure.
SEA_LEVEL_HPA: Final = 1013.0
TROPICS_HPA, POLES_HPA = 1.2, 12.0  # std at the equator, and more at the pole (sine squared)
TIDE_HPA: Final = 1.16  # semidiurnal, at the equator (Haurwitz 1956)
TIDE_POWER: Final = 1.5  # of the squared cosine of latitude (Haurwitz 1956)
TIDE_H, TIDE_PERIOD_H = 9.7, 12.0  # local solar hour of its maximum, period
GAS, GAS_VAPOUR = 287.05, 461.5  # J/(kg K): dry air, water vapour
GRAVITY: Final = 9.80665  # m/s2
KELVIN: Final = 273.15


@dataclass(frozen=True)
class Air:
    """The air at a farm, arrays of one shape. `direction`: origin of the wind, not wrapped."""

    speed: Floats  # m/s, free, hub height, farm mean; changes of hours and more (`wind`: faster)
    direction: Floats  # deg
    temperature: Floats  # degC
    pressure: Floats  # hPa
    density: Floats  # kg/m3
    humidity: Floats  # relative, 0..1
    turbulence: Floats  # intensity of the free wind, 0..1


@dataclass(frozen=True)
class _Front:
    """Fronts at grid points, (points,) each, 0..1 unless noted."""

    strength: Floats  # of fronts in this climate and season
    ahead: Floats  # strip of strong wind before a front
    passed: Floats  # -1 before the front, 1 after it
    trough: Floats  # of pressure


@dataclass(frozen=True)
class _Asked:
    """All that the table of some grid points is a function of, and the weather that computes it."""

    seed: int
    climate: Climate
    latitude: float
    longitude: float
    first: int
    points: int
    step_s: float
    weather: Weather = field(compare=False)


@lru_cache(maxsize=TABLES)
def _table(asked: _Asked) -> Floats:
    """Return the six columns at consecutive grid points, (6, points), read-only."""
    points = np.arange(asked.first, asked.first + asked.points)
    table = asked.weather._computed(points, asked.step_s)
    table.setflags(write=False)
    return table


class Weather:
    """The weather of one farm; `events` count from `start_us`.

    Directions continue from call to call without a jump; so they depend on earlier calls by whole
    turns.
    """

    def __init__(
        self, farm: Farm, seed: int, events: Sequence[Event] = (), start_us: int = 0
    ) -> None:
        self.farm, self.seed = farm, seed
        self.climate = farm.climate
        self._events = [
            e
            for e in events
            if e.kind.startswith("weather.") and farm.farm_id in (e.farms or [farm.farm_id])
        ]
        self._start_s = start_us / 1e6
        self._place = Place.at(farm.latitude, farm.longitude)
        self._south = farm.latitude < 0
        self._turn = -1.0 if self._south else 1.0  # wind veers in the north, backs in the south
        self._steering = steering(farm.latitude)
        self._chunks: dict[int, Floats] = {}

    def at(self, times_us: Ints) -> Air:
        """The air at UTC microseconds, (times,)."""
        seconds = times_us / 1e6
        speed, direction, temperature, pressure, humidity, turbulence = self._columns(seconds, 6)
        speed, direction = self._with_events(seconds, speed, direction)
        for event in self._events:
            if event.kind == "weather.icing":
                ramp, _ = self._ramp(event, seconds)
                temperature += ramp * np.minimum(event.strength - temperature, 0.0)
                humidity += ramp * (1.0 - humidity)
        kelvin = temperature + KELVIN
        vapour = vapour_pressure(temperature, humidity)
        density = 100.0 * ((pressure - vapour) / GAS + vapour / GAS_VAPOUR) / kelvin
        return Air(speed, direction, temperature, pressure, density, humidity, turbulence)

    def wind(self, seconds: Floats) -> tuple[Floats, Floats]:
        """(speed m/s, direction deg) at UTC seconds, any shape."""
        speed, direction = self._columns(seconds, 2)
        return self._with_events(seconds, speed, direction)

    def hourly(self, first: int, hours: int) -> Floats:
        """Wind (m/s) at whole hours since 1970, (hours,), for plans of months ahead.

        Like `wind`, but on a grid of hours: a sixth of the cost, with slightly blurred fronts.
        """
        speed, direction = self._grid(first, hours, HOUR_S)[:2]
        seconds = np.asarray(np.arange(first, first + hours) * HOUR_S, dtype=np.float64)
        return self._with_events(seconds, speed, direction)[0]

    def _columns(self, seconds: Floats, count: int) -> list[Floats]:
        """The first `count` columns of the table at UTC seconds, linear between grid points."""
        position = seconds / GRID_S
        below = np.floor(position)
        position -= below
        low, high = int(below.min()), int(below.max()) + 2
        cell = below.astype(np.int64) - low
        table = self._span(low, high)[:count]
        return [column[cell] + position * np.diff(column)[cell] for column in table]

    def _with_events(
        self, seconds: Floats, speed: Floats, direction: Floats
    ) -> tuple[Floats, Floats]:
        """(speed, direction) with the scenario's storms and calms, modified by the usual wind."""
        for event in self._events:
            ramp, share = self._ramp(event, seconds)
            usual = np.maximum(speed, LEAST_WIND) / self.climate.mean_wind
            if event.kind == "weather.storm":
                height = event.strength * (1.0 - STORM_VARIES * np.exp(-usual))
                speed = speed + ramp * np.maximum(height - speed, 0.0)
                direction = direction + ramp * VEER_DEG * (share - 0.5) * self._turn
            elif event.kind == "weather.calm":
                rest = event.strength * np.minimum(usual**CALM_VARIES, CALM_MOST)
                speed = speed + ramp * np.minimum(rest - speed, 0.0)
        return speed, direction

    def _ramp(self, event: Event, seconds: Floats) -> tuple[Floats, Floats]:
        """(smooth ramp 0..1..0 over an event, share of the event that has passed)."""
        share = (seconds - self._start_s - event.from_s) / event.for_s
        ramp = np.clip(np.minimum(share, 1.0 - share) / RAMP, 0.0, 1.0)
        return ramp**2 * (3.0 - 2.0 * ramp), share

    def _span(self, low: int, high: int) -> Floats:
        """Grid points low..high-1 of the six columns, (6, points)."""
        chunks = range((low - BORDER) // CHUNK, (high - 1 - BORDER) // CHUNK + 1)
        for chunk in chunks:
            if chunk not in self._chunks:
                self._chunks[chunk] = self._joined(chunk)
        table = np.concatenate([self._chunks[chunk] for chunk in chunks], axis=1)
        for oldest in list(self._chunks)[: -len(chunks) - KEPT]:
            del self._chunks[oldest]
        first = chunks[0] * CHUNK + BORDER
        return table[:, low - first : high - first]

    def _joined(self, chunk: int) -> Floats:
        """A chunk whose direction continues that of a neighbouring chunk, by whole turns."""
        table = self._grid(chunk * CHUNK + BORDER, CHUNK).copy()
        bearing = np.unwrap(table[1], period=360.0)
        gap = 0.0
        if chunk - 1 in self._chunks:
            gap = self._chunks[chunk - 1][1, -1] - bearing[0]
        elif chunk + 1 in self._chunks:
            gap = self._chunks[chunk + 1][1, 0] - bearing[-1]
        table[1] = bearing + 360.0 * round(gap / 360.0)
        return table

    def _grid(self, first: int, points: int, step_s: float = GRID_S) -> Floats:
        """The six columns at `points` grid points from `first` on, direction wrapped."""
        where = self.climate, self.farm.latitude, self.farm.longitude
        return _table(_Asked(self.seed, *where, first, points, step_s, self))

    def _computed(self, points: Ints, step_s: float) -> Floats:
        lags = [round(lag / step_s) for lag in LAGS_S]
        climate, back = self.climate, lags[-1] + 1
        longer = np.arange(points[0] - back, points[-1] + 2) * step_s
        field = fields(self.seed, self._place, self._steering, longer)
        own = slice(back, -1)
        month, hour = calendar(longer[own], self.farm.longitude, self._south)
        front = self._front(field["front"], own, month, step_s)

        east, north = flow(climate, field["east"][own], field["north"][own], month)
        reduced = np.hypot(east, north) * rhythm(climate, month, hour) + AHEAD_FLOW * front.ahead
        speed = np.interp(reduced, *ranks(climate))
        speed += np.maximum(reduced - ranks(climate)[0][-1], 0.0) * climate.mean_wind / BEYOND_RANKS
        direction = np.mod(
            np.degrees(np.arctan2(-east, -north))
            + self._turn * FRONT_VEER_DEG * front.strength * front.passed,
            360.0,
        )
        clear = 1.0 / (
            1.0 + np.exp(CLOUD_WEIGHT * field["cloud"][own] - HIGH_WEIGHT * field["pressure"][own])
        )
        sky = OVERCAST + CLEAR * clear
        neutral = 1.0 / (1.0 + (speed / NEUTRAL_WIND) ** 2)
        warm = (
            sum(
                (field["north"][back - lag : len(longer) - 1 - lag] for lag in lags),
                np.zeros_like(month),
            )
            / LAGGED_SUM
        )
        airmass = (
            AIRMASS * field["airmass"][own]
            + self._turn * ADVECTED * warm
            - FRONT_COOLING * front.strength * front.passed
        )
        temperature = self._temperature(month, hour, sky, neutral, airmass)
        pressure = self._pressure(
            field["pressure"][own], front.strength * front.trough, hour, temperature
        )
        unrest = field["unrest"][own]
        humidity = self._humidity(field["pressure"][own], unrest, front.ahead, hour)
        sun = wave(hour, SUN_H, HOURS) * sky
        turbulence = self._turbulence(speed, sun, neutral, unrest, front.ahead)
        return np.stack([speed, direction, temperature, pressure, humidity, turbulence])

    def _front(self, field: Floats, own: slice, month: Floats, step_s: float) -> _Front:
        """Fronts at the grid points `own` of a longer front field."""
        front = field[own]
        change = (field[2:] - field[:-2])[own.start - 1 :]
        rising = 1.0 / (1.0 + np.exp(-change / (2 * step_s * RISING_PER_S)))
        passed = np.tanh(front / (RETURN_WIDTH - FRONT_SHARPER * rising))
        strength = self.climate.fronts * (1.0 + FRONT_SEASON * wave(month, MIDWINTER, MONTHS))
        ahead = strength * rising * np.exp(-(((front + AHEAD_AT) / AHEAD_WIDTH) ** 2))
        return _Front(strength, ahead, passed, np.exp(-((front / TROUGH_WIDTH) ** 2)))

    def _temperature(
        self, month: Floats, hour: Floats, sky: Floats, neutral: Floats, airmass: Floats
    ) -> Floats:
        """Air temperature in degC: season, day's course, and the air mass that has arrived."""
        climate = self.climate
        season = climate.seasonal_temperature * wave(month, climate.coldest_month, MONTHS)
        day = (
            climate.diurnal_temperature
            * wave(hour, WARMEST_H, HOURS)
            * sky
            * (1.0 - DIURNAL_SEASON * wave(month, COLDEST_MONTH, MONTHS))
            * CALM_DAY
            * neutral**0.5
        )
        temperature: Floats = (
            climate.mean_temperature - season + day + climate.airmass_temperature * airmass
        )
        return temperature

    def _humidity(self, synoptic: Floats, unrest: Floats, ahead: Floats, hour: Floats) -> Floats:
        """Relative humidity: the climate's, less in highs and by day, more before fronts."""
        climate = self.climate
        humidity = climate.humidity + HIGH_HUMIDITY * synoptic + UNREST_HUMIDITY * unrest
        humidity -= (
            DIURNAL_HUMIDITY * climate.diurnal_temperature * wave(hour, WARMEST_H, HOURS)
            - AHEAD_HUMIDITY * ahead
        )
        return humidity.clip(*HUMIDITY)

    def _turbulence(
        self, speed: Floats, sun: Floats, neutral: Floats, unrest: Floats, ahead: Floats
    ) -> Floats:
        """Turbulence intensity: the NTM's, more by day, in unsettled air and before fronts."""
        climate = self.climate
        turbulence = normal_turbulence(climate.iref, speed)
        turbulence *= 1.0 + climate.diurnal_turbulence * sun * neutral / DIURNAL_TURBULENCE
        turbulence *= np.exp(UNREST_TURBULENCE * unrest) * (1.0 + AHEAD_TURBULENCE * ahead)
        return turbulence.clip(*TURBULENCE)

    def _pressure(
        self, synoptic: Floats, trough: Floats, hour: Floats, temperature: Floats
    ) -> Floats:
        """Air pressure in hPa at hub height: lows and highs, fronts, and the tropics' tide."""
        sine = math.sin(math.radians(abs(self.farm.latitude)))
        tide = TIDE_HPA * (1.0 - sine**2) ** TIDE_POWER * wave(hour, TIDE_H, TIDE_PERIOD_H)
        variation = (TROPICS_HPA + POLES_HPA * sine**2) * synoptic
        sea = SEA_LEVEL_HPA + variation - TROUGH_HPA * trough + tide
        at_hub: Floats = sea * np.exp(
            -GRAVITY * self.climate.altitude / (GAS * (temperature + KELVIN))
        )
        return at_hub
