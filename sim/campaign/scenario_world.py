"""A scenario's in-process world (`sim.campaign.world`), and its lake as files for the oracle."""

from __future__ import annotations

from pathlib import Path

from sim.campaign.memory_store import MemoryStore
from sim.campaign.world import World, build
from sim.model.clock import SimClock
from sim.scenario import Scenario


def make_world(scenario: Scenario, folder: Path) -> World:
    """The scenario's node files and snapshots, in `folder`."""
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


def dump(store: MemoryStore, folder: Path) -> None:
    """The store's objects as `folder/<bucket>/<key>`."""
    for (bucket, key), body in store.objects.items():
        path = folder / bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
