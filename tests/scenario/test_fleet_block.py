"""`fleet.choose`: the first turbines of a farm, or a block around its middle."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from sim.demo import themes
from sim.fleet.farm import Farm
from sim.fleet.loader import load_fleet
from sim.scenario import load
from sim.scenario.fleet_selection import fewer_turbines


def behind(farm: Farm, facing: float) -> int:
    """Count the turbines within 15 rotor diameters behind another, at most one to the side."""
    turn = math.radians(facing)
    along = np.array([math.sin(turn), math.cos(turn)])
    apart = (farm.positions[:, None] - farm.positions[None]) / farm.turbine_type.rotor_diameter
    down = -(apart @ along)
    side = np.abs(apart @ np.array([along[1], -along[0]]))
    return int(((down > 1) & (down < 15) & (side < 1.0)).any(axis=1).sum())


@pytest.mark.parametrize("wanted", [72, 200])
def test_a_block_has_turbines_behind_others_and_the_first_have_few(wanted: int) -> None:
    full = load_fleet("full", Path())
    first, block = (fewer_turbines(full, wanted, block=each) for each in (False, True))
    directions = [float(angle) for angle in range(0, 360, 10)]
    for one, many in zip(first.farms, block.farms, strict=True):
        assert one.turbine_ids == many.turbine_ids
        everywhere = {tuple(place) for farm in full.farms for place in farm.positions}
        assert {tuple(place) for place in many.positions} <= everywhere
        shaded = [sum(behind(farm, angle) for angle in directions) for farm in (one, many)]
        assert shaded[1] > 1.2 * shaded[0]


def test_the_themes_choose_blocks_and_scenarios_the_first() -> None:
    for name in themes.names():
        scenario = load(themes.theme(name).scenario)
        same = load(themes.theme(name).scenario, ["fleet.choose=first"])
        for block, first in zip(scenario.fleet.farms, same.fleet.farms, strict=True):
            assert not np.array_equal(block.positions, first.positions)
            assert np.ptp(block.positions @ [0.6, 0.8]) > 0
