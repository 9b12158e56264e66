"""`windfleet plan`: size, cost and needs of a scenario, and of its load test. Nothing runs."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from sim.errors import PASS
from sim.odds import odds
from sim.report import numbers
from sim.report.plan import print_plan
from sim.run.needs import needs_of_plan, print_needs
from sim.scenario import Scenario, load
from sim.scenario.plan import plan

if TYPE_CHECKING:
    from sim.load.outline import Outline


def preview(args: argparse.Namespace, console: Console) -> int:
    """Print the plan of a scenario. Raises NeedsError if this machine holds no part of it."""
    scenario = load(args.scenario, args.set)
    size, found = plan(scenario), odds(scenario)
    if args.json:
        document = asdict(size) | {"odds": [asdict(each) for each in found]}
        document["needs"] = needs_of_plan(scenario, args)
        document["load"] = None if scenario.load is None else asdict(_outline(scenario))
        print(json.dumps(document, indent=1))
        return PASS
    data, delivery = (
        [each for each in found if each.section == section] for section in ("data_faults", "faults")
    )
    print_plan(
        console,
        size,
        [(each.kind, each.text) for each in data],
        [each.text for each in delivery],
    )
    if scenario.load is not None:
        _print_load(scenario, console)
    print_needs(scenario, args, console)
    return PASS


def _outline(scenario: Scenario) -> Outline:
    from sim.load.arrivals import Nodes
    from sim.load.outline import outline

    assert scenario.load is not None
    nodes = Nodes(scenario.fleet.turbines, scenario.pipeline.flush_every_s)
    return outline(scenario.load, nodes)


def _print_load(scenario: Scenario, console: Console) -> None:
    """Print what `windfleet load` would do: its phases, its length and its requests."""
    from sim.load.outline import plan_lines

    assert scenario.load is not None
    found = _outline(scenario)
    least, most = numbers.duration(found.least_s), numbers.duration(found.most_s)
    length = f"about {least}" if least == most else f"{least} to {most}"
    lines = plan_lines(scenario.load)
    if found.tries:
        lines.append(f"at most some {found.tries} tries of the search, longer for high percentiles")
    if found.requests:
        lines.append(f"about {found.requests:,.0f} requests of the schedule")
    lines.append(f"{length} of phases, after batches are made and the generator is calibrated")
    for number, text in enumerate(lines):
        head = "load test" if number == 0 else ""
        console.print(Text(f"{head:<15}", "dim") + Text(text, "default"), soft_wrap=True)
