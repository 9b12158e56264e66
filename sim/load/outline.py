"""The plan of a load test in words, with its length and requests, before anything runs. Light."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sim.load.analysis.search import FACTOR, HOLDS
from sim.load.arrivals import Nodes, count
from sim.load_schedule import Entry, Load
from sim.units import SECOND_US, format_duration


@dataclass(frozen=True)
class Outline:
    """Size of a load test.

    least_s, most_s: its phases, without the preparation of batches and the calibration. The tries
    of a search depend on what passes. requests: of the open schedule; a sweep and a search make as
    many as the store takes. tries: most tries of the search.
    """

    least_s: float
    most_s: float
    requests: float
    tries: int


def outline(load: Load, nodes: Nodes) -> Outline:
    """Return the size of a load test."""
    fixed_s = sum(entry.for_s for entry in load.schedule)
    if load.sweep is not None:
        fixed_s += len(load.sweep.users) * load.sweep.for_s
    requests = sum(count(entry, nodes) for entry in load.schedule)
    tries, search = 0, load.search
    least_s = most_s = fixed_s
    if search is not None:
        # Steps by FACTOR until one fails, then a bisection of that step, both by ratio.
        steps = math.ceil(math.log(search.to_per_s / search.from_per_s, FACTOR)) + 1
        within = math.log(FACTOR) / math.log(1 + search.within)
        tries = steps + math.ceil(math.log2(max(within, 1.0)))
        least_s += search.each_s + search.hold_s
        most_s += tries * search.each_s + HOLDS * search.hold_s
    return Outline(least_s, min(most_s, load.limits.time_s), requests, tries)


def plan_lines(load: Load) -> list[str]:
    """Return the plan as lines of text."""
    lines = [f"mix: {', '.join(f'{kind} {weight:g}' for kind, weight in load.mix)}"]
    lines += schedule_lines(load)
    if (levels := load.sweep) is not None:
        lines.append(
            f"sweep: {', '.join(map(str, levels.users))} users, {_length(levels.for_s)} each"
        )
    if (search := load.search) is not None:
        slo = " and ".join(one.text for one in search.slo)
        rates = (
            f"{search.from_per_s:g} to {search.to_per_s:g} requests/s, within {search.within:.0%}"
        )
        lines.append(f"search: {rates}, held for {_length(search.hold_s)}, SLO {slo}")
    processes = f"{load.processes} process{'es' * (load.processes > 1)}"
    lines.append(f"at most {load.users} requests under way, {processes}")
    herds = [entry.kind == "herd" for entry in load.schedule]
    if load.sweep or load.search or not all(herds):
        herd = ", except of a herd" if any(herds) else ""
        lines.append(f"{_length(load.warm_up_s)} of warm-up left out{herd}")
    if load.stop_when:
        lines.append(f"stop when {' or '.join(one.text for one in load.stop_when)}")
    return lines


def schedule_lines(load: Load) -> list[str]:
    """Return the entries of the open schedule as lines of text."""
    return [
        f"{number}-{entry.kind}: {_entry(entry)}" for number, entry in enumerate(load.schedule, 1)
    ]


def by_hand(load: Load) -> str:
    """Return the work of a Locust that was started by hand in words."""
    if not load.schedule:
        return "one request after the other for each user, until it is stopped"
    rest = " and ".join(name for name in ("sweep", "search") if getattr(load, name) is not None)
    left_out = f" (without the {rest}, which `windfleet load` makes)" if rest else ""
    return f"{'; '.join(schedule_lines(load))}{left_out}"


def _entry(entry: Entry) -> str:
    length = _length(entry.for_s)
    if entry.kind == "ramp":
        return f"{entry.from_per_s:g} to {entry.to_per_s:g} requests/s in {length}"
    if entry.kind == "step":
        return f"{', '.join(f'{rate:g}' for rate in entry.rates_per_s)} requests/s in {length}"
    if entry.kind == "spike":
        peak = f"{entry.peak_per_s:g} for {_length(entry.lasts_s)} after {_length(entry.at_s)}"
        return f"{entry.rate_per_s:g} requests/s, {peak}, {length} in all"
    if entry.kind in ("fleet", "herd"):
        outage = f" after an outage of {_length(entry.outage_s)}" if entry.outage_s else ""
        return f"every node at its own flush phase{outage}, speed {entry.speed:g}, for {length}"
    return f"{entry.rate_per_s:g} requests/s for {length}"


def _length(seconds: float) -> str:
    return format_duration(round(seconds * SECOND_US))
