"""Rules of `events`, and each entry's translation into the model's Event.

The rules follow from the catalogue `sim.model.events.KINDS`, which has the bounds of each kind's
size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sim.fleet import Farm
from sim.model.events import KINDS, Event, Kind
from sim.scenario.document import EventChoice
from sim.scenario.rules import Finding, Found, duration_us, listed, read
from sim.units import SECOND_US, format_duration, parse_duration, parse_signed
from sim.yamlfile import nearest

FAILURE: Final = "machine.failure"
NEEDS: Final = {"turbines": "[A-001]", "component": "gearbox"}
"""Settings that only a failure has, and needs, each with an example."""


def takes(kind: Kind) -> dict[str, bool]:
    """Return, for each setting, whether the kind has it."""
    fails = kind.name == FAILURE
    return {"size": kind.size is not None, "farms": not fails, **dict.fromkeys(NEEDS, fails)}


def check(data: dict[str, Any]) -> Found:
    """Apply the rules that need no fleet to the readable entries of `events`."""
    end_us = duration_us(data)
    for i, event in enumerate(listed(data, "events")):
        begin = read(data, ("events", i, "from"), parse_duration)
        if begin is not None and end_us and begin >= end_us:
            message = f"events[{i}].from: begins at {format_duration(begin)}, and the run ends at"
            yield Finding(("events", i, "from"), f"{message} {format_duration(end_us)}")
        name = event.get("kind") if isinstance(event, dict) else None
        if isinstance(name, str) and name in KINDS:
            yield from _one(data, event, KINDS[name], i)


def _one(data: dict[str, Any], event: dict[str, Any], kind: Kind, i: int) -> Found:
    for key, has in takes(kind).items():
        if key in event and not has:
            hint = "; name its turbines" if key == "farms" else "; remove the key"
            yield Finding(
                ("events", i, key), f"events[{i}].{key}: {kind.name} has no {key}{hint}", key=True
            )
        elif has and key in NEEDS and key not in event:
            yield Finding(
                ("events", i),
                f"missing key '{key}' in events[{i}]; add for example '{key}: {NEEDS[key]}'",
            )
    size = read(data, ("events", i, "size"), parse_signed)
    if kind.size is not None and size is not None:
        least, most, _, unit = kind.size
        if not least <= size <= most:
            message = (
                f"events[{i}].size: {size:g} is out of range; "
                f"{kind.name} takes {least:g} to {most:g} {unit}"
            )
            yield Finding(("events", i, "size"), message)


def check_turbines(data: dict[str, Any], farms: Sequence[Farm]) -> Found:
    """Yield findings for turbines of an event that are not in the run."""
    ids: list[str] = []
    for i, event in enumerate(listed(data, "events")):
        for j, turbine in enumerate(listed(event, "turbines")):
            ids = ids or [each for farm in farms for each in farm.turbine_ids]
            if isinstance(turbine, str) and turbine and turbine not in ids:
                near = nearest(turbine, ids)
                hint = (
                    f"; did you mean '{near}'?"
                    if near
                    else f"; its turbines are {ids[0]} to {ids[-1]}"
                )
                message = f"turbine '{turbine}' takes no part in this run{hint}"
                yield Finding(("events", i, "turbines", j), message)


def event(choice: EventChoice) -> Event:
    """Return the model's form of a valid entry."""
    return Event(
        kind=choice.kind,
        from_s=choice.begin / SECOND_US,
        for_s=choice.length / SECOND_US,
        farms=choice.farms or (),
        turbines=choice.turbines or (),
        component=choice.component,
        size=choice.size,
    )
