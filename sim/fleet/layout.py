"""Positions of a farm's turbines: a grid, staggered or plain, or a list.

    layout: {pattern: grid, across: 5, along: 7}        faces the prevailing wind, a little jitter
    layout: {positions: [[0, 0], [650, 0]]}             metres from the farm's coordinates

A layout is part of the fleet, not of a run. Jitter comes from a fixed layout seed and the farm's
id, so the same fleet has the same positions whatever the run's seed.

Not covered: terrain, sea bed, leases.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sim import seeds
from sim.arrays import Floats
from sim.fleet.fields import Fields, number
from sim.yamlfile import Place, Problem, Sequence

LAYOUT_SEED = 2024
CLEARANCE = 2.0  # rotor diameters; no two turbines stand closer
PATTERNS = ("grid", "staggered")
FARTHEST_M = 100_000.0  # east or north of the farm's coordinates
ENOUGH_PROBLEMS = 20
"""The search for turbines that are too close ends after this many."""


@dataclass(frozen=True)
class Layout:
    """A grid or a list of positions. Lengths of a grid are in rotor diameters.

    facing: compass direction (deg) that the rows face, the prevailing wind. places: metres east and
    north; if there are any, they replace the grid.
    """

    pattern: str = "staggered"
    across: float = 5.0
    along: float = 7.0
    facing: float = 240.0
    jitter: float = 0.5
    places: tuple[tuple[float, float], ...] = ()

    @property
    def closest(self) -> float:
        """The least distance that two turbines can have, in rotor diameters."""
        grid = min(self.across, self.along)
        if self.pattern == "staggered":
            grid = min(self.across, math.hypot(self.across / 2, self.along))
        return max(0.0, grid - 2 * math.sqrt(2) * self.jitter)


def positions(layout: Layout, turbines: int, rotor_diameter: float, farm_id: str) -> Floats:
    """Return metres east and north, shape (turbines, 2): the listed places, or the grid row by row.

    A grid is centred on the farm's coordinates.
    """
    if layout.places:
        return np.array(layout.places[:turbines])
    columns = max(1, round(math.sqrt(turbines * layout.along / layout.across)))
    row, column = np.divmod(np.arange(turbines), columns)
    shift = 0.5 * (row % 2) if layout.pattern == "staggered" else 0.0
    grid = np.stack([(column + shift) * layout.across, -row * layout.along], axis=1)
    grid += seeds.rng(LAYOUT_SEED, "layout", farm_id).uniform(
        -layout.jitter, layout.jitter, grid.shape
    )
    grid -= grid.mean(axis=0)
    turn = math.radians(layout.facing)
    east = grid[:, 0] * math.cos(turn) + grid[:, 1] * math.sin(turn)
    north = -grid[:, 0] * math.sin(turn) + grid[:, 1] * math.cos(turn)
    return np.round(np.stack([east, north], axis=1) * rotor_diameter, 1)


def load_layout(fields: Fields | None, farm_id: str, rotor_diameter: float | None) -> Layout:
    """Return the value of a farm's `layout`; its problems go to those of `fields`.

    rotor_diameter: metres, None if the turbine type is unknown. Then distances are not checked.
    """
    usual = Layout()
    if fields is None:
        return usual
    if fields.has("positions"):
        places = _places(fields, farm_id, rotor_diameter)
        for key in ("pattern", "across", "along", "facing", "jitter"):
            if fields.has(key):
                fields.add_problem(
                    f"{key} has no effect with positions; remove one of them", fields.place(key)
                )
        fields.close()
        return Layout(places=places)
    layout = Layout(
        pattern=fields.choice("pattern", PATTERNS, usual.pattern),
        across=fields.number("across", 2.0, 30.0, usual.across) or usual.across,
        along=fields.number("along", 2.0, 30.0, usual.along) or usual.along,
        facing=fields.number("facing", 0.0, 360.0, usual.facing) or 0.0,
        jitter=fields.number("jitter", 0.0, 5.0, usual.jitter) or 0.0,
    )
    fields.close()
    if layout.closest < CLEARANCE:
        fields.add_problem(
            f"turbines could stand {layout.closest:.1f} rotor diameters apart; "
            f"the least is {CLEARANCE:g}: raise across or along, or lower jitter"
        )
    return layout


def _places(
    fields: Fields, farm_id: str, rotor_diameter: float | None
) -> tuple[tuple[float, float], ...]:
    """Return the points of `positions`. Each problem names its point's line and column."""
    places, at = [], []
    before = len(fields.problems)
    for item in fields.items("positions"):
        if not isinstance(item, Sequence) or len(item.items) != 2:
            fields.problems.append(
                Problem.at(item.place, "a position must be [metres east, metres north]")
            )
            continue
        east, north = (
            number(node, name, -FARTHEST_M, FARTHEST_M, fields.problems)
            for node, name in zip(item.items, ("metres east", "metres north"), strict=True)
        )
        if east is not None and north is not None:
            places.append((east, north))
            at.append(item.place)
    if len(fields.problems) == before:
        if not places:
            fields.add_problem(
                "positions lists no turbine; add '- [east, north]' points",
                fields.place("positions"),
            )
        elif rotor_diameter is not None:
            fields.problems.extend(_too_close(np.array(places), at, farm_id, rotor_diameter))
    return tuple(places)


def _too_close(
    points: Floats, at: list[Place], farm_id: str, rotor_diameter: float
) -> list[Problem]:
    """Return a problem for each turbine nearer than CLEARANCE to one listed before it."""
    least = CLEARANCE * rotor_diameter
    order = np.argsort(points[:, 0], kind="stable")
    east, north = points[order].T
    found: dict[int, tuple[int, float]] = {}
    # pairs ever further apart in order of east, as long as any pair is near enough
    for shift in range(1, len(points)):
        step = east[shift:] - east[:-shift]
        if not (step < least).any():
            break
        apart = np.hypot(step, north[shift:] - north[:-shift])
        for i in np.flatnonzero(apart < least):
            one, other = sorted((int(order[i]), int(order[i + shift])))
            if other not in found or found[other][0] > one:
                found[other] = (one, float(apart[i]))
        if len(found) > ENOUGH_PROBLEMS:
            break
    return [
        Problem.at(
            at[other],
            f"turbines {farm_id}-{one + 1:03d} ({at[one].line}:{at[one].col}) and "
            f"{farm_id}-{other + 1:03d} stand {apart:.0f} m apart; "
            f"the least is {CLEARANCE:g} rotor diameters, {least:.0f} m",
        )
        for other, (one, apart) in sorted(found.items())
    ]
