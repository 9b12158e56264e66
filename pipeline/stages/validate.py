"""Validation of ingested rows: the first rule that each row breaks.

The rules, their order and their thresholds are `pipeline.records.RULES`. Most of them look at one
row. Two look back:

- `stuck` needs the series of equal readings with which the batch before ended. The checkpoint has
  it.
- `duplicate` needs the timestamps of earlier valid rows, but only for rows that are not newer than
  all before them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import records
from pipeline.batch import Groups, floats, ints, nulls, whole
from pipeline.checkpoint import Checkpoint, Run
from pipeline.partition import Bools, Ints
from pipeline.records import CHANNEL_NAMES, CHANNELS, RULES

Rules = npt.NDArray[np.int8]

_LOW = np.array([[c.low] for c in CHANNELS])
_HIGH = np.array([[c.high] for c in CHANNELS])
_STUCK = [i for i, c in enumerate(CHANNELS) if c.stuck]
_WIND, _ROTOR, _POWER = (
    CHANNEL_NAMES.index(n) for n in ("wind_speed", "rotor_rpm", "power_output")
)
_KNOWN_KEY = rf'[{{,]"({"|".join(records.NODE_COLUMNS)})":'


class _Verdicts:
    """First broken rule of each row: index into RULES, -1 for none."""

    def __init__(self, rows: int) -> None:
        self.rule: Rules = np.full(rows, -1, dtype=np.int8)

    def reject(self, mask: Bools, rule: str) -> None:
        self.rule[mask & (self.rule < 0)] = RULES.index(rule)

    @property
    def sound(self) -> Bools:
        return self.rule < 0


def validate(
    ingested: pa.Table, groups: Groups, before: Sequence[Checkpoint], history: Mapping[int, Ints]
) -> tuple[Rules, list[dict[str, Run]]]:
    """Return the first broken rule of each row, and each group's series afterwards.

    A rule is its index in RULES, -1 for a valid row. ingested: INGESTION schema. before: each
    group's state before its batch. history: group -> timestamps (us) of its earlier valid rows, in
    the hours of those of its rows that are not newer than `max_event_us`.
    """
    verdicts = _Verdicts(ingested.num_rows)
    values = floats(ingested, CHANNEL_NAMES)
    timestamp = ints(ingested, "timestamp")
    _check_single_rows(ingested, groups, values, timestamp, verdicts)
    runs = _check_stuck(values, timestamp, groups, before, verdicts)
    _check_duplicates(timestamp, groups, before, history, verdicts)
    return verdicts.rule, runs


def _check_single_rows(
    table: pa.Table, groups: Groups, values: npt.NDArray[np.float64], t: Ints, out: _Verdicts
) -> None:
    """Apply the rules that look at one row at a time."""
    recorded = ints(table, "recorded_at")
    out.reject(_misfit(table), "type")
    missing: Bools = np.logical_or.reduce(np.isnan(values))
    for column in ("timestamp", "recorded_at", "turbine_id", "status"):
        missing |= nulls(table, column)
    out.reject(missing, "null")
    owner = pa.array([config.turbine_id for config in groups.configs]).take(pa.array(groups.of_row))
    out.reject(~_true(pc.equal(table.column("turbine_id"), owner)), "identity")
    out.reject((t < records.TIME_MIN_US) | (t >= records.TIME_MAX_US), "time.range")
    # the sums must not overflow: t is in range here, recorded_at may have any value
    out.reject(t - records.FUTURE_TOLERANCE_US > recorded, "time.future")
    out.reject(t + records.STALE_AFTER_US < recorded, "time.stale")
    out.reject(~_true(pc.is_in(table.column("status"), pa.array(records.STATES))), "state")
    outside: Bools = np.logical_or.reduce((values < _LOW) | (values > _HIGH))
    out.reject(outside, "range")

    rated = np.array([config.asset.rated_power or np.inf for config in groups.configs])[
        groups.of_row
    ]
    power = values[_POWER]
    generating = power > records.POWER_FLOOR * rated
    out.reject(generating & (values[_ROTOR] < records.ROTOR_STANDSTILL_RPM), "power.rotor")
    out.reject(power > records.RATED_CEILING * rated, "power.rated")
    out.reject(generating & (values[_WIND] < records.WIND_CALM), "power.wind")


def _misfit(table: pa.Table) -> Bools:
    """Return the mask of rows with a cell that does not fit its column.

    The JSON of their rescued cells has a known column's name as a key. A cell of an unknown column
    is rescued too, and breaks no rule. The JSON is one flat object without blanks. Within its
    strings every quote follows a backslash, so `{"` and `,"` stand before keys only.
    """
    rescued = table.column(records.RESCUED)
    if rescued.null_count == len(rescued):
        return np.zeros(len(rescued), dtype=bool)
    return _true(pc.match_substring_regex(rescued, _KNOWN_KEY))


def _true(array: pa.ChunkedArray) -> Bools:
    return np.asarray(whole(array.fill_null(False)))


def _check_stuck(
    values: npt.NDArray[np.float64],
    t: Ints,
    groups: Groups,
    before: Sequence[Checkpoint],
    out: _Verdicts,
) -> list[dict[str, Run]]:
    """Apply the rule `stuck`, and return each group's last series per channel.

    A rejected row ends every series.
    """
    sound = out.sound
    rows = np.flatnonzero(sound)
    kept = groups.select(sound)
    filled = np.flatnonzero(np.diff(groups.offsets))
    # A series crosses a batch's first or last row only if that row is sound.
    crosses_first, crosses_last = np.ones((2, len(before)), dtype=bool)
    crosses_first[filled] = sound[groups.offsets[filled]]
    crosses_last[filled] = sound[groups.offsets[filled + 1] - 1]
    runs: list[dict[str, Run]] = [
        dict(state.runs) if goes else {} for state, goes in zip(before, crosses_first, strict=True)
    ]
    filled = np.flatnonzero(np.diff(kept.offsets))
    first, time = kept.offsets[filled], t[rows]
    breaks = np.ones(len(rows), dtype=bool)
    breaks[1:] = np.diff(rows) > 1
    breaks[first] = True
    for channel in _STUCK:
        name = CHANNEL_NAMES[channel]
        value = values[channel] if len(rows) == len(t) else values[channel, rows]
        begins = breaks.copy()
        begins[1:] |= value[1:] != value[:-1]
        start = np.flatnonzero(begins)  # of each series of equal readings
        length, since = np.diff(np.append(start, len(rows))), time[start]
        earlier = np.zeros(len(start), dtype=np.int64)
        own = np.searchsorted(start, first)  # each group's first series
        # it may continue from the batch before
        for group, at, v in zip(filled, own, value[first].tolist(), strict=True):
            carried = runs[group].get(name)
            if carried is not None and carried[0] == v:
                earlier[at], since[at] = carried[1], carried[2]
        count = length + earlier
        long = np.flatnonzero((count >= records.STUCK_ROWS) & (value[start] != 0))
        if len(long):
            row, series = _expanded(start[long], length[long])
            number = row - start[long][series] + earlier[long][series] + 1
            stuck = number >= records.STUCK_ROWS
            stuck &= time[row] - since[long][series] >= records.STUCK_AFTER_US
            mask = np.zeros(len(t), dtype=bool)
            mask[rows[row[stuck]]] = True
            out.reject(mask, "stuck")
        last = np.append(own, len(start))[1:] - 1
        for group, v, n, s in zip(
            filled,
            value[start[last]].tolist(),
            count[last].tolist(),
            since[last].tolist(),
            strict=True,
        ):
            runs[group][name] = (v, n, s)
    return [series if goes else {} for series, goes in zip(runs, crosses_last, strict=True)]


def _expanded(start: Ints, length: Ints) -> tuple[Ints, Ints]:
    """Return the rows of series, one series after the other, and each row's series."""
    series = np.repeat(np.arange(len(start)), length)
    before = np.cumsum(length) - length
    return np.arange(len(series)) + (start - before)[series], series


