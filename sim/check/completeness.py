"""Completeness of one share of the fleet: expected and actual rows per stage and hour.

Always: actual = expected - lost + duplicated + unexpected. Misplaced and altered rows count as
present.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from sim.check.read.columns import Ints

_MOST_HOURS: Final = 10_000
"""Longest span that is counted hour by hour. A longer one has few hours, far apart."""
FATES: Final = ("expected", "lost", "duplicated", "misplaced", "altered", "unexpected")


@dataclass
class Completeness:
    """Numbers of rows, `rows[stage, hour][fate]`; in aggregated, of windows. Hours since 1970."""

    rows: dict[tuple[str, int], dict[str, int]] = field(default_factory=dict)

    def add(self, stage: str, fate: str, hours: Ints) -> None:
        """Count one row per entry of `hours`."""
        for hour, count in _counted(hours):
            of_hour = self.rows.setdefault((stage, hour), dict.fromkeys(FATES, 0))
            of_hour[fate] += count

    def total(self, fate: str, stages: tuple[str, ...]) -> int:
        """Return the number of rows with this fate in these stages."""
        return sum(of_hour[fate] for (stage, _), of_hour in self.rows.items() if stage in stages)


def _counted(hours: Ints) -> Iterator[tuple[int, int]]:
    """Yield each distinct hour, in order, and its number of entries."""
    first, last = (int(hours.min()), int(hours.max())) if len(hours) else (0, 0)
    if last - first > _MOST_HOURS:
        found, counts = np.unique(hours, return_counts=True)
    else:
        counts = np.bincount(hours - first)
        found = np.flatnonzero(counts)
        counts, found = counts[found], found + first
    return zip(found.tolist(), counts.tolist(), strict=True)


def actual_rows(of_hour: dict[str, int]) -> int:
    """Return the number of rows present in the lake."""
    return of_hour["expected"] - of_hour["lost"] + of_hour["duplicated"] + of_hour["unexpected"]
