"""When crews can work, and how many there are: working hours of the farm's time zone, and weather windows.

Hours are whole UTC hours, for the whole time that operations look at. A window is a row of hours that are all working
hours and none of which has more wind than the task allows; shorter ones than `LEAST_H` are not worth the way.

Limits, hourly mean at hub height: work inside the nacelle up to 15 m/s, in the hub or on a rope 12, lifts 10 (common
limits of makers' service manuals). Offshore a crew transfer vessel lands up to 1.5 m of sea (I. Dinwoodie et al.,
"Reference cases for verification of operation and maintenance simulation models for offshore wind farms", Wind
Engineering 39 (2015) 1-14), for which about 13 m/s at hub height stand in: there are no waves here.

Onshore crews work on weekdays and on Saturdays until noon, offshore ones twelve hours every day, jack-up vessels all
the time. A crew of two for 25 turbines onshore, 15 offshore; a crane for 150, a vessel for 30
(chartered when needed; its way there is part of the wait for parts).
"""

from __future__ import annotations

import math
import zoneinfo
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

from sim.arrays import Bools, Floats, Ints
from sim.units import HOUR_S

LEAST_H: Final = 3
NACELLE, OUTSIDE, LIFT = "nacelle", "outside", "lift"
LIMITS: Final = {
    False: {NACELLE: 15.0, OUTSIDE: 12.0, LIFT: 10.0},
    True: {NACELLE: 13.0, OUTSIDE: 12.0, LIFT: 12.0},
}
"""m/s, by whether offshore."""
SHIFT: Final = {False: (7, 17), True: (7, 19)}  # local hours
SATURDAY_UNTIL: Final = 12
DUTY: Final = {False: 55 / 168, True: 84 / 168}  # share of a week on duty
TURBINES_PER_CREW: Final = {False: 25, True: 15}
TURBINES_PER_CRANE: Final = {False: 150, True: 30}
TRAVEL_H: Final = {False: (0.3, 1.5), True: (0.8, 2.5)}  # one way, hours


def crews(turbines: int, offshore: bool) -> int:
    """How many crews a farm has."""
    return math.ceil(turbines / TURBINES_PER_CREW[offshore])


def cranes(turbines: int, offshore: bool) -> int:
    """How many cranes, or jack-up vessels, a farm can have at work."""
    return math.ceil(turbines / TURBINES_PER_CRANE[offshore])


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
    """What is allowed in which hour. `left` of a task: for how many hours on it can be done, (hours,)."""

    first_hour: int
    hour_of_day: Ints
    working: Bools
    left: dict[str, Ints]
    starts: dict[str, Ints]

    def window(self, now_s: float, task: str) -> tuple[float, float] | None:
        """The first time from now on at which the task can be begun, and when it must have ended (seconds since 1970);
        None when the calendar ends before."""
        hour = int(now_s // HOUR_S) - self.first_hour
        left = self.left[task]
        if (
            hour < len(left)
            and (until := (self.first_hour + hour + left[hour]) * HOUR_S) - now_s
            >= LEAST_H * HOUR_S
        ):
            return now_s, float(until)
        place = int(np.searchsorted(self.starts[task], hour + 1))
        if place == len(self.starts[task]):
            return None
        start = int(self.starts[task][place])
        return (self.first_hour + start) * HOUR_S, float(
            (self.first_hour + start + left[start]) * HOUR_S
        )

    def at_work(self, now_s: float) -> bool:
        """Whether crews are on duty."""
        hour = int(now_s // HOUR_S) - self.first_hour
        return bool(hour < len(self.working) and self.working[hour])


def calendar(time_zone: str, offshore: bool, first_hour: int, wind: Floats) -> Calendar:
    """The calendar of a farm. `wind`: (hours,) hourly means at hub height, m/s."""
    hour, weekday = local_time(time_zone, first_hour, len(wind))
    begin, end = SHIFT[offshore]
    working = (hour >= begin) & (hour < end)
    if not offshore:
        working &= (weekday < 5) | ((weekday == 5) & (hour < SATURDAY_UNTIL))
    left, starts = {}, {}
    for task, limit in LIMITS[offshore].items():
        duty = np.ones_like(working) if offshore and task == LIFT else working
        left[task] = _run_lengths(duty & (wind <= limit))
        starts[task] = np.flatnonzero(left[task] >= LEAST_H)
    return Calendar(first_hour, hour, working, left, starts)


def _run_lengths(good: Bools) -> Ints:
    """(hours,): how many good hours follow each other from each on, itself included."""
    places = np.arange(len(good))
    bad = np.where(good, len(good), places)
    return np.minimum.accumulate(bad[::-1])[::-1] - places
