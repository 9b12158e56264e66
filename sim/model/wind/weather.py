"""Weather at a farm, minutes to weeks: wind, its direction, temperature, pressure, humidity, turbulence.

A pure function of (seed, place on the sphere, absolute time): every run, farm, worker and block sees the same year.
Gaussian fields of eight octaves of periods, 5.3 h to 28 d (`octaves`), make a flow vector; the climate's mean flow is
added; speed is the vector's length mapped by rank to the climate's Weibull distribution, direction its direction. So
one weather moves both: it veers with passing lows, and swings widely in lulls. Octaves weigh as measured spectra say:
slopes of -3 and -5/3 (Larsen, Vincent and Larsen 2013, Q. J. R. Meteorol. Soc. 139: S = 3e-4 f^-5/3 + 3e-11 f^-3 m2/s)
up to the peak at some days (Van der Hoven 1957). What changes within two days comes in spells (LIVELY): settled days
and stormy ones, and ramps over hours with tails far heavier than normal (DeMarco and Basu 2018, Wind Energy 21). The
farm's seasons and days scale the wind.

A front passes where a synoptic field crosses zero upwards: the wind rises before it, veers (backs in the south), the
air cools by some degrees, pressure has its trough; downwards it goes back slowly. The field drifts with the westerlies,
so the line reaches the eastern farm later. Temperature follows the flow of the day before (from the equator: warm), a
field of its own, season and hour; the day's course is that of its sky, from little under cloud to 1.6 times the
usual under a clear one, which highs have more often; density is that of moist air. Events `weather.*` of the scenario
act on top.

Values are computed on an absolute grid of 10 minutes and interpolated; what is faster is `wind`'s.
Does not cover: rain, radiation, vertical profiles, cyclones as objects, climate change.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sim.arrays import Floats, Ints
from sim.fleet.climate import Climate
from sim.fleet.farm import Farm
from sim.model.events import Event
from sim.model.wind.octaves import Octave, Place, series
from sim.units import DAY_S, GREGORIAN_YEAR_S, HOUR_S

GRID_S = 600.0
CHUNK = 432  # grid points computed at once: three days
BORDER = 72  # grid point at which a chunk begins: noon, since runs begin at midnight and look back some hours
VEER_DEG = 150.0  # of a storm, over its time, were it not weak at both ends
STORM_VARIES, CALM_VARIES = (
    0.2,
    0.5,
)  # how much a storm lacks where there was no wind; power of the wind in a calm
KEPT = 4  # chunks remembered besides those in use
SHORTEST_S = 600.0  # octave i has the period SHORTEST_S * 2**i; below FIRST they are `wind`'s
FIRST, LAST = 5, 12
CLOUD = range(5, 10)  # octaves of 5 h to 4 days
LIVELY = range(5, 9)  # octaves of 5 h to 1.8 days come in spells
SPELLS = {9: 1.0, 10: 1.0}  # of 3.6 and 7.1 days: unsettled days and quiet ones
LIVELINESS, LIVELIEST = (
    0.4,
    2.0,
)  # std of the logarithm of their strength; no spell is stronger, in those
FRONTAL = {8: 0.45, 9: 0.75, 10: 0.48}  # octaves of 1.8, 3.6 and 7.1 days make fronts
WESTERLIES, TRADES = 11.0, -5.0  # m/s eastward, steering of mid latitudes and tropics
SYNOPTIC_M = 600e3  # no pattern's correlation reaches farther
LAGS_S = (6 * HOUR_S, 15 * HOUR_S, 27 * HOUR_S)  # that air has been on its way
GAS, GAS_VAPOUR, GRAVITY, KELVIN = 287.05, 461.5, 9.80665, 273.15


def energy(period_s: float) -> float:
    """Relative variance of the octave of a period (spectrum times frequency), falling beyond the synoptic peak."""
    measured: float = (3e-4 * period_s ** (2 / 3) + 3e-11 * period_s**2) / (
        1.0 + (period_s / (4.5 * DAY_S)) ** 2.6
    )
    return measured


@dataclass(frozen=True)
class Air:
    """The air at a farm, arrays of one shape. `direction` is where wind comes from, not wrapped to 0..360."""

    speed: Floats  # m/s, free, hub height, farm mean; without what is faster than hours (`wind`)
    direction: Floats  # deg
    temperature: Floats  # degC
    pressure: Floats  # hPa
    density: Floats  # kg/m3
    humidity: Floats  # relative, 0..1
    turbulence: Floats  # intensity of the free wind, 0..1


class Weather:
    """The weather of one farm. `events` count from `start_us`. What was asked before moves directions by whole turns
    only: they go on without a jump from call to call."""

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
        westerly = min(max((abs(farm.latitude) - 20.0) / 18.0, 0.0), 1.0)
        self._steering = TRADES + (WESTERLIES - TRADES) * westerly**2 * (3.0 - 2.0 * westerly)
        self._chunks: dict[int, Floats] = {}

    def at(self, times_us: Ints) -> Air:
        """The air at UTC microseconds, (times,)."""
        seconds = times_us / 1e6
        speed, direction, temperature, pressure, humidity, turbulence = self._columns(seconds, 6)
        speed, direction = self._stir(seconds, speed, direction)
        for event in self._events:
            if event.kind == "weather.icing":
                ramp, _ = self._ramp(event, seconds)
                temperature += ramp * np.minimum(event.strength - temperature, 0.0)
                humidity += ramp * (1.0 - humidity)
        kelvin = temperature + KELVIN
        vapour = (
            humidity * 6.112 * np.exp(17.62 * temperature / (243.12 + temperature))
        )  # hPa, Magnus (WMO 2008)
        density = 100.0 * ((pressure - vapour) / GAS + vapour / GAS_VAPOUR) / kelvin
        return Air(speed, direction, temperature, pressure, density, humidity, turbulence)

    def wind(self, seconds: Floats) -> tuple[Floats, Floats]:
        """(speed m/s, direction deg) at UTC seconds, any shape."""
        speed, direction = self._columns(seconds, 2)
        return self._stir(seconds, speed, direction)

    def hourly(self, first: int, hours: int) -> Floats:
        """Wind (m/s) at whole hours since 1970, (hours,): as `wind`, but from a grid of hours, at a sixth of the cost,
        with fronts a little blurred; for who looks months ahead."""
        points = np.arange(first, first + hours)
        speed, direction = self._grid(points, HOUR_S)[:2]
        return self._stir(np.asarray(points * HOUR_S, dtype=np.float64), speed, direction)[0]

    def _columns(self, seconds: Floats, count: int) -> list[Floats]:
        """The first `count` columns of the table at UTC seconds, linear between grid points."""
        position = seconds / GRID_S
        below = np.floor(position)
        position -= below
        low, high = int(below.min()), int(below.max()) + 2
        cell = below.astype(np.int64) - low
        table = self._span(low, high)[:count]
        return [column[cell] + position * np.diff(column)[cell] for column in table]

    def _stir(self, seconds: Floats, speed: Floats, direction: Floats) -> tuple[Floats, Floats]:
        """Storms and calms of the scenario; what passes at the time still shows in both."""
        for event in self._events:
            ramp, share = self._ramp(event, seconds)
            usual = np.maximum(speed, 0.2) / self.climate.mean_wind
            if event.kind == "weather.storm":
                height = event.strength * (1.0 - STORM_VARIES * np.exp(-usual))
                speed = speed + ramp * np.maximum(height - speed, 0.0)
                direction = direction + ramp * VEER_DEG * (share - 0.5) * (
                    -1.0 if self._south else 1.0
                )
            elif event.kind == "weather.calm":
                rest = event.strength * np.minimum(usual**CALM_VARIES, 1.6)
                speed = speed + ramp * np.minimum(rest - speed, 0.0)
        return speed, direction

    def _ramp(self, event: Event, seconds: Floats) -> tuple[Floats, Floats]:
        """(0..1..0 over an event, smooth; share of it that has passed)."""
        share = (seconds - self._start_s - event.from_s) / event.for_s
        ramp = np.clip(np.minimum(share, 1.0 - share) / 0.35, 0.0, 1.0)
        return ramp**2 * (3.0 - 2.0 * ramp), share

    def _span(self, low: int, high: int) -> Floats:
        """Grid points low..high-1 of the six columns, (6, points)."""
        chunks = range((low - BORDER) // CHUNK, (high - 1 - BORDER) // CHUNK + 1)
        for chunk in chunks:
            if chunk not in self._chunks:
                self._chunks[chunk] = self._joined(chunk)
        table = np.concatenate([self._chunks[chunk] for chunk in chunks], axis=1)
        for gone in list(self._chunks)[: -len(chunks) - KEPT]:  # the oldest
            del self._chunks[gone]
        first = chunks[0] * CHUNK + BORDER
        return table[:, low - first : high - first]

    def _joined(self, chunk: int) -> Floats:
        """A chunk whose direction is not wrapped and goes on, by whole turns, from the chunk known beside it."""
        table = self._grid(np.arange(chunk * CHUNK, (chunk + 1) * CHUNK) + BORDER)
        bearing = np.unwrap(table[1], period=360.0)
        gap = 0.0
        if chunk - 1 in self._chunks:
            gap = self._chunks[chunk - 1][1, -1] - bearing[0]
        elif chunk + 1 in self._chunks:
            gap = self._chunks[chunk + 1][1, 0] - bearing[-1]
        table[1] = bearing + 360.0 * round(gap / 360.0)
        return table

    def _fields(self, seconds: Floats) -> dict[str, Floats]:
        """Normal fields at the farm: `east`, `north` flow, `front`, `pressure`, `airmass`, `unrest`, `cloud`."""
        octaves = range(FIRST, LAST + 1)
        spectrum = {i: energy(SHORTEST_S * 2.0**i) for i in octaves}
        slow = {i: spectrum[i] for i in octaves if i >= 8}
        fast = {i: 1.0 for i in octaves if i <= 8}
        front = {i: w**2 for i, w in FRONTAL.items()}
        shares = {
            "east": spectrum,
            "north": spectrum,
            "front": front,
            "pressure": slow,
            "airmass": slow,
            "unrest": fast,
            "cloud": dict.fromkeys(CLOUD, 1.0),
            "spells": SPELLS,
        }
        total = {name: np.zeros_like(seconds) for name in shares}
        for i in reversed(octaves):  # what is slow says how strong the fast is
            names = tuple(name for name, share in shares.items() if i in share)
            period = SHORTEST_S * 2.0**i
            octave = Octave(i, period, min(WESTERLIES * period / 4.44, SYNOPTIC_M))
            drift = max(min(self._steering, octave.steering), -octave.steering)
            found = series(self.seed, "weather", octave, names, self._place, seconds, (drift, 0.0))
            if i in LIVELY:
                found[:, :2] *= np.exp(
                    LIVELINESS * np.minimum(total["spells"], LIVELIEST) - LIVELINESS**2
                )[:, None]
            for column, name in enumerate(names):
                total[name] += (
                    math.sqrt(shares[name][i] / sum(shares[name].values())) * found[:, column]
                )
        return total

    def _grid(self, points: Ints, step_s: float = GRID_S) -> Floats:
        """The six columns at grid points, one after the other, direction wrapped."""
        lags = [round(lag / step_s) for lag in LAGS_S]
        climate, back = self.climate, lags[-1] + 1
        longer = np.arange(points[0] - back, points[-1] + 2) * step_s
        field = self._fields(longer)
        own = slice(back, -1)
        seconds = longer[own]
        month, hour = calendar(seconds, self.farm.longitude, self._south)
        front = field["front"][own]
        rising = 1.0 / (
            1.0
            + np.exp(-(field["front"][2:] - field["front"][:-2])[back - 1 :] / (2 * step_s * 8e-6))
        )
        behind = np.tanh(front / (0.6 - 0.55 * rising))  # -1 before the front, 1 behind
        strength = climate.fronts * (1.0 + 0.3 * _wave(month, 1.5, 12.0))
        north, east = field["north"][own], field["east"][own]
        east, north = flow(climate, east, north, month)
        ahead = strength * rising * np.exp(-(((front + 0.08) / 0.14) ** 2))
        reduced = np.hypot(east, north) * rhythm(climate, month, hour) + 0.6 * ahead
        speed = np.interp(reduced, *_ranks(climate))
        speed += np.maximum(reduced - _ranks(climate)[0][-1], 0.0) * climate.mean_wind / 2.0
        turn = -1.0 if self._south else 1.0
        direction = np.mod(
            np.degrees(np.arctan2(-east, -north)) + turn * 28.0 * strength * behind, 360.0
        )
        clear = 1.0 / (1.0 + np.exp(2.0 * field["cloud"][own] - 1.0 * field["pressure"][own]))
        sky = 0.4 + 1.2 * clear  # what it leaves of the day's course, mean 1
        sun, neutral = _wave(hour, 13.5, 24.0) * sky, 1.0 / (1.0 + (speed / 10.0) ** 2)
        warm = (
            sum(
                (field["north"][back - lag : len(longer) - 1 - lag] for lag in lags),
                np.zeros_like(seconds),
            )
            / 2.0
        )
        temperature = (
            climate.mean_temperature
            - climate.seasonal_temperature * _wave(month, climate.coldest_month, 12.0)
            + climate.diurnal_temperature
            * _wave(hour, 15.0, 24.0)
            * sky
            * (1.0 - 0.35 * _wave(month, 1.0, 12.0))
            * 2.0
            * neutral**0.5
            + climate.airmass_temperature
            * (0.75 * field["airmass"][own] + turn * 0.55 * warm - 0.45 * strength * behind)
        )
        pressure = self._pressure(
            field["pressure"][own], strength * np.exp(-((front / 0.5) ** 2)), hour, temperature
        )
        humidity = climate.humidity - 0.05 * field["pressure"][own] + 0.04 * field["unrest"][own]
        humidity -= 0.02 * climate.diurnal_temperature * _wave(hour, 15.0, 24.0) - 0.08 * ahead
        turbulence = usual_turbulence(climate, speed)
        turbulence *= 1.0 + climate.diurnal_turbulence * sun * neutral / 0.6
        turbulence *= np.exp(0.2 * field["unrest"][own]) * (1.0 + 0.12 * ahead)
        return np.stack(
            [
                speed,
                direction,
                temperature,
                pressure,
                humidity.clip(0.15, 1.0),
                turbulence.clip(0.02, 0.6),
            ]
        )

    def _pressure(
        self, synoptic: Floats, trough: Floats, hour: Floats, temperature: Floats
    ) -> Floats:
        """hPa at hub height: lows and highs grow with latitude; the tide is the tropics' (Haurwitz 1956)."""
        sine = math.sin(math.radians(abs(self.farm.latitude)))
        tide = 1.16 * (1.0 - sine**2) ** 1.5 * _wave(hour, 9.7, 12.0)
        sea = 1013.0 + (1.2 + 12.0 * sine**2) * synoptic - 4.0 * trough + tide
        at_hub: Floats = sea * np.exp(
            -GRAVITY * self.climate.altitude / (GAS * (temperature + KELVIN))
        )
        return at_hub


