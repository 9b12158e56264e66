"""Layouts of farms, as written: a grid, staggered or plain, or a list of positions.

    layout: {pattern: grid, across: 5, along: 7}        faces the prevailing wind, a little jitter
    layout: {positions: [[0, 0], [650, 0]]}             metres from the farm's coordinates

A layout is part of the fleet, not of a run. `positions` has the arithmetic, and numpy with it.

Not covered: terrain, sea bed, leases.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sim.fleet.fields import Fields, number
from sim.yamlfile import Problem, Sequence

CLEARANCE = 2.0  # rotor diameters; no two turbines stand closer
PATTERNS = ("grid", "staggered")
FARTHEST_M = 100_000.0  # east or north of the farm's coordinates


@dataclass(frozen=True)
class Layout:
    """A grid or a list of positions. Lengths of a grid are in rotor diameters.

    facing: compass direction (deg) that the rows face, the prevailing wind. places: metres east and
    north; if there are any, they replace the grid. whole: turbines of the grid; 0 if the farm has
    all of them, else it has the first ones.
    """

    pattern: str = "staggered"
    across: float = 5.0
    along: float = 7.0
    facing: float = 240.0
    jitter: float = 0.5
    places: tuple[tuple[float, float], ...] = ()
    whole: int = 0

    @property
    def closest(self) -> float:
        """The least distance that two turbines can have, in rotor diameters."""
        grid = min(self.across, self.along)
        if self.pattern == "staggered":
            grid = min(self.across, math.hypot(self.across / 2, self.along))
        return max(0.0, grid - 2 * math.sqrt(2) * self.jitter)


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
            from sim.fleet.spacing import too_close  # and numpy: few farms list their turbines

            least, rule = CLEARANCE * rotor_diameter, f"{CLEARANCE:g} rotor diameters"
            fields.problems.extend(too_close(places, at, farm_id, least, rule))
    return tuple(places)
