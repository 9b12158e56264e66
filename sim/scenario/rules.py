"""Rules between the fields of a scenario.

pydantic checks one value at a time, so these rules are apart.

Each rule uses the values that can be read, so that an error in another value does not hide its
findings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from math import gcd
from typing import Any, Final, NamedTuple, TypeVar

from pipeline.records import TIME_MAX_US, TIME_MIN_US
from sim.units import DAY_US, SECOND_US, format_duration, instant_us, parse_duration, parse_instant
from sim.yamlfile import suggestion

Path = tuple[str | int, ...]
T = TypeVar("T")


class Finding(NamedTuple):
    """A message about the value at a path of keys and indices, or about its key (`key`)."""

    path: Path
    message: str
    key: bool = False


Found = Iterator[Finding]

BATCHES_MAX: Final = 10_000_000
"""Batches of one node. A plan keeps them in arrays."""
ROWS_MAX: Final = 10**12

_FIRST: Final = (
    datetime.fromtimestamp(TIME_MIN_US // SECOND_US, UTC).isoformat().replace("+00:00", "Z")
)
_LAST: Final = (
    datetime.fromtimestamp(TIME_MAX_US // SECOND_US, UTC).isoformat().replace("+00:00", "Z")
)


def check(data: dict[str, Any]) -> Found:
    """Apply all rules to a scenario's data: texts in dicts and lists, defaults filled in."""
    yield from _span(data)
    yield from _steps(data)
    yield from _whole_seconds(data)
    yield from _batches(data)


def check_farms(data: dict[str, Any], farms: list[str]) -> Found:
    """Yield findings for farms of an event or a fault that are not in the run."""
    for section in ("events", "data_faults", "faults"):
        for i, fault in enumerate(listed(data, section)):
            for j, farm in enumerate(listed(fault, "farms")):
                if isinstance(farm, str) and farm not in farms:
                    message = f"farm '{farm}' takes no part in this run{suggestion(farm, farms)}"
                    yield Finding((section, i, "farms", j), message)


