"""A load test on a store of arithmetic, with its report: once per test worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.load.arrivals import Nodes
from sim.load.phases import Course
from sim.load.result import Circumstances, result
from sim.report.write import write_load
from sim.scenario import load
from tests.support.load_world import QueueEngine, recorded

SCENARIO = """
schema_version: 1
name: sample
seed: 7
fleet: {preset: full, turbines: 50}
clock: {start: 2024-01-15T00:00:00Z, duration: 10m}
pipeline: {flush_every: 1m}
load:
  warm_up: 1s
  mix: {flush: 8, get_manifest: 2}
  schedule: [{kind: ramp, from: 5/s, to: 40/s, for: 20s}, {kind: poisson, rate: 15/s, for: 10s}]
  sweep: {users: [1, 2, 4, 8], for: 6s}
  search: {slo: latency.flush.p95 <= 400ms, from: 5/s, to: 100/s, within: 10%, for: 8s, hold: 12s}
expect:
  - errors.share <= 1%
  - latency.flush.p95 <= 10ms
  - latency.scan_partition.p95 <= 1s
"""


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a test on a store of arithmetic at 30 requests/s, with 2 % errors."""
    folder = tmp_path_factory.mktemp("sample")
    (folder / "sample.yaml").write_text(SCENARIO)
    scenario = load(folder / "sample.yaml")
    assert scenario.load is not None
    course = Course(scenario.load, scenario.seed, Nodes(50, 60.0), generator_per_s=400.0)
    tables = recorded(folder, course, QueueEngine(capacity_per_s=30, think_s=0.03, errors=0.005))
    around = Circumstances(
        "windfleet load sample.yaml",
        {"store": "arithmetic", "gateway": "stock"},
        "2026-11-24T03:00:00+00:00",
        140.0,
    )
    write_load(result(scenario, course, around), folder, *tables)
    return folder
