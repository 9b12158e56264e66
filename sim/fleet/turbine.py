"""A turbine type: the published figures of one machine. Its tables: `turbine_types/*.yaml`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TurbineType:
    """One machine.

    power_curve: (wind speed m/s, electrical power MW), ascending, from cut-in to cut-out.
    thrust_curve: (wind speed m/s, thrust coefficient) over the same range, for wakes.
    """

    name: str
    manufacturer: str
    rated_power: float  # MW
    rotor_diameter: float  # m
    hub_height: float  # m
    cut_in: float  # m/s
    rated_wind: float  # m/s
    cut_out: float  # m/s
    rotor_rpm_min: float  # 1/min, slowest speed at which it produces
    rated_rpm: float  # 1/min
    power_curve: tuple[tuple[float, float], ...]
    thrust_curve: tuple[tuple[float, float], ...]
