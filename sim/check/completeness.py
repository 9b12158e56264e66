"""The completeness map of one share: per (stage, hour of the row) how many rows were expected and what became of them.

Always: actual = expected - lost + duplicated + unexpected. Misplaced and altered rows are there, but not as they
should.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from sim.check.read.columns import Ints

FATES: Final = ("expected", "lost", "duplicated", "misplaced", "altered", "unexpected")


@dataclass
class Tally:
    """`cells[stage, hour][fate]` is a number of rows (aggregated: windows); hours since 1970."""

    cells: dict[tuple[str, int], dict[str, int]] = field(default_factory=dict)

    def add(self, stage: str, fate: str, hours: Ints) -> None:
        """Count one row per entry of `hours`."""
        for hour, count in zip(*np.unique(hours, return_counts=True), strict=True):
            cell = self.cells.setdefault((stage, int(hour)), dict.fromkeys(FATES, 0))
            cell[fate] += int(count)

    def total(self, fate: str, stages: tuple[str, ...]) -> int:
        return sum(cell[fate] for (stage, _), cell in self.cells.items() if stage in stages)


def there(cell: dict[str, int]) -> int:
    """Rows that are in the lake."""
    return cell["expected"] - cell["lost"] + cell["duplicated"] + cell["unexpected"]
