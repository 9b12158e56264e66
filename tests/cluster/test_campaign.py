"""`campaign --cluster`: the result of one process."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from sim.campaign import command, plan
from sim.campaign.loader import plan as loader_plan
from sim.errors import INVALID
from tests.support import cluster_world, runs
from tests.support.chaos_world import scenario_file
from tests.support.cluster_world import Cluster

SIZES = ("--runs", "4", "--loads", "2", "--wired", "0", "--workers", "1")


def few(monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    """Leave out most enumerated runs."""
    calls, loads = plan.every_call, loader_plan.every_call
    monkeypatch.setattr(plan, "every_call", lambda *given: calls(*given)[:kept])
    monkeypatch.setattr(plan, "every_interval", lambda world: [])
    monkeypatch.setattr(plan, "every_other_kind", lambda *both: [])
    monkeypatch.setattr(plan, "foreign_in_each_bucket", lambda clean: [])
    monkeypatch.setattr(loader_plan, "every_call", lambda *given: loads(*given)[:2])
    monkeypatch.setattr(command, "make_live_runs", lambda *arguments: iter(()))


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = Cluster()
    cluster_world.use(monkeypatch, made)
    return made


def document(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "campaign.json").read_text())
    for name in ("time.runs", "throughput.runs_per_s", "time.loads"):
        found["figures"].pop(name, None)
    found["replay"] = shlex.split(found["replay"])
    assert f"--out {folder} " in " ".join(found["replay"])
    return found


def test_the_result_is_that_of_one_process(
    tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    few(monkeypatch, 6)
    scenario = scenario_file(tmp_path)
    whole = runs.inside("campaign", scenario, *SIZES, "--out", tmp_path / "whole")
    parts = runs.inside(
        "campaign",
        scenario,
        *SIZES,
        "--out",
        tmp_path / "out",
        "--cluster",
        "local:2",
        "--parts",
        "2",
    )
    assert parts.code == whole.code, parts.text
    found, want = document(tmp_path / "out"), document(tmp_path / "whole")
    replay, _ = found.pop("replay"), want.pop("replay")
    assert found == want
    assert replay[1:3] == ["campaign", str(scenario)]
    assert replay[-5:] == ["--cluster", "local:2", "--parts", "2", "--overwrite"]
    assert len(cluster.attempts) == 2
    assert "part 1 of 2: " in parts.out
    back = [path for path in (tmp_path / "out" / "parts").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in back) < 100_000


def test_more_parts_than_schedules_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few(monkeypatch, 6)
    options = ("--shard", "1/11", "--out", tmp_path / "out")
    refused = runs.inside("campaign", scenario_file(tmp_path), *SIZES, *options)
    assert refused.code == INVALID
    assert "11 parts of 10 schedules: some would be empty; ask for 10 or fewer" in refused.err
