"""Figures of a farm whose process crashes, or that has a second writer: every durable batch counts.

One shard at a time, in this process, into a folder. Not covered: workers that are killed.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from sim.chaos.faults import CRASH, SECOND_WRITER
from sim.check import LakeReader
from sim.run.part import part_of
from sim.run.record import ShardResult
from sim.run.shard import run_shard
from sim.run.shard_plan import shard_plans
from sim.scenario import load
from sim.store.folder import make
from sim.store.target import Target
from sim.verify.judge import judge
from sim.verify.judge import verdict as verdict_on
from tests.support import runs

CLEAN = ""
CRASHES = "faults: [{kind: node.crash, share: 10%}]\n"
SECOND = "faults: [{kind: node.second-writer}]\n"
BOTH = "faults: [{kind: node.crash, share: 10%}, {kind: node.second-writer, share: 60%}]\n"


def shards(path: Path, faults: str) -> tuple[list[ShardResult], Counter[str], str]:
    """Run every farm of the tiny scenario. Return results, fired faults and the lake's digest."""
    path.mkdir()
    scenario = load(runs.scenario(path, runs.SCENARIO.replace("expect:", faults + "expect:")))
    make(path / "lake")
    store = Target(folder=path / "lake")
    fired: Counter[str] = Counter()
    (path / "nodes").mkdir()
    results = [
        run_shard(
            plan,
            lambda made, delivered: None,
            lambda: False,
            lambda way: fired.update([way[0].partition(" ")[0]]),
        )
        for plan in shard_plans(
            scenario, part_of(scenario.fleet), 1, store, None, path, compact=False
        )
    ]
    farms = part_of(scenario.fleet).farms
    verdict = verdict_on([judge(path, LakeReader.folder(path / "lake"), farms=farms)])
    assert verdict.status == "pass", verdict.findings
    return results, fired, verdict.digest


def rows_sent(result: ShardResult) -> int:
    return sum(rows for batch in result.sent for _, _, rows in batch.runs)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[ShardResult], str]:
    results, _, digest = shards(tmp_path_factory.mktemp("clean") / "run", CLEAN)
    return results, digest


@pytest.mark.parametrize(
    ("faults", "kinds"),
    [(CRASHES, {CRASH}), (SECOND, {SECOND_WRITER}), (BOTH, {CRASH, SECOND_WRITER})],
    ids=["crashes", "second writer", "both"],
)
def test_every_durable_batch_is_in_the_figures_once(
    clean: tuple[list[ShardResult], str], tmp_path: Path, faults: str, kinds: set[str]
) -> None:
    whole, digest = clean
    results, fired, found = shards(tmp_path / "run", faults)
    assert fired.keys() == kinds
    assert found == digest
    for result, want in zip(results, whole, strict=True):
        assert result.undelivered == {}
        assert sum(rows for _, rows in result.commits) == result.rows == want.rows
        assert len(result.commits) == len(want.commits)
        assert (result.objects, result.bytes) == (want.objects, want.bytes)
        assert rows_sent(result) == rows_sent(want) == result.rows
