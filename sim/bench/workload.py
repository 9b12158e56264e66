"""The work of a measurement: a farm's rows, its node files, and one batch of each node.

All nodes are of one farm, with a row a second from a full hour on, without faults of the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import simpy

from pipeline.batch import READ_ROWS, cut
from pipeline.checkpoint import Checkpoint
from pipeline.config import NodeConfig
from pipeline.generations import read
from pipeline.process import Work
from sim.errors import BenchError
from sim.fleet import load_fleet
from sim.fleet.farm import Farm
from sim.fleet.nodes import node_configs
from sim.fleet.part import FarmPart
from sim.model.clock import SimClock
from sim.model.farm import FarmModel
from sim.model.recording.block import Block
from sim.model.recording.nodefile import NodeWriter

START_US: Final = 1_705_276_800_000_000  # 2024-01-15T00:00:00Z
SAMPLE_US: Final = 1_000_000
FLUSH_S: Final = 3600
EVERYTHING_US: Final = 2**62


@dataclass(frozen=True)
class Workload:
    """Rows of a farm in memory (`block`) and in node files (`paths`)."""

    farm: Farm
    configs: list[NodeConfig]
    clock: SimClock
    seed: int
    block: Block
    nodes: Path
    paths: list[Path]

    @property
    def rows(self) -> int:
        return self.block.rows

    def works(self) -> list[Work]:
        """Read one batch per node, as for a drain of nodes that delivered nothing yet."""
        works = []
        for config, path in zip(self.configs, self.paths, strict=True):
            batches = cut(read(path, 0, READ_ROWS), FLUSH_S, EVERYTHING_US)
            works.append(Work(config, path.name, batches[0], Checkpoint(), None))
        return works


def make(folder: Path, turbines: int, rows: int, seed: int) -> Workload:
    """Simulate `rows` seconds of the first `turbines` of a farm. Raises BenchError, OSError."""
    farms = load_fleet("full").farms
    farm = next((farm for farm in farms if farm.turbines >= turbines), None)
    if farm is None:
        most = max(farm.turbines for farm in farms)
        raise BenchError(
            f"--turbines {turbines}: the largest farm has {most}; --growth takes whole fleets"
        )
    farm = farm.first(turbines)
    clock = SimClock(START_US, SAMPLE_US, rows)
    configs = node_configs(farm, seed, flush_every_s=FLUSH_S)
    block = simulate(farm, clock, seed)
    with NodeWriter(folder, FarmPart.whole(farm), configs) as writer:
        writer.write(block)
    return Workload(farm, configs, clock, seed, block, folder, writer.paths)


def simulate(farm: Farm, clock: SimClock, seed: int) -> Block:
    """Return all rows of a farm."""
    env = simpy.Environment()
    model = FarmModel(FarmPart.whole(farm), clock, seed, ())
    model.start(env)
    env.run(until=clock.seconds(clock.samples))
    return model.block(0, clock.samples)
