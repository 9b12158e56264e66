"""Positions of a farm's turbines, computed from its layout.

Jitter comes from a fixed layout seed and the farm's id, so the same fleet has the same positions
whatever the run's seed.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from sim import seeds
from sim.arrays import Floats
from sim.fleet.layout import Layout

LAYOUT_SEED: Final = 2024


def positions(layout: Layout, turbines: int, rotor_diameter: float, farm_id: str) -> Floats:
    """Return metres east and north, shape (turbines, 2): the listed places, or the grid row by row.

    A whole grid is centred on the farm's coordinates.
    """
    if layout.places:
        return np.array(layout.places[:turbines])
    whole = layout.whole or turbines
    columns = max(1, round(math.sqrt(whole * layout.along / layout.across)))
    row, column = np.divmod(np.arange(whole), columns)
    shift = 0.5 * (row % 2) if layout.pattern == "staggered" else 0.0
    grid = np.stack([(column + shift) * layout.across, -row * layout.along], axis=1)
    grid += seeds.rng(LAYOUT_SEED, "layout", farm_id).uniform(
        -layout.jitter, layout.jitter, grid.shape
    )
    grid -= grid.mean(axis=0)
    turn = math.radians(layout.facing)
    east = grid[:, 0] * math.cos(turn) + grid[:, 1] * math.sin(turn)
    north = -grid[:, 0] * math.sin(turn) + grid[:, 1] * math.cos(turn)
    return np.round(np.stack([east, north], axis=1) * rotor_diameter, 1)[:turbines]