def _check_duplicates(
    t: Ints,
    groups: Groups,
    before: Sequence[Checkpoint],
    history: Mapping[int, Ints],
    out: _Verdicts,
) -> None:
    """Apply the rule `duplicate`.

    Only groups with a row that is no newer than the row before it are examined closely.
    """
    rows = np.flatnonzero(out.sound)
    kept = groups.select(out.sound)
    if len(rows) == 0:
        return
    time, group = t[rows], kept.of_row
    older = np.zeros(len(rows), dtype=bool)
    older[1:] = (time[1:] <= time[:-1]) & (group[1:] == group[:-1])
    filled = np.flatnonzero(np.diff(kept.offsets))
    first = kept.offsets[filled]
    newest = np.array([_or_lowest(before[i].max_event_us) for i in filled.tolist()])
    older[first] |= time[first] <= newest
    repeated = np.zeros(len(rows), dtype=bool)
    for i in np.unique(group[older]):
        part = slice(kept.offsets[i], kept.offsets[i + 1])
        _, index = np.unique(time[part], return_index=True)
        again = np.ones(part.stop - part.start, dtype=bool)
        again[index] = False
        if i in history:
            again |= np.isin(time[part], history[i])
        repeated[part] = again
    out.reject(_scatter(repeated, rows, len(t)), "duplicate")


def _or_lowest(time_us: int | None) -> int:
    return np.iinfo(np.int64).min if time_us is None else time_us


def _scatter(mask: Bools, rows: Ints, n: int) -> Bools:
    out = np.zeros(n, dtype=bool)
    out[rows[mask]] = True
    return out
