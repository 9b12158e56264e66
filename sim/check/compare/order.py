"""The order of rows within each object: by id; in aggregated by window start and revision.

Readers that stop early, merge or search by bisection depend on it. Only rows that belong in the
object by its key are judged, each once. Other rows and copies have findings of their own.
"""

from __future__ import annotations

import numpy as np

from sim.check.compare.owners import Owners
from sim.check.expected.rows import HOUR_US, Expectation
from sim.check.findings import Finding, Findings, hour_text
from sim.check.read.columns import Bools, Ints, integers
from sim.check.read.objects import StageRows


def check_order(
    stage: str, expected: Expectation, lake: StageRows, owners: Owners, findings: Findings
) -> None:
    """Report `object.order` for every object with rows out of order."""
    windows = stage == "aggregated"
    number = integers(lake.table.column("window_start" if windows else "id"))
    revision = integers(lake.table.column("revision")) if windows else np.zeros_like(number)
    suspects = np.unique(lake.object[1:][_falls(lake.object, number, revision)])
    for at in suspects.tolist():
        rows = np.flatnonzero(lake.object == at)
        rows = rows[_belongs(stage, expected, lake, owners, at, rows, number[rows])]
        _, first = np.unique(np.stack([number[rows], revision[rows]]), axis=1, return_index=True)
        rows = rows[np.sort(first)]
        fall = np.flatnonzero(_falls(lake.object[rows], number[rows], revision[rows]))
        if len(fall):
            before, after = rows[fall[0]], rows[fall[0] + 1]
            findings.add(
                _finding(stage, expected, lake, owners, len(rows), int(before), int(after))
            )


def _falls(item: Ints, number: Ints, revision: Ints) -> Bools:
    """Mask of the rows from the second on: lower (number, revision) than the row before it.

    Both rows must be in the same object.
    """
    lower = number[1:] < number[:-1]
    lower |= (number[1:] == number[:-1]) & (revision[1:] < revision[:-1])
    falls: Bools = lower & (item[1:] == item[:-1])
    return falls


def _belongs(
    stage: str,
    expected: Expectation,
    lake: StageRows,
    owners: Owners,
    at: int,
    rows: Ints,
    number: Ints,
) -> Bools:
    """Mask of the rows of one object that belong in it by its key."""
    place = lake.objects[at].place
    if place is None:
        return np.zeros(len(rows), dtype=bool)
    index = {node.turbine: i for i, node in enumerate(expected.nodes)}
    belongs: Bools = owners.owner[rows] == index.get(place.turbine, -2)
    if stage == "aggregated":
        belongs &= number // HOUR_US == place.hour
        return belongs
    row = expected.index.find(owners.owner[rows], number)
    belongs &= (row >= 0) & (number >= place.first) & (number <= place.last)
    belongs[belongs] = ((expected.hour == place.hour) & expected.belongs(stage))[row[belongs]]
    return belongs


def _finding(
    stage: str,
    expected: Expectation,
    lake: StageRows,
    owners: Owners,
    rows: int,
    before: int,
    after: int,
) -> Finding:
    item, node = lake.objects[lake.object[after]], expected.nodes[owners.owner[after]]
    hour = "" if item.place is None else hour_text(item.place.hour)
    if stage == "aggregated":
        starts, revisions = (
            integers(lake.table.column(name)) for name in ("window_start", "revision")
        )
        of = [
            f"{starts[row].astype('datetime64[us]').astype('datetime64[s]')}Z/{revisions[row]}"
            for row in (after, before)
        ]
        detail = f"window {of[0]} follows {of[1]}; windows must ascend by start and revision"
    else:
        ids = integers(lake.table.column("id"))
        detail = f"id {ids[after]} follows id {ids[before]}; ids must ascend"
    return Finding(
        "object.order",
        stage=stage,
        farm=node.farm,
        turbine=node.turbine,
        hour=hour,
        key=item.ref.name,
        rows=rows,
        detail=detail,
    )
