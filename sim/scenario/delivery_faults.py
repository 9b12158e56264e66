"""Rules of `faults` (faults of delivery), and each entry's translation into a Fault.

The rules follow from the catalogue `sim.chaos.faults.KINDS`. It has the store calls that a kind can
affect, and the kinds that have a start and a duration.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from pipeline.records import BUCKET_NAMES, BUCKET_PREFIX
from sim.chaos.faults import CRASH, KILL, KINDS, NODE_INTERVALS, SECOND_WRITER, Fault, Kind
from sim.chaos.operations import CALL_NAMES, method_of, methods
from sim.model.clock import flush_samples
from sim.scenario.document import FaultChoice
from sim.scenario.rules import BATCHES_MAX, Finding, Found, duration_us, listed, read
from sim.units import SECOND_US, format_duration, instant_us, parse_duration, parse_instant
from sim.yamlfile import suggestion

if TYPE_CHECKING:
    from sim.arrays import Ints

_NO_FLUSH: Final = (
    "nor at any time before the last row; shorten pipeline.flush_every, or remove the fault"
)


def takes(kind: Kind) -> dict[str, bool]:
    """Return, for each setting, whether the kind has it."""
    return {
        "at": bool(kind.points),
        "share": bool(kind.points) or kind.name in (*NODE_INTERVALS, SECOND_WRITER),
        "from": kind.windowed,
        "for": kind.windowed,
        "buckets": bool(kind.points),
        "calls": _on_the_wire(kind),
        "keys": _on_the_wire(kind),
        "count": (bool(kind.points) and not kind.windowed) or kind.name == KILL,
    }


def _on_the_wire(kind: Kind) -> bool:
    return "wire" in kind.layers


def calls(kind: Kind) -> tuple[str, ...]:
    """Return the values that `calls` may have."""
    return (
        tuple(name for name in CALL_NAMES if method_of(name) in methods(kind))
        if _on_the_wire(kind)
        else ()
    )


def points(kind: Kind) -> tuple[str, ...]:
    """Return the values that `at` may have."""
    if kind.name == CRASH:
        return tuple(f"{side}-{point}" for point in kind.points for side in ("before", "after"))
    return kind.points


def check(data: dict[str, Any]) -> Found:
    """Apply all rules to the readable entries of `faults`."""
    end_us = duration_us(data)
    for i, fault in enumerate(listed(data, "faults")):
        kind = fault.get("kind") if isinstance(fault, dict) else None
        if isinstance(kind, str) and kind in KINDS:
            yield from _one(fault, KINDS[kind], i, end_us, data)


def _one(
    fault: dict[str, Any], kind: Kind, i: int, end_us: int | None, data: dict[str, Any]
) -> Iterator[Finding]:
    for key, has in takes(kind).items():
        if key in fault and not has:
            why = "has no duration" if key in ("from", "for") else f"has no {key}"
            yield Finding(
                ("faults", i, key),
                f"faults[{i}].{key}: {kind.name} {why}; remove the key",
                key=True,
            )
        elif has and key in ("from", "for") and key not in fault:
            yield Finding(
                ("faults", i),
                f"missing key '{key}' in faults[{i}]: {kind.name} has a duration; add '{key}: 5m'",
            )
    if kind.name == "bucket.refuses" and "buckets" not in fault:
        message = (
            f"missing key 'buckets' in faults[{i}]; name those that refuse, "
            "for example 'buckets: [validated]'"
        )
        yield Finding(("faults", i), message)
    yield from _unknown_targets(fault, kind, i, "at", points(kind))
    yield from _unknown_targets(fault, kind, i, "calls", calls(kind))
    if "calls" not in fault:
        yield from _unknown_buckets(fault, i)
    elif "at" in fault and kind.points:
        message = (
            f"faults[{i}].calls: 'at' names calls of nodes, 'calls' those of any client; "
            "remove one of them"
        )
        yield Finding(("faults", i, "calls"), message, key=True)
    begin = read(data, ("faults", i, "from"), parse_duration)
    length = read(data, ("faults", i, "for"), parse_duration)
    if not kind.windowed or begin is None or not length or not end_us:
        return
    if begin + length > end_us:
        ends = (
            f"ends at {format_duration(begin + length)}, and the run at {format_duration(end_us)}"
        )
        yield Finding(
            ("faults", i, "for"),
            f"faults[{i}]: {kind.name} {ends}; it must end by then, so that every row can be "
            "delivered",
        )
    else:
        yield from _no_flush_inside(data, kind, i, begin, begin + length)


def _unknown_targets(
    fault: dict[str, Any], kind: Kind, i: int, key: str, known: tuple[str, ...]
) -> Iterator[Finding]:
    for j, name in enumerate(listed(fault, key) if known else []):
        if (
            isinstance(name, str)
            and name
            and name not in known
            and (key == "at" or name in CALL_NAMES)
        ):
            message = (
                f"faults[{i}].{key}[{j}]: {kind.name} cannot affect '{name}'"
                f"{suggestion(name, known)}"
            )
            yield Finding(("faults", i, key, j), message)


def _unknown_buckets(fault: dict[str, Any], i: int) -> Iterator[Finding]:
    """Yield findings for buckets outside the lake. Nodes use only the lake's buckets."""
    for j, name in enumerate(listed(fault, "buckets")):
        if isinstance(name, str) and name and name not in BUCKET_NAMES:
            message = (
                f"faults[{i}].buckets[{j}]: unknown bucket '{name}'{suggestion(name, BUCKET_NAMES)}"
            )
            yield Finding(("faults", i, "buckets", j), message)


