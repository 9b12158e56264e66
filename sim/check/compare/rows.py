"""Rows of one stage in the lake, compared with the expected rows.

Findings: `lost`, `duplicated`, `misplaced`, `altered`, `unexpected`, `quarantine.wrong-rule`.

Rows are matched by (owner, id). Of several copies, an unaltered one in the right object counts as
the row, and the others count only as duplicated. The right object's key names the row's turbine,
event hour and batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.records import (
    CHANNEL_NAMES,
    DERIVED,
    ENRICHMENT,
    ENRICHMENT_NUMBERS,
    RESCUED,
    RULES,
)
from sim.check.compare.owners import Owners
from sim.check.compare.places import BatchPlaces, Places
from sim.check.completeness import Completeness
from sim.check.expected.derived import FUNCTIONS
from sim.check.expected.rows import Expectation, enrichment
from sim.check.findings import Finding, Findings, hour_text, id_ranges
from sim.check.read.columns import (
    Bools,
    Floats,
    Ints,
    cell_text,
    codes,
    float_bits,
    integers,
    nulls,
    plain_json,
)
from sim.check.read.keys import bucket_of
from sim.check.read.lender import COLUMNS, STAGES
from sim.check.read.objects import STAGE_SCHEMAS, StageRows


@dataclass(frozen=True)
class RowVerdict:
    """Result of a stage.

    `present`  (expected rows,): mask of the rows that the stage has, in any object
    `blamed`   names of the objects with a finding of their own
    """

    present: Bools
    blamed: set[str]


class Compared:
    """The columns of the stage that was compared last: a later stage may have borrowed them."""

    def __init__(self) -> None:
        self._table: pa.Table | None = None
        self._at: Ints = np.zeros(0, dtype=np.int64)
        self._wrong: dict[str, Bools] = {}

    def add(self, table: pa.Table, at: Ints, wrong: dict[str, Bools]) -> None:
        """Remember the result for a table with the expected rows `at`."""
        self._table, self._at, self._wrong = table, at, dict(wrong)

    def find(self, table: pa.Table | None, at: Ints) -> dict[str, Bools]:
        """Return the same result for the same table and rows; empty without one."""
        known = table is self._table and np.array_equal(at, self._at)
        return self._wrong if known else {}


def compare_rows(
    stage: str,
    expected: Expectation,
    lake: StageRows,
    owners: Owners,
    completeness: Completeness,
    findings: Findings,
    compared: Compared | None = None,
    places: Places | None = None,
) -> RowVerdict:
    """Count every row of the stage in `completeness` and report defects.

    compared: columns of the stages before. places: right places; None: of the pipeline's layout.
    """
    places = BatchPlaces(expected) if places is None else places
    report = RowReport(stage, expected, lake, findings, places)
    belongs = expected.belongs(stage)
    place = expected.index.find(owners.owner, integers(lake.table.column("id")))
    predicted = place >= 0
    predicted[predicted] = belongs[place[predicted]]
    found = np.flatnonzero(predicted)
    at = place[found]
    wrong = _differences(stage, expected, lake, found, at, compared or Compared())
    altered = np.zeros(len(found), dtype=bool)
    for mask in wrong.values():
        if mask.any():
            altered |= mask
    home = places.in_place(lake, found, at)
    copies = np.bincount(at, minlength=len(belongs))
    chosen = _chosen(at, home, altered, copies)
    lost = np.flatnonzero(belongs & (copies == 0))
    surplus, misplaced, changed = found[~chosen], chosen & ~home, chosen & altered
    strange = np.flatnonzero((owners.owner >= 0) & ~predicted)
    strange = np.concatenate([strange, owners.strangers])

    completeness.add(stage, "expected", expected.hour[belongs])
    completeness.add(stage, "lost", expected.hour[lost])
    completeness.add(stage, "duplicated", expected.hour[at[~chosen]])
    completeness.add(stage, "misplaced", expected.hour[at[misplaced]])
    completeness.add(stage, "altered", expected.hour[at[changed]])
    completeness.add(stage, "unexpected", report.hours_of_unexpected(strange, place))
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
    """Mask of the copies that count as the row: in the right object, then unaltered, then first."""
    chosen = np.ones(len(at), dtype=bool)
    several = np.flatnonzero(copies[at] > 1)
    order = several[np.lexsort((altered[several], ~home[several], at[several]))]
    chosen[order[1:][at[order[1:]] == at[order[:-1]]]] = False
    return chosen


def _differences(
    stage: str, expected: Expectation, lake: StageRows, found: Ints, at: Ints, compared: Compared
) -> dict[str, Bools]:
    """Column -> mask of the found rows that differ in it."""
    whole = len(found) == lake.table.num_rows
    table = lake.table if whole else lake.table.take(pa.array(found))
    known = compared.find(lake.head, at) if whole else {}
    in_order = len(at) == len(expected.id) and bool(np.all(at[1:] > at[:-1]))
    part = slice(None) if in_order else at
    out: dict[str, Bools] = {}
    for field in STAGE_SCHEMAS[stage]:
        name, column = field.name, table.column(field.name)
        if field.name in known and field.name in COLUMNS:
            out[name] = known[name]
        elif name in CHANNEL_NAMES:
            out[name] = float_bits(column) != expected.columns[name][part]
        elif name in expected.vocabularies:
            text = plain_json(column) if name == RESCUED else column
            out[name] = codes(text, expected.vocabularies[name]) != expected.columns[name][part]
        elif name in expected.columns:
            out[name] = integers(column) != expected.columns[name][part]
            if name in expected.null:
                out[name] |= nulls(column) != expected.null[name][part]
    if whole and stage in STAGES:
        compared.add(table, at, out)
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
    if stage in DERIVED:
        for name, value in _derived(stage, expected, at).items():
            out[name] = float_bits(table.column(name)) != float_bits(pa.array(value))
    return out


def _derived(stage: str, expected: Expectation, at: Ints) -> Mapping[str, Floats]:
    """Return the expected columns of a derived stage, of the rows `at`."""
    readings = expected.readings.channels
    return FUNCTIONS[stage]({name: values[at] for name, values in readings.items()})


class RowReport:
    """Findings about rows: one per object; for lost rows, one per object that must have them."""

    def __init__(
        self,
        stage: str,
        expected: Expectation,
        lake: StageRows,
        findings: Findings,
        places: Places,
    ) -> None:
        self.stage, self.expected, self.lake, self.findings = stage, expected, lake, findings
        self.places = places
        self.blamed: set[str] = set()
        self.unreadable = {o.ref.key for o in lake.objects if o.problem}

    def add(self, kind: str, row: int | None, key: str, rows: int, detail: str) -> None:
        """Add a finding with the turbine and hour of an expected row. `key` is `<bucket>/<key>`."""
        owner = None if row is None else self.expected.nodes[self.expected.owner[row]]
        farm, turbine = (owner.farm, owner.turbine) if owner else ("", "")
        hour = "" if row is None else hour_text(self.expected.hour[row])
        self.findings.add(
            Finding(
                kind,
                stage=self.stage,
                farm=farm,
                turbine=turbine,
                hour=hour,
                key=key,
                rows=rows,
                detail=detail,
            )
        )

    def groups(self, rows: Ints) -> Iterator[tuple[str, Ints]]:
        """Yield (name of the object, positions in `rows`) for the objects of these lake rows."""
        item = self.lake.object[rows]
        order = np.argsort(item, kind="stable")
        for part in np.split(order, np.flatnonzero(np.diff(item[order])) + 1):
            if len(part):
                yield self.lake.objects[item[part[0]]].ref.name, part

    def ids(self, rows: Ints) -> str:
        """Return the ids of expected rows; of several turbines, those of the first."""
        owner = self.expected.owner[rows]
        first = self.expected.nodes[owner[0]].turbine
        text = id_ranges(self.expected.id[rows[owner == owner[0]]].tolist())
        others = len(np.unique(owner)) - 1
        more = f" and rows of {others} other turbine{'s' * (others > 1)}"
        return f"{text} of {first}{more}" if others else text

    def lost(self, rows: Ints) -> None:
        """Report expected rows that no object has. An unreadable object is reported by itself."""
        group = self.places.objects(rows)
        order = np.argsort(group, kind="stable")
        for part in np.split(rows[order], np.flatnonzero(np.diff(group[order])) + 1):
            if len(part) == 0:
                continue
            key = self.places.key_of(self.stage, part[0])
            if key not in self.unreadable:
                name = f"{bucket_of(self.stage)}/{key}"
                detail = f"missing from the lake: {self.ids(part)}"
                self.add("lost", part[0], name, len(part), detail)

    def duplicated(self, rows: Ints, at: Ints, kept: Ints, kept_at: Ints) -> None:
        """Report surplus copies, and the object with the copy that counts."""
        if len(rows) == 0:
            return
        order = np.argsort(kept_at)
        for name, part in self.groups(rows):
            other = kept[order[np.searchsorted(kept_at[order], at[part[0]])]]
            home = self.lake.objects[self.lake.object[other]].ref.name
            self.blamed.add(name)
            detail = f"already in {home}: {self.ids(at[part])}"
            self.add("duplicated", at[part[0]], name, len(part), detail)

    def misplaced(self, rows: Ints, at: Ints) -> None:
        """Report rows in a wrong object."""
        for name, part in self.groups(rows):
            right = self.places.key_of(self.stage, at[part[0]])
            self.blamed.add(name)
            detail = f"belongs in {right}: {self.ids(at[part])}"
            self.add("misplaced", at[part[0]], name, len(part), detail)

    def altered(self, rows: Ints, at: Ints, wrong: dict[str, Bools]) -> None:
        """Report rows with wrong values."""
        for name, part in self.groups(rows):
            columns = [column for column, mask in wrong.items() if mask[part].any()]
            item = self.lake.objects[self.lake.object[rows[part[0]]]]
            if item.schema_problem:
                continue  # reported as object.schema
            kind = "quarantine.wrong-rule" if columns == ["rule"] else "altered"
            detail = f"{self.ids(at[part])}: {self.first_wrong_value(rows, at, part, wrong)}"
            self.add(kind, at[part[0]], name, len(part), detail)

    def first_wrong_value(self, rows: Ints, at: Ints, part: Ints, wrong: dict[str, Bools]) -> str:
        """First wrong value of an object, the right one, and the names of other altered columns."""
        columns = [column for column, mask in wrong.items() if mask[part].any()]
        one = part[np.argmax(wrong[columns[0]][part])]
        found = cell_text(self.lake.table.column(columns[0])[int(rows[one])])
        more = (
            f"; also {', '.join(columns[1:4])}{' ...' if len(columns) > 4 else ''}"
            if len(columns) > 1
            else ""
        )
        return f"{columns[0]} is {found}, {self.right_value(columns[0], at[one])}{more}"

    def right_value(self, name: str, row: int) -> str:
        """Expected value of a row, and its source."""
        expected = self.expected
        if name in CHANNEL_NAMES:
            value = expected.readings.channels[name][row]
            return f"the node has {'null' if np.isnan(value) else value}"
        if name in expected.vocabularies:
            code = expected.columns[name][row]
            return (
                f"must be {expected.vocabularies[name][int(code)].as_py() if code >= 0 else None}"
            )
        if name in expected.columns:
            null = name in expected.null and expected.null[name][row]
            return f"the node has {None if null else expected.columns[name][row]}"
        if self.stage in DERIVED:
            value = _derived(self.stage, expected, np.array([row]))[name][0]
            return f"the node's readings give {value}"
        value = enrichment(expected.nodes[expected.owner[row]])[name]
        return f"the node's configuration has {value}"

    def unexpected(self, rows: Ints, place: Ints) -> None:
        """Report rows that must not be in this stage."""
        for name, part in self.groups(rows):
            row = place[rows[part[0]]]
            why = "no such row in the node files"
            if row >= 0:
                rule = self.expected.rule[row]
                why = (
                    f"violates rule `{RULES[rule]}`, belongs in quarantine"
                    if rule >= 0
                    else "valid, does not belong in quarantine"
                )
            numbers = id_ranges(integers(self.lake.table.column("id"))[rows[part]].tolist())
            self.blamed.add(name)
            self.add("unexpected", row if row >= 0 else None, name, len(part), f"{why}: {numbers}")

    def hours_of_unexpected(self, rows: Ints, place: Ints) -> Ints:
        """Hour that each unexpected row counts in: the row's if the node has it, else the key's."""
        hours: Ints = np.array(
            [o.place.hour if o.place else 0 for o in self.lake.objects], dtype=np.int64
        )
        hours = hours[self.lake.object[rows]]
        own = place[rows] >= 0
        hours[own] = self.expected.hour[place[rows][own]]
        return hours
