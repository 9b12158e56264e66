"""The object that each expected row and window belongs in, in either layout of the lake.

`BatchPlaces`  one object per turbine, stage, hour and batch: the key names the batch
`FarmPlaces`   one object per farm, stage, hour and flush. A flush has at most one batch of each
               node, and its key does not name them. So the lake says which flush a batch is in, and
               it must say the same in every stage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

import numpy as np

from sim.check.expected.rows import HOUR_US, Expectation
from sim.check.read.columns import FOREIGN, Bools, Ints, integers
from sim.check.read.keys import BatchKey, FarmKey, Key
from sim.check.read.objects import StageRows

_NAMED = 1 << 40
"""Weight of a manifest that names a batch, against one row of it."""


class Places(Protocol):
    """Right places of rows and windows."""

    def in_place(self, lake: StageRows, found: Ints, at: Ints) -> Bools:
        """Mask of the found rows of the lake that are in the object of the expected rows `at`."""

    def rows_at(self, key: Key) -> Bools:
        """Mask of the expected rows that belong under a key, in whatever stage."""

    def objects(self, rows: Ints) -> Ints:
        """Number of the object of each expected row: equal for rows of one object."""

    def key_of(self, stage: str, row: int) -> str:
        """Key of the object of an expected row."""

    def batches(self, lake: StageRows, owner: Ints, rows: Ints, start: Ints) -> Ints:
        """Batch that made each window, by its object's key.

        `FOREIGN` if the key names another holder, another hour or no batch.
        """

    def holder(self, owner: int) -> str:
        """Name in the keys of a node's objects: its turbine or its farm."""


