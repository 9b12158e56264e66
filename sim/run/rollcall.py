"""The roll call: does every turbine of a run's scenario have its node file?

The oracle judges the lake against the node files that it finds, so a farm that is gone from both would go unnoticed.
Not covered: node files of turbines that the scenario does not have, and what a node file holds.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sim.check.verdict import Verdict
from sim.run.directory import SCENARIO_FILE
from sim.scenario import load


def absent(run_dir: Path) -> list[str]:
    """Turbines without `nodes/<farm>/<turbine>.db`, in the order of the fleet. Raises ScenarioError."""
    farms = load(run_dir / SCENARIO_FILE).fleet.farms
    there = {(path.parent.name, path.stem) for path in (run_dir / "nodes").glob("*/*.db")}
    return [turbine for farm in farms for turbine in farm.turbine_ids if (farm.farm_id, turbine) not in there]


def held(verdict: Verdict, run_dir: Path) -> Verdict:
    """The verdict, which is no `pass` any more when somebody is absent. Raises ScenarioError."""
    turbines = absent(run_dir)
    if not turbines:
        return verdict
    error = f"{run_dir / 'nodes'}: {len(turbines):,} turbines of the scenario have no node file; first {turbines[0]}"
    status = "unknown" if verdict.status == "pass" else verdict.status
    return replace(verdict, status=status, errors=[*verdict.errors, error])
