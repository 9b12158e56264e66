"""The season of service: the calm half of a farm's year."""

from __future__ import annotations

from typing import Final

from sim.fleet.farm import Farm
from sim.units import DAY_S, JULIAN_YEAR_S

SERVICE_DAYS: Final = 150


def service_season(farm: Farm) -> tuple[float, float]:
    """(start in seconds from the year's beginning, length in seconds) of the service season."""
    calm = (farm.climate.windiest_month - 1.0) / 12.0 + (0.5 if farm.latitude >= 0 else 0.0)
    return (calm * JULIAN_YEAR_S - SERVICE_DAYS / 2 * DAY_S) % JULIAN_YEAR_S, SERVICE_DAYS * DAY_S
