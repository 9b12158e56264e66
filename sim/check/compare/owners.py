"""Whose rows an object holds: the turbine its key names, unless its rows say with one voice that they are another's.

A node may store rows under a wrong `turbine_id` (rule `identity`), and one altered cell must not make a row somebody
else's; but an object copied or moved under another turbine's name holds that other's rows, all of them. A single row
that names another turbine is that turbine's if it is, cell by cell, the row which that node stored. Where that turbine
is judged in another share, its node is read here too: both shares must come to the same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.records import CHANNEL_NAMES
from sim.check.expected.rows import Expectation
from sim.check.read.columns import FOREIGN, Bools, Ints, codes, float_bits, integers, nulls
from sim.check.read.objects import StageRows


@dataclass(frozen=True)
class Owners:
    """`owner` (rows,): index of the node, -1 for rows that are not this share's. `nobody`: which rows no turbine of the
    fleet claims. `visitors`: (object, share that must see it)."""

    owner: Ints
    nobody: Ints
    visitors: list[tuple[int, int]]


Neighbours = Callable[[str], Expectation | None]
"""What the node of a turbine of another share holds; None where that cannot be known."""


def owners(
    rows: StageRows,
    expected: Expectation,
    share: int,
    share_of: Mapping[str, int],
    neighbour: Neighbours = lambda turbine: None,
) -> Owners:
    """`share_of` maps every turbine of the fleet to the share it is judged in; `share` is this one."""
    index = {node.turbine: i for i, node in enumerate(expected.nodes)}
    column = rows.table.column("turbine_id").combine_chunks()
    names = column.dictionary.to_pylist()
    said = np.asarray(
        column.indices.fill_null(len(names)), dtype=np.int64
    )  # the last place stands for null
    keyed = [o.place.turbine if o.place else None for o in rows.objects]
    place_of = {name: i for i, name in enumerate(names)}
    owner = np.array([index.get(name, -1) if name else -1 for name in keyed], dtype=np.int64)[
        rows.object
    ]
    agreed = (
        said
        == np.array([place_of.get(name, -1) if name else -1 for name in keyed], dtype=np.int64)[
            rows.object
        ]
    )
    silent = np.bincount(rows.object, weights=agreed, minlength=len(keyed)) == 0
    silent &= (
        np.bincount(rows.object, weights=_as_stored(rows, expected, owner), minlength=len(keyed))
        == 0
    )
    lodger = silent[rows.object]
    claims = np.array([index.get(name, -1) for name in names] + [-1], dtype=np.int64)[said]
    strayed = np.flatnonzero(~agreed & (claims >= 0))
    owner[strayed] = np.where(
        _is_of(rows, expected, claims, strayed), claims[strayed], owner[strayed]
    )
    shares = np.array([share_of.get(name, -1) for name in names] + [-1], dtype=np.int64)[said]
    away = ~agreed & (shares >= 0) & (shares != share)
    if not (lodger.any() or away.any()):
        return Owners(owner, np.flatnonzero(owner < 0), [])
    elsewhere = away & (
        lodger | _of_neighbours(rows, said, names, np.flatnonzero(away & ~lodger), neighbour)
    )
    owner = np.where(elsewhere, -1, np.where(lodger & (claims >= 0), claims, owner))
    pairs = np.unique(np.stack([rows.object[elsewhere], shares[elsewhere]]), axis=1)
    return Owners(
        owner,
        np.flatnonzero((owner < 0) & ~elsewhere),
        [(int(item), int(to)) for item, to in pairs.T],
    )


def _of_neighbours(
    rows: StageRows, said: Ints, names: list[str], which: Ints, neighbour: Neighbours
) -> Bools:
    """Which of the rows `which` are, cell by cell, what the node of another share that they name stored."""
    found = np.zeros(len(said), dtype=bool)
    for name in np.unique(said[which]).tolist():
        if (theirs := neighbour(names[name])) is not None:
            named = which[said[which] == name]
            found[named] = _is_of(rows, theirs, np.zeros(len(said), dtype=np.int64), named)
    return found


def _as_stored(rows: StageRows, expected: Expectation, owner: Ints) -> Bools:
    """Rows that say of their turbine just what the node of the key stored, be it right or wrong."""
    if "id" not in rows.table.column_names or len(expected.id) == 0:
        return np.zeros(len(owner), dtype=bool)
    place = expected.places.find(owner, integers(rows.table.column("id")))
    said = codes(rows.table.column("turbine_id"), expected.vocabularies["turbine_id"])
    same: Bools = (place >= 0) & (said != FOREIGN) & (said == expected.cells["turbine_id"][place])
    return same


def _is_of(rows: StageRows, expected: Expectation, claims: Ints, which: Ints) -> Bools:
    """Whether each of the rows `which` is, in times and channels, the one that the node it names stored."""
    same = np.zeros(len(which), dtype=bool)
    if "id" not in rows.table.column_names or len(expected.id) == 0:
        return same
    table = rows.table.take(pa.array(which))
    place = expected.places.find(claims[which], integers(table.column("id")))
    same = place >= 0
    for name in expected.null:
        same &= integers(table.column(name)) == expected.cells[name][place]
        same &= nulls(table.column(name)) == expected.null[name][place]
    for name in CHANNEL_NAMES:
        same &= float_bits(table.column(name)) == expected.cells[name][place]
    return same
