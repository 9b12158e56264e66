"""Odds of each fault of a scenario before it runs: expected number, and chance that it fires.

A fault of the data begins at random times, so the number of times is Poisson's: it fires in
1 - exp(-expected) of all seeds. One that follows the calendar draws a share of the nodes. The odds
of faults of delivery are those of `sim.run.planned_faults`, which is imported only for a scenario
that has some: `check` is light.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.chaos.faults import KILL, KINDS, NODE_INTERVALS, SECOND_WRITER, UPLINK
from sim.model.faults.catalogue import KINDS as DATA_KINDS
from sim.model.faults.catalogue import DataFault
from sim.model.faults.expected import expected
from sim.report import numbers
from sim.scenario import Scenario
from sim.units import DAY_US

if TYPE_CHECKING:
    from sim.run.planned_faults import PlannedFaults


@dataclass(frozen=True)
class Odds:
    """Odds of one entry of a scenario.

    number: expected times; None if it cannot be known. fires: share of all seeds in which it fires
    at all, 0..1; None likewise. text: both in words.
    """

    section: str
    kind: str
    number: float | None
    fires: float | None
    text: str


def odds(scenario: Scenario) -> list[Odds]:
    """Return the odds of the data faults, then of the faults of delivery, in their order."""
    return [*_of_data(scenario), *(_of_delivery(scenario) if scenario.faults else ())]


def _of_data(scenario: Scenario) -> list[Odds]:
    start_us, end_us = scenario.clock.start_us, scenario.clock.end_us
    found = []
    for fault in scenario.data_faults:
        number = sum(expected(farm, start_us, end_us, fault) for farm in scenario.fleet.farms)
        fires = _fires(fault, number, scenario)
        text = f"{_number(number)} expected, {_share(fires)}"
        found.append(Odds("data_faults", fault.kind, number, fires, text))
    return found


def _fires(fault: DataFault, number: float, scenario: Scenario) -> float:
    """Return the share of seeds in which a data fault fires. number: its expected number."""
    if DATA_KINDS[fault.kind].by_calendar:
        nodes = number / fault.share if fault.share else 0.0
        return 1 - math.pow(1 - fault.share, nodes)
    if fault.whole_farm:  # `number` counts each turbine of the farm
        farms = [each for each in scenario.fleet.farms if each.farm_id in fault.farms]
        days = (scenario.clock.end_us - scenario.clock.start_us) / DAY_US
        number = fault.rate_per_day * days * len(farms if fault.farms else scenario.fleet.farms)
    return 1 - math.exp(-number)


def _of_delivery(scenario: Scenario) -> list[Odds]:
    from sim.run.planned_faults import each_fault
    from sim.scenario.plan import plan

    planned = zip(scenario.faults, each_fault(scenario, plan(scenario)), strict=True)
    return [_one(fault.kind, plan) for fault, plan in planned]


def _one(kind: str, plan: PlannedFaults) -> Odds:
    unit = KINDS[kind].units[0]
    many = f"{plan.times:,} {unit.removesuffix('s') if plan.times == 1 else unit}"
    if plan.never is None:
        return Odds("faults", kind, None, None, f"may never fire: {plan.odds}")
    fires = 1 - plan.never
    if kind == UPLINK:
        return Odds("faults", kind, float(plan.times), fires, many)
    if kind in (*NODE_INTERVALS, SECOND_WRITER) and not plan.times:
        text = f"no node with this seed, {_share(fires)}"
    elif kind in (KILL, *NODE_INTERVALS, SECOND_WRITER):
        text = f"{many}, chosen by the seed"
    else:
        text = f"about {many} expected, {_share(fires)}"
    return Odds("faults", kind, float(plan.times), fires, text)


def _number(value: float) -> str:
    return f"about {numbers.decimal(value if value < 10 else round(value))}"


def _share(fires: float) -> str:
    if fires > 1 - 1e-9:
        return "fires with every seed"
    return f"fires in {numbers.chance(fires)} of seeds"
