"""Where the turbines of a farm stand: a staggered or plain grid that faces the prevailing wind, with a little jitter.

A layout is part of the fleet, not of a run: jitter comes from a fixed layout seed and the farm's id, so the same fleet
stands in the same places whatever the run's seed. Does not cover terrain, sea bed or leases.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim import seeds

LAYOUT_SEED = 2024
CLEARANCE = 2.0  # rotor diameters; no two turbines stand closer
PATTERNS = ("grid", "staggered")


@dataclass(frozen=True)
class Layout:
    """Lengths in rotor diameters; `facing` is the compass direction (deg) that the rows face: the prevailing wind."""

    pattern: str = "staggered"
    across: float = 5.0
    along: float = 7.0
    facing: float = 240.0
    jitter: float = 0.5

    @property
    def closest(self) -> float:
        """The closest that any two turbines can come, in rotor diameters."""
        grid = min(self.across, self.along)
        if self.pattern == "staggered":
            grid = min(self.across, math.hypot(self.across / 2, self.along))
        return grid - 2 * math.sqrt(2) * self.jitter


def positions(layout: Layout, turbines: int, rotor_diameter: float, farm_id: str) -> npt.NDArray[np.float64]:
    """(turbines, 2) metres east and north of the farm's middle, in reading order of the rows."""
    columns = max(1, round(math.sqrt(turbines * layout.along / layout.across)))
    row, column = np.divmod(np.arange(turbines), columns)
    shift = 0.5 * (row % 2) if layout.pattern == "staggered" else 0.0
    grid = np.stack([(column + shift) * layout.across, -row * layout.along], axis=1)
    grid += seeds.rng(LAYOUT_SEED, "layout", farm_id).uniform(-layout.jitter, layout.jitter, grid.shape)
    grid -= grid.mean(axis=0)
    turn = math.radians(layout.facing)
    east = grid[:, 0] * math.cos(turn) + grid[:, 1] * math.sin(turn)
    north = -grid[:, 0] * math.sin(turn) + grid[:, 1] * math.cos(turn)
    return np.round(np.stack([east, north], axis=1) * rotor_diameter, 1)
