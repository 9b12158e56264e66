"""Progress of a run by farm, from the keys of the objects that its nodes create.

A batch is durable when its manifest is in the metadata bucket. Its key has the turbine and the
batch's ids. A node delivers its batches in order of id, so its last durable id is the number of
its durable rows. A batch has begun when its first data object is in the ingestion bucket.

Fleet time follows from the number of a node's batches: one per flush. A node that has no row at all
between two flushes makes none, and then seems to be behind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import partition
from sim.arrays import Floats, Ints
from sim.scenario import Scenario
from sim.scenario.plan import batches
from sim.units import SECOND_US
from sim.watch.history import History
from sim.watch.store_totals import nanoseconds

_NAME: Final = r"/(?P<turbine>[^/]*)-(?P<first>\d+)-(?P<last>\d+)\.(?:json|parquet)$"
_STORED: Final = pa.array(["ok", "exists"])


@dataclass(frozen=True)
class Farm:
    """Progress of one farm. Rows and batches are those of the node databases.

    under_way: rows of batches that have begun and are not durable.
    until_us: fleet time up to which all turbines of the farm are durable, us since 1970.
    lag_s: fleet time from there to the newest row that has reached the store.
    last_s: wall time of the last durable batch, s since 1970; None before the first.
    """

    name: str
    turbines: int
    rows_planned: int
    rows: int
    batches_planned: int
    batches: int
    under_way: int
    until_us: int
    lag_s: float
    last_s: float | None


class _NodeBatches:
    """Batches of each node so far. `last`: highest id; `count`: number of batches."""

    def __init__(self, nodes: int) -> None:
        self.last = np.zeros(nodes, dtype=np.int64)
        self.count = np.zeros(nodes, dtype=np.int64)

    def add(self, node: Ints, last: Ints) -> Ints:
        """Add batches by node and last id. Return the places of those that are new.

        A second attempt, and an object of another hour, have the ids of the first.
        """
        _, once = np.unique(np.column_stack((node, last)), axis=0, return_index=True)
        new: Ints = once[last[once] > self.last[node[once]]]
        np.maximum.at(self.last, node[new], last[new])
        np.add.at(self.count, node[new], 1)
        return new


class FarmProgress:
    """Progress of all farms of a scenario."""

    def __init__(self, scenario: Scenario, history: History) -> None:
        clock = scenario.clock
        farms = scenario.fleet.farms
        self._history, self._clock = history, clock
        self._names = [farm.farm_id for farm in farms]
        self._turbines = pa.array([name for farm in farms for name in farm.turbine_ids])
        self._farm = np.repeat(np.arange(len(farms)), [farm.turbines for farm in farms])
        _, last_us, _ = batches(clock, scenario.pipeline)
        # Fleet time at which a node's first 0, 1, 2, ... batches end, us since 1970.
        self._ends_us = np.concatenate(([clock.start_us], last_us + clock.sample_us))
        self._durable, self._begun = (_NodeBatches(len(self._farm)) for _ in range(2))
        self._last_ns = np.zeros(len(farms))

    def add(self, operations: pa.Table) -> None:
        """Add operations in `sim.measure.operations.SCHEMA`."""
        stored = operations.filter(
            pc.and_(pc.equal(operations["kind"], "put"), pc.is_in(operations["outcome"], _STORED))
        )
        node, _, last, _ = self._ids(stored, partition.bucket("ingestion"))
        self._begun.add(node, last)
        node, first, last, end_ns = self._ids(stored, partition.bucket("metadata"))
        new = self._durable.add(node, last)
        np.maximum.at(self._last_ns, self._farm[node[new]], end_ns[new])
        rows = (last[new] - first[new] + 1).astype(np.float64)
        self._history.add("rows", end_ns[new] / 1e9, rows)

    def _ids(self, operations: pa.Table, bucket: str) -> tuple[Ints, Ints, Ints, Floats]:
        """Return turbine, first id, last id and end (ns) of each object of a bucket."""
        found = operations.filter(pc.equal(operations["bucket"], bucket))
        names = pc.extract_regex(found["key"].combine_chunks(), _NAME)
        turbine = pc.index_in(pc.struct_field(names, "turbine"), self._turbines)
        known = pc.is_valid(turbine)
        parts = [turbine, *(pc.struct_field(names, name) for name in ("first", "last"))]
        of_known = [part.filter(known).cast(pa.int64()).to_numpy() for part in parts]
        return of_known[0], of_known[1], of_known[2], nanoseconds(found.filter(known), "end")

    @property
    def farms(self) -> list[Farm]:
        """Return the progress of each farm."""
        return [self._of(number) for number in range(len(self._names))]

    def _of(self, number: int) -> Farm:
        mine = self._farm == number
        durable, begun = self._durable.last[mine], self._begun.last[mine]
        most = len(self._ends_us) - 1  # batches of a node; faults of the data can make more
        slowest = min(int(self._durable.count[mine].min()), most)
        newest = min(int(max(self._begun.count[mine].max(), slowest)), most)
        return Farm(
            name=self._names[number],
            turbines=len(durable),
            rows_planned=len(durable) * self._clock.samples,
            rows=int(durable.sum()),
            batches_planned=len(durable) * most,
            batches=int(self._durable.count[mine].sum()),
            under_way=int(np.maximum(begun - durable, 0).sum()),
            until_us=int(self._ends_us[slowest]),
            lag_s=float(self._ends_us[newest] - self._ends_us[slowest]) / SECOND_US,
            last_s=float(self._last_ns[number]) / 1e9 or None,
        )
