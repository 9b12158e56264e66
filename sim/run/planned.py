"""What the faults of a scenario come to before anything ran: how many are meant, and which worker is killed when.

A number that is planned is what the scenario asks for: a count, the nodes or farms concerned, or the share of the calls
that a run without faults makes at the fault's points (retries and reading the past come on top, so more may fire). At
least one is always meant: a fault that never fires leaves the verdict unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sim.chaos.call import point_of
from sim.chaos.choice import chance, chosen
from sim.chaos.faults import CRASH, KILL, KINDS, SECOND_WRITER, SPELLS, Fault
from sim.fleet.farm import Farm
from sim.scenario import Scenario
from sim.scenario.plan import Plan, plan

KILL_SPAN: Final = (0.1, 0.6)
"""When a worker is killed: at a share of its farm's rows between these."""


def planned(scenario: Scenario) -> dict[str, int]:
    """Kind -> how often it is meant to strike, at least once each."""
    meant: dict[str, int] = {}
    whole = plan(scenario)
    for number, fault in enumerate(scenario.faults):
        meant[fault.kind] = meant.get(fault.kind, 0) + max(1, _one(scenario, number, fault, whole))
    return meant


def _one(scenario: Scenario, number: int, fault: Fault, whole: Plan) -> int:
    farms = _farms(scenario.fleet.farms, fault)
    turbines = [turbine for farm in farms for turbine in farm.turbine_ids]
    if fault.count is not None:
        return fault.count
    if fault.kind in (*SPELLS, SECOND_WRITER):
        return sum(chosen(scenario.seed, number, fault, turbine) for turbine in turbines)
    if KINDS[fault.kind].windowed:
        return len(farms)
    if fault.keys:
        return 1  # keys are patterns: how many there are is known when they are made
    if fault.calls:
        return round(fault.share * _called(fault, whole) * len(turbines) / whole.turbines)
    points = {at.partition("-")[2] if fault.kind == CRASH else at for at in fault.at} or set(KINDS[fault.kind].points)
    buckets = fault.buckets or tuple(whole.writes)
    calls = sum(whole.writes[bucket] for bucket in buckets if point_of("put", bucket) in points)
    calls += whole.reads if "recover" in points and "checkpoints" in buckets else 0
    return round(fault.share * calls * len(turbines) / whole.turbines)


def _called(fault: Fault, whole: Plan) -> int:
    """How many calls of all nodes a fault calls for, whatever their point."""
    writes = sum(count for bucket, count in whole.writes.items() if not fault.buckets or bucket in fault.buckets)
    reads = whole.reads if not fault.buckets or "checkpoints" in fault.buckets else 0
    return writes * bool({"PUT", "PutObject"} & {*fault.calls}) + reads * bool({"GET", "GetObject"} & {*fault.calls})


def kills(scenario: Scenario) -> dict[str, list[int]]:
    """Farm -> how many rows its shard has made when its worker is killed, one number for each time, in order."""
    found: dict[str, list[int]] = {}
    for number, fault in enumerate(scenario.faults):
        farms = _farms(scenario.fleet.farms, fault)
        for turn in range(fault.count or 0 if fault.kind == KILL else 0):
            farm = farms[int(chance(scenario.seed, "chaos", number, "kill", turn) * len(farms))]
            low, high = KILL_SPAN
            at = low + (high - low) * chance(scenario.seed, "chaos", number, "kill", turn, "at")
            found.setdefault(farm.farm_id, []).append(round(at * len(farm.turbine_ids) * scenario.clock.samples))
    return found


def _farms(farms: Sequence[Farm], fault: Fault) -> list[Farm]:
    return [farm for farm in farms if not fault.farms or farm.farm_id in fault.farms]
