"""Windows in the lake against the recomputed ones, one diagnosis each.

Of each window the lake holds revisions 0..k. `window.missing`, `window.duplicated` (one revision twice),
`window.misplaced` (its key names another hour, turbine or an unknown batch), `window.revision-gap`,
`window.stale-revision` (the latest one leaves out rows that came later), `window.wrong`, `window.unexpected` (no
valid row falls into it).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from sim.check.canon import FOREIGN, Bools, Ints, integers, shown
from sim.check.expect import HOUR_US, Expectation
from sim.check.findings import Finding, Findings, hour_text
from sim.check.objects import StageRows
from sim.check.owners import Owners
from sim.check.tally import Tally
from sim.check.windows import Windows, differences

STAGE = "aggregated"


def compare_windows(
    expected: Expectation, windows: Windows, lake: StageRows, whose: Owners, tally: Tally, findings: Findings
) -> tuple[int, int, set[str]]:
    """Windows wrong in any way, windows whose latest revision is above 0, names of objects that a finding blames."""
    start = integers(lake.table.column("window_start"))
    revision = integers(lake.table.column("revision"))
    place = windows.places.find(whose.owner, start)
    report = _Report(expected, windows, lake, findings)
    strange = np.flatnonzero((whose.owner >= 0) & (place < 0))
    known = np.flatnonzero(place >= 0)
    home = _in_place(expected, lake, whose.owner[known], known, start[known])
    order = known[np.lexsort((~home, revision[known], place[known]))]
    at, revised = place[order], revision[order]
    again = np.zeros(len(order), dtype=bool)
    again[1:] = (at[1:] == at[:-1]) & (revised[1:] == revised[:-1])
    row, at, revised = order[~again], at[~again], revised[~again]

    count = np.bincount(at, minlength=len(windows.owner))
    last = np.flatnonzero(np.append(at[1:] != at[:-1], True)) if len(at) else at
    latest, of = row[last], at[last]
    wrong = differences(expected, windows, of, lake.table.take(pa.array(latest)))
    differs = np.logical_or.reduce(list(wrong.values()))
    said = integers(lake.table.column("rows"))[latest]
    out_of_place = np.isin(row, known[~home])

    missing = np.flatnonzero(count == 0)
    gap = np.flatnonzero(revised[last] != count[of] - 1)
    bad = np.unique(np.concatenate([missing, of[differs], of[gap], place[order[again]], at[out_of_place]]))
    unknown = np.unique(np.stack([whose.owner[strange], start[strange]]), axis=1)
    tally.add(STAGE, "expected", windows.hour)
    tally.add(STAGE, "lost", windows.hour[missing])
    tally.add(STAGE, "duplicated", windows.hour[place[order[again]]])
    tally.add(STAGE, "misplaced", windows.hour[at[out_of_place]])
    tally.add(STAGE, "altered", windows.hour[of[differs]])
    tally.add(STAGE, "unexpected", start[strange] // HOUR_US)
    report.missing(missing)
    for before, i in zip(order[np.flatnonzero(again) - 1].tolist(), order[again].tolist(), strict=True):
        report.twice(before, i, int(revision[i]))
    for i in row[out_of_place].tolist():
        report.add("window.misplaced", i, "its key names another hour, turbine or batch")
    for i in gap:
        report.add("window.revision-gap", int(latest[i]), f"{count[of[i]]} revisions, the latest is {revised[last][i]}")
    for i in np.flatnonzero(differs):
        report.differing(latest[i], of[i], said[i], {name: mask[i] for name, mask in wrong.items()})
    for i in strange.tolist():
        report.add("window.unexpected", i, "no valid row of the node falls into this window")
    return len(bad) + unknown.shape[1], int((revised[last] > 0).sum()), report.blamed


def _in_place(expected: Expectation, lake: StageRows, owner: Ints, rows: Ints, start: Ints) -> Bools:
    """Whether the key names the window's turbine, the hour it starts in, and a batch of that turbine."""
    b = expected.batches
    batches = {
        (expected.nodes[i].turbine, first, last): i
        for i, first, last in zip(b.owner.tolist(), b.first.tolist(), b.last.tolist(), strict=True)
    }
    nowhere = (FOREIGN,) * 2
    said = [
        (batches.get((o.place.turbine, o.place.first, o.place.last), FOREIGN), o.place.hour) if o.place else nowhere
        for o in lake.objects
    ]
    key = np.array(said, dtype=np.int64).reshape(len(said), 2)[lake.object[rows]]
    in_place: Bools = (key == np.stack([owner, start // HOUR_US], axis=1)).all(axis=1)
    return in_place


class _Report:
    def __init__(self, expected: Expectation, windows: Windows, lake: StageRows, findings: Findings) -> None:
        self.expected, self.windows, self.lake, self.findings = expected, windows, lake, findings
        self.blamed: set[str] = set()
        self.start = integers(lake.table.column("window_start"))
        self.unreadable = {(o.place.turbine, o.place.hour) for o in lake.objects if o.problem and o.place}

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
        for i in places:
            turbine = self.expected.nodes[self.windows.owner[i]].turbine
            if (turbine, int(self.windows.hour[i])) not in self.unreadable:
                rows = self.windows.rows[i]
                self._add("window.missing", turbine, int(self.windows.start[i]), "", f"{rows} valid rows, no window")

    def differing(self, row: int, place: int, rows: int, wrong: dict[str, Bools]) -> None:
        if self.lake.objects[self.lake.object[row]].schema_problem:
            return  # reported as object.schema
        columns = [name for name, differs in wrong.items() if differs]
        if rows < self.windows.rows[place]:
            detail = f"the latest revision counts {rows} rows of {self.windows.rows[place]}"
            self.add("window.stale-revision", row, detail)
            return
        said = shown(self.lake.table.column(columns[0])[int(row)])
        right = self.windows.measures.get(columns[0])
        must = f", recomputed {right[place]}" if right is not None else ""
        self.add("window.wrong", row, f"{columns[0]} is {said}{must}; columns that differ: {', '.join(columns)}")
