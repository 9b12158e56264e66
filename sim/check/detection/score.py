"""Score of the pipeline's detection of injected faults: precision, recall and delay.

Match      A fault is found if an alarm (`alarms`) falls on it, with a signal that the fault can
           cause (`signals`). The alarm's window must overlap the fault's time [from, to), or one
           of its quarantined rows must be within the fault, by time or by id.
Channels   Rows quarantined for `null` or `range` match only faults of a channel that is null or
           out of range in those rows.
Clocks     While a node's clock is wrong, its rows have that clock's time. Alarms on the rows of a
           fault then match at the true time and at the clock's time.
Precision  Share of alarms that fall on a fault.
Recall     Share of faults found, of those in `DATA_FAULTS` that altered a row and have a signal.
Delay      True time from the fault's start to the end of the first window that shows it, or to the
           first quarantined row. The time in the pipeline is not included (see `freshness`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa

from pipeline.records import CHANNEL_NAMES
from sim.check.detection.alarms import Evidence, find_evidence
from sim.check.detection.signals import DATA_FAULTS, SIGNALS, signals
from sim.check.read.columns import Bools, Ints
from sim.check.read.nodes import Node
from sim.check.read.objects import StageRows

_SECOND_US: Final = 1_000_000
_NEVER: Final = int(np.iinfo(np.int64).max)


@dataclass
class Score:
    """Counts per kind of fault or signal, to be added up over shares.

    `delays_s` has one entry per fault found.
    """

    injected: Counter[str] = field(default_factory=Counter)
    detectable: Counter[str] = field(default_factory=Counter)
    delays_s: dict[str, list[float]] = field(default_factory=dict)
    found_by: dict[str, Counter[str]] = field(default_factory=dict)
    alarms: Counter[str] = field(default_factory=Counter)
    true_alarms: Counter[str] = field(default_factory=Counter)

    def add(self, other: Score) -> None:
        """Add the counts of another share."""
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
        """Return figures, named as in `sim.measure.figures`, without ratios of denominator 0."""
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
        """List faults by kind: {kind, injected, detectable, found, delay_s, by_signal}.

        `delay_s` is the median, or None.
        """
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


def score(
    events: pa.Table,
    nodes: Sequence[Node],
    aggregated: StageRows,
    windows: Ints,
    quarantine: StageRows,
    rejected: Ints,
) -> Score:
    """Compare the faults of a share with its alarms.

    windows, rejected: owner of each row of the two stages: index of the node, -1 for none.
    """
    index = {node.turbine: i for i, node in enumerate(nodes)}
    evidence = find_evidence(nodes, aggregated, windows, quarantine, rejected)
    injected = [
        event for event in events.to_pylist() if event["turbine_id"] in index and event["rows"]
    ]
    wrong_clocks: dict[str, list[dict[str, Any]]] = {}
    for event in injected:
        if event["offset_us"]:
            wrong_clocks.setdefault(event["turbine_id"], []).append(event)
    out = Score()
    true: set[int] = set()
    for event in injected:
        kind, turbine = event["kind"], event["turbine_id"]
        can = signals(kind, event["channel"])
        own = evidence.of(index[turbine])
        known = _known(event, own, can, wrong_clocks.get(turbine, []))
        falls = known < _NEVER
        true |= set(own.alarm[falls].tolist())
        out.injected[kind] += 1
        if kind in DATA_FAULTS and can:
            out.detectable[kind] += 1
            if falls.any():
                delay_us = max(int(known.min()), event["from"]) - event["from"]
                out.delays_s.setdefault(kind, []).append(float(delay_us) / _SECOND_US)
                by = out.found_by.setdefault(kind, Counter())
                by.update({SIGNALS[i] for i in own.signal[falls].tolist()})
    signal_of = dict(zip(evidence.alarm.tolist(), evidence.signal.tolist(), strict=True))
    for alarm, i in signal_of.items():
        out.alarms[SIGNALS[i]] += 1
        out.true_alarms[SIGNALS[i]] += alarm in true
    return out


def _known(
    event: dict[str, Any],
    own: Evidence,
    can: frozenset[str] | None,
    wrong_clocks: Sequence[dict[str, Any]],
) -> Ints:
    """True time at which each item of evidence shows the fault, us; `_NEVER` if it does not."""
    matching = _matching(event, own, can)
    known = np.full(len(matching), _NEVER)
    for begin, end, ahead_us in _recorded_times(event, wrong_clocks):
        at = matching & (own.first < end) & (own.last >= begin)
        known[at] = np.minimum(known[at], own.known[at] - ahead_us)
    if event["first_id"] is not None:
        by_id = matching & (known == _NEVER)
        by_id &= (own.id >= event["first_id"]) & (own.id <= event["last_id"])
        known[by_id] = own.known[by_id]
    return known


def _matching(event: dict[str, Any], own: Evidence, can: frozenset[str] | None) -> Bools:
    """Mask of the evidence whose signal and channel the fault can cause."""
    matching = np.ones(len(own.owner), dtype=bool)
    if can is not None:
        matching &= np.isin(own.signal, [SIGNALS.index(signal) for signal in can])
        if event["channel"] in CHANNEL_NAMES:
            bit = 1 << CHANNEL_NAMES.index(event["channel"])
            matching &= (own.channels == 0) | ((own.channels & bit) != 0)
    return matching


def _recorded_times(
    event: dict[str, Any], wrong_clocks: Sequence[dict[str, Any]]
) -> Iterator[tuple[int, int, int]]:
    """Yield (begin, end, lead): times [begin, end) of a fault's rows, and lead on true time, us.

    A clock that is ahead causes duplicates only later, when the corrected clock reaches the same
    times. These rows have no lead.
    """
    yield event["from"], event["to"], 0
    for clock in wrong_clocks:
        begin, end = max(event["from"], clock["from"]), min(event["to"], clock["to"])
        off = clock["offset_us"]
        if begin < end:
            yield begin + off, end + off, min(off, 0) if clock is event else off
