"""Influences from outside the farm: grid outages, curtailment, quiet nights, visitors' stops.

Each is drawn as arrays, a calendar month at a time, like `failures`. Times are seconds since
1970.

Sources
- Outages of a farm's connection: some 2.5 a year, half of them over within 1.5 h, with the long
  tail of CEER's benchmarking reports on continuity of supply.
- Curtailment: in steps of rated power as German feed-in management asks for (60, 30, 0 %), mostly
  in strong wind, some 2 % of the time on average and much more at some farms than at others
  (R. Wiser et al., "Land-based wind market report", Berkeley Lab).
- Quiet nights: from 22 to 6 (TA Laerm, 1998, 6.4) for the turbines nearest to houses; manufacturers
  offer noise modes that cost some 5 to 30 % of rated power.
- Stops for visits and inspections: ours.

Not covered: prices, reactive power, frequency response, shadow flicker, bats.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sim import seeds
from sim.arrays import Bools, Floats, Ints
from sim.fleet.farm import Farm
from sim.model.maintenance.failures import month_s
from sim.model.maintenance.site import Site
from sim.units import DAY_S, HOUR_S, JULIAN_YEAR_S

OUTAGES_A_YEAR: Final = 2.5
OUTAGE_S: Final = (1.5 * HOUR_S, 1.3)  # median, spread of the logarithm
LONGEST_OUTAGE_S: Final = 3 * DAY_S
CURTAILMENTS_A_YEAR: Final = 120.0  # requested; those in too little wind do not take place
CURTAILED_SHAPE: Final = 1.5  # of the gamma distribution of farms' curtailments, mean 1
CURTAILMENT_S: Final = (1.6 * HOUR_S, 0.9)  # median, spread of the logarithm
STEPS: Final = (0.6, 0.3, 0.0)  # of rated power
STEP_SHARES: Final = (0.6, 0.3, 0.1)  # of the curtailments, by step
WIND_FREE: Final = (4.0, 13.0)  # m/s: no curtailment below the first, always above the second
QUIET_TO: Final = (0.7, 0.95)  # share of rated power in noise mode
NIGHT: Final = (22, 6)  # local hours
STOPS_A_YEAR: Final = 6.0  # a turbine
STOP_S: Final = (0.7 * HOUR_S, 0.8)  # median, spread of the logarithm


def outages(seed: int, farm_id: str, number: int) -> list[tuple[float, float]]:
    """(start, length) of each grid outage in a month."""
    draw = seeds.rng(seed, "grid", farm_id, number // 12, number % 12 + 1)
    start, end = month_s(number), month_s(number + 1)
    count = int(draw.poisson(OUTAGES_A_YEAR * (end - start) / JULIAN_YEAR_S))
    at = np.sort(draw.uniform(start, end, count))
    length = np.minimum(
        OUTAGE_S[0] * np.exp(OUTAGE_S[1] * draw.standard_normal(count)), LONGEST_OUTAGE_S
    )
    return list(zip(at.tolist(), length.tolist(), strict=True))


@dataclass(frozen=True)
class Curtailment:
    """A request of the grid operator: a sequence of limits that begins at `at_s`.

    It takes place when its `rank`, 0..1, is below `curtailed(wind)`.
    """

    at_s: float
    rank: float
    steps: tuple[tuple[float, float], ...]  # s, share of rated power


def curtailments(seed: int, farm_id: str, number: int) -> list[Curtailment]:
    """The curtailments requested in a month, in order of time."""
    shape = CURTAILED_SHAPE
    heavy = float(seeds.rng(seed, "curtailed", farm_id).gamma(shape, 1 / shape))
    draw = seeds.rng(seed, "curtailment", farm_id, number // 12, number % 12 + 1)
    start, end = month_s(number), month_s(number + 1)
    count = int(draw.poisson(heavy * CURTAILMENTS_A_YEAR * (end - start) / JULIAN_YEAR_S))
    at = np.sort(draw.uniform(start, end, count)).tolist()
    length = CURTAILMENT_S[0] * np.exp(CURTAILMENT_S[1] * draw.standard_normal(count))
    share = np.array(STEPS)[draw.choice(len(STEPS), (2, count), p=STEP_SHARES)]
    rank, split = draw.random((2, count))
    parts = np.stack([split * length, share[0], (1.0 - split) * length, share[1]], axis=1).tolist()
    return [
        Curtailment(a, r, ((p[0], p[1]), (p[2], p[3])))
        for a, r, p in zip(at, rank.tolist(), parts, strict=True)
    ]


def curtailed(wind: Floats) -> Floats:
    """Chance that a requested curtailment takes place in a wind (m/s at hub height)."""
    return np.clip((wind - WIND_FREE[0]) / (WIND_FREE[1] - WIND_FREE[0]), 0.0, 1.0)


def stops(
    seed: int, farm_id: str, turbines: int, site: Site, number: int
) -> list[tuple[float, int, float]]:
    """(start, turbine, length) of visitors' stops in a month.

    Stops outside working hours are included; the caller skips them.
    """
    draw = seeds.rng(seed, "stops", farm_id, number // 12, number % 12 + 1)
    start, end = month_s(number), month_s(number + 1)
    count = int(draw.poisson(turbines * STOPS_A_YEAR / site.duty * (end - start) / JULIAN_YEAR_S))
    at = np.sort(draw.uniform(start, end, count))
    turbine = draw.integers(turbines, size=count)
    length = STOP_S[0] * np.exp(STOP_S[1] * draw.standard_normal(count))
    return list(zip(at.tolist(), turbine.tolist(), length.tolist(), strict=True))


def quiet_turbines(farm: Farm, seed: int, site: Site) -> tuple[Ints, Floats]:
    """(turbines in noise mode at night, share of rated power that each may give then)."""
    draw = seeds.rng(seed, "quiet", farm.farm_id)
    count = round(site.quiet_share * farm.turbines)
    towards = draw.uniform(0, 2 * np.pi)  # direction of the nearest houses
    nearest = np.argsort(
        -farm.positions @ np.array([np.cos(towards), np.sin(towards)]), kind="stable"
    )
    return np.sort(nearest[:count]), draw.uniform(*QUIET_TO, count)


def at_night(hour_of_day: Ints) -> Bools:
    """True for the local hours of the day that belong to the night."""
    return (hour_of_day >= NIGHT[0]) | (hour_of_day < NIGHT[1])