class BatchPlaces:
    """Places in the pipeline's own layout."""

    def __init__(self, expected: Expectation) -> None:
        self._expected = expected
        batches = expected.batches
        turbines = [node.turbine for node in expected.nodes]
        named = zip(
            batches.owner.tolist(), batches.first.tolist(), batches.last.tolist(), strict=True
        )
        self._batch_of = {
            (turbines[owner], *ids): (owner, batch) for batch, (owner, *ids) in enumerate(named)
        }

    def in_place(self, lake: StageRows, found: Ints, at: Ints) -> Bools:
        key = self._keys(lake)[lake.object[found]]
        right = key[:, 1] == self._expected.batch[at]
        in_place: Bools = right & (key[:, 2] == self._expected.hour[at])
        return in_place

    def rows_at(self, key: Key) -> Bools:
        known = self._batch(key)
        rows: Bools = self._expected.hour == key.hour
        rows &= self._expected.batch == (FOREIGN if known is None else known[1])
        return rows

    def objects(self, rows: Ints) -> Ints:
        return _numbered(self._expected.batch[rows], self._expected.hour[rows])

    def key_of(self, stage: str, row: int) -> str:
        batch, batches = self._expected.batch[row], self._expected.batches
        turbine = self.holder(self._expected.owner[row])
        first, last = int(batches.first[batch]), int(batches.last[batch])
        return BatchKey(stage, int(self._expected.hour[row]), turbine, first, last).text()

    def batches(self, lake: StageRows, owner: Ints, rows: Ints, start: Ints) -> Ints:
        key = self._keys(lake)[lake.object[rows]]
        in_place = (key[:, 0] == owner) & (key[:, 2] == start // HOUR_US)
        return np.where(in_place, key[:, 1], FOREIGN)

    def holder(self, owner: int) -> str:
        return self._expected.nodes[owner].turbine

    def _keys(self, lake: StageRows) -> Ints:
        """Owner, batch and hour in each object's key, (objects, 3); `FOREIGN` without a batch."""
        keys = []
        for place in (item.place for item in lake.objects):
            known = None if place is None else self._batch(place)
            keys.append((*known, place.hour) if place and known else (FOREIGN,) * 3)
        return np.array(keys, dtype=np.int64).reshape(len(keys), 3)

    def _batch(self, key: Key) -> tuple[int, int] | None:
        """Return owner and batch of a key; None if it names no batch."""
        if not isinstance(key, BatchKey):
            return None
        return self._batch_of.get((key.turbine, key.first, key.last))


class FarmPlaces:
    """Places in the compacted layout, for the turbines of one farm.

    manifests: key of each flush's manifest -> turbine -> first and last id.
    `flushes`: a key of each flush. `flush`: index of each batch's flush, (batches,); `FOREIGN` if
    no row of it was found yet.
    """

    def __init__(
        self,
        expected: Expectation,
        farm: str,
        manifests: Mapping[FarmKey, Mapping[str, tuple[int, int]]],
    ) -> None:
        self._expected, self._farm = expected, farm
        self.flushes: list[FarmKey] = []
        self._index: dict[str, int] = {}
        self.flush: Ints = np.full(len(expected.batches.owner), FOREIGN, dtype=np.int64)
        b = expected.batches
        ranges = zip(b.owner.tolist(), b.first.tolist(), b.last.tolist(), strict=True)
        batch_of = {
            (expected.nodes[owner].turbine, first, last): batch
            for batch, (owner, first, last) in enumerate(ranges)
        }
        named = [
            (batch, self._flush(key))
            for key, nodes in manifests.items()
            for turbine, ids in nodes.items()
            if (batch := batch_of.get((turbine, *ids))) is not None
        ]
        self._named: Ints = np.array(named, dtype=np.int64).reshape(-1, 2)

    def learn(self, lake: StageRows, owner: Ints) -> None:
        """Find the flush of each batch that has none yet: with most of its rows in this stage."""
        place = self._expected.index.find(owner, integers(lake.table.column("id")))
        flush = self._of_objects(lake)[lake.object]
        known = (place >= 0) & (flush >= 0)
        size = max(len(self.flushes), 1)
        pairs = self._expected.batch[place[known]] * size + flush[known]
        found, votes = np.unique(pairs, return_counts=True)
        found = np.concatenate([found, self._named[:, 0] * size + self._named[:, 1]])
        votes = np.concatenate([votes, np.full(len(self._named), _NAMED)])
        found, index = np.unique(found, return_inverse=True)
        votes = np.bincount(index, weights=votes, minlength=len(found))
        # The best of each batch comes last; of equal ones the first flush.
        order = np.lexsort((-found, votes, found // size))
        batch, best = found[order] // size, found[order] % size
        last = np.append(batch[1:] != batch[:-1], True)[: len(batch)] & (self.flush[batch] < 0)
        self.flush[batch[last]] = best[last]

    def in_place(self, lake: StageRows, found: Ints, at: Ints) -> Bools:
        item = lake.object[found]
        flush, hour = self._of_objects(lake)[item], _hours(lake)[item]
        right = (flush >= 0) & (flush == self.flush[self._expected.batch[at]])
        in_place: Bools = right & (hour == self._expected.hour[at])
        return in_place

    def rows_at(self, key: Key) -> Bools:
        known = self.batches_of(key)
        rows: Bools = np.isin(self._expected.batch, known) & (self._expected.hour == key.hour)
        return rows

    def batches_of(self, key: Key) -> Ints:
        """Batches of a key's flush."""
        flush = self._index.get(key.name)
        return np.flatnonzero(self.flush == flush) if flush is not None else np.zeros(0, np.int64)

    def objects(self, rows: Ints) -> Ints:
        return _numbered(self.flush[self._expected.batch[rows]], self._expected.hour[rows])

    def key_of(self, stage: str, row: int) -> str:
        hour, flush = int(self._expected.hour[row]), self.flush[self._expected.batch[row]]
        if flush < 0:  # no object has any row of the batch
            folder = FarmKey(stage, hour, self._farm, 0, "", 0).text().rpartition("/")[0]
            return f"{folder}/{self._farm}-compact-*.parquet"
        return self.key(int(flush), stage, hour).text()

    def key(self, flush: int, stage: str, hour: int) -> FarmKey:
        """Key of an object of a flush."""
        return replace(self.flushes[flush], stage=stage, hour=hour)

    def batches(self, lake: StageRows, owner: Ints, rows: Ints, start: Ints) -> Ints:
        flush = self._of_objects(lake)
        of = np.full((len(self.flushes) + 1, len(self._expected.nodes)), FOREIGN, dtype=np.int64)
        placed = np.flatnonzero(self.flush >= 0)
        of[self.flush[placed], self._expected.batches.owner[placed]] = placed
        item = lake.object[rows]
        in_place = (flush[item] >= 0) & (_hours(lake)[item] == start // HOUR_US)
        nowhere = len(self.flushes)
        return of[np.where(in_place, flush[item], nowhere), owner]

    def holder(self, owner: int) -> str:
        return self._farm

    def _of_objects(self, lake: StageRows) -> Ints:
        """Index of the flush in each object's key, (objects,); `FOREIGN` for another farm's."""
        flushes = []
        for place in (item.place for item in lake.objects):
            if not isinstance(place, FarmKey) or place.farm != self._farm:
                flushes.append(FOREIGN)
                continue
            flushes.append(self._flush(place))
        return np.array(flushes, dtype=np.int64)

    def _flush(self, key: FarmKey) -> int:
        if key.name not in self._index:
            self._index[key.name] = len(self.flushes)
            self.flushes.append(key)
        return self._index[key.name]


def _hours(lake: StageRows) -> Ints:
    """Hour in each object's key, (objects,); `FOREIGN` for a key of unknown form."""
    return np.array([o.place.hour if o.place else FOREIGN for o in lake.objects], dtype=np.int64)


def _numbered(first: Ints, second: Ints) -> Ints:
    """Number of each distinct pair, by both."""
    pairs = np.unique(np.stack([first, second], axis=1), axis=0, return_inverse=True)
    return pairs[1].ravel()
