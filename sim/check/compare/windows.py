"""Windows in the lake against the recomputed ones, one diagnosis each.

Of each window the lake holds revisions 0..k. `window.missing`, `window.duplicated` (one revision twice),
`window.misplaced` (its key names another hour, turbine or an unknown batch), `window.revision-gap` (their numbers are
not 0..k), `window.stale-revision` (the latest one leaves out rows that came later), `window.wrong` (any revision that
says something else than the valid rows up to its batch), `window.unexpected` (no valid row falls into it). What is
said of the batch that made a revision is `revisions`'.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from sim.check.compare.owners import Owners
from sim.check.compare.revisions import Found, judge_batches
from sim.check.completeness import Tally
from sim.check.expected.emission import drains
from sim.check.expected.rows import HOUR_US, Expectation
from sim.check.expected.windows import Windows, differences
from sim.check.findings import Finding, Findings, hour_text
from sim.check.read.columns import FOREIGN, Bools, Ints, Places, integers, shown
from sim.check.read.objects import StageRows

STAGE = "aggregated"


def compare_windows(
    expected: Expectation,
    windows: Windows,
    lake: StageRows,
    whose: Owners,
    tally: Tally,
    findings: Findings,
) -> tuple[int, int, set[str]]:
    """Windows wrong in any way, windows whose latest revision is above 0, names of objects that a finding blames."""
    start = integers(lake.table.column("window_start"))
    revision = integers(lake.table.column("revision"))
    window = windows.places.find(whose.owner, start)
    report = WindowReport(expected, windows, lake, findings)
    strange = np.flatnonzero((whose.owner >= 0) & (window < 0))
    known = np.flatnonzero(window >= 0)
    batch = _batches(expected, lake, whose.owner[known], known, start[known])
    made = Places(windows.window, windows.batch).find(window[known], batch)
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
    unknown = np.unique(np.stack([whose.owner[strange], start[strange]]), axis=1)
    hour = windows.hour[windows.first]
    tally.add(STAGE, "expected", hour)
    tally.add(STAGE, "lost", hour[missing])
    tally.add(STAGE, "duplicated", hour[twice])
    tally.add(STAGE, "misplaced", hour[at[away]])
    tally.add(STAGE, "altered", hour[altered])
    tally.add(STAGE, "unexpected", start[strange] // HOUR_US)
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
            f"{count[at[i]]} revisions, the latest is {revised[i]}",
        )
    for i in np.flatnonzero(differs & ~np.isin(judged, surplus)).tolist():
        columns = {name: mask[i] for name, mask in wrong.items()}
        report.differing(int(row[judged[i]]), int(must_be[i]), bool(last[judged[i]]), columns)
    for i in strange.tolist():
        report.add("window.unexpected", i, "no valid row of the node falls into this window")
    return len(bad) + unknown.shape[1], int((revised[last] > 0).sum()), report.blamed


def earlier_drains(expected: Expectation, lake: StageRows, whose: Owners) -> Bools:
    """The batches that the lake shows to be those of drains, shape (batches,)."""
    rows = np.flatnonzero(whose.owner >= 0)
    start = integers(lake.table.column("window_start"))[rows]
    return drains(expected, _batches(expected, lake, whose.owner[rows], rows, start), start)


def _batches(expected: Expectation, lake: StageRows, owner: Ints, rows: Ints, start: Ints) -> Ints:
    """The batch in whose object each window lies; `FOREIGN` where the key names another turbine, hour or no batch."""
    b = expected.batches
    batches = {
        (expected.nodes[i].turbine, first, last): (i, number)
        for number, (i, first, last) in enumerate(
            zip(b.owner.tolist(), b.first.tolist(), b.last.tolist(), strict=True)
        )
    }
    nowhere = (FOREIGN,) * 3
    says = []
    for place in (item.place for item in lake.objects):
        batch = batches.get((place.turbine, place.first, place.last)) if place else None
        says.append((*batch, place.hour) if place and batch else nowhere)
    key = np.array(says, dtype=np.int64).reshape(len(says), 3)[lake.object[rows]]
    in_place = (key[:, 0] == owner) & (key[:, 2] == start // HOUR_US)
    return np.where(in_place, key[:, 1], FOREIGN)


class WindowReport:
    """Turns windows that went wrong into findings."""

    def __init__(
        self, expected: Expectation, windows: Windows, lake: StageRows, findings: Findings
    ) -> None:
        self.expected, self.windows, self.lake, self.findings = expected, windows, lake, findings
        self.blamed: set[str] = set()
        self.start = integers(lake.table.column("window_start"))
        self.unreadable = {
            (o.place.turbine, o.place.hour) for o in lake.objects if o.problem and o.place
        }

    def _add(self, kind: str, turbine: str, start_us: int, key: str, detail: str) -> None:
        farm = next((node.farm for node in self.expected.nodes if node.turbine == turbine), "")
        at = f"window {np.datetime64(start_us, 'us').astype('datetime64[s]')}Z"
        hour = hour_text(start_us // HOUR_US)
        self.findings.add(Finding(kind, STAGE, farm, turbine, hour, key, 1, f"{at}: {detail}"))

    def add(self, kind: str, row: int, detail: str) -> None:
        """A finding about one row of the lake."""
        item = self.lake.objects[self.lake.object[row]]
        if kind in ("window.duplicated", "window.misplaced", "window.unexpected"):
            self.blamed.add(item.ref.name)
        turbine = str(self.lake.table.column("turbine_id")[int(row)].as_py())
        self._add(kind, turbine, int(self.start[row]), item.ref.name, detail)

    def twice(self, row: int, again: int, revision: int) -> None:
        """Both objects are blamed: which of them is the copy, only their manifests know."""
        other = self.lake.objects[self.lake.object[row]].ref
        self.blamed.add(other.name)
        self.add("window.duplicated", again, f"revision {revision} is in {other.key} already")

    def missing(self, places: Ints) -> None:
        """Windows of which the lake has nothing, by the places of their latest revisions."""
        for i in places.tolist():
            if not self.may_be_unreadable(i):
                turbine = self.expected.nodes[self.windows.owner[i]].turbine
                rows = self.windows.rows[i]
                self._add(
                    "window.missing",
                    turbine,
                    int(self.windows.start[i]),
                    "",
                    f"{rows} valid rows, no window",
                )

    def may_be_unreadable(self, place: int) -> bool:
        """An object of the revision's turbine and hour cannot be read, which is reported by itself."""
        turbine = self.expected.nodes[self.windows.owner[place]].turbine
        return (turbine, int(self.windows.hour[place])) in self.unreadable

    def never_made(self, place: int) -> None:
        """A revision of which the lake has nothing, though it has others of its window."""
        turbine = self.expected.nodes[self.windows.owner[place]].turbine
        detail = f"revision {self.windows.number[place]} is nowhere; {self.batch(int(self.windows.batch[place]))} makes it"
        self._add("window.missing-revision", turbine, int(self.windows.start[place]), "", detail)

    def batch(self, number: int) -> str:
        """A batch for a person to read."""
        batches = self.expected.batches
        return f"the batch of ids {batches.first[number]}-{batches.last[number]}"

    def same(self, rows: Ints, places: Ints) -> Bools:
        """Rows of the lake that say what the revisions at these places say."""
        wrong = differences(
            self.expected, self.windows, places, self.lake.table.take(pa.array(rows))
        )
        differs: Bools = np.logical_or.reduce(list(wrong.values()))
        return ~differs

    def disordered(self, found: Found, bad: Ints) -> Ints:
        """Windows whose revisions are numbered in another order than their batches', and nothing else is wrong."""
        at, batch = found.window, found.batch
        back = np.flatnonzero((at[1:] == at[:-1]) & (batch[1:] < batch[:-1])) + 1
        back = back[~np.isin(at[back], bad)]
        for i in back.tolist():
            detail = f"revision {found.number[i]} is of {self.batch(int(batch[i]))}, the one before of a later batch"
            self.add("window.revision-order", int(found.row[i]), detail)
        return at[back]

    def differing(self, row: int, place: int, latest: bool, wrong: dict[str, Bools]) -> None:
        if self.lake.objects[self.lake.object[row]].schema_problem:
            return  # reported as object.schema
        columns = [name for name, differs in wrong.items() if differs]
        rows = self.lake.table.column("rows")[row].as_py()
        if latest and (rows or 0) < self.windows.rows[place]:
            detail = f"the latest revision counts {rows} rows of {self.windows.rows[place]}"
            self.add("window.stale-revision", row, detail)
            return
        said = shown(self.lake.table.column(columns[0])[row])
        right = self.windows.measures.get(columns[0])
        must = f", recomputed {right[place]}" if right is not None else ""
        of = "" if latest else f"revision {self.windows.number[place]}: "
        self.add(
            "window.wrong",
            row,
            f"{of}{columns[0]} is {said}{must}; columns that differ: {', '.join(columns)}",
        )
