"""From a scenario to what its load test works with: which nodes, how large their batches, how often they flush."""

from __future__ import annotations

from typing import Final

from sim.fleet import Fleet
from sim.load.arrivals import Nodes
from sim.load.batches import Cadence
from sim.load.errors import PlanError
from sim.load.schedule import Load
from sim.scenario import Scenario
from sim.scenario.fleets import fewer_turbines

FEWEST_NODES: Final = 64
NODES_PER_USER: Final = 4
"""Flushes of one node wait for each other; with so many nodes that is rare."""


def load_of(scenario: Scenario) -> Load:
    """The load section. Raises PlanError when there is none, or when it comes with what a load test cannot have."""
    if scenario.load is None:
        raise PlanError(f"scenario {scenario.name} has no load section; see scenarios/load-ramp.yaml for one")
    for name in ("faults", "data_faults"):
        if getattr(scenario, name):
            raise PlanError(f"{name}: a load test has none, they would be measured too; add --set '{name}=[]'")
    return scenario.load


def fleet_of(scenario: Scenario, load: Load) -> Fleet:
    """The nodes that take part: all where the schedule is the fleet's own, else as many as the users keep busy."""
    if any(entry.kind in ("fleet", "herd") for entry in load.schedule):
        return scenario.fleet
    most_users = max((load.users, *(load.sweep.users if load.sweep else ())))
    wanted = max(FEWEST_NODES, NODES_PER_USER * most_users)
    return scenario.fleet if wanted >= scenario.fleet.turbines else fewer_turbines(scenario.fleet, wanted)


def nodes_of(scenario: Scenario, fleet: Fleet) -> Nodes:
    return Nodes(fleet.turbines, float(scenario.pipeline.flush_every_s))


def cadence_of(scenario: Scenario, load: Load) -> Cadence:
    settings, clock = scenario.pipeline, scenario.clock
    rows = load.batch_rows or settings.flush_every_s * 1_000_000 // clock.sample_us
    return Cadence(clock.start_us, clock.sample_us, rows, settings.window_s, settings.allowed_lateness_s)
