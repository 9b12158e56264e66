"""The expected windows: every revision of each (turbine, window), and a comparison with the lake.

A revision covers the valid rows of its window up to the batch that makes it (`emission`). Counts,
kinds, minima, maxima and dates must be equal. Means, deviations and efficiency are sums of floats,
and the order of the sum is free. They are compared within `TOLERANCE` of the values' size.
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
from sim.check.expected.emission import closing_batch
from sim.check.expected.rows import HOUR_US, SECOND_US, Expectation, asset_numbers
from sim.check.read.columns import (
    FOREIGN,
    NULL,
    Bools,
    Floats,
    Ints,
    RowIndex,
    codes,
    integers,
    one,
)

TOLERANCE: Final = 1e-9
DEVIATION_TOLERANCE: Final = 1e-7
"""A standard deviation loses half of its digits if it is small against the mean."""


@dataclass(frozen=True)
class Windows:
    """All revisions of all windows with a valid row, sorted by owner, start and number.

    Arrays of shape (revisions,), times in us:
    `number`      number of the revision in its window, from 0
    `batch`       index of the batch that makes the revision
    `measures`    column of AGGREGATED -> value
    `efficiency`  NaN for null
    `anomalies`   sum over the anomaly kinds of the rows with that kind
    `kinds`       bit mask of anomaly kinds
    `window`      index of the revision's window

    Arrays of shape (windows,):
    `first`, `last`  indices of the window's first and last revision

    `index` is the lookup of windows by (owner, start).
    """

    owner: Ints
    start: Ints
    end: Ints
    number: Ints
    batch: Ints
    rows: Ints
    measures: dict[str, Floats]
    efficiency: Floats
    anomalies: Ints
    kinds: Ints
    window: Ints
    first: Ints
    last: Ints
    index: RowIndex

    @property
    def hour(self) -> Ints:
        return self.start // HOUR_US


def expect_windows(expected: Expectation, drained: Bools | None = None) -> Windows:
    """Recompute every revision of every window. `drained`: see `emission.progress`."""
    length = np.array([node.window_s * SECOND_US for node in expected.nodes], dtype=np.int64)
    rows = np.flatnonzero(expected.rule < 0)
    owner = expected.owner[rows]
    start = expected.columns["timestamp"][rows] // length[owner] * length[owner]
    if np.any((start[1:] < start[:-1]) & (owner[1:] == owner[:-1])):
        order = np.lexsort((start, owner))  # stable, so rows of a window stay in id order
        rows, start, owner = rows[order], start[order], owner[order]
    new_window = np.ones(len(rows), dtype=bool)
    new_window[1:] = (owner[1:] != owner[:-1]) | (start[1:] != start[:-1])
    opens = np.flatnonzero(new_window)
    closing = closing_batch(expected, owner[opens], start[opens] + length[owner[opens]], drained)
    batch = np.maximum(expected.batch[rows], closing[np.cumsum(new_window) - 1])
    begins = new_window.copy()
    begins[1:] |= batch[1:] != batch[:-1]
    edges = np.flatnonzero(begins)
    window = np.cumsum(new_window)[edges] - 1
    first = np.flatnonzero(new_window[edges])
    number = np.arange(len(edges)) - first[window]
    sums = _sums(expected, rows, owner, edges)
    for i in range(1, int(number.max(initial=0)) + 1):
        _add_earlier(sums, np.flatnonzero(number == i))
    owner, start = owner[edges], start[edges]
    low = sums["power"] < records.UNDERPERFORMANCE * sums["promise"]
    flags = [*(sums[kind] for kind in records.ANOMALIES[:4]), np.where(low, sums["promising"], 0.0)]
    with np.errstate(invalid="ignore", divide="ignore"):
        efficiency = np.where(sums["promised"] > 0, sums["produced"] / sums["promised"], np.nan)
    measures = {
        name: sums[name]
        for measure in MEASURES
        for name in (measure, measure + "_min", measure + "_max")
    }
    measures |= {
        name + "_std": np.sqrt(sums[name + "_squares"] / sums["rows"]) for name in MEASURES
    }
    return Windows(
        owner=owner,
        start=start,
        end=start + length[owner],
        number=number,
        batch=batch[edges],
        rows=sums["rows"].astype(np.int64),
        measures=measures,
        efficiency=efficiency,
        anomalies=np.rint(np.sum(flags, axis=0)).astype(np.int64),
        kinds=sum(
            (np.where(n > 0, 1 << i, 0) for i, n in enumerate(flags)),
            np.zeros(len(edges), dtype=np.int64),
        ),
        window=window,
        first=first,
        last=np.append(first[1:], len(edges))[: len(first)] - 1,
        index=RowIndex(owner[first], start[first]),
    )


def _sums(expected: Expectation, rows: Ints, owner: Ints, edges: Ints) -> dict[str, Floats]:
    """Sums over the rows from each edge to the next, by name.

    `rows`; mean, `_squares` (of deviations), `_min` and `_max` of each measure; `promised` and
    `produced` power; totals of `_anomalies`.
    """
    count = np.diff(np.append(edges, len(rows)))
    part = np.repeat(np.arange(len(edges)), count)

    def total(values: Floats | Bools) -> Floats:
        return np.bincount(part, weights=values, minlength=len(edges)).astype(np.float64)

    channel = {name: expected.readings.channels[name][rows] for name in records.CHANNEL_NAMES}
    sums: dict[str, Floats] = {"rows": count.astype(np.float64)}
    for name in MEASURES:
        sums[name] = mean = total(channel[name]) / count
        sums[name + "_squares"] = total((channel[name] - mean[part]) ** 2)
        sums[name + "_min"] = np.minimum.reduceat(channel[name], edges)
        sums[name + "_max"] = np.maximum.reduceat(channel[name], edges)
    promise = _promise(expected, owner, channel["wind_speed"])
    sums["promised"], sums["produced"] = (
        total(promise),
        total(np.maximum(channel["power_output"], 0.0)),
    )
    running = np.asarray(pc.equal(expected.readings.status.take(pa.array(rows)), "running"))
    return sums | _anomalies(expected, owner, channel, promise, running, total)


def _add_earlier(sums: dict[str, Floats], at: Ints) -> None:
    """Add to the sums at these indices the sums of the revision before, of the same window."""
    before = at - 1
    rows = sums["rows"][before] + sums["rows"][at]
    for name in MEASURES:
        step = sums[name][at] - sums[name][before]
        between = step**2 * sums["rows"][before] * sums["rows"][at] / rows
        sums[name + "_squares"][at] += sums[name + "_squares"][before] + between
        sums[name][at] = sums[name][before] + step * sums["rows"][at] / rows
        for extreme, pick in (("_min", np.minimum), ("_max", np.maximum)):
            sums[name + extreme][at] = pick(sums[name + extreme][at], sums[name + extreme][before])
    for name in sums.keys() - {
        m + suffix for m in MEASURES for suffix in ("", "_squares", "_min", "_max")
    }:
        sums[name][at] += sums[name][before]


def _promise(expected: Expectation, owner: Ints, wind: Floats) -> Floats:
    """Expected power in MW by the turbine's power curve, shape (rows,).

    0 outside of the curve, or without one.
    """
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
    total: Callable[[Floats | Bools], Floats],
) -> dict[str, Floats]:
    """Totals for the anomaly kinds.

    Rows per kind for the first four of `records.ANOMALIES`. For the rows that are judged by the
    power curve: their number (`promising`), their `power`, and the power by the curve (`promise`).
    """
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
    counts = {kind: total(alarm) for kind, alarm in zip(records.ANOMALIES[:4], alarms, strict=True)}
    return counts | {
        "promising": total(promising),
        "power": total(np.where(promising, channel["power_output"], 0.0)),
        "promise": total(np.where(promising, promise, 0.0)),
    }


def differences(
    expected: Expectation, windows: Windows, place: Ints, table: pa.Table
) -> dict[str, Bools]:
    """Column -> mask of the rows that differ from the expected revision.

    `place[i]` is the index of the revision that row i of the table must equal. The table has the
    schema AGGREGATED.
    """
    owner = windows.owner[place]
    turbine = codes(
        pa.array([node.turbine for node in expected.nodes]), expected.vocabularies["turbine_id"]
    )
    farm = codes(pa.array([node.farm for node in expected.nodes]), expected.vocabularies["farm_id"])
    wrong = {
        "turbine_id": codes(table.column("turbine_id"), expected.vocabularies["turbine_id"])
        != turbine[owner],
        "farm_id": codes(table.column("farm_id"), expected.vocabularies["farm_id"]) != farm[owner],
        "date": _days(table.column("date")) != windows.start[place] // (24 * HOUR_US),
        "window_end": integers(table.column("window_end")) != windows.end[place],
        "rows": integers(table.column("rows")) != windows.rows[place],
        "anomaly_count": integers(table.column("anomaly_count")) != windows.anomalies[place],
        "anomaly_kinds": _kind_bits(one(table.column("anomaly_kinds"))) != windows.kinds[place],
        "efficiency": ~_near(
            _floats(table, "efficiency"), windows.efficiency[place], 1.0, TOLERANCE
        ),
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
    """Bit mask of each list's kinds; `FOREIGN` for null, an unknown kind or a list out of order."""
    place = codes(kinds.flatten(), pa.array(records.ANOMALIES))
    row = np.asarray(pc.list_parent_indices(kinds))
    bits = np.zeros(len(kinds), dtype=np.int64)
    np.add.at(bits, row, 1 << np.maximum(place, 0))
    disordered = (row[1:] == row[:-1]) & (place[1:] <= place[:-1])
    bits[row[1:][disordered]] = FOREIGN
    bits[row[place < 0]] = FOREIGN
    bits[np.asarray(kinds.is_null())] = FOREIGN
    return bits
