"""The aggregated stage: what each (turbine, window) must say, and whether the latest revision in the lake says it.

Counts, kinds, minima, maxima and dates must be equal. Means, deviations and efficiency are sums of floats whose order
is the pipeline's own affair, so they are compared within `TOLERANCE` of the values' size. Earlier revisions are not
recomputed (they depend on when they were made); only their numbering is checked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import records
from pipeline.records import MEASURES
from sim.check.canon import FOREIGN, NULL, Bools, Floats, Ints, Places, codes, integers, one
from sim.check.expect import HOUR_US, SECOND_US, Expectation, asset_numbers

TOLERANCE: Final = 1e-9
DEVIATION_TOLERANCE: Final = 1e-7  # a standard deviation loses half the digits where it is small against the mean


@dataclass(frozen=True)
class Windows:
    """All windows with a valid row, sorted by owner and start; arrays of shape (windows,), times us.

    `measures` maps a column of AGGREGATED to its value, `efficiency` is NaN for null, `kinds` is a bit mask.
    """

    owner: Ints
    start: Ints
    end: Ints
    rows: Ints
    measures: dict[str, Floats]
    efficiency: Floats
    anomalies: Ints
    kinds: Ints
    places: Places

    @property
    def hour(self) -> Ints:
        return self.start // HOUR_US


def expect_windows(expected: Expectation) -> Windows:
    """Recomputes every window from the node's valid rows."""
    length = np.array([node.window_s * SECOND_US for node in expected.nodes], dtype=np.int64)
    rows = np.flatnonzero(expected.rule < 0)
    start = expected.cells["timestamp"][rows] // length[expected.owner[rows]] * length[expected.owner[rows]]
    order = np.lexsort((start, expected.owner[rows]))
    rows, start = rows[order], start[order]
    owner = expected.owner[rows]
    first = np.ones(len(rows), dtype=bool)
    first[1:] = (owner[1:] != owner[:-1]) | (start[1:] != start[:-1])
    edges = np.flatnonzero(first)
    count = np.diff(np.append(edges, len(rows)))
    window = np.cumsum(first) - 1

    def total(values: Floats) -> Floats:
        return np.bincount(window, weights=values, minlength=len(edges)).astype(np.float64)

    channel = {name: expected.readings.channels[name][rows] for name in records.CHANNEL_NAMES}
    measures: dict[str, Floats] = {}
    for name in MEASURES:
        mean = total(channel[name]) / count
        measures[name] = mean
        measures[name + "_min"] = np.minimum.reduceat(channel[name], edges)
        measures[name + "_max"] = np.maximum.reduceat(channel[name], edges)
        measures[name + "_std"] = np.sqrt(total((channel[name] - mean[window]) ** 2) / count)
    promise = _promise(expected, owner, channel["wind_speed"])
    promised = total(promise)
    with np.errstate(invalid="ignore", divide="ignore"):
        efficiency = np.where(promised > 0, total(np.maximum(channel["power_output"], 0.0)) / promised, np.nan)
    running = np.asarray(pc.equal(expected.readings.status.take(pa.array(rows)), "running"))
    flags = _anomalies(expected, owner, channel, promise, running, total)
    kinds = sum((np.where(count > 0, 1 << i, 0) for i, count in enumerate(flags)), np.zeros(len(edges), dtype=np.int64))
    return Windows(
        owner=owner[edges],
        start=start[edges],
        end=start[edges] + length[owner[edges]],
        rows=count.astype(np.int64),
        measures=measures,
        efficiency=efficiency,
        anomalies=np.rint(np.sum(flags, axis=0)).astype(np.int64),
        kinds=kinds,
        places=Places(owner[edges], start[edges]),
    )


def _promise(expected: Expectation, owner: Ints, wind: Floats) -> Floats:
    """MW that the power curve of each row's turbine promises, 0 outside the curve and where there is none."""
    promise = np.zeros(len(wind))
    curves: dict[tuple[tuple[float, float], ...], list[int]] = {}
    for i, node in enumerate(expected.nodes):
        curves.setdefault(tuple(node.asset["power_curve"]), []).append(i)
    for curve, owners in curves.items():
        if curve:
            mine = np.isin(owner, owners)
            speed, power = zip(*curve, strict=True)
            promise[mine] = np.interp(wind[mine], speed, power, left=0.0, right=0.0)
    return promise


