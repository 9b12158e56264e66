"""How well the pipeline finds what was injected: precision, recall and delay against the ground truth.

An alarm is one signal in one window of one turbine. A signal is an anomaly kind that the window's latest revision in
the lake carries, or a rule that put rows of that window into quarantine. A fault is found when an alarm of a signal
that this fault can cause (`signals`) falls on it: the window overlaps the time of the fault [from, to), or one of the
quarantined rows lies in it, by time or by id; rows quarantined for `null` or `range` tell of a fault of the channel
that is null or out of its range in them, of no other. While a node's clock is wrong, what happens to its turbine is
told under another time: that time counts as well. An alarm on which no such fault falls is false: precision is the
share of alarms that are not.

Recall is the share of faults found, of those that altered a row and that some signal could tell (`DATA_FAULTS`). A
spike, drift, bias, sentinel or unit that stays within limits and under alarms does count: it is missed, and recall says
so; and so does a clock step onto times that the node never used. Not detectable by design, and so not in recall:
- late rows and rows out of order: they are valid, and make revisions;
- missing rows: no row is there to break a rule, and no anomaly judges how many a window has (its `rows` tells);
- clock.skew: stamps and recording times move together, between the times used before; only one of whole samples
  repeats a time, and then an alarm on it is not false;
- a node's file replaced by a fresh one, and a channel more: no row is any worse for it;
- the operating state `fault`, which the machine tells itself and whose rows no anomaly kind judges; though an
  underperformance beside a stop is not false;
- a component that wears out (`machine.*`, by component, and ice on blades): what an alarm says of it is true, but
  how early it shows is the machine's business.
A kind of fault that is not known here is not scored, and explains any alarm.

The delay is true time: from the fault's start to the end of the first window that tells, or to the first row that was
quarantined. The way through the pipeline comes on top of it (`freshness`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.records import ANOMALIES, CHANNEL_NAMES, CHANNELS, RULES, TIME_MAX_US, TIME_MIN_US
from sim.check.detection.truth import TruthError
from sim.check.read.columns import Ints, integers, nulls, one
from sim.check.read.databases import shown
from sim.check.read.nodes import Node
from sim.check.read.objects import StageRows

EVENTS: Final = (
    "turbine_id",
    "kind",
    "channel",
    "from",
    "to",
    "first_id",
    "last_id",
    "rows",
    "offset_us",
)
_TEXTS: Final = ("turbine_id", "kind", "channel")
_OPTIONAL: Final = {"first_id", "last_id", "offset_us"}
"""Wear has no rows of its own; truths from before there were faults of clocks lack their offset."""
MACHINE_FAULT: Final = "state.fault"
DATA_FAULTS: Final = (
    "sensor.dropout",
    "sensor.stuck",
    "sensor.spike",
    "sensor.drift",
    "sensor.bias",
    "sensor.sentinel",
    "sensor.unit",
    "row.duplicate",
    "row.poisoned",
    "clock.step",
    "clock.dst",
    "schema.dropped",
)
"""The kinds that recall is about."""
SIGNALS: Final = (*ANOMALIES, *RULES)
_ALARM: Final = {
    "vibration_level": {"vibration"},
    "generator_temperature": {"generator_heat"},
    "gearbox_temperature": {"gearbox_heat"},
    "rotor_rpm": {"overspeed", "power.rotor"},
    "wind_speed": {"underperformance", "power.wind"},
    "power_output": {"underperformance", "power.rotor", "power.rated", "power.wind"},
}
_CLOCK: Final = {
    "duplicate",
    "time.future",
}  # a time used twice; a late row sampled and stored by different clocks
_POISON: Final = {
    "timestamp": {"type", "null", "time.range", "time.future", "time.stale"},
    "recorded_at": {"null", "time.future", "time.stale"},
    "turbine_id": {"null", "identity"},
    "status": {"null", "state"},
}
_DRIVE: Final = {"vibration", "generator_heat", "gearbox_heat", "underperformance"}
_MACHINE: Final = {
    "machine.main_bearing": _DRIVE,
    "machine.gearbox": _DRIVE,
    "machine.generator": _DRIVE,
    "machine.cooling": {"generator_heat", "gearbox_heat"},
    "machine.rotor": {"vibration", "underperformance"},
    "machine.pitch": {"vibration", "underperformance"},
    "machine.yaw": {"vibration", "underperformance"},
    "machine.ice": {"vibration", "underperformance"},
    "machine.converter": set(),
    "machine.transformer": set(),
}
_CAN_STICK: Final = {channel.name for channel in CHANNELS if channel.stuck}
_SECOND_US: Final = 1_000_000
_NEVER: Final = int(np.iinfo(np.int64).max)


def signals(kind: str, channel: str | None) -> frozenset[str] | None:
    """What this fault can cause: empty if nothing (not detectable), None if the kind is not known."""
    told = _ALARM.get(channel or "", set())
    if kind == "sensor.stuck":
        return frozenset(told | ({"stuck"} if channel in _CAN_STICK else set()))
    if kind in ("sensor.spike", "sensor.drift", "sensor.bias", "sensor.sentinel", "sensor.unit"):
        return frozenset(told | {"range"})
    if kind in ("row.poisoned", "row.extreme"):
        return frozenset(_POISON.get(channel or "", {"type", "null", "range"}))
    known: dict[str, set[str]] = {
        "sensor.dropout": {"null"},
        "row.duplicate": {"duplicate"},
        "row.late": set(),
        "row.out-of-order": set(),
        "row.missing": set(),
        "node.replaced": set(),
        "schema.added": set(),
        "schema.dropped": {"null"},
        "clock.skew": _CLOCK,
        "clock.step": _CLOCK,
        "clock.dst": _CLOCK,
        MACHINE_FAULT: {"underperformance"},
        **_MACHINE,
    }
    return frozenset(known[kind]) if kind in known else None


@dataclass
class Score:
    """Sums that can be added up over shares. `delays_s` has one entry per fault found."""

    injected: Counter[str] = field(default_factory=Counter)
    detectable: Counter[str] = field(default_factory=Counter)
    delays_s: dict[str, list[float]] = field(default_factory=dict)
    found_by: dict[str, Counter[str]] = field(default_factory=dict)
    alarms: Counter[str] = field(default_factory=Counter)
    true_alarms: Counter[str] = field(default_factory=Counter)

    def add(self, other: Score) -> None:
        for mine, theirs in (
            (self.injected, other.injected),
            (self.detectable, other.detectable),
            (self.alarms, other.alarms),
            (self.true_alarms, other.true_alarms),
        ):
            mine.update(theirs)
        for kind, delays in other.delays_s.items():
            self.delays_s.setdefault(kind, []).extend(delays)
        for kind, by in other.found_by.items():
            self.found_by.setdefault(kind, Counter()).update(by)

    def figures(self) -> dict[str, float]:
        """By the names of sim.measure.figures; what has no case to judge by is left out."""
        every = [delay for delays in self.delays_s.values() for delay in delays]
        out: dict[str, float] = {
            "detection.faults": self.detectable.total(),
            "detection.found": len(every),
            "detection.alarms": self.alarms.total(),
            "detection.false_alarms": self.alarms.total() - self.true_alarms.total(),
        }
        out |= _ratio("detection.recall", len(every), self.detectable.total())
        out |= _ratio("detection.precision", self.true_alarms.total(), self.alarms.total())
        if every:
            p50, p95 = np.quantile(every, (0.5, 0.95))
            out |= {
                "detection.delay.p50": round(float(p50), 6),
                "detection.delay.p95": round(float(p95), 6),
            }
        for kind in DATA_FAULTS:
            out |= _ratio(
                f"detection.recall.{kind}", len(self.delays_s.get(kind, ())), self.detectable[kind]
            )
            if delays := self.delays_s.get(kind):
                out[f"detection.delay.{kind}"] = round(float(np.median(delays)), 6)
        for signal in SIGNALS:
            out |= _ratio(
                f"detection.precision.{signal}", self.true_alarms[signal], self.alarms[signal]
            )
        return out

    def by_kind(self) -> list[dict[str, object]]:
        """Per kind of fault: {kind, injected, detectable, found, delay_s (median or None), by_signal}."""
        return [
            {
                "kind": kind,
                "injected": self.injected[kind],
                "detectable": self.detectable[kind],
                "found": len(self.delays_s.get(kind, ())),
                "delay_s": float(np.median(self.delays_s[kind]))
                if self.delays_s.get(kind)
                else None,
                "by_signal": dict(sorted(self.found_by.get(kind, Counter()).items())),
            }
            for kind in sorted(self.injected)
        ]


def _ratio(name: str, part: int, whole: int) -> dict[str, float]:
    return {name: round(part / whole, 6)} if whole else {}


def read_events(folder: Path) -> pa.Table | None:
    """Faults (columns `EVENTS`, times us) and machines' fault states from a folder of ground truth; None if it holds no
    faults' files with times. Raises TruthError."""
    schema = pa.schema((name, pa.string() if name in _TEXTS else pa.int64()) for name in EVENTS)
    tables = []
    timed = False
    for path in sorted(folder.glob("*.parquet")):
        try:
            with path.open("rb") as file:  # pyarrow may take a path for a URI
                table = pq.read_table(file)
        except (pa.ArrowException, OSError) as error:
            raise TruthError(
                f"{shown(path)}: cannot read the ground truth: {str(error).splitlines()[0]}"
            ) from error
        if {"turbine_id", "state", "from", "to"} <= set(table.column_names):
            table = table.filter(pc.equal(table.column("state"), "fault"))
            table = table.append_column("kind", pa.array([MACHINE_FAULT] * len(table), pa.string()))
            table = table.append_column("rows", pa.array([1] * len(table), pa.int64()))
        elif set(EVENTS) - _OPTIONAL <= set(table.column_names):
            timed |= "first_id" in table.column_names
        else:
            continue
        for name in set(EVENTS) - set(table.column_names):
            table = table.append_column(name, pa.nulls(len(table), schema.field(name).type))
        tables.append(
            pa.table(
                [_plain(table.column(name)).cast(schema.field(name).type) for name in EVENTS],
                schema=schema,
            )
        )
    return pa.concat_tables(tables) if timed else None


