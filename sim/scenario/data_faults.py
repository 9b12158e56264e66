"""Rules of `data_faults`, and each entry's translation into the model's DataFault.

The rules follow from the catalogue `sim.model.faults.KINDS`, which lists the settings of each kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pipeline.records import CHANNEL_NAMES
from sim.fleet import Farm
from sim.model.faults.catalogue import KINDS, DataFault
from sim.model.faults.clock_changes import clock_changes
from sim.scenario.document import DataFaultChoice
from sim.scenario.rules import Finding, Found, duration_us, listed, read
from sim.units import (
    DAY_US,
    SECOND_US,
    format_duration,
    instant_us,
    parse_duration,
    parse_instant,
    parse_offset,
)

RATE_EXAMPLE: Final = "add for example 'rate: 3/1000 per turbine-day'"
OFFSET_MAX_US: Final = DAY_US


def check(data: dict[str, Any]) -> Found:
    """Yield a finding for each setting that is missing, or that the fault's kind does not have."""
    length = duration_us(data)
    for i, fault in enumerate(listed(data, "data_faults")):
        if not isinstance(fault, dict):
            continue
        name = fault.get("kind")
        kind = KINDS.get(name) if isinstance(name, str) else None
        if "rate" not in fault and (kind is None or not kind.by_calendar):
            yield Finding(
                ("data_faults", i), f"missing key 'rate' in data_faults[{i}]; {RATE_EXAMPLE}"
            )
        yield from _lengths(data, i, length)
        if kind is None:
            continue
        for key, has in kind.takes.items():
            if key in fault and not has:
                message = f"data_faults[{i}].{key}: {name} has no {key}; remove the key"
                yield Finding(("data_faults", i, key), message, key=True)
        for j, channel in enumerate(listed(fault, "channels") if kind.channels else []):
            if channel in CHANNEL_NAMES and channel not in kind.channels:
                message = (
                    f"data_faults[{i}].channels[{j}]: {name} cannot take {channel}; "
                    f"it takes {', '.join(kind.channels)}"
                )
                yield Finding(("data_faults", i, "channels", j), message)


def _lengths(data: dict[str, Any], i: int, run_us: int | None) -> Found:
    """Yield findings for times that are too long.

    A fault must end within the run, a delayed row must be stored within it, and a clock can be off
    by a day at most.
    """
    at = ("data_faults", i)
    lasts, delay = (read(data, (*at, key), parse_duration) for key in ("duration", "delay"))
    if run_us and lasts and lasts > run_us:
        message = (
            f"data_faults[{i}].duration: {format_duration(lasts)} is longer than the run, "
            f"{format_duration(run_us)}"
        )
        yield Finding((*at, "duration"), message)
    if run_us and delay and delay >= run_us:
        message = (
            f"data_faults[{i}].delay: {format_duration(delay)} is not shorter than the run, "
            f"{format_duration(run_us)}; no delayed row would be stored before it ends"
        )
        yield Finding((*at, "delay"), message)
    by = read(data, (*at, "by"), parse_offset)
    if by and abs(by) > OFFSET_MAX_US:
        yield Finding(
            (*at, "by"),
            f"data_faults[{i}].by: a clock is off by a day at most; use row.poisoned for nonsense",
        )


def check_calendar(data: dict[str, Any], farms: Sequence[Farm]) -> Found:
    """Yield a finding for each clock-change fault whose farms see no clock change in the run."""
    start, length = read(data, ("clock", "start"), parse_instant), duration_us(data)
    for i, fault in enumerate(listed(data, "data_faults")):
        name = fault.get("kind") if isinstance(fault, dict) else None
        if (
            not isinstance(name, str)
            or name not in KINDS
            or not KINDS[name].by_calendar
            or start is None
            or not length
        ):
            continue
        named = listed(fault, "farms")
        zones = sorted({farm.time_zone for farm in farms if not named or farm.farm_id in named})
        begin = instant_us(start)
        if not any(clock_changes(zone, begin, begin + length) for zone in zones):
            message = (
                f"data_faults[{i}].kind: no clock of {', '.join(zones)} changes in the run, "
                f"so {name} cannot happen"
            )
            yield Finding(("data_faults", i, "kind"), message)


def fault(choice: DataFaultChoice) -> DataFault:
    """Return the model's form of a valid entry."""
    return DataFault(
        kind=choice.kind,
        rate_per_day=choice.rate.per_day if choice.rate else 0.0,
        channels=choice.channels or (),
        duration_s=choice.duration / SECOND_US if choice.duration else None,
        delay_s=choice.delay / SECOND_US if choice.delay else None,
        farms=choice.farms or (),
        by_s=choice.by / SECOND_US if choice.by else None,
        share=choice.share or 1.0,
        whole_farm=bool(choice.rate and choice.rate.whole_farm),
    )