def _no_flush_inside(
    data: dict[str, Any], kind: Kind, i: int, begin_us: int, end_us: int
) -> Iterator[Finding]:
    """Yield a finding if no node flushes during the fault: only a flush can meet it."""
    flushes_us = _flushes_us(data)
    if flushes_us is None or ((begin_us <= flushes_us) & (flushes_us < end_us)).any():
        return
    span = f"from {format_duration(begin_us)} to {format_duration(end_us)}"
    after = int(flushes_us.searchsorted(begin_us))
    near = " and ".join(
        format_duration(int(us)) for us in flushes_us[max(0, after - 1) : after + 1]
    )
    rest = f"so {kind.name} would never happen; nearest flushes: {near}" if near else _NO_FLUSH
    yield Finding(("faults", i, "from"), f"faults[{i}]: no node flushes {span}, {rest}")


def _flushes_us(data: dict[str, Any]) -> Ints | None:
    """Return the flush times of a node, in us from the start; None if a value is unreadable."""
    start, length_us = read(data, ("clock", "start"), parse_instant), duration_us(data)
    sample_us = read(data, ("clock", "sample_every"), parse_duration)
    every_us = read(data, ("pipeline", "flush_every"), parse_duration)
    if (
        start is None
        or not sample_us
        or not every_us
        or not length_us
        or length_us // every_us > BATCHES_MAX
    ):
        return None
    return (
        flush_samples(instant_us(start), sample_us, length_us // sample_us, every_us) - 1
    ) * sample_us


def fault(choice: FaultChoice) -> Fault:
    """Return the Fault of a valid entry."""
    return Fault(
        kind=choice.kind,
        at=choice.at or (),
        share=1.0 if choice.share is None else choice.share,
        from_s=(choice.begin or 0) / SECOND_US,
        for_s=(choice.length or 0) / SECOND_US,
        farms=choice.farms or (),
        buckets=tuple(name.removeprefix(BUCKET_PREFIX) for name in choice.buckets or ()),
        count=1 if choice.kind == KILL and choice.count is None else choice.count,
        calls=choice.calls or (),
        keys=choice.keys or (),
    )
