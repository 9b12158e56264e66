"""Validation: the first rule of `pipeline.records.RULES` that each row violates.

Per-row arrays have shape (rows,), rows sorted by owner and id. Rules that look back (`stuck`,
`duplicate`) see a node's whole history here. A pipeline carries state from batch to batch instead,
and can lose it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import records
from sim.check.read.columns import Bools, Floats, Ints


@dataclass(frozen=True)
class Readings:
    """Rows as numbers.

    Times are in us; `time_null` marks rows with a null time. Channels have NaN for null. Rated
    power is in MW, NaN if unknown. `misfit` marks rows with a cell of the wrong type.
    """

    owner: Ints
    timestamp: Ints
    recorded_at: Ints
    time_null: Bools
    channels: dict[str, Floats]
    own_turbine: Bools
    turbine_null: Bools
    status: pa.Array
    misfit: Bools
    rated_power: Floats


def broken_rules(rows: Readings) -> Ints:
    """Index in RULES of the first violated rule, -1 for a valid row; shape (rows,)."""
    rule = np.full(len(rows.owner), -1, dtype=np.int64)

    def breaks(name: str, mask: Bools) -> None:
        rule[(rule < 0) & mask] = records.RULES.index(name)

    # The lower bound keeps the difference to any time in range from overflowing.
    t, recorded = rows.timestamp, np.maximum(rows.recorded_at, -(1 << 62))
    channel = rows.channels
    power, rated = channel["power_output"], rows.rated_power
    breaks("type", rows.misfit)
    breaks("null", rows.time_null | rows.turbine_null | _null(rows.status))
    for values in channel.values():
        breaks("null", np.isnan(values))
    breaks("identity", ~rows.own_turbine)
    breaks("time.range", (t < records.TIME_MIN_US) | (t >= records.TIME_MAX_US))
    breaks("time.future", t - recorded > records.FUTURE_TOLERANCE_US)
    breaks("time.stale", recorded - t > records.STALE_AFTER_US)
    breaks("state", ~np.asarray(pc.is_in(rows.status, pa.array(records.STATES))))
    for limits in records.CHANNELS:
        breaks(
            "range", ~((channel[limits.name] >= limits.low) & (channel[limits.name] <= limits.high))
        )
    with np.errstate(invalid="ignore"):
        working = power > records.POWER_FLOOR * rated
        breaks("power.rotor", working & (channel["rotor_rpm"] < records.ROTOR_STANDSTILL_RPM))
        breaks("power.rated", power > records.RATED_CEILING * rated)
        breaks("power.wind", working & (channel["wind_speed"] < records.WIND_CALM))
    breaks("stuck", _stuck(rows, np.flatnonzero(rule < 0)))
    breaks("duplicate", _repeated(rows, np.flatnonzero(rule < 0)))
    return rule


def _null(array: pa.Array) -> Bools:
    return np.asarray(array.is_null())


def _stuck(rows: Readings, sound: Ints) -> Bools:
    """Mask of the rows that violate `stuck`, shape (rows,).

    A series is consecutive rows of one node with one value of a channel. A rejected row ends it. A
    row is stuck from the tenth row of a series on, if the series has lasted `STUCK_AFTER_US`.
    """
    stuck = np.zeros(len(rows.owner), dtype=bool)
    if len(sound) < records.STUCK_ROWS:
        return stuck
    owner, time = rows.owner[sound], rows.timestamp[sound]
    parted = (owner[1:] != owner[:-1]) | (sound[1:] - sound[:-1] > 1)
    for limits in records.CHANNELS:
        if not limits.stuck:
            continue
        value = rows.channels[limits.name][sound]
        edges = np.flatnonzero((value[1:] != value[:-1]) | parted) + 1
        starts = np.concatenate(([0], edges))
        ends = np.append(edges, len(sound))
        for i in np.flatnonzero((ends - starts >= records.STUCK_ROWS) & (value[starts] != 0)):
            first, from_tenth = starts[i], starts[i] + records.STUCK_ROWS - 1
            long_enough = time[from_tenth : ends[i]] - time[first] >= records.STUCK_AFTER_US
            stuck[sound[from_tenth : ends[i]][long_enough]] = True
    return stuck


def _repeated(rows: Readings, sound: Ints) -> Bools:
    """Mask of the rows that violate `duplicate`, shape (rows,).

    Of one owner's rows with the same timestamp, all except the one with the lowest id.
    """
    repeated = np.zeros(len(rows.owner), dtype=bool)
    # The sort is stable: rows with equal times stay in id order.
    order = sound[np.lexsort((rows.timestamp[sound], rows.owner[sound]))]
    owner, time = rows.owner[order], rows.timestamp[order]
    repeated[order[1:][(owner[1:] == owner[:-1]) & (time[1:] == time[:-1])]] = True
    return repeated