def _wave(value: Floats, peak: float, period: float) -> Floats:
    """-1..1, highest at `peak`."""
    wave: Floats = np.cos((value - peak) * (2.0 * math.pi / period))
    return wave


def calendar(seconds: Floats, longitude: float, south: bool) -> tuple[Floats, Floats]:
    """(month 1..13 of the northern year, hour of local solar time) at UTC seconds."""
    year = np.mod(seconds / GREGORIAN_YEAR_S + (0.5 if south else 0.0), 1.0)
    return 1.0 + 12.0 * year, np.mod(seconds / HOUR_S + longitude / 15.0, 24.0)


def flow(climate: Climate, east: Floats, north: Floats, month: Floats) -> tuple[Floats, Floats]:
    """Where air goes: what passes and the season's mean flow, squeezed along the valley if there is one."""
    cool = 0.5 + 0.5 * np.tanh(2.5 * _wave(month, 1.5, 12.0))
    winter, summer = math.radians(climate.winter_direction), math.radians(climate.summer_direction)
    east = east - climate.steadiness * (cool * math.sin(winter) + (1.0 - cool) * math.sin(summer))
    north = north - climate.steadiness * (cool * math.cos(winter) + (1.0 - cool) * math.cos(summer))
    across = (east * math.cos(winter) - north * math.sin(winter)) * climate.channelling
    return east - across * math.cos(winter), north + across * math.sin(winter)


