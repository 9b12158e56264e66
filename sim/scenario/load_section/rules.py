"""Rules between the values of the `load` section: limits, file descriptors, thresholds.

A load that certainly exceeds a limit is refused here. One that may exceed it (the bytes of a closed
sweep, the steps of a search) is stopped when it does. Not covered: whether the store can take the
load. The test finds that out.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from typing import Any, Final

from sim.load_schedule import FILES_PER_USER, FILES_SPARE, KINDS, ScheduleKind
from sim.measure.figures import LIVE
from sim.measure.request_kinds import KINDS as REQUEST_KINDS
from sim.measure.thresholds import Expectation, parse
from sim.scenario.error_messages import name
from sim.scenario.rules import Finding, Found, Path, listed, read
from sim.scenario.sizes import batch_bytes
from sim.units import (
    SECOND_US,
    format_duration,
    parse_count,
    parse_duration,
    parse_number,
    parse_per_second,
    parse_share,
    parse_size,
)
from sim.yamlfile import suggestion

LEVELS_MIN: Final = 4
"""Levels of a sweep: a fit of three parameters needs more points than parameters."""
SETTINGS: Final = (
    "for",
    "rate",
    "from",
    "to",
    "rates",
    "each",
    "peak",
    "at",
    "lasts",
    "outage",
    "speed",
)
_EXAMPLES: Final = {
    "for": "30s",
    "rate": "20/s",
    "from": "5/s",
    "to": "80/s",
    "rates": "[10/s, 20/s]",
    "each": "10s",
    "peak": "100/s",
    "at": "10s",
    "lasts": "5s",
    "outage": "15m",
}


def check_load(data: dict[str, Any]) -> Found:
    """Apply all rules that need no fleet to the readable values of `load`."""
    load = data.get("load")
    if not isinstance(load, dict):
        return
    if not any(load.get(key) for key in ("schedule", "sweep", "search")):
        yield Finding(("load",), "load asks for nothing; add a schedule, a sweep or a search")
    yield from _mix(load)
    for i, entry in enumerate(listed(load, "schedule")):
        if isinstance(entry, dict) and entry.get("kind") in KINDS:
            yield from _entry(data, entry, KINDS[entry["kind"]], i)
    yield from _users(data, load)
    yield from _sweep(data, load)
    yield from _search(data, load)
    yield from _thresholds(load)
    yield from _time(data, load)


def check_load_size(data: dict[str, Any], turbines: int) -> Found:
    """Apply the rules that depend on the number of turbines: total rate, total bytes."""
    limit_rate, limit_bytes = (
        read(data, p, f) for p, f in ((_RATE, parse_per_second), (_BYTES, parse_size))
    )
    flush_us = read(data, ("pipeline", "flush_every"), parse_duration)
    requests = 0.0
    for i, entry in enumerate(listed(data.get("load"), "schedule")):
        if not isinstance(entry, dict):
            continue
        at: Path = ("load", "schedule", i)
        for_us = read(data, (*at, "for"), parse_duration)
        speed = float(read(data, (*at, "speed"), parse_number) or 1)
        if entry.get("kind") in ("fleet", "herd") and flush_us and for_us:
            rate = turbines * speed * SECOND_US / flush_us
            outage_us = read(data, (*at, "outage"), parse_duration) or 0
            backlog = turbines * outage_us / flush_us
            requests += rate * for_us / SECOND_US + backlog
            if limit_rate and rate > limit_rate:
                load = f"{turbines:,} nodes at speed {speed:g} make {rate:,.0f} flushes a second"
                key = "speed" if "speed" in entry else "kind"
                yield Finding((*at, key), _over_rate(at, load, limit_rate))
            elif limit_rate and backlog * SECOND_US / for_us > limit_rate:
                message = (
                    f"{name(at)}.outage: {backlog:,.0f} waiting batches in "
                    f"{format_duration(for_us)} exceed load.limits.rate, {limit_rate:g}/s; "
                    "make `for` longer"
                )
                yield Finding((*at, "outage"), message)
        else:
            requests += _scheduled_requests(data, entry, at)
    share = _flush_share(data)
    sample_us = read(data, ("clock", "sample_every"), parse_duration)
    rows = read(data, ("load", "batch_rows"), parse_count) or (flush_us or 0) // (
        sample_us or SECOND_US
    )
    if limit_bytes and (size := requests * share * batch_bytes(rows)) > limit_bytes:
        message = (
            f"load.schedule: {requests * share:,.0f} flushes write about {size / 1e9:,.1f} GB, "
            f"more than load.limits.bytes, {limit_bytes / 1e9:,.1f} GB; ask for less, or raise the "
            "limit"
        )
        yield Finding(("load", "schedule"), message)


_RATE: Final = ("load", "limits", "rate")
_BYTES: Final = ("load", "limits", "bytes")


def _mix(load: dict[str, Any]) -> Found:
    mix = load.get("mix")
    if isinstance(mix, dict):
        weights = [read(mix, (kind,), parse_number) for kind in REQUEST_KINDS if kind in mix]
        if not any(weights) and None not in weights:
            yield Finding(
                ("load", "mix"),
                "load.mix: every weight is 0, so no request would be made; give at least one a "
                "weight above 0",
            )


def _entry(
    data: dict[str, Any], entry: dict[str, Any], kind: ScheduleKind, i: int
) -> Iterator[Finding]:
    at: Path = ("load", "schedule", i)
    for key in SETTINGS:
        if key in entry and key not in (*kind.needs, *kind.may):
            yield Finding(
                (*at, key),
                f"{name(at)}.{key}: a {kind.name} has no {key}; remove the key",
                key=True,
            )
        elif key in kind.needs and key not in entry:
            never = f"a {kind.name} never ends without it; " if key == "for" else ""
            message = (
                f"missing key '{key}' in {name(at)}: {never}"
                f"add for example '{key}: {_EXAMPLES[key]}'"
            )
            yield Finding(at, message)
    low, high = (read(data, (*at, key), parse_per_second) for key in ("from", "to"))
    if kind.name == "ramp" and low is not None and low == high:
        yield Finding(
            (*at, "to"),
            f"{name(at)}.to: a ramp from {entry['from']} to {entry['to']} is a constant rate",
        )
    length = read(data, (*at, "for"), parse_duration)
    if kind.name == "spike":
        begin, lasts = (read(data, (*at, key), parse_duration) for key in ("at", "lasts"))
        if length and begin is not None and lasts and begin + lasts > length:
            message = (
                f"{name(at)}.lasts: the spike ends at {format_duration(begin + lasts)}, "
                f"after the end of the entry at {format_duration(length)}"
            )
            yield Finding((*at, "lasts"), message)
        rate, height = (read(data, (*at, key), parse_per_second) for key in ("rate", "peak"))
        if rate and height and height <= rate:
            yield Finding(
                (*at, "peak"),
                f"{name(at)}.peak: {entry['peak']} is not above the rate, {entry['rate']}",
            )
    limit = read(data, _RATE, parse_per_second)
    rates: list[Path] = [(*at, key) for key in ("rate", "from", "to", "peak") if key in kind.needs]
    rates += [(*at, "rates", j) for j in range(len(listed(entry, "rates")))]
    for path in rates:
        if limit and (rate := read(data, path, parse_per_second)) and rate > limit:
            yield Finding(path, _over_rate(path, f"{rate:g} requests a second", limit))
    warm_up = read(data, ("load", "warm_up"), parse_duration)
    length = _length(data, entry, at)
    if kind.name != "herd" and length and warm_up and warm_up >= length:
        message = (
            f"{name(at)}: {format_duration(length)} is all warm-up ({format_duration(warm_up)})"
        )
        yield Finding(at, f"{message}; nothing would be measured")


def _users(data: dict[str, Any], load: dict[str, Any]) -> Found:
    """Yield findings for more users than this system has file descriptors for.

    A user holds connections. The soft limit can be raised up to the hard one.
    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    processes = read(data, ("load", "processes"), parse_count) or 1
    paths: list[Path] = [("load", "users")]
    paths += [("load", "sweep", "users", j) for j in range(len(listed(load.get("sweep"), "users")))]
    for path in paths:
        users = read(data, path, parse_count)
        most = max(hard - FILES_SPARE, 0) // FILES_PER_USER * processes
        if users and hard != resource.RLIM_INFINITY and users > most:
            need = -(-users // processes) * FILES_PER_USER + FILES_SPARE
            message = (
                f"{name(path)}: {users:,} users in {processes} process{'es' * (processes > 1)} "
                f"need {need:,} file descriptors per process, and this system's hard limit is "
                f"{hard:,}; use at most {most:,} users, or more processes"
            )
            yield Finding(path, message)
    users = read(data, ("load", "users"), parse_count)
    if users and users < processes:
        yield Finding(
            ("load", "processes"),
            f"load.processes: {processes} processes for {users} users leave some idle",
        )


def _sweep(data: dict[str, Any], load: dict[str, Any]) -> Found:
    levels = [
        read(data, ("load", "sweep", "users", j), parse_count)
        for j in range(len(listed(load.get("sweep"), "users")))
    ]
    known = [level for level in levels if level]
    at: Path = ("load", "sweep", "users")
    if len(known) == len(levels) > 0:
        if known != sorted(set(known)):
            yield Finding(
                at,
                f"load.sweep.users: {', '.join(map(str, known))} is not rising; "
                "write each once, in order",
            )
        elif len(known) < LEVELS_MIN:
            yield Finding(
                at,
                f"load.sweep.users: {len(known)} levels cannot show a bend; "
                f"name at least {LEVELS_MIN}",
            )
    yield from _longer_than_warm_up(data, ("load", "sweep", "for"), "a level")


def _search(data: dict[str, Any], load: dict[str, Any]) -> Found:
    at: Path = ("load", "search")
    low, high = (read(data, (*at, key), parse_per_second) for key in ("from", "to"))
    if low and high and low >= high:
        message = (
            f"load.search.to: {load['search']['to']} is not above from, {load['search']['from']}"
        )
        yield Finding((*at, "to"), message)
    limit = read(data, _RATE, parse_per_second)
    if limit and high and high > limit:
        yield Finding((*at, "to"), _over_rate((*at, "to"), f"{high:g} requests a second", limit))
    within = read(data, (*at, "within"), parse_share)
    if within and not 0.01 <= within <= 0.5:
        yield Finding(
            (*at, "within"),
            "load.search.within: finer than 1% drowns in noise, coarser than 50% says nothing",
        )
    yield from _longer_than_warm_up(data, (*at, "for"), "a rate")
    yield from _longer_than_warm_up(data, (*at, "hold"), "the hold")


def _longer_than_warm_up(data: dict[str, Any], path: Path, span: str) -> Found:
    length, warm_up = (
        read(data, path, parse_duration),
        read(data, ("load", "warm_up"), parse_duration),
    )
    if length and warm_up and warm_up >= length:
        message = (
            f"{name(path)}: {span} of {format_duration(length)} is all warm-up "
            f"({format_duration(warm_up)}); make it longer"
        )
        yield Finding(path, message)


def _thresholds(load: dict[str, Any]) -> Found:
    """Yield findings for SLOs and early stops that cannot be judged.

    They are judged per phase, so they may only name figures of a single phase. An SLO is an upper
    bound, and an early stop is a lower bound.
    """
    mix = load.get("mix")
    made = [kind for kind in REQUEST_KINDS if kind in mix] if isinstance(mix, dict) else ["flush"]
    search = load.get("search")
    slo = search.get("slo") if isinstance(search, dict) else None
    slos: list[tuple[Path, Any]] = [
        (("load", "search", "slo", j), t) for j, t in enumerate(listed(search, "slo"))
    ]
    slos += [(("load", "search", "slo"), slo)] if isinstance(slo, str) else []
    stops: list[tuple[Path, Any]] = [
        (("load", "stop_when", j), t) for j, t in enumerate(listed(load, "stop_when"))
    ]
    for path, text in (*slos, *stops):
        operators, subject = (
            (("<", "<="), "an SLO") if "slo" in path else ((">", ">="), "an early stop")
        )
        if (wanted := _parsed(text)) is None:
            continue
        if wanted.figure not in LIVE:
            near = suggestion(wanted.figure, LIVE)
            others = "; use latency, service, load.late, load.backlog.max or errors.share"
            hint = near if "did you mean" in near else others
            yield Finding(
                path, f"{name(path)}: {wanted.figure} is not known for a single phase{hint}"
            )
            continue
        if wanted.op not in operators:
            message = f"{subject} needs {' or '.join(operators)}, not {wanted.op}"
            yield Finding(path, f"{name(path)}: {message}")
        kind = wanted.figure.split(".")[1]
        if kind in REQUEST_KINDS and kind not in made:
            yield Finding(
                path,
                f"{name(path)}: the load makes no {kind}; "
                f"load.mix has {', '.join(made) or 'nothing'}",
            )


def _time(data: dict[str, Any], load: dict[str, Any]) -> Found:
    """Yield a finding if the plan takes longer than `load.limits.time`.

    The shortest possible time counts: the schedule, the sweep, and of the search one try and the
    hold.
    """
    limit = read(data, ("load", "limits", "time"), parse_duration)
    entries = enumerate(listed(load, "schedule"))
    schedule = sum(
        _length(data, entry, ("load", "schedule", i)) or 0
        for i, entry in entries
        if isinstance(entry, dict)
    )
    sweep = load.get("sweep")
    levels = len(listed(sweep, "users")) * (
        read(data, ("load", "sweep", "for"), parse_duration) or 0
    )
    search = sum(
        read(data, ("load", "search", key), parse_duration) or 0 for key in ("for", "hold")
    )
    parts = {"schedule": schedule, "sweep": levels, "search": search}
    if limit and (total := sum(parts.values())) > limit:
        longest = max(parts, key=lambda part: parts[part])
        each = ", ".join(f"{part} {format_duration(us)}" for part, us in parts.items() if us)
        message = f"load.{longest}: all phases take {format_duration(total)} ({each})"
        yield Finding(
            ("load", longest), f"{message}, and load.limits.time is {format_duration(limit)}"
        )


def _length(data: dict[str, Any], entry: dict[str, Any], at: Path) -> int | None:
    """Return the length of a schedule entry, us; None if unreadable."""
    if entry.get("kind") == "step":
        each = read(data, (*at, "each"), parse_duration)
        return each * len(listed(entry, "rates")) if each else None
    return read(data, (*at, "for"), parse_duration)


def _scheduled_requests(data: dict[str, Any], entry: dict[str, Any], at: Path) -> float:
    """Return the number of requests of a schedule entry that has rates; 0 if unreadable."""

    def rate(*path: str | int) -> float:
        return read(data, (*at, *path), parse_per_second) or 0.0

    length_s = (_length(data, entry, at) or 0) / SECOND_US
    if entry.get("kind") == "ramp":
        return length_s * (rate("from") + rate("to")) / 2
    if entry.get("kind") == "step":
        rates = [rate("rates", j) for j in range(len(listed(entry, "rates")))]
        return length_s * sum(rates) / max(len(rates), 1)
    spike_s = (read(data, (*at, "lasts"), parse_duration) or 0) / SECOND_US
    return length_s * rate("rate") + spike_s * max(rate("peak") - rate("rate"), 0.0)


def _flush_share(data: dict[str, Any]) -> float:
    weights = {
        kind: float(read(data, ("load", "mix", kind), parse_number) or 0) for kind in REQUEST_KINDS
    }
    return weights["flush"] / total if (total := sum(weights.values())) else 1.0


def _over_rate(path: Path, load: str, limit: float) -> str:
    advice = "ask for less, or raise the limit"
    return f"{name(path)}: {load}, and load.limits.rate is {limit:g}/s; {advice}"


def _parsed(text: Any) -> Expectation | None:
    try:
        return parse(text) if isinstance(text, str) else None
    except ValueError:
        return None
