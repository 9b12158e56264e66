"""Alarms of the pipeline, as they are in the lake, with the evidence for each.

An alarm is one signal in one window of one turbine. Its evidence is an anomaly kind of the window's
latest revision, or quarantined rows of that window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.records import CHANNELS, RULES, TIME_MAX_US, TIME_MIN_US
from sim.check.detection.signals import SIGNALS
from sim.check.read.columns import Ints, integers, nulls, one
from sim.check.read.nodes import Node
from sim.check.read.objects import StageRows

_SECOND_US: Final = 1_000_000


@dataclass(frozen=True)
class Evidence:
    """Evidence for the alarms of a share; arrays of shape (items,).

    An item is an anomaly kind of a window, or one quarantined row.

    `alarm`     number of the item's alarm
    `owner`     index of the node
    `signal`    index in `SIGNALS`
    `first`, `last`
                first and last moment that the item covers, us
    `known`     moment from which the lake can show it, us
    `id`        id of the row, -1 for an anomaly
    `channels`  bit mask of the channels that violate the rule, in the order of `CHANNELS`; 0 if
                the rule names none
    """

    alarm: Ints
    owner: Ints
    signal: Ints
    first: Ints
    last: Ints
    known: Ints
    id: Ints
    channels: Ints

    def of(self, owner: int) -> Evidence:
        """Return the evidence of one node. The items must be sorted by node."""
        begin, end = np.searchsorted(self.owner, (owner, owner + 1))
        return Evidence(*(column[begin:end] for column in vars(self).values()))


def find_evidence(
    nodes: Sequence[Node],
    aggregated: StageRows,
    windows: Ints,
    quarantine: StageRows,
    rejected: Ints,
) -> Evidence:
    """Return all evidence, sorted by node.

    windows, rejected: owner of each row of the two stages: index of the node, -1 for none.
    """
    anomalies = _anomalies(aggregated, windows)
    rejections = _rejections(nodes, quarantine, rejected)
    pairs = zip(vars(anomalies).values(), vars(rejections).values(), strict=True)
    both = Evidence(*(np.concatenate(pair) for pair in pairs))
    both.alarm[len(anomalies.alarm) :] += len(anomalies.alarm)
    order = np.argsort(both.owner, kind="stable")
    return Evidence(*(column[order] for column in vars(both).values()))


def _anomalies(aggregated: StageRows, owner: Ints) -> Evidence:
    """Evidence of the anomaly kinds of every window's latest revision."""
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
    return Evidence(
        np.arange(len(of)), owner[of], signal, start[of], end[of] - 1, end[of], none - 1, none
    )


def _rejections(nodes: Sequence[Node], quarantine: StageRows, owner: Ints) -> Evidence:
    """Evidence of quarantined rows: one alarm per rule and window, one item per row.

    A row without an event time, or quarantined for its time, counts at its recording time if that
    is valid.
    """
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
    return Evidence(
        np.cumsum(new),
        owner[rows],
        signal[rows],
        at,
        at,
        at,
        number[rows],
        _violating_channels(table, signal)[rows],
    )


def _violating_channels(table: pa.Table, signal: Ints) -> Ints:
    """Bit mask of the channels that violate the rule of each quarantined row, (rows,)."""
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
