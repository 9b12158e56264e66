"""Poison: wrong values of one cell of a row, and the rule of validation that each must break.

SQLite lets any cell hold a value of any type, and real gateways write such values: error texts in
number columns, raw bytes, times in another unit, times as text.

Not covered: text that reads as a number, since SQLite converts it to a number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sim.units import DAY_US

CHANNEL: Final = "channel"
"""Stands for the channel of the fault, in place of a column's name."""
_YEAR_US: Final = 366 * DAY_US


@dataclass(frozen=True)
class Poison:
    """One kind of wrong value.

    `rule`: empty for an unusual but valid cell. `value` gives the cell from the column's regular
    time in us (any number for other columns).
    """

    text: str
    column: str
    rule: str
    value: Callable[[int], object]


def _always(value: object) -> Callable[[int], object]:
    return lambda _: value


def _iso(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


POISONS: Final = (
    Poison("infinity", CHANNEL, "range", _always(float("inf"))),
    Poison("minus infinity", CHANNEL, "range", _always(float("-inf"))),
    Poison("not a number", CHANNEL, "null", _always(float("nan"))),
    Poison("text", CHANNEL, "type", _always("#ERR")),
    Poison("bytes", CHANNEL, "type", _always(b"\xff\x00\xfe")),
    Poison("no time", "timestamp", "null", _always(None)),
    Poison("time zero", "timestamp", "time.range", _always(0)),
    Poison("time in seconds", "timestamp", "time.range", lambda t: t // 1_000_000),
    Poison("time in nanoseconds", "timestamp", "time.range", lambda t: t * 1_000),
    Poison("time a year ahead", "timestamp", "time.future", lambda t: t + _YEAR_US),
    Poison("time a year behind", "timestamp", "time.stale", lambda t: t - _YEAR_US),
    Poison("time as text", "timestamp", "type", _iso),
    Poison("no recording time", "recorded_at", "null", _always(None)),
    Poison("recording time zero", "recorded_at", "time.future", _always(0)),
    Poison("recording time in nanoseconds", "recorded_at", "time.stale", lambda t: t * 1_000),
    Poison("no turbine", "turbine_id", "null", _always(None)),
    Poison("another turbine", "turbine_id", "identity", _always("X-000")),
    Poison("no state", "status", "null", _always(None)),
    Poison("unknown state", "status", "state", _always("???")),
)

EXTREMES: Final = (
    Poison("a microsecond before 1970", "timestamp", "time.range", _always(-1)),
    Poison("no recording time", "recorded_at", "null", _always(None)),
    Poison("a fraction of a microsecond", "timestamp", "type", lambda t: t + 0.5),
    Poison("the first year", "timestamp", "time.range", _always(-62_135_596_800_000_000)),
    Poison("recorded before 1970", "recorded_at", "time.future", _always(-1)),
    Poison("a year of five digits", "timestamp", "time.range", _always(253_402_300_800_000_000)),
    Poison("a day behind", "timestamp", "", lambda t: t - DAY_US),
    Poison("the largest integer", "timestamp", "time.range", _always(2**63 - 1)),
    Poison(
        "the day from which satellites count",
        "timestamp",
        "time.range",
        _always(315_964_800_000_000),
    ),
    Poison("two months behind", "timestamp", "time.stale", lambda t: t - 62 * DAY_US),
    Poison("an empty state", "status", "state", _always("")),
    Poison("the smallest number above zero", "vibration_level", "", _always(5e-324)),
)
"""Values of `row.extreme`, which takes them in turn.

Not covered: -0.0; SQLite stores it as 0.0 in a column of type REAL.
"""
