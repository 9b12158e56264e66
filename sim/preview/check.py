"""`windfleet check`: whether a scenario is valid, and the odds of its faults."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from sim.errors import PASS, ScenarioError
from sim.odds import odds
from sim.scenario import load


def check(args: argparse.Namespace) -> int:
    """Print one line for a valid scenario, and one for each of its faults. Raises ScenarioError."""
    try:
        scenario = load(args.scenario, args.set)
    except ScenarioError as error:
        if not args.json:
            raise
        problems = [asdict(problem) for problem in error.problems]
        print(json.dumps({"valid": False, "problems": problems}, indent=1, ensure_ascii=False))
        return error.exit_code
    turbines, rows = scenario.fleet.turbines, scenario.clock.samples
    found = odds(scenario)
    if args.json:
        size = {"name": scenario.name, "seed": scenario.seed, "turbines": turbines}
        size["rows_per_turbine"] = rows
        faults = [asdict(each) for each in found]
        print(json.dumps({"valid": True, "problems": [], **size, "odds": faults}, indent=1))
        return PASS
    many = f"{turbines:,} turbine{'s' * (turbines != 1)}"
    print(f"{args.scenario}: valid; {many}, {rows:,} rows each")
    width = max((len(each.kind) for each in found), default=0)
    for each in found:
        print(f"  {each.kind:<{width}}  {each.text}")
    return PASS
