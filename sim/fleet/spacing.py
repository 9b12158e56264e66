"""The least distance between turbines of a listed layout."""

from __future__ import annotations

from typing import Final

import numpy as np

from sim.yamlfile import Place, Problem

ENOUGH_PROBLEMS: Final = 20
"""The search for turbines that are too close ends after this many."""


def too_close(
    places: list[tuple[float, float]], at: list[Place], farm_id: str, least: float, rule: str
) -> list[Problem]:
    """Return a problem for each turbine nearer than `least` metres to one listed before it."""
    points = np.array(places)
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
            f"the least is {rule}, {least:.0f} m",
        )
        for other, (one, apart) in sorted(found.items())
    ]