def rhythm(climate: Climate, month: Floats, hour: Floats) -> Floats:
    """Factor on the wind by season and hour, mean 1."""
    season = 1.0 + climate.seasonal_wind * _wave(month, climate.windiest_month, 12.0)
    return season * (1.0 + climate.diurnal_wind * _wave(hour, climate.windiest_hour, 24.0))


def usual_turbulence(climate: Climate, speed: Floats) -> Floats:
    """The site's mean intensity: the NTM's (IEC 61400-1 ed. 3), which grows without bound in a calm; measured does not
    below some metres a second."""
    usual: Floats = climate.iref * (0.75 + 3.8 / np.maximum(speed, 3.0))
    return usual


@lru_cache(maxsize=64)
def _ranks(climate: Climate) -> tuple[Floats, Floats]:
    """(lengths of the flow vector, speeds m/s): a year's ranks of the one in the climate's Weibull distribution."""
    month, hour, east, north = np.meshgrid(
        np.arange(1.5, 13.0, 1.0),
        np.arange(3.0, 24.0, 6.0),
        *[np.linspace(-3.8, 3.8, 20)] * 2,
        indexing="ij",
    )
    weight = np.exp(-0.5 * (east**2 + north**2)).ravel()
    length = (np.hypot(*flow(climate, east, north, month)) * rhythm(climate, month, hour)).ravel()
    order = np.argsort(length, kind="stable")
    rank = np.cumsum(weight[order])
    rank = (rank - 0.5 * weight[order]) / rank[-1]
    wanted = np.concatenate([[1e-4, 1e-3], np.linspace(0.005, 0.995, 199), [0.998, 0.9993, 0.9999]])
    nodes = np.interp(wanted, rank, length[order])
    scale = climate.mean_wind / math.gamma(1.0 + 1.0 / climate.weibull_k)
    speeds = scale * (-np.log1p(-wanted)) ** (1.0 / climate.weibull_k)
    return np.concatenate([[0.0], nodes]), np.concatenate([[0.2], np.maximum(speeds, 0.2)])
