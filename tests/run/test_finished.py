"""Shards that an attempt takes over: whole ones only, and none whose files are made anew."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from sim.fleet import load_fleet
from sim.fleet.part import FarmPart
from sim.run import finished, truth
from sim.run.record import ShardResult
from tests.support import runs


@pytest.fixture
def shards(tmp_path: Path) -> tuple[FarmPart, FarmPart]:
    """Two shards of farm A, both done, with their node files and ground truth."""
    runs.scenario(tmp_path)
    farm = load_fleet("fleet.yaml", tmp_path).farms[0]
    cut = (FarmPart(farm, 0, 1), FarmPart(farm, 1, farm.turbines))
    for shard in cut:
        finished.write(tmp_path, result(shard))
        write_truth(tmp_path, shard)
        for turbine in shard.turbine_ids:
            node = tmp_path / "nodes" / "A" / f"{turbine}.db"
            node.parent.mkdir(parents=True, exist_ok=True)
            node.touch()
    return cut


def result(shard: FarmPart) -> ShardResult:
    return ShardResult("A", shard.name, "eu-west-1", shard.turbine_ids, rows=7)


def write_truth(folder: Path, shard: FarmPart) -> None:
    table = pa.table({"turbine_id": [], "from": [], "failed_at": []})
    truth.write(folder / "truth", shard.name, dict.fromkeys(truth.TABLES, table))


def kept(folder: Path) -> set[str]:
    return {path.stem for path in (folder / finished.SHARDS).glob("*.json")}


def test_shards_that_are_done_are_taken_over(
    tmp_path: Path, shards: tuple[FarmPart, FarmPart]
) -> None:
    assert finished.read(tmp_path, shards) == [result(each) for each in shards]
    assert kept(tmp_path) == {each.name for each in shards}


def test_a_shard_that_is_simulated_again_is_done_no_longer(
    tmp_path: Path, shards: tuple[FarmPart, FarmPart]
) -> None:
    """Else the attempt after it would take over node files that end in their middle."""
    again, done = shards
    for path in truth.paths(tmp_path / "truth", again.name).values():
        path.unlink()
    assert finished.read(tmp_path, shards) == [result(done)]
    assert kept(tmp_path) == {done.name}
    write_truth(tmp_path, again)  # as the attempt leaves it that ends early
    assert finished.read(tmp_path, shards) == [result(done)]


def test_a_cut_by_other_workers_keeps_nothing_of_the_old_one(
    tmp_path: Path, shards: tuple[FarmPart, FarmPart]
) -> None:
    whole = FarmPart(shards[0].farm, 0, shards[0].farm.turbines)
    assert finished.read(tmp_path, [whole]) == []
    assert kept(tmp_path) == set()
    assert not list((tmp_path / "truth").glob("*.parquet"))


def test_ground_truth_is_joined_of_shards_that_came_to_their_end(
    tmp_path: Path, shards: tuple[FarmPart, FarmPart]
) -> None:
    stopped, done = shards
    (tmp_path / finished.SHARDS / f"{stopped.name}.json").unlink()
    results = [result(each) for each in shards]
    assert finished.only_done(tmp_path, results) == [result(done)]
    farm = FarmPart(stopped.farm, 0, stopped.farm.turbines)
    truth.merge(tmp_path / "truth", [farm], finished.only_done(tmp_path, results))
    assert all(path.exists() for path in truth.paths(tmp_path / "truth", done.name).values())
