"""Farms and fleets: turbines of one type and their positions. Plain values, made by `loader`."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from sim.fleet.climate import Climate
from sim.fleet.layout import Layout
from sim.fleet.turbine import TurbineType

if TYPE_CHECKING:
    from sim.arrays import Floats

METRES_PER_DEGREE = 111_320.0  # per degree of latitude; a sphere is good enough within one farm


@dataclass(frozen=True, eq=False)
class Farm:
    """One wind farm. `latitude` and `longitude` are degrees."""

    farm_id: str
    name: str
    region: str  # cloud region, which is also the weather region
    time_zone: str  # IANA name
    latitude: float
    longitude: float
    turbine_type: TurbineType
    turbines: int
    layout: Layout
    climate: Climate

    @cached_property
    def positions(self) -> Floats:
        """Metres east and north of (`latitude`, `longitude`), shape (turbines, 2), read-only."""
        from sim.fleet.positions import positions  # and numpy, which `windfleet check` spares

        diameter = self.turbine_type.rotor_diameter
        places = positions(self.layout, self.turbines, diameter, self.farm_id)
        places.setflags(write=False)
        return places

    def at(self, positions: Floats) -> Farm:
        """Return this farm with turbines at these positions, shape (turbines, 2)."""
        places = tuple((float(east), float(north)) for east, north in positions)
        return replace(self, turbines=len(places), layout=Layout(places=places))

    def first(self, turbines: int) -> Farm:
        """Return this farm with only its first turbines, where they stand."""
        layout = replace(self.layout, whole=self.layout.whole or self.turbines)
        return replace(self, turbines=turbines, layout=layout)

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
