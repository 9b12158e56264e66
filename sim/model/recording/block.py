"""A block: all rows that the nodes of a part recorded during some samples, column by column."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from sim.arrays import Floats, Ints


@dataclass(frozen=True)
class FileChange:
    """A change of a node's file before row `row` of the block is stored.

    `kind`: `node.replaced`, `schema.added` or `schema.dropped` (see `file_changes`). `channel`: the
    one that is added or dropped.
    """

    turbine: int
    row: int
    kind: str
    channel: str | None


@dataclass
class Block:
    """Rows sorted by (turbine, id).

    - `columns`: id (that of the lake), timestamp, recorded_at (int64 us UTC), turbine (index in
      the part, int64), the channels (float64, NaN is NULL), status (int8, index in records.STATES).
    - `offsets`: turbine i has the rows offsets[i]..offsets[i+1]-1.
    - `cells`: values of any type that replace cells, by (row, column of the node's table).
    - `changes`: of files, in order.
    - `extra`: channels of some files that `pipeline.records` does not have; NaN is NULL.
    """

    columns: dict[str, npt.NDArray[Any]]
    offsets: Ints
    cells: dict[tuple[int, str], object] = field(default_factory=dict)
    changes: list[FileChange] = field(default_factory=list)
    extra: dict[str, Floats] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return int(self.offsets[-1])
