"""Turbines of a scenario without a node file.

The oracle judges the lake against the node files that it finds. A farm that is missing from both
would go unnoticed there.

Not covered: node files of turbines that the scenario does not have, and the contents of a node
file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sim.check import Verdict
from sim.fleet.farm import Farm


def missing(nodes: Path, farms: Sequence[Farm]) -> list[str]:
    """List turbines without `nodes/<farm>/<turbine>.db`, in the order of the fleet."""
    there = {(path.parent.name, path.stem) for path in nodes.glob("*/*.db")}
    return [
        turbine
        for farm in farms
        for turbine in farm.turbine_ids
        if (farm.farm_id, turbine) not in there
    ]


def check(nodes: Path, farms: Sequence[Farm]) -> Verdict:
    """Return `unknown` if a node file is missing, else `pass`."""
    turbines = missing(nodes, farms)
    if not turbines:
        return Verdict("pass")
    missed = f"{len(turbines):,} turbines of the scenario have no node file; first {turbines[0]}"
    return Verdict("unknown", errors=[f"{nodes}: {missed}"])
