"""Windows in the lake, compared with the recomputed ones. A defect has one diagnosis.

The lake must have the revisions 0..k of each window.

`window.missing`
`window.duplicated`      a revision exists twice
`window.misplaced`       its key names another hour, another turbine or an unknown batch
`window.revision-gap`    the numbers are not 0..k
`window.stale-revision`  the latest revision omits rows
`window.wrong`           a value differs from the valid rows up to the revision's batch
`window.unexpected`      no valid row falls into the window

`compare.revisions` judges the batch that made a revision.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from sim.check.compare.owners import Owners
from sim.check.compare.places import BatchPlaces, Places
from sim.check.compare.revisions import Found, judge_batches
from sim.check.completeness import Completeness
from sim.check.expected.emission import drains
from sim.check.expected.rows import HOUR_US, Expectation
from sim.check.expected.windows import Windows, differences
from sim.check.findings import Finding, Findings, hour_text
from sim.check.read.columns import Bools, Ints, RowIndex, cell_text, integers
from sim.check.read.objects import StageRows

STAGE = "aggregated"


def compare_windows(
    expected: Expectation,
    windows: Windows,
    lake: StageRows,
    owners: Owners,
    completeness: Completeness,
    findings: Findings,
    places: Places | None = None,
) -> tuple[int, int, set[str]]:
    """Compare all windows of a share, report defects, and count them in `completeness`.

    places: right places; None: of the pipeline's layout.
    Returns the number of windows with any defect, the number of windows with a latest revision
    above 0, and the names of objects with a finding of their own.
    """
    start = integers(lake.table.column("window_start"))
    revision = integers(lake.table.column("revision"))
    window = windows.index.find(owners.owner, start)
    places = BatchPlaces(expected) if places is None else places
    report = WindowReport(expected, windows, lake, findings, places)
    strange = np.flatnonzero((owners.owner >= 0) & (window < 0))
    strange = np.concatenate([strange, owners.strangers])
    known = np.flatnonzero(window >= 0)
    batch = places.batches(lake, owners.owner[known], known, start[known])
    made = RowIndex(windows.window, windows.batch).find(window[known], batch)
    order = np.lexsort((made < 0, batch < 0, revision[known], window[known]))
    at, revised = window[known[order]], revision[known[order]]
    again = np.zeros(len(order), dtype=bool)
    again[1:] = (at[1:] == at[:-1]) & (revised[1:] == revised[:-1])
    copies = known[order]
    found = Found(
        copies[~again], at[~again], revised[~again], batch[order][~again], made[order][~again]
    )
    row, at, revised = found.row, found.window, found.number

    count = np.bincount(at, minlength=len(windows.first))
    last = np.append(at[1:] != at[:-1], True) if len(at) else np.zeros(0, dtype=bool)
    judged = np.flatnonzero(last | (found.made >= 0))
    must_be = np.where(last, windows.last[at], found.made)[judged]
    wrong = differences(expected, windows, must_be, lake.table.take(pa.array(row[judged])))
    differs = np.logical_or.reduce(list(wrong.values()))

    missing = np.flatnonzero(count == 0)
    gap = np.flatnonzero(last)[revised[last] != count[at[last]] - 1]
    away = np.flatnonzero(found.batch < 0)
    twice = window[copies[again]]
    unclear = np.unique(np.concatenate([missing, at[away]]))
    stale = at[judged[differs & last[judged]]]
    moved, surplus = judge_batches(found, unclear, np.union1d(at[gap], stale), report)
    altered = np.unique(at[judged[differs]])
    bad = np.unique(np.concatenate([missing, twice, altered, at[gap], at[away], moved]))
    bad = np.union1d(bad, report.disordered(found, bad))
    unknown = np.unique(np.stack([owners.owner[strange], start[strange]]), axis=1)
    hour = windows.hour[windows.first]
    completeness.add(STAGE, "expected", hour)
    completeness.add(STAGE, "lost", hour[missing])
    completeness.add(STAGE, "duplicated", hour[twice])
    completeness.add(STAGE, "misplaced", hour[at[away]])
    completeness.add(STAGE, "altered", hour[altered])
    completeness.add(STAGE, "unexpected", start[strange] // HOUR_US)
    report.missing(windows.last[missing])
    for before, i in zip(
        copies[np.flatnonzero(again) - 1].tolist(), copies[again].tolist(), strict=True
    ):
        report.twice(before, i, int(revision[i]))
    for i in row[away].tolist():
        report.add("window.misplaced", i, "its key names another hour, turbine or batch")
    for i in gap.tolist():
        report.add(
            "window.revision-gap",
            int(row[i]),
            f"revisions in the lake: {count[at[i]]}; number of the latest: {revised[i]}",
        )
    for i in np.flatnonzero(differs & ~np.isin(judged, surplus)).tolist():
        columns = {name: mask[i] for name, mask in wrong.items()}
        report.differing(int(row[judged[i]]), int(must_be[i]), bool(last[judged[i]]), columns)
    for i in strange.tolist():
        report.add("window.unexpected", i, "the node has no valid row in this window")
    return len(bad) + unknown.shape[1], int((revised[last] > 0).sum()), report.blamed


def earlier_drains(expected: Expectation, lake: StageRows, owners: Owners, places: Places) -> Bools:
    """Mask of the batches of earlier drains, as the lake shows them; shape (batches,)."""
    rows = np.flatnonzero(owners.owner >= 0)
    start = integers(lake.table.column("window_start"))[rows]
    return drains(expected, places.batches(lake, owners.owner[rows], rows, start), start)


class WindowReport:
    """Findings about windows."""

    def __init__(
        self,
        expected: Expectation,
        windows: Windows,
        lake: StageRows,
        findings: Findings,
        places: Places,
    ) -> None:
        self.expected, self.windows, self.lake, self.findings = expected, windows, lake, findings
        self.places = places
        self.blamed: set[str] = set()
        self.start = integers(lake.table.column("window_start"))
        self.unreadable = {
            (o.place.holder, o.place.hour) for o in lake.objects if o.problem and o.place
        }

    def _add(self, kind: str, turbine: str, start_us: int, key: str, detail: str) -> None:
        farm = next((node.farm for node in self.expected.nodes if node.turbine == turbine), "")
        at = f"window {np.datetime64(start_us, 'us').astype('datetime64[s]')}Z"
        hour = hour_text(start_us // HOUR_US)
        self.findings.add(
            Finding(
                kind,
                stage=STAGE,
                farm=farm,
                turbine=turbine,
                hour=hour,
                key=key,
                rows=1,
                detail=f"{at}: {detail}",
            )
        )

    def add(self, kind: str, row: int, detail: str) -> None:
        """Add a finding about one row of the lake."""
        item = self.lake.objects[self.lake.object[row]]
        if kind in ("window.duplicated", "window.misplaced", "window.unexpected"):
            self.blamed.add(item.ref.name)
        turbine = str(self.lake.table.column("turbine_id")[int(row)].as_py())
        self._add(kind, turbine, int(self.start[row]), item.ref.name, detail)

    def twice(self, row: int, again: int, revision: int) -> None:
        """Report a copy. Both objects are blamed: only their manifests show which is the copy."""
        other = self.lake.objects[self.lake.object[row]].ref
        self.blamed.add(other.name)
        self.add("window.duplicated", again, f"revision {revision} is already in {other.key}")

    def missing(self, places: Ints) -> None:
        """Report windows without any revision in the lake, by the indices of their latest ones."""
        for i in places.tolist():
            if not self.may_be_unreadable(i):
                turbine = self.expected.nodes[self.windows.owner[i]].turbine
                detail = f"missing from the lake; valid rows in it: {self.windows.rows[i]}"
                self._add("window.missing", turbine, int(self.windows.start[i]), "", detail)

    def may_be_unreadable(self, place: int) -> bool:
        """Return True if an object of the revision's turbine (or farm) and hour cannot be read.

        That object is reported by itself.
        """
        holder = self.places.holder(int(self.windows.owner[place]))
        return (holder, int(self.windows.hour[place])) in self.unreadable

    def never_made(self, place: int) -> None:
        """Report a missing revision of a window that has other revisions in the lake."""
        turbine = self.expected.nodes[self.windows.owner[place]].turbine
        batch = self.batch(int(self.windows.batch[place]))
        detail = f"revision {self.windows.number[place]} is missing, must be made by {batch}"
        self._add("window.missing-revision", turbine, int(self.windows.start[place]), "", detail)

    def batch(self, number: int) -> str:
        """Return the name of a batch, for a person to read."""
        batches = self.expected.batches
        return f"the batch of ids {batches.first[number]}-{batches.last[number]}"

    def same(self, rows: Ints, places: Ints) -> Bools:
        """Mask of the lake's rows that equal the revisions at these indices."""
        wrong = differences(
            self.expected, self.windows, places, self.lake.table.take(pa.array(rows))
        )
        differs: Bools = np.logical_or.reduce(list(wrong.values()))
        return ~differs

    def disordered(self, found: Found, bad: Ints) -> Ints:
        """Report and return windows with revisions numbered in another order than their batches.

        Windows in `bad` have a finding already.
        """
        at, batch = found.window, found.batch
        back = np.flatnonzero((at[1:] == at[:-1]) & (batch[1:] < batch[:-1])) + 1
        back = back[~np.isin(at[back], bad)]
        for i in back.tolist():
            batch_name = self.batch(int(batch[i]))
            detail = f"revision {found.number[i]} is of {batch_name}, the one before of a later one"
            self.add("window.revision-order", int(found.row[i]), detail)
        return at[back]

    def differing(self, row: int, place: int, latest: bool, wrong: dict[str, Bools]) -> None:
        """Report a revision with wrong values."""
        if self.lake.objects[self.lake.object[row]].schema_problem:
            return  # reported as object.schema
        columns = [name for name, differs in wrong.items() if differs]
        rows = self.lake.table.column("rows")[row].as_py()
        if latest and (rows or 0) < self.windows.rows[place]:
            detail = f"the latest revision counts {rows} of {self.windows.rows[place]} valid rows"
            self.add("window.stale-revision", row, detail)
            return
        found = cell_text(self.lake.table.column(columns[0])[row])
        right = self.windows.measures.get(columns[0])
        must = f", must be {right[place]}" if right is not None else ""
        of = "" if latest else f"revision {self.windows.number[place]}: "
        detail = f"{of}{columns[0]} is {found}{must}; columns that differ: {', '.join(columns)}"
        self.add("window.wrong", row, detail)
