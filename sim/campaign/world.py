"""The node files of a campaign: simulated once per scenario, with a snapshot for every flush time.

A snapshot holds the rows recorded by then. Each is stored twice: as a plain file, and as the files
that a writer killed at that time leaves, with the newest rows in the WAL. Thousands of runs share
them
(`sim.campaign.in_process_run`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import simpy

from pipeline.config import NodeConfig
from sim.chaos.faults import BUSY, JOURNAL
from sim.chaos.file_faults import (
    checkpoint_wal,
    copy_with_wal,
    interrupt_transaction,
    locked_copy,
    process_folder,
)
from sim.fleet.farm import Farm
from sim.fleet.nodes import node_configs
from sim.fleet.part import FarmPart
from sim.model.clock import SimClock, flush_samples
from sim.model.events import Event
from sim.model.farm import FarmModel
from sim.model.faults.catalogue import DataFault
from sim.model.recording.nodefile import NodeWriter

if TYPE_CHECKING:  # worker processes need no scenario, and its import takes a second
    from sim.scenario import Scenario


@dataclass(frozen=True)
class World:
    """Node files on disk, with snapshots. Picklable.

    nodes: by farm. flush_s: virtual seconds from the start, ascending.
    """

    folder: Path
    nodes: tuple[tuple[str, tuple[NodeConfig, ...]], ...]
    start_us: int
    flush_s: tuple[float, ...]
    flush_every_s: int

    @property
    def drain_s(self) -> float:
        """Time of the first drain, in virtual seconds from the start."""
        return (self.flush_s[-1] if self.flush_s else 0.0) + self.flush_every_s

    @property
    def final(self) -> Path:
        """The finished node files, in the layout of a run directory."""
        return self.folder / "nodes"

    def database(self, flush: int, config: NodeConfig) -> Path:
        """Return the node's file as it was at a flush; after the last flush, the finished one."""
        top = self.folder / f"flush-{flush}" if flush < len(self.flush_s) else self.final
        return top / config.farm_id / f"{config.turbine_id}.db"

    def faulty_database(self, flush: int, config: NodeConfig, kind: str) -> Path:
        """Return a copy of the node's file with a file fault, for this process only."""
        if kind == BUSY:
            database = self.database(flush, config)
            return locked_copy(
                database, process_folder(self.folder, "busy") / str(flush) / config.farm_id
            )
        left = (
            self.folder
            / f"log-{min(flush, len(self.flush_s))}"
            / config.farm_id
            / f"{config.turbine_id}.db"
        )
        copy = copy_with_wal(left, process_folder(self.folder, "log") / config.farm_id)
        if kind == JOURNAL:
            interrupt_transaction(copy)
        return copy


def make_world(scenario: Scenario, folder: Path) -> World:
    """Make the scenario's node files and snapshots in `folder`."""
    clock = SimClock(scenario.clock.start_us, scenario.clock.sample_us, scenario.clock.samples)
    settings = scenario.pipeline
    seconds = (settings.flush_every_s, settings.window_s, settings.allowed_lateness_s)
    return build(
        folder,
        scenario.fleet.farms,
        clock,
        scenario.seed,
        seconds,
        scenario.data_faults,
        scenario.events,
    )


def build(
    folder: Path,
    farms: Sequence[Farm],
    clock: SimClock,
    seed: int,
    settings: tuple[int, int, int],
    data_faults: Sequence[DataFault],
    events: Sequence[Event] = (),
) -> World:
    """Simulate, and take the snapshots. settings: flush_every_s, window_s, allowed_lateness_s."""
    flushes = flush_samples(
        clock.start_us, clock.sample_us, clock.samples, settings[0] * 1_000_000
    ).tolist()
    nodes = []
    for farm in farms:
        configs = node_configs(farm, seed, *settings)
        nodes.append((farm.farm_id, tuple(configs)))
        env, model = (
            simpy.Environment(),
            FarmModel(FarmPart.whole(farm), clock, seed, data_faults, events),
        )
        model.start(env)
        made = 0
        with NodeWriter(folder / "nodes", FarmPart.whole(farm), configs) as writer:
            for i, upto in enumerate([*flushes, clock.samples]):
                env.run(until=max(clock.seconds(upto - 1), 1e-9))
                writer.write(model.block(made, upto))
                made = upto
                for database in writer.paths:
                    copy_with_wal(database, folder / f"log-{i}" / farm.farm_id)
                    if upto < clock.samples:
                        checkpoint_wal(
                            copy_with_wal(database, folder / f"flush-{i}" / farm.farm_id)
                        )
    return World(
        folder,
        tuple(nodes),
        clock.start_us,
        tuple(clock.seconds(n - 1) for n in flushes),
        settings[0],
    )
