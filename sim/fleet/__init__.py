"""The fleet as data: farms, turbine types, layouts and the asset register. YAML: see `loader`."""

from sim.errors import FleetError
from sim.fleet.farm import Farm, Fleet
from sim.fleet.loader import load_fleet
from sim.fleet.turbine import TurbineType

__all__ = ["Farm", "Fleet", "FleetError", "TurbineType", "load_fleet"]
