"""Batches for flushes, made before the clock starts: real rows, real stages, real bytes.

    with Batches(folder, fleet, seed, cadence, limit_bytes) as batches:
        batches.ensure(12)                       every node has 12 batches, ingested to encoded
    ...in a worker: Prepared(folder).commit_of(node, 3) -> pipeline.commit.Commit

- The model simulates the fleet into node files, as in a run. `pipeline.batch.cut` and
  `pipeline.process.process` then make each node's batches, with the checkpoints in memory.
- One file contains all commits. Every client process maps it after the fork, so that the commits
  take their memory once.
- `ensure` continues after the batches that exist. A later phase only waits for further batches. The
  bytes never depend on the number of steps.

Not covered: data faults. A late row makes the stages read the lake, and the lake of a load test is
empty at first.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np
import simpy

from pipeline import source
from pipeline.batch import MAX_BATCH_ROWS, cut
from pipeline.checkpoint import Checkpoint
from pipeline.commit import Commit
from pipeline.config import NodeConfig
from pipeline.node import CHUNK_ROWS
from pipeline.process import Work, process
from sim import private
from sim.arrays import Ints
from sim.errors import PlanError
from sim.fleet import Fleet
from sim.fleet.nodes import node_configs
from sim.fleet.part import FarmPart
from sim.model.clock import SimClock
from sim.model.farm import FarmModel
from sim.model.recording.nodefile import NodeWriter

MOST_BATCHES: Final = 100_000
"""The most batches of one node. This bound only gives virtual time an end."""
_DATA, _INDEX, _NODES = "batches.bin", "batches.npz", "nodes.pickle"


@dataclass(frozen=True)
class Cadence:
    """The size of a batch and its times.

    start_us: start of virtual time. A batch has `rows` samples of `sample_us` each, and covers
    `flush_every_s`.
    """

    start_us: int
    sample_us: int
    rows: int
    window_s: int
    allowed_lateness_s: int

    @property
    def flush_every_s(self) -> int:
        return self.rows * self.sample_us // 1_000_000

    def require_sound(self) -> None:
        """Raise PlanError unless a batch is a whole number of seconds, and not too large."""
        if self.rows * self.sample_us % 1_000_000:
            span_s = self.rows * self.sample_us / 1e6
            raise PlanError(
                f"load.batch_rows: {self.rows} rows are {span_s:g} s, and a flush interval is a "
                "whole number of seconds: change load.batch_rows or clock.sample_every"
            )
        if self.rows > MAX_BATCH_ROWS:
            raise PlanError(
                f"load.batch_rows: {self.rows:,} is more than a batch may have ({MAX_BATCH_ROWS:,})"
            )


class _Farm:
    """The simulation of one farm, which can be continued at any time."""

    def __init__(
        self, folder: Path, farm: Any, configs: list[NodeConfig], clock: SimClock, seed: int
    ) -> None:
        self._env, self._clock, self._made = simpy.Environment(), clock, 0
        self._model = FarmModel(FarmPart.whole(farm), clock, seed)
        self._model.start(self._env)
        self.writer = NodeWriter(folder, FarmPart.whole(farm), configs)

    def simulate(self, upto: int) -> None:
        """Write the samples before number `upto` to the node files."""
        if upto > self._made:
            self._env.run(until=max(self._clock.seconds(upto - 1), self._env.now + 1e-9))
            self.writer.write(self._model.block(self._made, upto))
            self._made = upto


class Batches:
    """The batches of a fleet's nodes, in the order of its turbines. A `with` closes the files."""

    def __init__(
        self, folder: Path, fleet: Fleet, seed: int, cadence: Cadence, limit_bytes: float
    ) -> None:
        """Create the files in `folder`, without a batch. Raises PlanError, OSError."""
        cadence.require_sound()
        self.folder, self.cadence, self._limit_bytes = folder, cadence, limit_bytes
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        every_us = cadence.flush_every_s * 1_000_000
        # Batches are cut where the time is a multiple of the interval.
        start_us = -(-cadence.start_us // every_us) * every_us
        clock = SimClock(start_us, cadence.sample_us, cadence.rows * MOST_BATCHES)
        self._start_us, self._every_us = start_us, every_us
        self._farms: list[_Farm] = []
        self.configs: list[NodeConfig] = []
        self.databases: list[Path] = []
        for farm in fleet.farms:
            configs = node_configs(
                farm, seed, cadence.flush_every_s, cadence.window_s, cadence.allowed_lateness_s
            )
            self._farms.append(_Farm(folder / "nodes", farm, configs, clock, seed))
            self.configs += configs
            self.databases += self._farms[-1].writer.paths
        self._states = [Checkpoint() for _ in self.configs]
        self._ends: list[Ints] = []  # per round (one batch per node): each batch's end in the file
        self._data = private.open_new(folder / _DATA)
        private.write(folder / _NODES, pickle.dumps((cadence.rows, self.configs, self.databases)))

    @property
    def ready(self) -> int:
        """The number of batches that every node has."""
        return len(self._ends)

    @property
    def size_bytes(self) -> int:
        """The size of all batches."""
        return int(self._data.tell())

    def ensure(self, batches: int, report: Callable[[int], None] = lambda made: None) -> None:
        """Make batches until every node has `batches` of them. Raises PlanError, OSError.

        report: called with the number of batches made in each round.
        """
        while self.ready < batches:
            self._require_room(batches)
            self._round()
            report(len(self.configs))
        self._data.flush()
        ends = (
            np.stack(self._ends) if self._ends else np.zeros((0, len(self.configs)), dtype=np.int64)
        )
        np.savez(self.folder / _INDEX, ends=ends)

    def simulate(self, batches: int) -> None:
        """Write the rows of `batches` batches per node, for flushes that encode. Raises OSError."""
        for farm in self._farms:
            farm.simulate(batches * self.cadence.rows + 1)  # the row after a batch closes it

    def _require_room(self, batches: int) -> None:
        if not self._ends:
            return
        need = self.size_bytes / self.ready * batches
        if need > self._limit_bytes:
            raise PlanError(
                f"load.limits.bytes: {batches:,} batches of {self.cadence.rows:,} rows for each of "
                f"{len(self.configs):,} nodes are about {need / 1e6:,.0f} MB, more than the "
                f"{self._limit_bytes / 1e6:,.0f} MB allowed; lower the rates, the lengths or "
                "load.batch_rows, or raise the limit"
            )

    def _round(self) -> None:
        """Make one more batch of every node."""
        self.simulate(self.ready + 1)
        now_us = self._start_us + (self.ready + 1) * self._every_us
        ends = np.empty(len(self.configs), dtype=np.int64)
        group = max(1, CHUNK_ROWS // self.cadence.rows)
        for first in range(0, len(self.configs), group):
            nodes = range(first, min(first + group, len(self.configs)))
            for node, work in zip(
                nodes, process([self._work(node) for node in nodes], now_us), strict=True
            ):
                self._states[node] = work.state
                parts = (work.objects, work.manifest_key, work.manifest, work.rejected, work.state)
                pickle.dump(parts, self._data, protocol=5)
                ends[node] = self._data.tell()
        self._ends.append(ends)

    def _work(self, node: int) -> Work:
        config, database, state = self.configs[node], self.databases[node], self._states[node]
        batch = next_batch(config, database, state, self.cadence.rows)
        return Work(config, database.name, batch, state, None)

    def close(self) -> None:
        """Close the files. Batches that are ready stay readable."""
        self._data.close()
        for farm in self._farms:
            farm.writer.close()

    def __enter__(self) -> Batches:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError) if error else contextlib.nullcontext():
            self.close()


def next_batch(config: NodeConfig, database: Path, state: Checkpoint, rows: int) -> Any:
    """Return the next batch of a node that stores `rows` rows per flush interval.

    Reads only these rows and the row after them, which must exist. Raises SourceError.
    """
    return cut(source.read(database, state.last_id, rows + 1), config.flush_every_s, None)[0]


class Prepared:
    """The batches as client processes map them into memory. Safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        """Map the files of a folder. Raises OSError, ValueError."""
        nodes: tuple[int, list[NodeConfig], list[Path]] = pickle.loads(
            (folder / _NODES).read_bytes()
        )
        self.rows, self.configs, self.databases = nodes
        with np.load(folder / _INDEX) as index:
            ends: Ints = index["ends"]
        self._bounds = np.concatenate(([0], ends.ravel())).tolist()
        self.ready = len(ends)
        with (folder / _DATA).open("rb") as data:
            self._map = mmap.mmap(data.fileno(), 0, access=mmap.ACCESS_READ) if self.ready else None

    def commit_of(self, node: int, number: int) -> Commit:
        """Return batch `number` (from 0) of a node. Raises IndexError if it was not prepared."""
        if not number < self.ready or self._map is None:
            raise IndexError(f"node {node} has {self.ready} batches, not {number + 1}")
        place = number * len(self.configs) + node
        parts = pickle.load(io.BytesIO(self._map[self._bounds[place] : self._bounds[place + 1]]))
        return Commit(self.configs[node], *parts)