def _plain(column: pa.ChunkedArray) -> pa.Array:
    array = one(column)
    return (
        array.cast(pa.timestamp("us", array.type.tz)).view(pa.int64())
        if pa.types.is_timestamp(array.type)
        else array
    )


@dataclass(frozen=True)
class Signs:
    """What the alarms of a share consist of, arrays of shape (signs,): a window's anomaly kind, or one quarantined row.

    Number of the alarm it belongs to, index of the node, of the signal in `SIGNALS`, first and last moment it is
    about, the moment from which it is known (us), the row's id (-1 for an anomaly), and the channels that broke the
    rule, a bit each as in `CHANNELS` (0: it names none)."""

    alarm: Ints
    owner: Ints
    signal: Ints
    first: Ints
    last: Ints
    known: Ints
    id: Ints
    channels: Ints

    def of(self, owner: int) -> Signs:
        """Those of one node; all must be in order of their nodes."""
        begin, end = np.searchsorted(self.owner, (owner, owner + 1))
        return Signs(*(column[begin:end] for column in vars(self).values()))


def score(
    events: pa.Table,
    nodes: Sequence[Node],
    aggregated: StageRows,
    windows: Ints,
    quarantine: StageRows,
    rejected: Ints,
) -> Score:
    """`windows` and `rejected`: whose each row of the two stages is (index of the node, -1 for nobody's)."""
    index = {node.turbine: i for i, node in enumerate(nodes)}
    signs = _all(_anomalies(aggregated, windows), _rejections(nodes, quarantine, rejected))
    out = Score()
    signal_of = dict(zip(signs.alarm.tolist(), signs.signal.tolist(), strict=True))
    true: set[int] = set()
    injected = [
        event for event in events.to_pylist() if event["turbine_id"] in index and event["rows"]
    ]
    wrong_clocks: dict[str, list[dict[str, Any]]] = {}
    for event in injected:
        if event["offset_us"]:
            wrong_clocks.setdefault(event["turbine_id"], []).append(event)
    for event in injected:
        kind, owner = event["kind"], index[event["turbine_id"]]
        can = signals(kind, event["channel"])
        out.injected[kind] += 1
        own = signs.of(owner)
        mine = np.ones(len(own.owner), dtype=bool)
        if can is not None:
            mine &= np.isin(own.signal, [SIGNALS.index(signal) for signal in can])
        if can is not None and event["channel"] in CHANNEL_NAMES:
            bit = 1 << CHANNEL_NAMES.index(event["channel"])
            mine &= (own.channels == 0) | ((own.channels & bit) != 0)
        known = np.full(len(mine), _NEVER)  # in true time
        for begin, end, late_us in _told_as(event, wrong_clocks.get(event["turbine_id"], [])):
            at = mine & (own.first < end) & (own.last >= begin)
            known[at] = np.minimum(known[at], own.known[at] - late_us)
        if event["first_id"] is not None:
            by_id = (
                mine
                & (known == _NEVER)
                & (own.id >= event["first_id"])
                & (own.id <= event["last_id"])
            )
            known[by_id] = own.known[by_id]
        falls = known < _NEVER
        true |= set(own.alarm[falls].tolist())
        if kind in DATA_FAULTS and can:
            out.detectable[kind] += 1
            if falls.any():
                first_known = max(int(known.min()), event["from"])
                out.delays_s.setdefault(kind, []).append(
                    float(first_known - event["from"]) / _SECOND_US
                )
                by = out.found_by.setdefault(kind, Counter())
                by.update({SIGNALS[i] for i in own.signal[falls].tolist()})
    for alarm, i in signal_of.items():
        out.alarms[SIGNALS[i]] += 1
        out.true_alarms[SIGNALS[i]] += alarm in true
    return out


