"""Parts of a run, and the shards that the workers of one part take.

A run is cut into parts of about equal rows: consecutive turbines of the fleet, of one farm or of
several. A part is a function of (fleet, index, count). What neighbours share (weather, wakes,
events of a farm, its crews) is computed again from the seed, so no part needs another one.

A part is cut into shards for its worker processes, which decides memory and time only:

- A shard holds SHARD_ROWS rows of a flush at most. For several workers it is one of
  SHARDS_PER_WORKER shares of the part's turbines, but LEAST_TURBINES if the farm has them.
- For one worker nothing is gained by more shards, each of which computes its farm's weather, wakes
  and crews again.
- Faults of delivery, and objects per farm, need the farm's nodes in one process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from sim.errors import PartError
from sim.fleet.farm import Farm, Fleet
from sim.fleet.part import FarmPart
from sim.run.part_index import WHOLE, PartIndex

SHARD_ROWS: Final = 200_000
SHARDS_PER_WORKER: Final = 4
LEAST_TURBINES: Final = 16


@dataclass(frozen=True, eq=False)
class Part:
    """Part `index` of `count`, counted from 1."""

    index: int
    count: int
    farms: tuple[FarmPart, ...]

    @property
    def turbines(self) -> int:
        """Number of turbines of the part."""
        return sum(farm.turbines for farm in self.farms)

    @property
    def is_whole(self) -> bool:
        """True for the whole run."""
        return self.count == 1

    def others(self, fleet: Fleet) -> frozenset[str]:
        """Return the turbines of the other parts."""
        if self.is_whole:
            return frozenset()
        own = {turbine for farm in self.farms for turbine in farm.turbine_ids}
        return frozenset(
            turbine for farm in fleet.farms for turbine in farm.turbine_ids if turbine not in own
        )

    def __str__(self) -> str:
        return f"part {self.index} of {self.count}"


def part_of(fleet: Fleet, place: PartIndex = WHOLE, whole_farms: bool = False) -> Part:
    """Return one part of a fleet.

    whole_farms: cut between farms only. Raises PartError for parts that would be empty.
    """
    index, count = place.index, place.count
    most = len(fleet.farms) if whole_farms else fleet.turbines
    if count > most:
        unit = "farms, which are kept whole" if whole_farms else "turbines"
        raise PartError(
            f"{count} parts of {most} {unit}: some would be empty; ask for {most} or fewer"
        )
    if whole_farms:
        groups = _groups(fleet.farms, count)
        return Part(index, count, tuple(FarmPart.whole(farm) for farm in groups[index - 1]))
    first, last = (fleet.turbines * n // count for n in (index - 1, index))
    found, before = [], 0
    for farm in fleet.farms:
        low, high = max(first - before, 0), min(last - before, farm.turbines)
        if low < high:
            found.append(FarmPart(farm, low, high))
        before += farm.turbines
    return Part(index, count, tuple(found))


def _groups(farms: Sequence[Farm], count: int) -> list[list[Farm]]:
    """Deal whole farms to `count` groups of about equal turbines, the largest farm first."""
    groups: list[list[Farm]] = [[] for _ in range(count)]
    for farm in sorted(farms, key=lambda farm: farm.turbines, reverse=True):
        min(groups, key=lambda group: (sum(each.turbines for each in group), len(group))).append(
            farm
        )
    return groups


def in_shards(part: Part, flush_rows: int, workers: int, whole_farms: bool) -> list[FarmPart]:
    """Cut a part into shards. flush_rows: rows of a turbine in one flush."""
    if whole_farms:
        return list(part.farms)
    shares = SHARDS_PER_WORKER * workers if workers > 1 else 1
    fair = -(-part.turbines // shares)
    most = max(1, min(SHARD_ROWS // max(1, flush_rows), max(fair, LEAST_TURBINES)))
    return [piece for farm in part.farms for piece in _cut(farm, most)]


def _cut(part: FarmPart, most: int) -> list[FarmPart]:
    """Cut consecutive turbines into equal pieces of `most` at most."""
    pieces = -(-part.turbines // most)
    borders = [part.first + part.turbines * n // pieces for n in range(pieces + 1)]
    return [FarmPart(part.farm, low, high) for low, high in pairwise(borders)]