def check_size(data: dict[str, Any], turbines: int) -> Found:
    """Yield a finding if the run has more than `ROWS_MAX` rows."""
    length, sample = duration_us(data), read(data, ("clock", "sample_every"), parse_duration)
    if length and sample and (rows := length // sample * turbines) > ROWS_MAX:
        message = (
            f"clock.sample_every: {format_duration(sample)} in a run of {format_duration(length)} "
            f"makes {rows:,} rows of {turbines:,} turbines; at most {ROWS_MAX:,} are supported"
        )
        yield Finding(("clock", "sample_every"), message)


def _span(data: dict[str, Any]) -> Found:
    clock = data.get("clock")
    if not isinstance(clock, dict):
        return
    if "duration" in clock and "end" in clock:
        yield Finding(
            ("clock", "end"), "clock has both 'duration' and 'end'; keep one of them", key=True
        )
        return
    if "duration" not in clock and "end" not in clock:
        yield Finding(
            ("clock",),
            "missing key 'duration' in clock; add for example 'duration: 1h', or an 'end'",
        )
    start, end = (
        read(data, ("clock", "start"), parse_instant),
        read(data, ("clock", "end"), parse_instant),
    )
    length = read(data, ("clock", "duration"), parse_duration)
    if start is not None and end is not None:
        if end < start:
            yield Finding(
                ("clock", "end"), f"clock.end: {clock['end']} is before the start, {clock['start']}"
            )
        elif end == start:
            yield Finding(
                ("clock", "end"),
                f"clock.end: {clock['end']} is the start itself; nothing would run",
            )
    if start is not None and not TIME_MIN_US <= instant_us(start) < TIME_MAX_US:
        message = (
            f"clock.start: {clock['start']} is outside {_FIRST} to {_LAST}; "
            "every row would be quarantined"
        )
        yield Finding(("clock", "start"), message)
    elif start is not None and (end or length):
        stop_us = instant_us(end) if end else instant_us(start) + (length or 0)
        if stop_us > TIME_MAX_US:
            key = "end" if end else "duration"
            yield Finding(
                ("clock", key),
                f"clock.{key}: the run goes on after {_LAST}, where every row would be quarantined",
            )


def _steps(data: dict[str, Any]) -> Found:
    """Yield findings for lengths that do not divide each other.

    The sample step divides every length. A window divides a day, so that no window spans two dates.
    """
    sample = read(data, ("clock", "sample_every"), parse_duration)
    window = read(data, ("pipeline", "window"), parse_duration)
    spans = {
        "clock.duration": duration_us(data),
        "pipeline.flush_every": read(data, ("pipeline", "flush_every"), parse_duration),
        "pipeline.window": window,
    }
    lengths = {name: us for name, us in spans.items() if us}
    if sample and (
        uneven := [f"{name} ({format_duration(us)})" for name, us in lengths.items() if us % sample]
    ):
        instead = format_duration(_divisor(gcd(*lengths.values()), sample))
        message = (
            f"clock.sample_every: {format_duration(sample)} does not divide "
            f"{', '.join(uneven)}; use {instead}"
        )
        yield Finding(("clock", "sample_every"), message)
    if window and DAY_US % window:
        instead = format_duration(_divisor(DAY_US, window))
        message = f"pipeline.window: {format_duration(window)} does not divide a day; use {instead}"
        yield Finding(("pipeline", "window"), message)


def _whole_seconds(data: dict[str, Any]) -> Found:
    for key in ("flush_every", "window", "allowed_lateness"):
        us = read(data, ("pipeline", key), parse_duration)
        if us and us % SECOND_US:
            yield Finding(
                ("pipeline", key),
                f"pipeline.{key}: {format_duration(us)} is not a whole number of seconds",
            )


def _batches(data: dict[str, Any]) -> Found:
    length, flush = duration_us(data), read(data, ("pipeline", "flush_every"), parse_duration)
    if length and flush and (count := -(-length // flush)) > BATCHES_MAX:
        message = (
            f"pipeline.flush_every: {format_duration(flush)} in a run of {format_duration(length)} "
            f"makes {count:,} batches a node; at most {BATCHES_MAX:,} are supported"
        )
        yield Finding(("pipeline", "flush_every"), message)


def duration_us(data: dict[str, Any]) -> int | None:
    """Return the run's length from `duration`, or from `start` and `end`; None if unreadable."""
    start, end = (
        read(data, ("clock", "start"), parse_instant),
        read(data, ("clock", "end"), parse_instant),
    )
    if start is not None and end is not None:
        return max(0, instant_us(end) - instant_us(start))
    return read(data, ("clock", "duration"), parse_duration)


ROUND_US: Final = tuple(
    number * unit
    for unit, numbers in (
        (1_000, (1, 2, 5, 10, 20, 50, 100, 200, 500)),
        (SECOND_US, (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30)),
        (60 * SECOND_US, (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30)),
        (3600 * SECOND_US, (1, 2, 3, 4, 6, 8, 12, 24)),
    )
    for number in numbers
)
"""Lengths of time that people use for steps and windows."""


def _divisor(whole: int, wanted: int) -> int:
    """Return the largest divisor of `whole` that is at most `wanted`, and round if there is one.

    Of the others only the thousand nearest to it are tried; else 1 us.
    """
    if fits := [us for us in ROUND_US if us <= wanted and whole % us == 0]:
        return max(fits)
    first = max(1, -(-whole // wanted))
    return next((whole // parts for parts in range(first, first + 1000) if whole % parts == 0), 1)


def read(data: dict[str, Any], path: Path, parse: Callable[[str], T]) -> T | None:
    """Return the value at the path, or None if it is absent or wrong.

    A value that cannot be parsed is reported by the models of `document`.
    """
    node: Any = data
    for step in path:
        if isinstance(node, dict):
            node = node.get(step)
        else:
            node = (
                node[step]
                if isinstance(node, list) and isinstance(step, int) and step < len(node)
                else None
            )
    try:
        return parse(node) if isinstance(node, str) else None
    except ValueError:
        return None


def listed(data: Any, key: str) -> list[Any]:
    """Return the list under a key; empty if there is none."""
    found = data.get(key) if isinstance(data, dict) else None
    return found if isinstance(found, list) else []
