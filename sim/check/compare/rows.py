"""Rows of one stage in the lake against the rows that must be there: lost, duplicated, misplaced, altered, unexpected.

Rows are matched by (owner, id). Of several copies the one that is where it belongs, unaltered, is the row; the others
are surplus and nothing else. A copy is where it belongs when its key names the row's turbine, event hour and batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.records import CHANNEL_NAMES, ENRICHMENT, ENRICHMENT_NUMBERS, RESCUED
from sim.check.compare.owners import Owners
from sim.check.completeness import Tally
from sim.check.expected.rows import Expectation, enrichment
from sim.check.findings import Finding, Findings, hour_text, id_ranges
from sim.check.read.columns import (
    FOREIGN,
    Bools,
    Ints,
    codes,
    float_bits,
    integers,
    nulls,
    plain_json,
    shown,
)
from sim.check.read.keys import BatchKey, bucket_of
from sim.check.read.objects import STAGE_SCHEMAS, StageRows


@dataclass(frozen=True)
class RowVerdict:
    """`present` (expected rows,): whether the stage holds the row at all. `blamed`: objects with a finding of their
    own.
    """

    present: Bools
    blamed: set[str]


def compare_rows(
    stage: str,
    expected: Expectation,
    lake: StageRows,
    whose: Owners,
    tally: Tally,
    findings: Findings,
) -> RowVerdict:
    """Counts every row of the stage into `tally` and reports what is wrong."""
    report = _Report(stage, expected, lake, findings)
    belongs = expected.belongs(stage)
    place = expected.places.find(whose.owner, integers(lake.table.column("id")))
    predicted = place >= 0
    predicted[predicted] = belongs[place[predicted]]
    found = np.flatnonzero(predicted)
    at = place[found]
    wrong = _differences(stage, expected, lake, found, at)
    altered = np.logical_or.reduce(list(wrong.values()))
    home = _in_place(expected, lake, whose.owner[found], found, at)
    copies = np.bincount(at, minlength=len(belongs))
    chosen = _chosen(at, home, altered, copies)
    lost = np.flatnonzero(belongs & (copies == 0))
    surplus, misplaced, changed = found[~chosen], chosen & ~home, chosen & altered
    strange = np.flatnonzero((whose.owner >= 0) & ~predicted)

    tally.add(stage, "expected", expected.hour[belongs])
    tally.add(stage, "lost", expected.hour[lost])
    tally.add(stage, "duplicated", expected.hour[at[~chosen]])
    tally.add(stage, "misplaced", expected.hour[at[misplaced]])
    tally.add(stage, "altered", expected.hour[at[changed]])
    tally.add(stage, "unexpected", report.hours_of_strangers(strange, place))
    report.lost(lost)
    report.duplicated(surplus, at[~chosen], found[chosen], at[chosen])
    report.misplaced(found[misplaced], at[misplaced])
    report.altered(
        found[changed], at[changed], {name: mask[changed] for name, mask in wrong.items()}
    )
    report.unexpected(strange, place)
    present = np.zeros(len(belongs), dtype=bool)
    present[place[place >= 0]] = True
    return RowVerdict(present, report.blamed)


def _chosen(at: Ints, home: Bools, altered: Bools, copies: Ints) -> Bools:
    """Which copy of each row counts as the row: the first of the best."""
    chosen = np.ones(len(at), dtype=bool)
    several = np.flatnonzero(copies[at] > 1)
    order = several[np.lexsort((altered[several], ~home[several], at[several]))]
    chosen[order[1:][at[order[1:]] == at[order[:-1]]]] = False
    return chosen


def _in_place(expected: Expectation, lake: StageRows, owner: Ints, found: Ints, at: Ints) -> Bools:
    index = {node.turbine: i for i, node in enumerate(expected.nodes)}
    nowhere = (FOREIGN,) * 4
    said = [
        (index.get(o.place.turbine, FOREIGN), o.place.first, o.place.last, o.place.hour)
        if o.place
        else nowhere
        for o in lake.objects
    ]
    key = np.array(said, dtype=np.int64).reshape(len(said), 4)[lake.object[found]]
    batch, batches = expected.batch[at], expected.batches
    right = np.stack([owner, batches.first[batch], batches.last[batch], expected.hour[at]], axis=1)
    in_place: Bools = (key == right).all(axis=1)
    return in_place


def _differences(
    stage: str, expected: Expectation, lake: StageRows, found: Ints, at: Ints
) -> dict[str, Bools]:
    """Column -> which of the found rows differ there."""
    whole = len(found) == lake.table.num_rows
    table = lake.table if whole else lake.table.take(pa.array(found))
    out: dict[str, Bools] = {}
    for field in STAGE_SCHEMAS[stage]:
        name, column = field.name, table.column(field.name)
        if name in CHANNEL_NAMES:
            out[name] = float_bits(column) != expected.cells[name][at]
        elif name in expected.vocabularies:
            text = plain_json(column) if name == RESCUED else column
            out[name] = codes(text, expected.vocabularies[name]) != expected.cells[name][at]
        elif name in expected.cells:
            out[name] = integers(column) != expected.cells[name][at]
            if name in expected.null:
                out[name] |= nulls(column) != expected.null[name][at]
    if stage == "enriched":
        values = [enrichment(node) for node in expected.nodes]
        owner = expected.owner[at]
        for name in ENRICHMENT:
            right = pa.array(
                [None if v[name] is None else str(v[name]) for v in values], pa.string()
            )
            vocabulary = right.drop_null().unique()
            out[name] = codes(table.column(name), vocabulary) != codes(right, vocabulary)[owner]
        for name in ENRICHMENT_NUMBERS:
            right = pa.array([v[name] for v in values], pa.float64())
            out[name] = float_bits(table.column(name)) != float_bits(right)[owner]
    return out


class _Report:
    """Turns rows that went wrong into findings, one per object (for lost rows: per object that should be there)."""

    def __init__(
        self, stage: str, expected: Expectation, lake: StageRows, findings: Findings
    ) -> None:
        self.stage, self.expected, self.lake, self.findings = stage, expected, lake, findings
        self.blamed: set[str] = set()
        self.unreadable = {o.ref.key for o in lake.objects if o.problem}

    def key_of(self, row: int) -> BatchKey:
        """Where row `row` of the expectation belongs."""
        batch, batches = self.expected.batch[row], self.expected.batches
        turbine = self.expected.nodes[self.expected.owner[row]].turbine
        first, last = int(batches.first[batch]), int(batches.last[batch])
        return BatchKey(self.stage, int(self.expected.hour[row]), turbine, first, last)

    def add(self, kind: str, row: int | None, key: str, rows: int, detail: str) -> None:
        """`row` of the expectation says turbine and hour; `key` is `<bucket>/<key>`."""
        owner = None if row is None else self.expected.nodes[self.expected.owner[row]]
        farm, turbine = (owner.farm, owner.turbine) if owner else ("", "")
        hour = "" if row is None else hour_text(self.expected.hour[row])
        self.findings.add(Finding(kind, self.stage, farm, turbine, hour, key, rows, detail))

    def groups(self, rows: Ints) -> Iterator[tuple[str, Ints]]:
        """(name of the object, positions in `rows`) per object of the lake rows given."""
        item = self.lake.object[rows]
        order = np.argsort(item, kind="stable")
        for part in np.split(order, np.flatnonzero(np.diff(item[order])) + 1):
            if len(part):
                yield self.lake.objects[item[part[0]]].ref.name, part

    def ids(self, rows: Ints) -> str:
        return id_ranges(self.expected.id[rows].tolist())

    def lost(self, rows: Ints) -> None:
        keys = np.stack([self.expected.batch[rows], self.expected.hour[rows]], axis=1)
        _, group = np.unique(keys, axis=0, return_inverse=True)
        order = np.argsort(group.ravel(), kind="stable")
        for part in np.split(rows[order], np.flatnonzero(np.diff(group.ravel()[order])) + 1):
            if len(part) and (key := self.key_of(part[0]).text()) not in self.unreadable:
                self.add(
                    "lost",
                    part[0],
                    f"{bucket_of(self.stage)}/{key}",
                    len(part),
                    f"{self.ids(part)} are nowhere",
                )

    def duplicated(self, rows: Ints, at: Ints, kept: Ints, kept_at: Ints) -> None:
        if len(rows) == 0:
            return
        order = np.argsort(kept_at)
        for name, part in self.groups(rows):
            other = kept[order[np.searchsorted(kept_at[order], at[part[0]])]]
            home = self.lake.objects[self.lake.object[other]].ref.name
            self.blamed.add(name)
            self.add(
                "duplicated",
                at[part[0]],
                name,
                len(part),
                f"{self.ids(at[part])} are in {home} already",
            )

    def misplaced(self, rows: Ints, at: Ints) -> None:
        for name, part in self.groups(rows):
            right = self.key_of(at[part[0]]).text()
            self.blamed.add(name)
            self.add(
                "misplaced", at[part[0]], name, len(part), f"{self.ids(at[part])} belong in {right}"
            )

    def altered(self, rows: Ints, at: Ints, wrong: dict[str, Bools]) -> None:
        for name, part in self.groups(rows):
            columns = [column for column, mask in wrong.items() if mask[part].any()]
            item = self.lake.objects[self.lake.object[rows[part[0]]]]
            if item.schema_problem:
                continue  # reported as object.schema
            kind = "quarantine.wrong-rule" if columns == ["rule"] else "altered"
            self.add(
                kind,
                at[part[0]],
                name,
                len(part),
                f"{self.ids(at[part])}: {self.first(rows, at, part, wrong)}",
            )

    def first(self, rows: Ints, at: Ints, part: Ints, wrong: dict[str, Bools]) -> str:
        """What the first altered row of an object says, and the names of all columns altered there."""
        columns = [column for column, mask in wrong.items() if mask[part].any()]
        one = part[np.argmax(wrong[columns[0]][part])]
        said = shown(self.lake.table.column(columns[0])[int(rows[one])])
        more = (
            f"; also {', '.join(columns[1:4])}{' ...' if len(columns) > 4 else ''}"
            if len(columns) > 1
            else ""
        )
        return f"{columns[0]} is {said}, {self.right_value(columns[0], at[one])}{more}"

    def right_value(self, name: str, row: int) -> str:
        expected = self.expected
        if name in CHANNEL_NAMES:
            value = expected.readings.channels[name][row]
            return f"the node has {'null' if np.isnan(value) else value}"
        if name in expected.vocabularies:
            code = expected.cells[name][row]
            return f"it must be {expected.vocabularies[name][int(code)].as_py() if code >= 0 else None}"
        if name in expected.cells:
            null = name in expected.null and expected.null[name][row]
            return f"the node has {None if null else expected.cells[name][row]}"
        return f"the node's configuration gives {enrichment(expected.nodes[expected.owner[row]])[name]}"

    def unexpected(self, rows: Ints, place: Ints) -> None:
        for name, part in self.groups(rows):
            row = place[rows[part[0]]]
            numbers = id_ranges(integers(self.lake.table.column("id"))[rows[part]].tolist())
            why = f"{numbers}: the node has no such row"
            if row >= 0:
                broken = (
                    self.expected.vocabularies["rule"][int(rule)].as_py()
                    if (rule := self.expected.rule[row]) >= 0
                    else ""
                )
                why = (
                    f"{numbers} break rule {broken} and belong in quarantine"
                    if broken
                    else f"{numbers} are valid"
                )
            self.blamed.add(name)
            self.add("unexpected", row if row >= 0 else None, name, len(part), why)

    def hours_of_strangers(self, rows: Ints, place: Ints) -> Ints:
        """The hour under which an unexpected row is counted: its own if the node has it, else its key's."""
        hours: Ints = np.array(
            [o.place.hour if o.place else 0 for o in self.lake.objects], dtype=np.int64
        )
        hours = hours[self.lake.object[rows]]
        own = place[rows] >= 0
        hours[own] = self.expected.hour[place[rows][own]]
        return hours