def _anomalies(
    expected: Expectation,
    owner: Ints,
    channel: dict[str, Floats],
    promise: Floats,
    running: Bools,
    total: Callable[[Floats], Floats],
) -> list[Floats]:
    """Count per window of each kind of `records.ANOMALIES`, in that order."""
    rated = asset_numbers(expected.nodes, "rated_power")[owner]
    rated_rpm = asset_numbers(expected.nodes, "rated_rpm")[owner]
    with np.errstate(invalid="ignore"):
        alarms = [
            channel["vibration_level"] > records.VIBRATION_ALARM,
            channel["generator_temperature"] > records.GENERATOR_ALARM,
            channel["gearbox_temperature"] > records.GEARBOX_ALARM,
            channel["rotor_rpm"] > records.OVERSPEED * rated_rpm,
        ]
        promising = running & (promise >= records.PROMISE_FLOOR * rated)
    power = total(np.where(promising, channel["power_output"], 0.0))
    low = power < records.UNDERPERFORMANCE * total(np.where(promising, promise, 0.0))
    return [*(total(alarm.astype(float)) for alarm in alarms), np.where(low, total(promising.astype(float)), 0.0)]


def differences(expected: Expectation, windows: Windows, place: Ints, table: pa.Table) -> dict[str, Bools]:
    """Column -> which of the rows differ. `place[i]` is the expected window of row i of the (AGGREGATED) table."""
    owner = windows.owner[place]
    turbine = codes(pa.array([node.turbine for node in expected.nodes]), expected.vocabularies["turbine_id"])
    farm = codes(pa.array([node.farm for node in expected.nodes]), expected.vocabularies["farm_id"])
    wrong = {
        "turbine_id": codes(table.column("turbine_id"), expected.vocabularies["turbine_id"]) != turbine[owner],
        "farm_id": codes(table.column("farm_id"), expected.vocabularies["farm_id"]) != farm[owner],
        "date": _days(table.column("date")) != windows.start[place] // (24 * HOUR_US),
        "window_end": integers(table.column("window_end")) != windows.end[place],
        "rows": integers(table.column("rows")) != windows.rows[place],
        "anomaly_count": integers(table.column("anomaly_count")) != windows.anomalies[place],
        "anomaly_kinds": _kind_bits(one(table.column("anomaly_kinds"))) != windows.kinds[place],
        "efficiency": ~_near(_floats(table, "efficiency"), windows.efficiency[place], 1.0, TOLERANCE),
    }
    for name in MEASURES:
        found = {suffix: _floats(table, name + suffix) for suffix in ("", "_min", "_max", "_std")}
        right = {suffix: windows.measures[name + suffix][place] for suffix in found}
        size = np.maximum(1.0, np.maximum(np.abs(right["_min"]), np.abs(right["_max"])))
        wrong[name] = ~_near(found[""], right[""], size, TOLERANCE)
        wrong[name + "_std"] = ~_near(found["_std"], right["_std"], size, DEVIATION_TOLERANCE)
        for suffix in ("_min", "_max"):
            wrong[name + suffix] = found[suffix] != right[suffix]
    return wrong


def _near(found: Floats, right: Floats, size: Floats | float, tolerance: float) -> Bools:
    return (np.abs(found - right) <= tolerance * size) | (np.isnan(found) & np.isnan(right))


def _floats(table: pa.Table, name: str) -> Floats:
    return np.asarray(one(table.column(name)).to_numpy(zero_copy_only=False))


def _days(column: pa.ChunkedArray) -> Ints:
    return np.asarray(one(column).cast(pa.int32()).cast(pa.int64()).fill_null(NULL))


def _kind_bits(kinds: pa.ListArray) -> Ints:
    """Bit mask of the kinds each list names; `FOREIGN` for a null, an unknown kind or a list out of order."""
    place = codes(kinds.flatten(), pa.array(records.ANOMALIES))
    row = np.asarray(pc.list_parent_indices(kinds))
    bits = np.zeros(len(kinds), dtype=np.int64)
    np.add.at(bits, row, 1 << np.maximum(place, 0))
    disordered = (row[1:] == row[:-1]) & (place[1:] <= place[:-1])
    bits[row[1:][disordered]] = FOREIGN
    bits[row[place < 0]] = FOREIGN
    bits[np.asarray(kinds.is_null())] = FOREIGN
    return bits
