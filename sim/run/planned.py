"""What the faults of a scenario come to before anything ran: how many are meant, the odds, and who is killed when.

A number that is planned is what the scenario asks for: a count, the nodes or farms concerned, or the share of the calls
that a run without faults makes at the fault's points (retries and reading the past come on top, so more may fire).

A share may draw nobody. `never` is the chance of that; only a fault that was certain to strike and did not leaves the
verdict unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sim.chaos.call import point_of
from sim.chaos.choice import chance, chosen
from sim.chaos.faults import CRASH, KILL, KINDS, NODE_INTERVALS, SECOND_WRITER, UPLINK, Fault
from sim.fleet.farm import Farm
from sim.model.clock import flush_samples
from sim.scenario import Scenario
from sim.scenario.plan import Plan, plan

KILL_SPAN: Final = (0.1, 0.6)
"""When a worker is killed: at a share of its farm's rows between these."""
CERTAIN: Final = 1e-9
"""A smaller chance to strike nothing is none."""
WORTH_A_WORD: Final = 0.01
_UNSURE: Final = "whether a node makes such a call depends on what befalls it"


@dataclass(frozen=True)
class Planned:
    """One fault, or all of a kind. `times`: see the module. `never`: the chance that it strikes nothing, 0..1; None:
    nobody can tell beforehand. `odds`: where that comes from, in words."""

    times: int
    never: float | None
    odds: str

    @property
    def certain(self) -> bool:
        return self.never is not None and self.never < CERTAIN

    def __add__(self, other: Planned) -> Planned:
        never = None if self.never is None or other.never is None else self.never * other.never
        if self.certain or other.certain:
            never = 0.0
        return Planned(self.times + other.times, never, f"{self.odds}; {other.odds}")

    @property
    def risk(self) -> str:
        """The odds that it strikes nothing, in words; empty where there are none."""
        if self.certain:
            return ""
        return (
            self.odds
            if self.never is None
            else f"{self.odds}: a chance of {percent(self.never)} that it is so"
        )

    @property
    def warning(self) -> str:
        """The same before a run, where it is worth a word."""
        if self.never is None:
            return self.odds
        return (
            f"a chance of {percent(self.never)} to strike nothing"
            if self.never >= WORTH_A_WORD
            else ""
        )


def percent(chance_of: float) -> str:
    """A chance in 0..1: whole percents, or two digits of a small one."""
    if 0.99 < chance_of < 1:
        return "more than 99 %"
    return f"{100 * chance_of:{'.0f' if chance_of >= 0.01 else '.2g'}} %"


def planned(scenario: Scenario) -> dict[str, Planned]:
    """Kind -> all that is planned of it."""
    meant: dict[str, Planned] = {}
    for fault, one in zip(scenario.faults, each(scenario), strict=True):
        meant[fault.kind] = meant[fault.kind] + one if fault.kind in meant else one
    return meant


def each(scenario: Scenario) -> list[Planned]:
    """Each fault of the scenario, in order."""
    whole = plan(scenario)
    return [_one(scenario, number, fault, whole) for number, fault in enumerate(scenario.faults)]


def _one(scenario: Scenario, number: int, fault: Fault, whole: Plan) -> Planned:
    farms = _farms(scenario.fleet.farms, fault)
    turbines = [turbine for farm in farms for turbine in farm.turbine_ids]
    share = f"share {100 * fault.share:.3g} %"
    if fault.kind == KILL:
        return Planned(fault.count or 0, 0.0, "")
    if fault.kind in (*NODE_INTERVALS, SECOND_WRITER):
        nodes = sum(chosen(scenario.seed, number, fault, turbine) for turbine in turbines)
        never = 0.0 if nodes else (1 - fault.share) ** len(turbines)
        return Planned(nodes, never, f"{share} of {len(turbines):,} nodes")
    if fault.kind == UPLINK:
        return Planned(len(farms), 0.0, "")
    calls = _calls(scenario, fault, whole, len(turbines))
    times = len(farms) if KINDS[fault.kind].windowed else max(1, round(fault.share * calls))
    times = times if fault.count is None else fault.count
    if fault.keys:
        return Planned(1, None, "keys are patterns: how many there are is known when they are made")
    absent = (
        fault.kind == "store.truncated-get"
    )  # a checkpoint that is not there yet has no body to cut
    if calls < 1 or absent:
        return Planned(times, None, _UNSURE)
    if calls - _taken(scenario, number, whole) < 1:
        return Planned(times, None, "another fault may take every call that it could strike")
    return Planned(times, (1 - fault.share) ** calls, f"{share} of about {calls:,.0f} calls")