def _told_as(
    event: dict[str, Any], wrong_clocks: Sequence[dict[str, Any]]
) -> Iterator[tuple[int, int, int]]:
    """The times [begin, end) under which a fault is told, and how much later that is than it was true. us.

    A clock that is ahead makes its doubles afterwards, when the right clock uses the same times: they are told in time.
    """
    yield event["from"], event["to"], 0
    for clock in wrong_clocks:
        begin, end, off = (
            max(event["from"], clock["from"]),
            min(event["to"], clock["to"]),
            clock["offset_us"],
        )
        if begin < end:
            yield begin + off, end + off, min(off, 0) if clock is event else off


def _all(anomalies: Signs, rejections: Signs) -> Signs:
    """Both, in order of their nodes."""
    pairs = zip(vars(anomalies).values(), vars(rejections).values(), strict=True)
    both = Signs(*(np.concatenate(pair) for pair in pairs))
    both.alarm[len(anomalies.alarm) :] += len(anomalies.alarm)
    order = np.argsort(both.owner, kind="stable")
    return Signs(*(column[order] for column in vars(both).values()))


def _anomalies(aggregated: StageRows, owner: Ints) -> Signs:
    """The anomaly kinds of every window's latest revision."""
    table = aggregated.table
    start, end = integers(table.column("window_start")), integers(table.column("window_end"))
    order = np.lexsort((integers(table.column("revision")), start, owner))
    latest = np.ones(len(order), dtype=bool)
    latest[:-1] = (owner[order][1:] != owner[order][:-1]) | (start[order][1:] != start[order][:-1])
    rows = order[latest & (owner[order] >= 0)]
    kinds = one(table.column("anomaly_kinds")).take(pa.array(rows))
    of = rows[np.asarray(pc.list_parent_indices(kinds), dtype=np.int64)]
    named = pc.index_in(kinds.flatten().cast(pa.string()), pa.array(SIGNALS)).fill_null(-1)
    signal = np.asarray(named, dtype=np.int64)
    of, signal = of[signal >= 0], signal[signal >= 0]
    none = np.zeros(len(of), dtype=np.int64)
    return Signs(
        np.arange(len(of)), owner[of], signal, start[of], end[of] - 1, end[of], none - 1, none
    )


