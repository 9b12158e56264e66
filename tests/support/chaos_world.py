"""A small world for campaigns in `make test`: two turbines, twenty minutes across an hour."""

from __future__ import annotations

from pathlib import Path

from sim.campaign.pool import use_one_thread
from sim.campaign.world import World, make_world
from sim.scenario import load

TINY = """
schema_version: 1
name: tiny
seed: 7
fleet: {preset: full, farms: [A], turbines: 2}
clock: {start: 2024-01-15T00:50:00Z, duration: 20m, sample_every: 20s}
pipeline: {flush_every: 5m, window: 5m, allowed_lateness: 2m}
data_faults:
  - {kind: sensor.stuck, rate: 100 per turbine-day, channels: [temperature], duration: 4m}
  - {kind: row.late, rate: 200 per turbine-day, delay: 6m}
  - {kind: row.duplicate, rate: 150 per turbine-day}
"""


def scenario_file(folder: Path) -> Path:
    path = folder / "tiny.yaml"
    path.write_text(TINY)
    return path


def tiny(folder: Path) -> World:
    use_one_thread()
    return make_world(load(scenario_file(folder)), folder / "world")
