"""What a farm's site means for its operations: on land or at sea, and the season of little wind, for service."""

from __future__ import annotations

from sim.fleet.farm import Farm
from sim.units import DAY_S, JULIAN_YEAR_S

SERVICE_DAYS = 150
SEA = 0.01
"""Over open water there is no terrain that makes one turbine's wind differ from another's by more than this share."""


def offshore(farm: Farm) -> bool:
    """Whether crews come by boat."""
    return farm.climate.terrain < SEA


def service_season(farm: Farm) -> tuple[float, float]:
    """(seconds from the year's beginning, length in seconds): about the middle of the calm half of the year."""
    calm = (farm.climate.windiest_month - 1.0) / 12.0 + (0.5 if farm.latitude >= 0 else 0.0)
    return (calm * JULIAN_YEAR_S - SERVICE_DAYS / 2 * DAY_S) % JULIAN_YEAR_S, SERVICE_DAYS * DAY_S
