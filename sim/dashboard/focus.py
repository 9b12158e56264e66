"""Readings around an episode: the page's detail on demand.

The span of an episode gets half its length on both sides, at least six windows
and at most two days.
Rows are kept one by one where there are at most MOST_POINTS of them, else as means (vibration:
maxima) of as many rows as needed. Episodes beyond the first MOST_FOCUSED have the page's steps.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from sim.dashboard.columns import Column, column
from sim.dashboard.views import Views, sql

MOST_FOCUSED: Final = 120
MOST_POINTS: Final = 600
SCALES: Final = {"power": 0.001, "wind": 0.01, "vibration": 0.01, "gearbox": 0.1, "generator": 0.1}


def focus(
    views: Views, extent: dict[str, int], most: int = MOST_FOCUSED
) -> tuple[list[dict[str, int]], dict[str, Column]]:
    """Return the spans of the first episodes, and their readings end to end by channel.

    A span has the episode's place, its first time, the length of a point, and where its points lie
    in the columns.
    """
    numbers = {
        "window_us": extent["window_us"],
        "sample_us": extent["sample_us"],
        "most_focused": most,
        "most_points": MOST_POINTS,
    }
    found = views.rows("focus", numbers, f"WITH episodes AS ({sql('episodes')})")
    place = _ints(found, "place")
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    point = _ints(found, "point")
    from_us, point_us = _ints(found, "from_us"), _ints(found, "point_us")
    ends = np.append(starts[1:], len(place)) - 1
    lengths = point[ends] + 1 if len(place) else np.empty(0, dtype=np.int64)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    at = np.repeat(offsets[:-1], np.diff(np.append(starts, len(place)))) + point
    columns = {}
    for name, scale in SCALES.items():
        values = np.full(int(offsets[-1]), np.nan)
        values[at] = found.column(name).to_numpy(zero_copy_only=False)
        columns[f"focus.{name}"] = column(values, scale)
    spans = [
        {
            "place": int(place[first]),
            "from_us": int(from_us[first]),
            "point_us": int(point_us[first]),
            "at": int(offsets[number]),
            "points": int(lengths[number]),
        }
        for number, first in enumerate(starts)
    ]
    return spans, columns


def _ints(table: Any, name: str) -> Any:
    return table.column(name).cast("int64").to_numpy()
