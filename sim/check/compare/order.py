"""The order of rows within each object: by id; in aggregated by window start and revision.

In the compacted layout, an object has this order for each turbine, one after the other.

Readers that stop early, merge or search by bisection depend on it. Only rows that belong in the
object by its key are judged, each once. Other rows and copies have findings of their own.
"""

from __future__ import annotations

import numpy as np

from sim.check.compare.owners import Owners
from sim.check.compare.places import BatchPlaces, FarmPlaces, Places
from sim.check.expected.rows import HOUR_US, Expectation
from sim.check.findings import Finding, Findings, hour_text
from sim.check.read.columns import Bools, Ints, integers
from sim.check.read.keys import BatchKey
from sim.check.read.objects import StageRows


def check_order(
    stage: str,
    expected: Expectation,
    lake: StageRows,
    owners: Owners,
    findings: Findings,
    places: Places | None = None,
) -> None:
    """Report `object.order` for every object with rows out of order.

    places: right places; None: of the pipeline's layout.
    """
    places = BatchPlaces(expected) if places is None else places
    windows = stage == "aggregated"
    number = integers(lake.table.column("window_start" if windows else "id"))
    revision = integers(lake.table.column("revision")) if windows else np.zeros_like(number)
    farm = isinstance(places, FarmPlaces)
    lead = _lead(lake.object, owners.owner) if farm else np.zeros_like(number)
    suspects = np.unique(lake.object[1:][_falls(lake.object, lead, number, revision)])
    for at in suspects.tolist():
        rows = np.flatnonzero(lake.object == at)
        rows = rows[_belongs(stage, expected, lake, owners, at, rows, number[rows], places)]
        turbine = owners.owner[rows] if farm else np.zeros_like(rows)
        copies = np.stack([turbine, number[rows], revision[rows]])
        rows = rows[np.sort(np.unique(copies, axis=1, return_index=True)[1])]
        lead = _lead(lake.object[rows], owners.owner[rows]) if farm else np.zeros_like(rows)
        fall = np.flatnonzero(_falls(lake.object[rows], lead, number[rows], revision[rows]))
        if len(fall):
            before, after = rows[fall[0]], rows[fall[0] + 1]
            findings.add(
                _finding(stage, expected, lake, owners, len(rows), int(before), int(after))
            )


def _lead(item: Ints, owner: Ints) -> Ints:
    """Index of the first row of the same object and owner, shape (rows,)."""
    if len(item) == 0:
        return np.zeros_like(item)
    changes = (item[1:] != item[:-1]) | (owner[1:] != owner[:-1])
    starts = np.flatnonzero(np.append(True, changes))
    pairs = np.stack([item[starts], owner[starts]])
    _, first, pair = np.unique(pairs, axis=1, return_index=True, return_inverse=True)
    return np.repeat(starts[first][pair.ravel()], np.diff(np.append(starts, len(item))))


def _falls(item: Ints, lead: Ints, number: Ints, revision: Ints) -> Bools:
    """Mask of the rows from the second on: lower (lead, number, revision) than the row before it.

    Both rows must be in the same object.
    """
    lower = number[1:] < number[:-1]
    lower |= (number[1:] == number[:-1]) & (revision[1:] < revision[:-1])
    lower = (lead[1:] < lead[:-1]) | (lower & (lead[1:] == lead[:-1]))
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
    places: Places,
) -> Bools:
    """Mask of the rows of one object that belong in it by its key."""
    place, owner = lake.objects[at].place, owners.owner[rows]
    if place is None:
        return np.zeros(len(rows), dtype=bool)
    belongs: Bools = owner >= 0
    if isinstance(place, BatchKey):
        index = {node.turbine: i for i, node in enumerate(expected.nodes)}
        belongs = owner == index.get(place.turbine, -2)
    if stage == "aggregated":
        belongs &= number // HOUR_US == place.hour
        return belongs
    row = expected.index.find(owner, number)
    belongs &= row >= 0
    if isinstance(place, BatchKey):
        belongs &= (number >= place.first) & (number <= place.last)
        belongs[belongs] = (expected.hour == place.hour)[row[belongs]]
    else:
        belongs[belongs] = places.in_place(lake, rows[belongs], row[belongs])
    belongs[belongs] = expected.belongs(stage)[row[belongs]]
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
    if (other := expected.nodes[owners.owner[before]]) is not node:
        detail = f"rows of {node.turbine} follow those of {other.turbine} and precede them, too"
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
