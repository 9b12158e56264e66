"""Files with people's names or keys are readable by their owner only."""

from __future__ import annotations

import dataclasses
import os
import stat
from pathlib import Path

import pytest

from sim import private
from sim.demo import assets
from sim.fleet import load_fleet
from sim.fleet.nodes import node_configs
from sim.fleet.part import FarmPart
from sim.load.batches import Batches, Cadence
from sim.model.recording.nodefile import NodeWriter
from sim.scenario import load
from tests.support import lakesecrets


@pytest.fixture(autouse=True)
def generous() -> object:
    """A mask that would let all users read."""
    before = os.umask(0)
    yield
    os.umask(before)


SCENARIO = """
schema_version: 1
name: register
seed: 7
fleet: {preset: full, turbines: 3}
clock: {start: 2024-01-15T00:00:00Z, duration: 10m, sample_every: 1s}
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_of_ours_is_never_open_to_others(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"longer than the next")
    path.chmod(0o666)
    private.write(path, b"new")
    assert (path.read_bytes(), mode(path)) == (b"new", 0o600)
    with private.open_new(path) as file:
        assert mode(path) == 0o600
        file.write(b"x")
    assert path.read_bytes() == b"x"


def test_node_configurations_and_batches_are_the_owner_s(tmp_path: Path) -> None:
    fleet = load_fleet()
    farm = fleet.farms[0].first(2)
    with NodeWriter(tmp_path / "nodes", FarmPart.whole(farm), node_configs(farm, 7)):
        pass
    few = dataclasses.replace(fleet, farms=(farm,))
    with Batches(
        tmp_path / ".load", few, 7, Cadence(1_705_276_800_000_000, 1_000_000, 60, 600, 300), 1e9
    ):
        pass
    secrets = lakesecrets.of_nodes(tmp_path)
    assert len(secrets) >= 2 * 2 + 2
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".db"]
    assert len(files) >= 2 * 2 + 2
    assert [path for path in files if mode(path) != 0o600] == []
    assert lakesecrets.open_to_others(tmp_path, secrets) == []
    assert mode(tmp_path / ".load") == 0o700
    files[0].chmod(0o644)  # the search itself works
    assert lakesecrets.open_to_others(tmp_path, secrets) == files[:1]


def test_the_asset_register_is_the_owner_s(tmp_path: Path) -> None:
    path = tmp_path / "register.yaml"
    path.write_text(SCENARIO)
    assets.write(load(path), tmp_path)
    assert [mode(tmp_path / f"assets.{form}") for form in ("csv", "parquet")] == [0o600, 0o600]
