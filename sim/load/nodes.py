"""From a scenario to what its load test works with: which nodes, how large their batches, how often they flush."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sim.errors import PlanError
from sim.fleet import Fleet
from sim.load.arrivals import Nodes
from sim.load.batches import Cadence
from sim.load_schedule import Load
from sim.measure.figures import LOAD as FIGURES_OF_LOAD
from sim.measure.thresholds import Expectation
from sim.scenario import Scenario
from sim.scenario.fleet_selection import fewer_turbines

FEWEST_NODES: Final = 64
NODES_PER_USER: Final = 4
"""Flushes of one node wait for each other; with so many nodes that is rare."""
_ALWAYS: Final = ("load.workers_lost", "load.generator_per_s", "time.total")
_OF_SWEEP: Final = ("load.peak_per_s", "load.saturation_users", "load.littles_law_error")


def load_of(scenario: Scenario) -> Load:
    """The load section. Raises PlanError when there is none, or when it comes with what a load test cannot have."""
    if scenario.load is None:
        raise PlanError(
            f"scenario {scenario.name} has no load section; see scenarios/load-ramp.yaml for one"
        )
    for name in ("faults", "data_faults"):
        if getattr(scenario, name):
            raise PlanError(
                f"{name}: a load test has none, they would be measured too; add --set '{name}=[]'"
            )
    return scenario.load


def require_busy(load: Load) -> None:
    """Raises PlanError when there are more processes than users: some would make nothing."""
    if load.processes > load.users:
        raise PlanError(
            f"{load.processes} processes for {load.users} users (load.users) leave some idle; "
            f"take at most {load.users} processes"
        )


def require_measurable(expectations: Iterable[Expectation], load: Load) -> None:
    """Raises PlanError when no test of this plan measures what is expected: its verdict would be unknown for sure."""
    wrong = [
        f"expect: '{one.text}': {why}"
        for one in expectations
        if (why := _never_measured(one.figure, load)) is not None
    ]
    if wrong:
        raise PlanError("\n".join(wrong))


def _never_measured(figure: str, load: Load) -> str | None:
    """Why, in words; None where the plan may measure it. `sim.load.analysis.figures.of_test` is what does."""
    group, kind, *_ = figure.split(".")
    if figure in _ALWAYS:
        return None
    if figure not in FIGURES_OF_LOAD:
        return "no load test measures it"
    if figure in _OF_SWEEP or kind == "usl":
        return None if load.sweep else "only a sweep tells it, and load has none"
    if figure == "load.sustainable_per_s":
        return None if load.search else "only a search tells it, and load has none"
    if not (load.schedule or load.search):
        return "a sweep alone does not tell it; add a schedule or a search"
    if group in ("latency", "service") and kind not in dict(load.mix):
        return f"no {kind} is made; load.mix has {', '.join(made for made, _ in load.mix)}"
    if figure == "load.drift" and len(load.schedule) > 1:
        return "it is told of one phase, and load.schedule has several"
    return None


def fleet_of(scenario: Scenario, load: Load) -> Fleet:
    """The nodes that take part: all where the schedule is the fleet's own, else as many as the users keep busy."""
    if any(entry.kind in ("fleet", "herd") for entry in load.schedule):
        return scenario.fleet
    most_users = max((load.users, *(load.sweep.users if load.sweep else ())))
    wanted = max(FEWEST_NODES, NODES_PER_USER * most_users)
    return (
        scenario.fleet
        if wanted >= scenario.fleet.turbines
        else fewer_turbines(scenario.fleet, wanted)
    )


def nodes_of(scenario: Scenario, fleet: Fleet) -> Nodes:
    return Nodes(fleet.turbines, float(scenario.pipeline.flush_every_s))


def cadence_of(scenario: Scenario, load: Load) -> Cadence:
    settings, clock = scenario.pipeline, scenario.clock
    rows = load.batch_rows or settings.flush_every_s * 1_000_000 // clock.sample_us
    return Cadence(
        clock.start_us, clock.sample_us, rows, settings.window_s, settings.allowed_lateness_s
    )
