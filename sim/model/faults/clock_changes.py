"""Clock changes of a time zone: the hours that summer time skips or repeats."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from sim.units import DAY_US

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def clock_changes(time_zone: str, start_us: int, end_us: int) -> list[tuple[int, int]]:
    """Clock changes of an IANA time zone in [start, end), ascending: (time, change) in us.

    Times are since 1970.
    """
    zone = ZoneInfo(time_zone)

    def offset(time_us: int) -> timedelta:
        return (_EPOCH + timedelta(microseconds=time_us)).astimezone(
            zone
        ).utcoffset() or timedelta()

    edges = [*range(start_us - 1, end_us - 1, DAY_US), end_us - 1]
    found = []
    for low, high in pairwise(edges):
        change = offset(high) - offset(low)
        if change:
            while high - low > 1:  # no zone changes twice in a day
                middle = (low + high) // 2
                low, high = (middle, high) if offset(middle) == offset(low) else (low, middle)
            found.append((high, change // timedelta(microseconds=1)))
    return found
