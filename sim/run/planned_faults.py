"""Faults that a scenario plans: how many of each kind, their odds, and the workers to be killed.

The planned number is one of these:

- the fault's `count`;
- the number of nodes or farms concerned;
- the fault's share of the calls that a run without faults makes at its points. More may fire:
  retries and reads of history come on top.

A share may draw no call and no node. `never` is the chance of that. If a fault that was certain
to fire did not, the verdict is unknown. Other faults that never fire are only noted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from sim.chaos.call import point_of
from sim.chaos.choice import chance, chosen
from sim.chaos.faults import CRASH, KILL, KINDS, NODE_INTERVALS, SECOND_WRITER, UPLINK, Fault
from sim.fleet.farm import Farm, Fleet
from sim.fleet.part import FarmPart
from sim.model.clock import flush_samples
from sim.report import numbers
from sim.scenario import Scenario
from sim.scenario.plan import Plan

KILL_SPAN: Final = (0.1, 0.6)
"""Bounds of the share of its farm's rows that a worker has made when it is killed."""
CERTAIN: Final = 1e-9
"""Largest chance of never firing that counts as zero."""
_UNSURE: Final = "a node makes such a call only after certain events"


@dataclass(frozen=True)
class PlannedFaults:
    """One fault, or all of a kind.

    times: planned number, as in the module's docstring.
    never: chance that none fires, 0..1; None if it cannot be known beforehand.
    odds: origin of `never`, in words.
    """

    times: int
    never: float | None
    odds: str

    @property
    def certain(self) -> bool:
        return self.never is not None and self.never < CERTAIN

    def __add__(self, other: PlannedFaults) -> PlannedFaults:
        never = None if self.never is None or other.never is None else self.never * other.never
        if self.certain or other.certain:
            never = 0.0
        return PlannedFaults(self.times + other.times, never, f"{self.odds}; {other.odds}")

    @property
    def risk(self) -> str:
        """Explanation of a fault that never fired, in words; empty for a certain one."""
        if self.certain:
            return ""
        if self.never is None:
            return self.odds
        return f"{self.odds}: the chance of that was {numbers.chance(self.never)}"


def planned_faults(scenario: Scenario, size: Plan) -> dict[str, PlannedFaults]:
    """Return kind -> all planned faults of it. size: the scenario's plan."""
    by_kind: dict[str, PlannedFaults] = {}
    for fault, one in zip(scenario.faults, each_fault(scenario, size), strict=True):
        by_kind[fault.kind] = by_kind[fault.kind] + one if fault.kind in by_kind else one
    return by_kind


def each_fault(scenario: Scenario, size: Plan) -> list[PlannedFaults]:
    """Return the plan of each fault of the scenario, in order."""
    return [_one(scenario, number, fault, size) for number, fault in enumerate(scenario.faults)]


def _one(scenario: Scenario, number: int, fault: Fault, size: Plan) -> PlannedFaults:
    farms = _farms(scenario.fleet.farms, fault)
    turbines = [turbine for farm in farms for turbine in farm.turbine_ids]
    share = f"share {100 * fault.share:.3g} %"
    if fault.kind == KILL:
        return PlannedFaults(fault.count or 0, 0.0, "")
    if fault.kind in (*NODE_INTERVALS, SECOND_WRITER):
        nodes = sum(chosen(scenario.seed, number, fault, turbine) for turbine in turbines)
        never = 0.0 if nodes else (1 - fault.share) ** len(turbines)
        return PlannedFaults(nodes, never, f"{share} of {len(turbines):,} nodes")
    if fault.kind == UPLINK:
        return PlannedFaults(len(farms), 0.0, "")
    calls = _calls(scenario, fault, size, len(turbines))
    times = len(farms) if KINDS[fault.kind].windowed else max(1, round(fault.share * calls))
    times = times if fault.count is None else fault.count
    if fault.keys:
        return PlannedFaults(1, None, "the number of keys that match its patterns is not known yet")
    # A checkpoint that is not there yet has no body to cut.
    absent = fault.kind == "store.truncated-get"
    if calls < 1 or absent:
        return PlannedFaults(times, None, _UNSURE)
    if calls - _taken(scenario, number, size) < 1:
        return PlannedFaults(times, None, "other faults may take all of its calls")
    return PlannedFaults(times, (1 - fault.share) ** calls, f"{share} of about {calls:,.0f} calls")


