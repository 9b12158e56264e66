"""One occurrence of a data fault, and its effect on the rows as they are recorded."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sim.arrays import Bools, Ints
from sim.model.faults.catalogue import KINDS, Target
from sim.model.faults.poison import Poison
from sim.model.faults.units import Unit


@dataclass(eq=False)
class Occurrence:
    """One occurrence of a fault: a turbine's samples first..last-1.

    `altered` marks the samples that really changed (sensor faults). Ids and row counts are filled
    in as the rows are recorded. For `row.missing`, `rows` counts the samples that were not
    recorded.
    """

    kind: str
    turbine: int
    channel: str | None
    first: int
    last: int
    # spike, bias, drift: change in the channel's unit (a drift reaches it at its end)
    size: float = 0.0
    full: int = 0  # drift: samples of the whole fault, with those after the run's end
    delay_us: int = 0
    order_us: Ints | None = None  # out of order: delay of each sample
    by_us: int = 0  # clock: error of the timestamps
    value: float | None = None  # stuck, sentinel
    unit: Unit | None = None
    poison: Poison | None = None
    altered: Bools = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    first_id: int | None = None
    last_id: int | None = None
    rows: int = 0
    unrecorded: int = 0

    @property
    def target(self) -> Target:
        return KINDS[self.kind].target

    def recorded(self, ids: Ints) -> None:
        """Note rows that carry this fault; ids ascending."""
        if len(ids):
            self.first_id = (
                int(ids[0]) if self.first_id is None else min(self.first_id, int(ids[0]))
            )
            self.last_id = int(ids[-1]) if self.last_id is None else max(self.last_id, int(ids[-1]))
            self.rows += len(ids)

    @property
    def detail(self) -> str | None:
        notes = []
        if self.value is not None:
            notes.append(f"held at {self.value:g}")
        if self.size:
            notes.append(f"by {self.size:+g}")
        if self.unit is not None:
            notes.append(f"in {self.unit.name}")
        if self.poison is not None:
            breaks = f"breaks {self.poison.rule}" if self.poison.rule else "and valid"
            notes.append(f"{self.poison.text}, {breaks}")
        if self.by_us:
            notes.append(f"clock off by {self.by_us / 1e6:+.12g} s")
        if self.delay_us:
            notes.append(
                f"{'up to ' if self.order_us is not None else ''}{self.delay_us / 1e6:g} s late"
            )
        if self.unrecorded:
            notes.append(f"{self.unrecorded} rows not recorded before the end of the run")
        return ", ".join(notes) or None
