"""The picture of correlation by distance: turbines of one farm, and farms."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Final

import numpy as np

from sim.arrays import Floats
from sim.demo import statistics
from sim.demo.readings import FarmReadings
from sim.demo.realism_picture import GUSTS_S, Picture, farm_mean, largest, step_s
from sim.fleet.farm import METRES_PER_DEGREE
from sim.report.chart import Axis, Chart, Series

_HEIGHT: Final = 210
_DISTANCES: Final = 12


def distance(farms: Sequence[FarmReadings]) -> Picture:
    readings = largest(farms)
    wind = readings.channels["wind_speed"]
    places = readings.farm.positions[list(readings.turbines)]
    points: dict[float, dict[str, tuple[float, float, float]]] = {}
    if len(places) > 1 and wind.shape[1] > 3:
        for label, values in (("wind", wind), ("change", np.diff(wind, axis=1))):
            far, found = statistics.pair_correlation(values, places)
            for x, row in _binned_by_distance(far / 1000, found):
                points.setdefault(x, {})[label] = row
    means = {r.farm.farm_id: farm_mean(r) for r in farms}
    for a, b in combinations(farms, 2):
        one, other = (statistics.bridged(means[each.farm.farm_id]) for each in (a, b))
        correlation = float(np.corrcoef(one, other)[0, 1])
        points.setdefault(_kilometres(a, b), {})["farms"] = (correlation,) * 3
    xs = sorted(points)
    named = (
        ("wind", "wind, turbine to turbine", "data"),
        ("change", "its change between samples", "running"),
        ("farms", "wind, farm to farm", "fault"),
    )
    chart = Chart(
        "distance",
        xs,
        [
            _correlation(points, xs, *each)
            for each in named
            if any(each[0] in row for row in points.values())
        ],
        Axis("distance", unit="km", log=True, low=min(xs, default=1.0) / 1.3, high=_beyond(xs)),
        Axis(low=-0.5, high=1.05),
        height=_HEIGHT,
    )
    step = step_s(readings)
    changes = (
        "changes between samples are gusts, which lose it within a kilometre"
        if step <= GUSTS_S
        else f"changes over {step / 60:.0f} minutes are weather, too, and lose it only slowly"
    )
    return Picture(
        "distance",
        "Correlation by distance",
        "Correlation of the wind at two places: pairs of turbines of one farm (mean, and the "
        "middle 80 % of pairs), and pairs of farms.",
        "Turbines of one farm share their weather, so the wind correlates strongly; "
        f"{changes}. Farms of one region correlate, those of different continents do not.",
        [("", chart)] if xs else (),
    )


def _beyond(xs: Sequence[float]) -> float:
    return 1.3 * max(xs, default=1.0)


def _correlation(
    points: dict[float, dict[str, tuple[float, float, float]]],
    xs: Sequence[float],
    name: str,
    label: str,
    paint: str,
) -> Series:
    rows = [points[x].get(name) for x in xs]
    mean, low, high = ([None if row is None else row[i] for row in rows] for i in range(3))
    return Series(label, mean, paint, "points", low=low, high=high)


def _binned_by_distance(
    far: Floats, found: Floats
) -> list[tuple[float, tuple[float, float, float]]]:
    """Return (distance, (mean, 10 %, 90 %)) in bins of equal ratio."""
    known = np.isfinite(found) & (far > 0)
    far, found = far[known], found[known]
    if not len(far):
        return []
    edges = np.geomspace(far.min(), far.max() * 1.0001, _DISTANCES + 1)
    place = np.clip(np.searchsorted(edges, far, side="right") - 1, 0, _DISTANCES - 1)
    rows = []
    for number in range(_DISTANCES):
        inside = found[place == number]
        if len(inside):
            low, high = np.quantile(inside, (0.1, 0.9)).tolist()
            x = float(np.sqrt(edges[number] * edges[number + 1]))
            rows.append((x, (float(inside.mean()), low, high)))
    return rows


def _kilometres(a: FarmReadings, b: FarmReadings) -> float:
    """Great-circle distance of two farms."""
    lat, lon = (
        np.radians([a.farm.latitude, b.farm.latitude]),
        np.radians([a.farm.longitude, b.farm.longitude]),
    )
    cosine = np.sin(lat[0]) * np.sin(lat[1]) + np.cos(lat[0]) * np.cos(lat[1]) * np.cos(
        lon[0] - lon[1]
    )
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))) * METRES_PER_DEGREE / 1000)