def _rejections(nodes: Sequence[Node], quarantine: StageRows, owner: Ints) -> Signs:
    """One alarm per rule and window that has quarantined rows, and each row a sign of it. A row without a time, or
    quarantined for it, counts when it was recorded, if that can be."""
    table = quarantine.table
    time, recorded = integers(table.column("timestamp")), integers(table.column("recorded_at"))
    number = integers(table.column("id"))
    rules = one(table.column("rule"))
    signal = np.asarray(
        pc.index_in(rules.cast(pa.string()), pa.array(SIGNALS)).fill_null(-1), dtype=np.int64
    )
    missing, unrecorded = nulls(table.column("timestamp")), nulls(table.column("recorded_at"))
    doubted = missing | np.isin(
        signal, [SIGNALS.index(rule) for rule in RULES if rule.startswith("time.")]
    )
    possible = ~unrecorded & (recorded >= TIME_MIN_US) & (recorded < TIME_MAX_US)
    time = np.where(doubted & possible, recorded, time)
    rows = np.flatnonzero((owner >= 0) & (~missing | possible) & (signal >= 0))
    length = np.array([node.window_s * _SECOND_US for node in nodes], dtype=np.int64)
    window = time[rows] // length[owner[rows]]
    order = np.lexsort((time[rows], window, signal[rows], owner[rows]))
    rows, window = rows[order], window[order]
    new = np.ones(len(rows), dtype=bool)
    for key in (owner[rows], signal[rows], window):
        new[1:] &= key[1:] == key[:-1]
    new[1:] = ~new[1:]
    at = time[rows]
    return Signs(
        np.cumsum(new),
        owner[rows],
        signal[rows],
        at,
        at,
        at,
        number[rows],
        _broke(table, signal)[rows],
    )


def _broke(table: pa.Table, signal: Ints) -> Ints:
    """Which channels of each quarantined row break the rule that it is quarantined for, a bit each, (rows,)."""
    found = np.zeros(len(signal), dtype=np.int64)
    null, outside = (signal == SIGNALS.index(rule) for rule in ("null", "range"))
    for i, channel in enumerate(CHANNELS):
        column = one(table.column(channel.name))
        value = np.asarray(pc.fill_null(column.cast(pa.float64()), np.nan), dtype=np.float64)
        breaks = (null & np.isnan(value)) | (
            outside & ((value < channel.low) | (value > channel.high))
        )
        found |= breaks.astype(np.int64) << i
    return found
