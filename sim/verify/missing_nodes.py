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
from sim.fleet.part import FarmPart


def missing(nodes: Path, farms: Sequence[FarmPart]) -> list[str]:
    """List turbines without `nodes/<farm>/<turbine>.db`, in the order of the fleet."""
    there = {(path.parent.name, path.stem) for path in nodes.glob("*/*.db")}
    return [
        turbine
        for part in farms
        for turbine in part.turbine_ids
        if (part.farm.farm_id, turbine) not in there
    ]


def verdict(turbines: Sequence[str]) -> Verdict:
    """Return `unknown` if a node file is missing, else `pass`. turbines: those without a file."""
    if not turbines:
        return Verdict("pass")
    missed = (
        f"{len(turbines):,} turbines of the scenario have no file in nodes/; first {turbines[0]}"
    )
    return Verdict("unknown", errors=[missed])
