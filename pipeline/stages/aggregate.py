"""Event-time windows per turbine, with a watermark and anomaly counts.

A window is emitted once the watermark (newest valid event time less the allowed lateness) has
passed its end, or at a drain. A row that arrives later causes the whole window to be emitted again,
as its next revision. So the latest revision always equals a recomputation over all valid rows. Open
windows travel in the checkpoint as `sums`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import records
from pipeline.batch import Groups, floats, ints, whole
from pipeline.checkpoint import Checkpoint
from pipeline.config import NodeConfig
from pipeline.partition import Bools, Ints
from pipeline.records import ANOMALIES, MEASURES
from pipeline.records.schemas import AGGREGATED
from pipeline.sums import ADDED, COLUMNS, MAX, MEAN, MIN, PLAIN, SQUARES, Floats, merge


@dataclass(frozen=True)
class Past:
    """The lake's data of windows that late rows fall into.

    sums: over the earlier rows of a window. revisions: its newest revision.
    """

    sums: Mapping[int, Floats]  # window start in us -> COLUMNS numbers
    revisions: Mapping[int, int]  # window start in us -> newest revision


class Window(NamedTuple):
    """A window to emit. sums: COLUMNS numbers over its rows."""

    start_us: int
    revision: int
    sums: Floats


@dataclass(frozen=True)
class Windows:
    """Windows of one group: those to emit, in order, and the state for the next batch."""

    emitted: Sequence[Window]
    open_windows: dict[int, tuple[float, ...]]
    max_event_us: int | None
    closed_until_us: int | None


def aggregate(
    validated: pa.Table,
    groups: Groups,
    before: Sequence[Checkpoint],
    past: Mapping[int, Past],
    final: Sequence[bool],
) -> list[Windows]:
    """Return the windows that each group's batch closes or changes.

    validated: valid rows (VALIDATED) of the groups. past: group -> the closed windows that its late
    rows touch. final: True if the group's batch is the last of a drain, which closes every window.
    """
    group, start, sums = window_sums(validated, groups)
    times = ints(validated, "timestamp")
    newest = (
        np.maximum.reduceat(times, groups.offsets[:-1][np.diff(groups.offsets) > 0])
        if len(times)
        else times
    )
    newest_of = dict(
        zip(np.flatnonzero(np.diff(groups.offsets)).tolist(), newest.tolist(), strict=True)
    )
    bounds = np.searchsorted(group, np.arange(len(groups.configs) + 1))
    out = []
    for i, config in enumerate(groups.configs):
        fresh = dict(
            zip(
                start[bounds[i] : bounds[i + 1]].tolist(),
                sums[bounds[i] : bounds[i + 1]],
                strict=True,
            )
        )
        out.append(
            _advance(
                config, before[i], fresh, newest_of.get(i), past.get(i, Past({}, {})), final[i]
            )
        )
    return out


def _advance(
    config: NodeConfig,
    state: Checkpoint,
    fresh: dict[int, Floats],
    newest_us: int | None,
    past: Past,
    final: bool,
) -> Windows:
    """Add fresh sums to one node's known windows, and decide which windows to emit."""
    window_us = config.window_s * 1_000_000
    known = {at: np.array(sums) for at, sums in state.open_windows.items()}
    late = [
        at
        for at in fresh
        if state.closed_until_us is not None and at + window_us <= state.closed_until_us
    ]
    known.update({at: past.sums[at] for at in late if at in past.sums})
    for at, sums in fresh.items():
        known[at] = merge(known[at], sums) if at in known else sums
    newest = max((t for t in (state.max_event_us, newest_us) if t is not None), default=None)
    closed = state.closed_until_us
    if newest is not None:
        watermark = (newest - config.allowed_lateness_s * 1_000_000) // window_us * window_us
        closed = watermark if closed is None else max(closed, watermark)
        if final:
            closed = max([closed, *(at + window_us for at in known)])
    ended = {at for at in known if closed is not None and at + window_us <= closed}
    emitted = [Window(at, past.revisions.get(at, -1) + 1, known[at]) for at in sorted(ended)]
    still_open = {at: tuple(known[at].tolist()) for at in known if at not in ended}
    return Windows(emitted, still_open, newest, closed)


def window_sums(validated: pa.Table, groups: Groups) -> tuple[Ints, Ints, Floats]:
    """Return group index, window start (us) and sums, ordered by group and start.

    The sums have shape (windows, COLUMNS).
    """
    times = ints(validated, "timestamp")
    group = groups.of_row
    length = np.array([config.window_s * 1_000_000 for config in groups.configs])
    start = times // length[group] * length[group]
    order = None
    if np.any((start[1:] < start[:-1]) & (group[1:] == group[:-1])):
        order = np.lexsort((start, group))  # stable: rows of a window stay in id order
        group, start = group[order], start[order]
    if len(start) == 0:
        return group, start, np.empty((0, COLUMNS))
    at = np.concatenate(
        ([0], np.flatnonzero((start[1:] != start[:-1]) | (group[1:] != group[:-1])) + 1)
    )
    rows = np.diff(np.append(at, len(start)))
    sums = np.empty((len(at), COLUMNS))
    sums[:, 0] = rows
    for i, value in enumerate(floats(validated, MEASURES)):
        value = value if order is None else value[order]
        mean = np.add.reduceat(value, at) / rows
        sums[:, MEAN][:, i] = mean
        sums[:, SQUARES][:, i] = np.add.reduceat((value - np.repeat(mean, rows)) ** 2, at)
        sums[:, MIN][:, i] = np.minimum.reduceat(value, at)
        sums[:, MAX][:, i] = np.maximum.reduceat(value, at)
    for i, added in enumerate(_added(validated, groups)):
        if not added.any():
            sums[:, PLAIN][:, i] = 0.0
            continue
        added = added if order is None else added[order]
        sums[:, PLAIN][:, i] = np.add.reduceat(added, at, dtype=np.float64)
    return group[at], start[at], sums


