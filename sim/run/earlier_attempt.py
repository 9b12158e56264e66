"""Rows that an earlier attempt at a part delivered into the same lake.

A part that died is run again, from its first row. Its objects are there already, which is harmless:
each one is created if absent, and compared. But a node whose file ends before its checkpoint would
take the file for another one, and stop. So nothing is flushed before all files of the shard have
the rows of their checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline import partition
from pipeline.checkpoint import CheckpointError
from pipeline.commit import recover
from pipeline.config import NodeConfig
from pipeline.ports import ObjectStore, StoreError
from sim.arrays import Ints
from sim.errors import StoreGone
from sim.model.recording.block import Block


class EarlierAttempt:
    """Rows of a shard's nodes: delivered before, and in the files by now."""

    def __init__(self, delivered: Sequence[int]) -> None:
        """Begin with empty files. delivered: last id in the lake by turbine, 0 for none."""
        self._delivered: Ints = np.asarray(delivered, dtype=np.int64)
        self._made = np.zeros_like(self._delivered)

    def add(self, block: Block) -> None:
        """Note the rows that were written into the files."""
        if self.is_passed:
            return
        low, high = block.offsets[:-1], block.offsets[1:]
        there = high > low
        self._made[there] = block.columns["id"][high[there] - 1]

    @property
    def is_passed(self) -> bool:
        """True if every file has the rows that the lake has of it."""
        return bool((self._made >= self._delivered).all())


NONE = EarlierAttempt([])
"""For a lake that was empty when the run began."""


def earlier_attempt(store: ObjectStore, configs: Sequence[NodeConfig]) -> EarlierAttempt:
    """Look for an earlier attempt: one listing, and a GET for each checkpoint. Raises StoreGone."""
    try:
        folder = partition.checkpoint_key(configs[0].farm_id, "").rpartition("/")[0] + "/"
        known = set(store.list(partition.bucket("checkpoints"), folder, ""))
        return EarlierAttempt([_last_id(store, config, known) for config in configs])
    except StoreError as error:
        raise StoreGone(str(error)) from error


def _last_id(store: ObjectStore, config: NodeConfig, known: set[str]) -> int:
    if partition.checkpoint_key(config.farm_id, config.turbine_id) not in known:
        return 0
    try:
        return recover(store, config).state.last_id
    except CheckpointError:
        return 0  # the node itself reports it