def _taken(scenario: Scenario, number: int, size: Plan) -> float:
    """Return the number of a fault's calls that faults before it can take: only the first fires."""
    fault, taken = scenario.faults[number], 0.0
    for other in scenario.faults[:number]:
        # A crashed node makes its calls again.
        if not _points(other) & _points(fault) or other.kind == CRASH:
            continue
        # A window takes no call before its start or after its end.
        if KINDS[other.kind].windowed:
            meets = KINDS[fault.kind].windowed and max(other.from_s, fault.from_s) < min(
                _end_s(other), _end_s(fault)
            )
            taken += size.rows if meets else 0
        else:
            calls = other.share * _calls(scenario, other, size, size.turbines)
            taken += calls if other.count is None else min(other.count, calls)
    return taken


def _end_s(fault: Fault) -> float:
    return fault.from_s + fault.for_s


def _points(fault: Fault) -> set[str]:
    """Return the points at which a fault may fire."""
    named = {at.partition("-")[2] if fault.kind == CRASH else at for at in fault.at}
    return named or set(KINDS[fault.kind].points)


def _calls(scenario: Scenario, fault: Fault, size: Plan, turbines: int) -> float:
    """Return the calls that the fault may hit in a run without faults, without reads of history."""
    writes, reads = _called(fault, size) if fault.calls else _at_points(fault, size)
    if KINDS[fault.kind].windowed:
        clock = scenario.clock
        every_us = scenario.pipeline.flush_every_s * 1_000_000
        samples = flush_samples(clock.start_us, clock.sample_us, clock.samples, every_us)
        times_s = [(int(sample) - 1) * clock.sample_us / 1e6 for sample in samples]
        met = [fault.from_s <= time_s < fault.from_s + fault.for_s for time_s in times_s]
        # The drain at the end is one more flush.
        writes = writes * sum(met) // (len(met) + 1)
        reads = reads if met and met[0] else 0
    return (writes + reads) * turbines / size.turbines


def _at_points(fault: Fault, size: Plan) -> tuple[float, float]:
    """Return writes and reads of all nodes at the fault's points."""
    points = _points(fault)
    buckets = fault.buckets or tuple(size.writes)
    writes = sum(size.writes[bucket] for bucket in buckets if point_of("put", bucket) in points)
    return writes, size.reads if "recover" in points and "checkpoints" in buckets else 0


def _called(fault: Fault, size: Plan) -> tuple[float, float]:
    """Return writes and reads of all nodes of the fault's `calls`, at any point."""
    writes = sum(
        count
        for bucket, count in size.writes.items()
        if not fault.buckets or bucket in fault.buckets
    )
    reads = size.reads if not fault.buckets or "checkpoints" in fault.buckets else 0
    return writes * bool({"PUT", "PutObject"} & {*fault.calls}), reads * bool(
        {"GET", "GetObject"} & {*fault.calls}
    )


def kills(scenario: Scenario, shards: Sequence[FarmPart]) -> dict[str, list[int]]:
    """Return shard -> numbers of rows made at which its worker is killed, in order.

    Of the shards of a farm, the one with a drawn turbine is concerned, however the farm is cut.
    """
    found: dict[str, list[int]] = {}
    for number, fault in enumerate(scenario.faults):
        farms = _farms(scenario.fleet.farms, fault)
        for turn in range(fault.count or 0 if fault.kind == KILL else 0):
            farm = farms[int(chance(scenario.seed, "chaos", number, "kill", turn) * len(farms))]
            low, high = KILL_SPAN
            at = low + (high - low) * chance(scenario.seed, "chaos", number, "kill", turn, "at")
            one = int(chance(scenario.seed, "chaos", number, "kill", turn, "node") * farm.turbines)
            for shard in shards:
                if shard.farm is farm and shard.first <= one < shard.last:
                    rows = round(at * shard.turbines * scenario.clock.samples)
                    found.setdefault(shard.name, []).append(rows)
    return found


def counted_in(
    faults: Sequence[Fault], fleet: Fleet, parts: Sequence[FarmPart]
) -> tuple[Fault, ...]:
    """Return the faults with the share of their `count` that falls to some turbines of a fleet.

    The shares of all turbines add up to the whole count. worker.kill keeps its own (`kills`).
    """
    return tuple(
        fault
        if fault.count is None or fault.kind == KILL
        else replace(fault, count=_counted(fault, fault.count, fleet, parts))
        for fault in faults
    )


def _counted(fault: Fault, count: int, fleet: Fleet, parts: Sequence[FarmPart]) -> int:
    farms = _farms(fleet.farms, fault)
    all_turbines = sum(farm.turbines for farm in farms)
    before, found = 0, 0
    for farm in farms:
        for part in parts:
            if part.farm is farm:
                low, high = (
                    -(-count * (before + place) // all_turbines)
                    for place in (part.first, part.last)
                )
                found += high - low
        before += farm.turbines
    return found


def _farms(farms: Sequence[Farm], fault: Fault) -> list[Farm]:
    return [farm for farm in farms if not fault.farms or farm.farm_id in fault.farms]
