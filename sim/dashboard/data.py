"""The contents of the page: units, series, rankings, episodes, and the detail behind them."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pyarrow as pa

from pipeline.records import STATES, VIBRATION_ALARM
from sim.arrays import Floats
from sim.dashboard import focus, series, trends
from sim.dashboard.columns import Column
from sim.dashboard.views import Views, instant

DAY_US: Final = 86_400_000_000
MOST_EPISODES: Final = 3_000
MOST_CLOCKS: Final = 31
MOST_RANKED_ROWS: Final = 20_000_000
"""Rows that rankings of earlier days may read in all: each reads every row before its clock."""
MOST_AT_ONCE: Final = 8
"""Rankings at a time, of one thread each: each holds some batches of rows."""
FIRST_PLACES: Final = 12
"""Places of a farm that a ranking of an earlier day keeps, and turbines that have a trend."""
BIN: Final = 0.5  # m/s, of the power curves
FEWEST_IN_BIN: Final = 3


@dataclass(frozen=True)
class Contents:
    """Columns and facts of the page, and the extent of the lake in microseconds."""

    columns: dict[str, Column]
    facts: dict[str, Any]


def contents(views: Views, extent: dict[str, int], title: str, cells: int) -> Contents:
    """Return the contents of a page with at most `cells` turbines x steps.

    `views` are as of the page's clock.
    """
    shape = series.grid(extent, cells)
    units = views.rows("units")
    names = list(zip(_list(units, "farm_id"), _list(units, "turbine_id"), strict=True))
    columns = series.series(views, shape, names)
    episodes = views.rows("episodes").sort_by("place")
    spans, readings = focus.focus(views, extent)
    rankings = _rankings(views, extent)
    facts = {
        "title": title,
        "extent": extent,
        "grid": {"origin_us": shape.origin_us, "step_us": shape.step_us, "steps": shape.steps},
        "now_us": _us(views.now),
        "states": STATES,
        "vibration_alarm": VIBRATION_ALARM,
        "units": _columns(units),
        "curves": _curves(columns, units),
        "performance": _columns(views.rows("performance")),
        "rankings": rankings,
        "trends": trends.trends(views, _foremost(rankings)),
        "episodes": _columns(episodes.slice(0, MOST_EPISODES)),
        "episodes_in_all": episodes.num_rows,
        "focus": spans,
    }
    return Contents(columns | readings, facts)


def _rankings(views: Views, extent: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return the ranking as of the page's clock, and after it those of earlier days.

    Of an earlier day each farm keeps its first places only.
    """
    newest = views.rows("ranking")
    found = [{"now_us": _us(views.now), **_columns(newest)}]
    if newest.num_rows == 0:
        return found
    clocks = _clocks(extent, _us(views.now))
    pool = ThreadPoolExecutor(min(os.cpu_count() or 1, MOST_AT_ONCE), "rankings")
    try:
        answers = pool.map(lambda clock: views.at(instant(clock)).rows("ranking"), clocks)
        for clock, rows in zip(clocks, answers, strict=True):
            if rows.num_rows == 0:  # too few days before this clock, and before all earlier ones
                break
            found.append({"now_us": clock, **_columns(_first_places(rows))})
    finally:
        pool.shutdown(cancel_futures=True)
    return found


def _clocks(extent: Mapping[str, int], now_us: int) -> list[int]:
    """Return the last microseconds of days before the clock, the newest first."""
    last = min(extent["last_us"], now_us)
    days = range(last // DAY_US, extent["first_us"] // DAY_US, -1)
    rows = extent["units"] * (last - extent["first_us"]) // extent["sample_us"]
    most = max(1, min(MOST_CLOCKS, MOST_RANKED_ROWS // max(rows, 1)))
    return [day * DAY_US - 1 for day in days[:: max(1, math.ceil(len(days) / most))]]


def _first_places(rows: pa.Table) -> pa.Table:
    seen: dict[str, int] = {}
    kept = []
    for place, farm in enumerate(_list(rows, "farm_id")):
        seen[farm] = seen.get(farm, 0) + 1
        if seen[farm] <= FIRST_PLACES:
            kept.append(place)
    return rows.take(kept)


def _foremost(rankings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the turbines whose trends the page shows."""
    found: dict[str, None] = {}
    for each in rankings:
        seen: dict[str, int] = {}
        for turbine, farm in zip(each.get("turbine_id", ()), each.get("farm_id", ()), strict=True):
            seen[farm] = seen.get(farm, 0) + 1
            if seen[farm] <= FIRST_PLACES:
                found[turbine] = None
    return sorted(found)


def _curves(columns: Mapping[str, Column], units: pa.Table) -> list[dict[str, Any]]:
    """Return the power curve of each turbine type as the efficiency of its windows implies it.

    Medians of the promise by wind speed, over rated power.
    """
    wind, promised = columns["wind"].floats(), columns["promised"].floats()
    whole = columns["unjudged"].floats() == 0
    rated = np.array([value or math.nan for value in _list(units, "rated_power")])
    types = np.array([value or "" for value in _list(units, "turbine_type")])
    found = []
    for name in sorted(set(types.tolist())):
        chosen = types == name
        known = whole[chosen] & np.isfinite(wind[chosen])
        load = (promised[chosen] / rated[chosen][:, None])[known]
        centres, medians = _medians(wind[chosen][known], load)
        found.append({"type": name, "wind": centres, "load": medians})
    return found


def _medians(wind: Floats, load: Floats) -> tuple[list[float], list[float]]:
    """Return the centres and the medians of the longest stretch of bins without an empty one.

    A bin with fewer than FEWEST_IN_BIN values is empty. Bins beyond an empty one would be detached
    pieces of the curve.
    """
    bins = np.round(wind / BIN).astype(int)
    found, counts = np.unique(bins, return_counts=True)
    filled = found[counts >= FEWEST_IN_BIN]
    stretches = np.split(filled, np.flatnonzero(np.diff(filled) > 1) + 1)
    longest = max(stretches, key=len)
    return (
        (longest * BIN).tolist(),
        [round(float(np.median(load[bins == each])), 4) for each in longest],
    )


def _columns(table: pa.Table) -> dict[str, list[Any]]:
    return {name: [_plain(value) for value in _list(table, name)] for name in table.column_names}


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: numbers to nine digits, times in microseconds."""
    if isinstance(value, datetime):
        return _us(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value)
    if isinstance(value, float):
        return float(f"{value:.9g}") if math.isfinite(value) else None
    return value


def _list(table: pa.Table, name: str) -> list[Any]:
    found: list[Any] = table.column(name).to_pylist()
    return found


def _us(at: datetime | None) -> int:
    return round(at.timestamp() * 1e6) if at is not None else 0
