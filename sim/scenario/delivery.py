"""`faults` of a scenario: what each kind of delivery fault may and must say, and the Fault it comes to.

The catalogue (`sim.chaos.faults.KINDS`) knows where a kind can strike and whether it lasts; from that follow the rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sim.chaos.faults import CRASH, KILL, KINDS, SECOND_WRITER, SPELLS, Fault, Kind
from sim.scenario.document import FaultChoice
from sim.scenario.rules import Finding, Found, duration_us, listed, read
from sim.units import SECOND_US, format_duration, parse_duration
from sim.yamlfile import suggestion


def takes(kind: Kind) -> dict[str, bool]:
    """Setting -> whether the kind has it."""
    return {
        "at": bool(kind.points),
        "share": bool(kind.points) or kind.name in (*SPELLS, SECOND_WRITER),
        "from": kind.windowed,
        "for": kind.windowed,
        "buckets": bool(kind.points),
        "count": (bool(kind.points) and not kind.windowed) or kind.name == KILL,
    }


def places(kind: Kind) -> tuple[str, ...]:
    """What may stand in `at`."""
    if kind.name == CRASH:
        return tuple(f"{side}-{point}" for point in kind.points for side in ("before", "after"))
    return kind.points


def check(data: dict[str, Any]) -> Found:
    """All rules over `faults`, for whatever of it can be read."""
    end_us = duration_us(data)
    for i, fault in enumerate(listed(data, "faults")):
        kind = fault.get("kind") if isinstance(fault, dict) else None
        if isinstance(kind, str) and kind in KINDS:
            yield from _one(fault, KINDS[kind], i, end_us, data)


def _one(fault: dict[str, Any], kind: Kind, i: int, end_us: int | None, data: dict[str, Any]) -> Iterator[Finding]:
    for key, has in takes(kind).items():
        if key in fault and not has:
            why = "does not last" if key in ("from", "for") else f"has no {key}"
            yield Finding(("faults", i, key), f"faults[{i}].{key}: {kind.name} {why}; remove the key", key=True)
        elif has and key in ("from", "for") and key not in fault:
            yield Finding(("faults", i), f"missing key '{key}' in faults[{i}]: {kind.name} lasts; add '{key}: 5m'")
    if kind.name == "bucket.refuses" and "buckets" not in fault:
        message = f"missing key 'buckets' in faults[{i}]; name those that refuse, for example 'buckets: [validated]'"
        yield Finding(("faults", i), message)
    known = places(kind)
    for j, at in enumerate(listed(fault, "at") if known else []):
        if isinstance(at, str) and at and at not in known:
            message = f"faults[{i}].at[{j}]: {kind.name} cannot strike '{at}'{suggestion(at, known)}"
            yield Finding(("faults", i, "at", j), message)
    begin = read(data, ("faults", i, "from"), parse_duration)
    length = read(data, ("faults", i, "for"), parse_duration)
    if kind.windowed and begin is not None and length is not None and end_us and begin + length > end_us:
        ends = f"ends at {format_duration(begin + length)}, and the run at {format_duration(end_us)}"
        yield Finding(("faults", i, "for"), f"faults[{i}]: {kind.name} {ends}; what does not heal cannot be delivered")


def fault(choice: FaultChoice) -> Fault:
    """One entry, resolved."""
    return Fault(
        kind=choice.kind,
        at=choice.at or (),
        share=1.0 if choice.share is None else choice.share,
        from_s=(choice.begin or 0) / SECOND_US,
        for_s=(choice.length or 0) / SECOND_US,
        farms=choice.farms or (),
        buckets=choice.buckets or (),
        count=1 if choice.kind == KILL and choice.count is None else choice.count,
    )
