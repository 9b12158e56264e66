"""A part that is run again into the lake of its first attempt, which ended early.

One shard at a time, in this process, into a folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from sim.run.part import part_of
from sim.run.record import ShardResult
from sim.run.shard import run_shard
from sim.run.shard_plan import shard_plans
from sim.scenario import load
from sim.store.folder import make
from sim.store.target import Target, fault_proxy
from tests.support import runs


def attempt(
    folder: Path,
    name: str,
    lake: Path | str,
    stopped: Callable[[], bool] = lambda: False,
    faults: str = "",
) -> ShardResult:
    """Run the farm with most turbines into a lake. stopped: ends the attempt."""
    scenario = load(runs.scenario(folder, runs.SCENARIO + faults))
    run_dir = folder / name
    (run_dir / "nodes").mkdir(parents=True)
    store = Target(lake) if isinstance(lake, str) else Target(folder=lake)
    whole = part_of(scenario.fleet)
    with fault_proxy(store, scenario.seed, scenario.faults) as proxy:
        plans = shard_plans(scenario, whole, 1, store, proxy, run_dir, False, shared=True)
        plan = max(plans, key=lambda plan: plan.part.turbines)
        return run_shard(plan, lambda made, delivered: None, stopped, lambda way: None)


def new_lake(folder: Path, name: str) -> Path:
    make(folder / name)
    return folder / name


def objects(lake: Path) -> dict[str, str]:
    """Return sha256 of every object by its name."""
    return {
        path.relative_to(lake).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in lake.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def clean(tmp_path: Path) -> dict[str, str]:
    lake = new_lake(tmp_path, "clean-lake")
    assert attempt(tmp_path, "clean", lake).undelivered == {}
    return objects(lake)


@pytest.mark.parametrize("checks", [8, 14])
def test_the_second_attempt_completes_the_lake_of_the_first(
    tmp_path: Path, clean: dict[str, str], checks: int
) -> None:
    lake = new_lake(tmp_path, "lake")
    calls = count()
    attempt(tmp_path, "first", lake, lambda: next(calls) > checks)
    begun = objects(lake)
    checkpoints = [name for name in begun if "checkpoints/" in name]
    assert checkpoints, "the first attempt delivered batches"
    assert len(begun) < len(clean)
    assert attempt(tmp_path, "second", lake).undelivered == {}
    assert objects(lake) == clean


def test_an_attempt_after_a_whole_one_changes_nothing(
    tmp_path: Path, clean: dict[str, str]
) -> None:
    assert attempt(tmp_path, "again", tmp_path / "clean-lake").undelivered == {}
    assert objects(tmp_path / "clean-lake") == clean


def test_an_outage_at_the_beginning_does_not_keep_the_second_attempt_out(
    clean_lake: str, tmp_path: Path
) -> None:
    """No fault may strike the attempt's own look at the lake, which is no call of a node."""
    faults = "faults: [{kind: store.outage, from: 0s, for: 90s}]\n"
    calls = count()
    attempt(tmp_path, "first", clean_lake, lambda: next(calls) > 14, faults)
    second = attempt(tmp_path, "second", clean_lake, faults=faults)
    assert (second.error, second.undelivered) == (None, {})
    assert second.rows
