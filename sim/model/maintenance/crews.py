"""Crews of a farm: their number, their working hours in the farm's time zone, and weather windows.

All arrays have one element per UTC hour, over the whole time of the operations. A window is a run
of hours in which the site's crews work and the wind stays below the task's limit (`site`). Windows
shorter than LEAST_H are not used: they are not worth the trip.
"""

from __future__ import annotations

import math
import zoneinfo
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

from sim.arrays import Bools, Floats, Ints
from sim.model.maintenance.site import LIFT, Site
from sim.units import HOUR_S

LEAST_H: Final = 3


def crew_count(turbines: int, site: Site) -> int:
    """Number of crews of a farm."""
    return math.ceil(turbines / site.turbines_per_crew)


def crane_count(turbines: int, site: Site) -> int:
    """Number of cranes, or jack-up vessels, that a farm can have at work."""
    return math.ceil(turbines / site.turbines_per_crane)


def local_time(time_zone: str, first_hour: int, hours: int) -> tuple[Ints, Ints]:
    """(hour of the day 0..23, weekday 0..6) of each UTC hour; hours are numbered from 1970."""
    zone = zoneinfo.ZoneInfo(time_zone)
    local = [
        datetime.fromtimestamp(hour * HOUR_S, zone)
        for hour in range(first_hour, first_hour + hours)
    ]
    return np.array([each.hour for each in local]), np.array([each.weekday() for each in local])


@dataclass(frozen=True)
class Calendar:
    """Hours of duty and of each task's weather windows; (hours,) arrays from `first_hour` on.

    `left`: by task, the number of hours from each hour on in which the task can be done.
    `starts`: by task, the hours with LEAST_H hours or more left, ascending.
    """

    first_hour: int
    hour_of_day: Ints
    working: Bools
    left: dict[str, Ints]
    starts: dict[str, Ints]

    def window(self, now_s: float, task: str) -> tuple[float, float] | None:
        """(start, end) of the first window for a task from now on, in seconds since 1970.

        None when the calendar ends first.
        """
        hour = int(now_s // HOUR_S) - self.first_hour
        left = self.left[task]
        if hour < len(left):
            until = (self.first_hour + hour + left[hour]) * HOUR_S
            if until - now_s >= LEAST_H * HOUR_S:
                return now_s, float(until)
        place = int(np.searchsorted(self.starts[task], hour + 1))
        if place == len(self.starts[task]):
            return None
        start = int(self.starts[task][place])
        until = (self.first_hour + start + left[start]) * HOUR_S
        return (self.first_hour + start) * HOUR_S, float(until)

    def at_work(self, now_s: float) -> bool:
        """Return True if crews are on duty."""
        hour = int(now_s // HOUR_S) - self.first_hour
        return bool(hour < len(self.working) and self.working[hour])


def calendar(time_zone: str, site: Site, first_hour: int, wind: Floats) -> Calendar:
    """The calendar of a farm. `wind`: (hours,) hourly means at hub height, m/s."""
    hour, weekday = local_time(time_zone, first_hour, len(wind))
    begin, end = np.array(site.shifts)[weekday].T
    working = (hour >= begin) & (hour < end)
    left, starts = {}, {}
    for task, limit in site.wind_limits.items():
        duty = np.ones_like(working) if site.lifts_at_night and task == LIFT else working
        left[task] = _run_lengths(duty & (wind <= limit))
        starts[task] = np.flatnonzero(left[task] >= LEAST_H)
    return Calendar(first_hour, hour, working, left, starts)


def _run_lengths(good: Bools) -> Ints:
    """Length of the run of good hours that begins at each hour, (hours,)."""
    places = np.arange(len(good))
    bad = np.where(good, len(good), places)
    return np.minimum.accumulate(bad[::-1])[::-1] - places
