"""Operations on land and at sea: limits, shifts, crews, travel times. Data, no behaviour.

Wind limits, hourly mean at hub height: common limits of manufacturers' service manuals. Offshore a
crew transfer vessel lands in up to 1.5 m of sea (I. Dinwoodie et al., "Reference cases for
verification of operation and maintenance simulation models for offshore wind farms", Wind
Engineering 39 (2015) 1-14). The model has no waves; a limit of about 13 m/s at hub height stands
for that sea state.

Onshore crews work on weekdays and on Saturdays until noon, offshore crews twelve hours every day,
jack-up vessels all the time. Numbers without a source are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sim.fleet.farm import Farm
from sim.model.machine.components import COMPONENTS

NACELLE, OUTSIDE, LIFT = "nacelle", "outside", "lift"
"""Tasks: inside the nacelle; in the hub or on a rope; a lift by crane or vessel."""
SEA: Final = 0.01
"""Upper bound of `terrain` (spread of mean wind between turbines) in a climate at sea."""


@dataclass(frozen=True)
class Site:
    """Operations on land or at sea.

    `failures_a_year`: per turbine, by component and severity. `wind_limits`: m/s by task. `shifts`:
    (from, until) local hours on duty, by weekday from Monday. `lifts_at_night`: lifts ignore the
    shifts. `duty`: share of a week on duty. `travel_h`: one way, to the nearest and to the farthest
    turbine. `service_h`: crew hours per turbine and year. `lift_hours`: factor on the hours of a
    replacement. `quiet_share`: share of turbines in noise mode at night.
    """

    failures_a_year: tuple[tuple[float, float, float, float], ...]
    wind_limits: dict[str, float]
    shifts: tuple[tuple[int, int], ...]
    lifts_at_night: bool
    duty: float
    turbines_per_crew: int
    turbines_per_crane: int
    travel_h: tuple[float, float]
    service_h: float
    lift_hours: float
    quiet_share: float


ONSHORE: Final = Site(
    failures_a_year=tuple(component.onshore for component in COMPONENTS),
    wind_limits={NACELLE: 15.0, OUTSIDE: 12.0, LIFT: 10.0},
    shifts=(*((7, 17),) * 5, (7, 12), (0, 0)),
    lifts_at_night=False,
    duty=55 / 168,
    turbines_per_crew=25,
    turbines_per_crane=150,
    travel_h=(0.3, 1.5),
    service_h=12.0,
    lift_hours=0.5,
    quiet_share=0.12,
)
OFFSHORE: Final = Site(
    failures_a_year=tuple(component.offshore for component in COMPONENTS),
    wind_limits={NACELLE: 13.0, OUTSIDE: 12.0, LIFT: 12.0},
    shifts=((7, 19),) * 7,
    lifts_at_night=True,
    duty=84 / 168,
    turbines_per_crew=15,
    turbines_per_crane=30,  # vessels, chartered; their journey is part of the wait for parts
    travel_h=(0.8, 2.5),
    service_h=24.0,
    lift_hours=1.0,
    quiet_share=0.0,
)


def site_of(farm: Farm) -> Site:
    """The farm's site: at sea if its climate's `terrain` is below SEA."""
    return OFFSHORE if farm.climate.terrain < SEA else ONSHORE
