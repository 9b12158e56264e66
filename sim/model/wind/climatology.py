"""The climate's share of a farm's wind: mean flow, seasons, hours, and the Weibull distribution.

The weather's fields are added to the mean flow here. `ranks` maps the vector's length to wind speed
so that a year of it has the climate's Weibull distribution. Numbers without a source are ours.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np

from sim.arrays import Floats
from sim.fleet.climate import Climate
from sim.units import GREGORIAN_YEAR_S, HOUR_S

MONTHS: Final = 12.0  # period of the year
HOURS: Final = 24.0  # period of the day
MIDWINTER: Final = 1.5  # month: the middle of January
SEASON_SHARPNESS: Final = 2.5  # of the change between the winter's and the summer's mean flow
LEAST_WIND: Final = 0.2  # m/s
FLOW_SIGMAS: Final = 3.8  # half width of the grid of flows that represents a year
FLOWS: Final = 20  # points of that grid along each axis
QUANTILES: Final = np.concatenate(
    [[1e-4, 1e-3], np.linspace(0.005, 0.995, 199), [0.998, 0.9993, 0.9999]]
)


def wave(value: Floats, peak: float, period: float) -> Floats:
    """Cosine of a season or an hour: 1 at `peak`, -1 half a period later."""
    cosine: Floats = np.cos((value - peak) * (2.0 * math.pi / period))
    return cosine


def calendar(seconds: Floats, longitude: float, south: bool) -> tuple[Floats, Floats]:
    """(month 1..13 of the northern year, hour of local solar time) at UTC seconds."""
    year = np.mod(seconds / GREGORIAN_YEAR_S + (0.5 if south else 0.0), 1.0)
    return 1.0 + MONTHS * year, np.mod(seconds / HOUR_S + longitude / 15.0, HOURS)


def flow(climate: Climate, east: Floats, north: Floats, month: Floats) -> tuple[Floats, Floats]:
    """(east, north) flow: passing weather plus the season's mean, squeezed along a valley."""
    cool = 0.5 + 0.5 * np.tanh(SEASON_SHARPNESS * wave(month, MIDWINTER, MONTHS))
    winter, summer = math.radians(climate.winter_direction), math.radians(climate.summer_direction)
    east = east - climate.steadiness * (cool * math.sin(winter) + (1.0 - cool) * math.sin(summer))
    north = north - climate.steadiness * (cool * math.cos(winter) + (1.0 - cool) * math.cos(summer))
    across = (east * math.cos(winter) - north * math.sin(winter)) * climate.channelling
    return east - across * math.cos(winter), north + across * math.sin(winter)


def rhythm(climate: Climate, month: Floats, hour: Floats) -> Floats:
    """Factor on the wind by season and hour, mean 1."""
    season = 1.0 + climate.seasonal_wind * wave(month, climate.windiest_month, MONTHS)
    return season * (1.0 + climate.diurnal_wind * wave(hour, climate.windiest_hour, HOURS))


@lru_cache(maxsize=64)
def ranks(climate: Climate) -> tuple[Floats, Floats]:
    """(lengths of the flow vector, wind speeds m/s) of equal rank in a year of the climate."""
    month, hour, east, north = np.meshgrid(
        np.arange(1.5, 13.0, 1.0),
        np.arange(3.0, 24.0, 6.0),
        *[np.linspace(-FLOW_SIGMAS, FLOW_SIGMAS, FLOWS)] * 2,
        indexing="ij",
    )
    weight = np.exp(-0.5 * (east**2 + north**2)).ravel()
    length = (np.hypot(*flow(climate, east, north, month)) * rhythm(climate, month, hour)).ravel()
    order = np.argsort(length, kind="stable")
    rank = np.cumsum(weight[order])
    rank = (rank - 0.5 * weight[order]) / rank[-1]
    nodes = np.interp(QUANTILES, rank, length[order])
    scale = climate.mean_wind / math.gamma(1.0 + 1.0 / climate.weibull_k)
    speeds = scale * (-np.log1p(-QUANTILES)) ** (1.0 / climate.weibull_k)
    return (
        np.concatenate([[0.0], nodes]),
        np.concatenate([[LEAST_WIND], np.maximum(speeds, LEAST_WIND)]),
    )
