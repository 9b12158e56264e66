"""The loader under faults: no row lost or doubled; planted bugs of the loader are found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.catalog.tables import BY_NAME
from sim.campaign.loader import plan
from sim.campaign.loader.line import LoadLine
from sim.campaign.loader.run import CleanLoadBroken, LoadOutcome, run_clean, run_once
from sim.campaign.loader.world import LoaderWorld, select
from tests.support import lakehouse
from tests.support.loader_bugs import BUGS, Patch

SEED = 7


def new_world(folder: Path) -> LoaderWorld:
    objects = lakehouse.objects(*((f"A-00{i}", 1, i) for i in range(1, 5)))
    return select(folder, objects, (BY_NAME["wind_turbine_raw"], BY_NAME["wind_turbine_validated"]))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> LoaderWorld:
    made = new_world(tmp_path_factory.mktemp("loader"))
    run_clean(made)
    return made


def shuffled(world: LoaderWorld, kind: str = "") -> list[LoadLine]:
    """The enumerated lines of a kind in a random order, the same each time."""
    lines = [line for line in plan.every_call(world) if kind in ("", line.items[0].kind)]
    order = np.random.default_rng(SEED).permutation(len(lines))
    return [lines[i] for i in order]


def until_found(folder: Path, kind: str) -> tuple[int, LoadOutcome | str]:
    """Count the runs until one breaks an invariant; the run without faults is the first."""
    world = new_world(folder)
    try:
        run_clean(world)
    except CleanLoadBroken as error:
        return 1, str(error)
    lines = shuffled(world, kind)
    for count, line in enumerate(lines, 2):
        outcome = run_once(world, line)
        if outcome.broken:
            return count, outcome
    return len(lines), "nothing"


@pytest.mark.parametrize("plant", BUGS, ids=lambda plant: plant.__name__)
def test_seeded_bugs_of_the_loader_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plant: Patch
) -> None:
    plant(monkeypatch)
    invariants, kind = BUGS[plant]
    runs, found = until_found(tmp_path, kind)
    names = {each.invariant for each in found.broken} if isinstance(found, LoadOutcome) else found
    line = found.line if isinstance(found, LoadOutcome) else "without faults"
    print(f"\n{plant.__name__}: found by run {runs}, {line}: {names}")
    assert any(name in names for name in invariants), found