def _taken(scenario: Scenario, number: int, whole: Plan) -> float:
    """How many of the calls that a fault may strike others can take: of several faults the first strikes."""
    fault, taken = scenario.faults[number], 0.0
    for other in scenario.faults[:number]:
        if not _points(other) & _points(fault) or other.kind == CRASH:  # what crashed asks again
            continue
        if KINDS[other.kind].windowed:  # before and after it calls go through
            meets = KINDS[fault.kind].windowed and max(other.from_s, fault.from_s) < min(
                _end_s(other), _end_s(fault)
            )
            taken += whole.rows if meets else 0
        else:
            calls = other.share * _calls(scenario, other, whole, whole.turbines)
            taken += calls if other.count is None else min(other.count, calls)
    return taken


def _end_s(fault: Fault) -> float:
    return fault.from_s + fault.for_s


def _points(fault: Fault) -> set[str]:
    """Where a fault may strike."""
    named = {at.partition("-")[2] if fault.kind == CRASH else at for at in fault.at}
    return named or set(KINDS[fault.kind].points)


def _calls(scenario: Scenario, fault: Fault, whole: Plan, turbines: int) -> float:
    """How many calls a run without faults makes that the fault may strike; those that read the past left out."""
    writes, reads = _called(fault, whole) if fault.calls else _at_points(fault, whole)
    if KINDS[fault.kind].windowed:
        clock = scenario.clock
        every_us = scenario.pipeline.flush_every_s * 1_000_000
        samples = flush_samples(clock.start_us, clock.sample_us, clock.samples, every_us)
        times_s = [(int(sample) - 1) * clock.sample_us / 1e6 for sample in samples]
        met = [fault.from_s <= time_s < fault.from_s + fault.for_s for time_s in times_s]
        writes, reads = (
            writes * sum(met) // (len(met) + 1),
            reads if met and met[0] else 0,
        )  # the last batch is drained
    return (writes + reads) * turbines / whole.turbines


def _at_points(fault: Fault, whole: Plan) -> tuple[float, float]:
    """Writes and reads of all nodes at the fault's points."""
    points = _points(fault)
    buckets = fault.buckets or tuple(whole.writes)
    writes = sum(whole.writes[bucket] for bucket in buckets if point_of("put", bucket) in points)
    return writes, whole.reads if "recover" in points and "checkpoints" in buckets else 0


def _called(fault: Fault, whole: Plan) -> tuple[float, float]:
    """Writes and reads of all nodes that a fault calls for, whatever their point."""
    writes = sum(
        count
        for bucket, count in whole.writes.items()
        if not fault.buckets or bucket in fault.buckets
    )
    reads = whole.reads if not fault.buckets or "checkpoints" in fault.buckets else 0
    return writes * bool({"PUT", "PutObject"} & {*fault.calls}), reads * bool(
        {"GET", "GetObject"} & {*fault.calls}
    )


def kills(scenario: Scenario) -> dict[str, list[int]]:
    """Farm -> how many rows its shard has made when its worker is killed, one number for each time, in order."""
    found: dict[str, list[int]] = {}
    for number, fault in enumerate(scenario.faults):
        farms = _farms(scenario.fleet.farms, fault)
        for turn in range(fault.count or 0 if fault.kind == KILL else 0):
            farm = farms[int(chance(scenario.seed, "chaos", number, "kill", turn) * len(farms))]
            low, high = KILL_SPAN
            at = low + (high - low) * chance(scenario.seed, "chaos", number, "kill", turn, "at")
            found.setdefault(farm.farm_id, []).append(
                round(at * len(farm.turbine_ids) * scenario.clock.samples)
            )
    return found


def _farms(farms: Sequence[Farm], fault: Fault) -> list[Farm]:
    return [farm for farm in farms if not fault.farms or farm.farm_id in fault.farms]
