"""Failures of a farm, drawn ahead as whole arrays, a calendar month at a time.

The failures of all components of all turbines of a farm are drawn as one Poisson process, the sum
of the single ones. The number in a month is one draw; times, turbines and components are arrays. A
month is a function of (seed, farm, month) only, so runs with other starts, lengths or steps see the
same failures. Each failure carries the random numbers of its consequences (repair time, parts at
hand), so it does not change those of other failures.

A few machines are chronically bad: a turbine's rates are multiplied by its frailty, gamma
distributed with mean 1: V. Slimacek, B. Lindqvist, "Reliability of wind turbines modeled by a
Poisson process with covariates, unobserved heterogeneity and seasonality", Wind Energy 19 (2016)
1991-2002.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from sim import seeds
from sim.arrays import Floats, Ints
from sim.model.machine.components import COMPONENTS, MINOR, MINOR_SYMPTOM, RESET, SEVERITIES
from sim.model.maintenance.site import Site
from sim.units import DAY_S, JULIAN_YEAR_S

FRAILTY_SHAPE = 2.0
WARNING_SPREAD = 0.4  # of the logarithm
WARNING_SIGMAS = 2.5  # upper bound of a warning's deviation
LONGEST_WARNING_S = 120 * DAY_S


@dataclass(frozen=True)
class Failures:
    """Failures in order of time, arrays of shape (failures,) unless noted.

    `at_s`: seconds since 1970. `turbine`, `component`, `severity`: indices. `warning_s`: time from
    visible wear to the failure (s; 0: no warning). `normal`, `uniform` (failures, 4): random
    numbers of the consequences.
    """

    at_s: Floats
    turbine: Ints
    component: Ints
    severity: Ints
    warning_s: Floats
    normal: Floats
    uniform: Floats

    def __len__(self) -> int:
        return len(self.at_s)


def month_s(month: int) -> float:
    """Start of a month, seconds since 1970; months are numbered from year 0."""
    return datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC).timestamp()


def month_of(seconds: float) -> int:
    """The month of a time in seconds since 1970."""
    date = datetime.fromtimestamp(seconds, UTC)
    return date.year * 12 + date.month - 1


def frailty(seed: int, farm_id: str, turbines: int) -> Floats:
    """Factor on each turbine's failure rates, (turbines,), mean 1."""
    return seeds.rng(seed, "frailty", farm_id).gamma(FRAILTY_SHAPE, 1.0 / FRAILTY_SHAPE, turbines)


def month(seed: int, farm_id: str, site: Site, weights: Floats, number: int) -> Failures:
    """The failures of a farm's turbines in one month.

    `weights`: the turbines' frailty, (turbines,).
    """
    draw = seeds.rng(seed, "failure", farm_id, number // 12, number % 12 + 1)
    start, end = month_s(number), month_s(number + 1)
    rate = np.array(site.failures_a_year)
    count = int(draw.poisson(rate.sum() * weights.sum() * (end - start) / JULIAN_YEAR_S))
    at = np.sort(draw.uniform(start, end, count))
    turbine = draw.choice(len(weights), count, p=weights / weights.sum())
    component, severity = np.divmod(
        draw.choice(rate.size, count, p=rate.ravel() / rate.sum()), len(SEVERITIES)
    )
    normal, uniform = draw.standard_normal((count, 4)), draw.random((count, 4))
    symptom, days = np.array([(part.symptom, part.warning_days) for part in COMPONENTS]).T
    share = (
        symptom[component] * np.where(severity == MINOR, MINOR_SYMPTOM, 1.0) * (severity != RESET)
    )
    spread = np.exp(WARNING_SPREAD * np.clip(normal[:, 0], -WARNING_SIGMAS, WARNING_SIGMAS))
    warning = np.minimum(days[component] * DAY_S * spread, LONGEST_WARNING_S) * (
        uniform[:, 0] < share
    )
    return Failures(at, turbine, component, severity, warning, normal, uniform)


def joined(parts: list[Failures]) -> Failures:
    """Several months as one."""
    columns = zip(*(vars(part).values() for part in parts), strict=True)
    return Failures(*(np.concatenate(column) for column in columns))


def lognormal(median: float, spread: float, normal: float) -> float:
    """A positive number whose logarithm is normal.

    Repair and waiting times are log-normal in every archive.
    """
    return median * math.exp(spread * normal)