def _added(validated: pa.Table, groups: Groups) -> list[npt.NDArray[Any]]:
    """Return the numbers that each row adds to the plain sums `ADDED`, each of shape (rows,)."""
    wind, power, rotor, vibration, generator, gearbox = floats(
        validated,
        (
            "wind_speed",
            "power_output",
            "rotor_rpm",
            "vibration_level",
            "generator_temperature",
            "gearbox_temperature",
        ),
    )
    promise = _promise(wind, groups)
    counts = np.diff(groups.offsets)
    rated = np.repeat([c.asset.rated_power or np.inf for c in groups.configs], counts)
    rated_rpm = np.repeat([c.asset.rated_rpm or np.inf for c in groups.configs], counts)
    running = np.asarray(whole(pc.equal(validated.column("status"), "running")))
    judged = running & (promise >= records.PROMISE_FLOOR * rated) & (promise > 0)
    return [
        np.maximum(power, 0.0),
        promise,
        judged,
        np.where(judged, power, 0.0),
        np.where(judged, promise, 0.0),
        vibration > records.VIBRATION_ALARM,
        generator > records.GENERATOR_ALARM,
        gearbox > records.GEARBOX_ALARM,
        rotor > records.OVERSPEED * rated_rpm,
    ]


def _promise(wind: Floats, groups: Groups) -> Floats:
    """Return the power in MW that the turbine type's power curve gives at each row's wind speed.

    It is 0 outside the curve, and for a type without one.
    """
    out = np.zeros(len(wind))
    curves = [config.asset.power_curve for config in groups.configs]
    i = 0
    while i < len(
        curves
    ):  # one interpolation per series of nodes with the same curve: often the whole farm
        j = i + 1
        while j < len(curves) and curves[j] == curves[i]:
            j += 1
        if curves[i]:
            speed, power = np.array(curves[i]).T
            part = slice(groups.offsets[i], groups.offsets[j])
            out[part] = np.interp(wind[part], speed, power, left=0.0, right=0.0)
        i = j
    return out


def table(configs: Sequence[NodeConfig], windows: Sequence[Windows]) -> pa.Table:
    """Return AGGREGATED rows of all groups, each group's ordered by window."""
    every = [window for of_group in windows for window in of_group.emitted]
    if not every:
        return AGGREGATED.empty_table()
    group = np.repeat(np.arange(len(configs)), [len(of_group.emitted) for of_group in windows])
    s = np.stack([window.sums for window in every], axis=1)
    start = np.array([window.start_us for window in every])
    length = np.array([config.window_s * 1_000_000 for config in configs])[group]
    added = dict(zip(ADDED, s[PLAIN], strict=True))
    under = added["judged_power"] < records.UNDERPERFORMANCE * added["judged_promise"]
    counts = np.stack(
        [*(added[kind] for kind in ANOMALIES[:4]), np.where(under, added["judged_rows"], 0.0)]
    )
    promised = added["promised"] > 0
    efficiency = np.divide(added["produced"], added["promised"], where=promised, out=s[0].copy())
    place = pa.array(group)
    columns = {
        "turbine_id": pa.array([config.turbine_id for config in configs]).take(place),
        "farm_id": pa.array([config.farm_id for config in configs]).take(place),
        "date": pa.array(start // 86_400_000_000, pa.int32()).view(pa.date32()),
        "window_start": _times(start),
        "window_end": _times(start + length),
        "efficiency": pa.array(efficiency, mask=~promised),
        "rows": pa.array(s[0].astype(np.int64)),
        "anomaly_count": pa.array(counts.sum(axis=0).astype(np.int64)),
        "anomaly_kinds": _kinds(counts > 0),
        "revision": pa.array([window.revision for window in every], pa.int32()),
    }
    deviation = np.sqrt(s[SQUARES] / s[0])
    for suffix, numbers in zip(
        ("", "_min", "_max", "_std"), (s[MEAN], s[MIN], s[MAX], deviation), strict=True
    ):
        columns |= {m + suffix: pa.array(n) for m, n in zip(MEASURES, numbers, strict=True)}
    return pa.Table.from_arrays([columns[name] for name in AGGREGATED.names], schema=AGGREGATED)


def _times(time_us: Ints) -> pa.Array:
    return pa.array(time_us).view(pa.timestamp("us", tz="UTC"))


def _kinds(counted: Bools) -> pa.Array:
    """Return the list of anomalies of each window. counted: shape (ANOMALIES, windows)."""
    offsets = np.concatenate(([0], np.cumsum(counted.sum(axis=0)))).astype(np.int32)
    kind = np.nonzero(counted.T)[1]
    return pa.ListArray.from_arrays(offsets, pa.array(ANOMALIES).take(pa.array(kind)))
