"""The nodes of a load test, from its scenario: which take part, their batches, their flushes."""

from __future__ import annotations

from typing import Final

from sim.errors import PlanError
from sim.fleet import Fleet
from sim.load.arrivals import Nodes
from sim.load.batches import Cadence
from sim.load_schedule import Load
from sim.scenario import Scenario
from sim.scenario.fleet_selection import fewer_turbines

FEWEST_NODES: Final = 64
NODES_PER_USER: Final = 4
"""Flushes of one node wait for each other. With so many nodes per user that is rare."""


def load_of(scenario: Scenario) -> Load:
    """Return the load section. Raises PlanError if there is none, or if there are faults too."""
    if scenario.load is None:
        raise PlanError(
            f"scenario {scenario.name} has no load section; see scenarios/load-ramp.yaml for one"
        )
    for name in ("faults", "data_faults"):
        if getattr(scenario, name):
            raise PlanError(
                f"{name}: a load test has no faults, they would change its figures; "
                f"add --set '{name}=[]'"
            )
    return scenario.load


def fleet_of(scenario: Scenario, load: Load) -> Fleet:
    """Return the fleet that takes part.

    The whole fleet if the schedule follows it, else as many turbines as the users keep busy.
    """
    if any(entry.kind in ("fleet", "herd") for entry in load.schedule):
        return scenario.fleet
    most_users = max((load.users, *(load.sweep.users if load.sweep else ())))
    wanted = max(FEWEST_NODES, NODES_PER_USER * most_users)
    if wanted >= scenario.fleet.turbines:
        return scenario.fleet
    return fewer_turbines(scenario.fleet, wanted)


def nodes_of(scenario: Scenario, fleet: Fleet) -> Nodes:
    """Return the number of nodes and their flush interval."""
    return Nodes(fleet.turbines, float(scenario.pipeline.flush_every_s))


def cadence_of(scenario: Scenario, load: Load) -> Cadence:
    """Return the size of a batch and its times."""
    settings, clock = scenario.pipeline, scenario.clock
    rows = load.batch_rows or settings.flush_every_s * 1_000_000 // clock.sample_us
    return Cadence(
        clock.start_us, clock.sample_us, rows, settings.window_s, settings.allowed_lateness_s
    )
