"""The tiny scenario of the end-to-end tests: nine turbines for four minutes across an hour."""

from __future__ import annotations

from pathlib import Path

import yaml

import sim.fleet

TURBINES = {"A": 3, "B": 4, "G": 2}
CLOCK = "{start: 2024-01-15T00:58:00Z, duration: 4m, sample_every: 1s}"
SCENARIO = f"""\
schema_version: 1
name: tiny
seed: 7
fleet: {{preset: fleet.yaml}}
clock: {CLOCK}
pipeline: {{flush_every: 1m, window: 1m, allowed_lateness: 10s}}
data_faults:
  - kind: sensor.stuck
    rate: 400 per turbine-day
    channels: [temperature, wind_speed]
    duration: 100s
  - {{kind: sensor.dropout, rate: 400 per turbine-day, duration: 5s}}
  - {{kind: sensor.spike, rate: 400 per turbine-day, duration: 5s}}
  - {{kind: row.late, rate: 400 per turbine-day, delay: 70s}}
  - {{kind: row.duplicate, rate: 400 per turbine-day}}
expect:
  - rows.generated >= 1000
  - rows.late >= 1
  - rows.quarantined >= 1
  - rows.lost == 0
  - windows.wrong == 0
  - freshness.p99 <= 20m
"""


def scenario(folder: Path, text: str = SCENARIO) -> Path:
    """Write the scenario, and beside it its fleet: three of the farms as drawn, few turbines."""
    drawn = yaml.safe_load(
        (Path(sim.fleet.__file__).parent / "presets" / "as-drawn.yaml").read_text()
    )
    farms = [
        farm | {"turbines": TURBINES[farm["id"]]}
        for farm in drawn["farms"]
        if farm["id"] in TURBINES
    ]
    (folder / "fleet.yaml").write_text(yaml.safe_dump({"name": "three", "farms": farms}))
    path = folder / "tiny.yaml"
    path.write_text(text)
    return path
