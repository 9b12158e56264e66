"""Farms and fleets: turbines of one type and their positions. Plain values, made by `loader`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sim.arrays import Floats
from sim.fleet.climate import Climate
from sim.fleet.turbine import TurbineType

METRES_PER_DEGREE = 111_320.0  # per degree of latitude; a sphere is good enough within one farm


@dataclass(frozen=True, eq=False)
class Farm:
    """One wind farm.

    positions: shape (turbines, 2), metres east and north of (`latitude`, `longitude`), which are
    degrees.
    """

    farm_id: str
    name: str
    region: str  # cloud region, which is also the weather region
    time_zone: str  # IANA name
    latitude: float
    longitude: float
    turbine_type: TurbineType
    positions: Floats
    climate: Climate

    @property
    def turbines(self) -> int:
        return len(self.positions)

    @property
    def turbine_ids(self) -> list[str]:
        return [f"{self.farm_id}-{number:03d}" for number in range(1, self.turbines + 1)]

    def coordinates(self, index: int) -> tuple[float, float]:
        """Return the exact (latitude, longitude) of one turbine, in degrees, to about 10 cm."""
        east, north = self.positions[index]
        across = METRES_PER_DEGREE * math.cos(math.radians(self.latitude))
        return round(self.latitude + north / METRES_PER_DEGREE, 6), round(
            self.longitude + east / across, 6
        )


@dataclass(frozen=True, eq=False)
class Fleet:
    """Several farms under one name."""

    name: str
    farms: tuple[Farm, ...]

    @property
    def turbines(self) -> int:
        return sum(farm.turbines for farm in self.farms)
