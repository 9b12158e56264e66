"""One picture of the realism page, and the readings behind it: by type, largest farm, farm mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sim.arrays import Floats
from sim.demo.readings import FarmReadings
from sim.report.chart import Chart

GUSTS_S: Final = 60.0
"""Longest step between readings that still shows gusts."""


@dataclass(frozen=True)
class Picture:
    """One picture. what: its contents. see: what believable data show. charts: (heading, chart)."""

    id: str
    title: str
    what: str
    see: str
    charts: Sequence[tuple[str, Chart]] = ()
    drawing: str = ""


def by_type(farms: Sequence[FarmReadings]) -> list[list[FarmReadings]]:
    names = sorted({readings.farm.turbine_type.name for readings in farms})
    return [[r for r in farms if r.farm.turbine_type.name == name] for name in names]


def largest(farms: Sequence[FarmReadings]) -> FarmReadings:
    return max(farms, key=lambda readings: len(readings.turbines))


def step_s(readings: FarmReadings) -> float:
    return (
        float(readings.times_us[1] - readings.times_us[0]) / 1e6
        if len(readings.times_us) > 1
        else 1.0
    )


def all_of(farms: Sequence[FarmReadings], channel: str) -> Floats:
    return np.concatenate([readings.channels[channel].ravel() for readings in farms])


def farm_mean(readings: FarmReadings) -> Floats:
    wind = readings.channels["wind_speed"]
    known = np.isfinite(wind)
    mean: Floats = np.where(known, wind, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.where(known.any(axis=0), mean, np.nan)
