"""The part of a fleet that a scenario runs: some of its farms, or fewer turbines."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sim.fleet import Fleet
from sim.fleet.loader import largest_remainder
from sim.yamlfile import suggestion

if TYPE_CHECKING:
    from sim.arrays import Floats


def some_farms(fleet: Fleet, wanted: tuple[str, ...]) -> tuple[Fleet, list[tuple[int, str]]]:
    """Return the fleet with only these farms, in its own order, and the unknown names.

    Each unknown name is a pair (index, message).
    """
    known = [farm.farm_id for farm in fleet.farms]
    wrong = [
        (i, f"unknown farm '{w}'{suggestion(w, known)}")
        for i, w in enumerate(wanted)
        if w not in known
    ]
    return replace(
        fleet, farms=tuple(farm for farm in fleet.farms if farm.farm_id in wanted)
    ), wrong


def fewer_turbines(fleet: Fleet, wanted: int, block: bool = False) -> Fleet:
    """Return the fleet cut to `wanted` turbines, in proportion by largest remainder.

    Every farm keeps its first turbines, which stand side by side in its front row, or a block
    around its middle. They are numbered anew. A farm left with none is dropped.
    Raises ValueError if the fleet has fewer: more turbines would need positions.
    """
    if wanted > fleet.turbines:
        raise ValueError(
            f"{wanted:,} is more than the {fleet.turbines:,} there are; "
            "write a fleet file for a larger fleet"
        )
    counts = largest_remainder([farm.turbines for farm in fleet.farms], wanted)
    cut = (
        farm.at(_block(farm.positions, n)) if block else farm.first(n)
        for farm, n in zip(fleet.farms, counts, strict=True)
        if n
    )
    return replace(fleet, farms=tuple(cut))


def _block(positions: Floats, wanted: int) -> Floats:
    """Return the turbines nearest to the one in the middle, in their own order.

    In wind along the rows' facing, some of them stand behind others.
    """
    import numpy as np  # only the data sets of `demo` take a block

    middle = positions[np.argmin(np.hypot(*(positions - positions.mean(axis=0)).T))]
    far = np.hypot(*(positions - middle).T)
    return positions[np.sort(np.argsort(far, kind="stable")[:wanted])]
