"""Owners of rows: the turbine in the object's key, except for rows that are clearly another's.

An object copied or moved under another turbine's key holds only that turbine's rows. A node may
store rows under a wrong `turbine_id` (rule `identity`), and one altered cell must not change a
row's owner. So:

- A row belongs to the turbine in its object's key.
- If no row of an object names that turbine, and none has the `turbine_id` that its node stored, all
  rows belong to the turbines that they name.
- A single row that names another turbine belongs to it if it equals, in times and channels, a row
  that the other node stored.

If the other turbine is judged in another share, its node file is read here, too. So both shares
come to the same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from pipeline.records import CHANNEL_NAMES
from sim.check.expected.rows import Expectation
from sim.check.read.columns import FOREIGN, Bools, Ints, codes, float_bits, integers, nulls, one
from sim.check.read.objects import StageRows


@dataclass(frozen=True)
class Owners:
    """Owners of the rows of one stage.

    `owner`     (rows,): index of the node, -1 for rows that are not this share's
    `unowned`   indices of the rows that belong to no turbine of the fleet
    `visitors`  (index of the object, number of the share that owns rows in it)
    `strangers` indices of rows of no node, in an object of the farm (compacted layout only)
    """

    owner: Ints
    unowned: Ints
    visitors: list[tuple[int, int]]
    strangers: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


Neighbours = Callable[[str], Expectation | None]
"""Function that returns the rows of a turbine of another share; None if they cannot be read."""


def find_owners(
    rows: StageRows,
    expected: Expectation,
    share: int,
    share_of: Mapping[str, int],
    neighbour: Neighbours = lambda turbine: None,
) -> Owners:
    """Find the owner of every row.

    share: number of this share; share_of: turbine -> number of its share.
    """
    index = {node.turbine: i for i, node in enumerate(expected.nodes)}
    names, named = named_turbines(rows)
    keyed = [o.place.turbine if o.place else None for o in rows.objects]
    place_of = {name: i for i, name in enumerate(names)}
    owner = np.array([index.get(name, -1) if name else -1 for name in keyed], dtype=np.int64)[
        rows.object
    ]
    agreed = (
        named
        == np.array([place_of.get(name, -1) if name else -1 for name in keyed], dtype=np.int64)[
            rows.object
        ]
    )
    # Objects in which no row names the key's turbine or has the turbine_id that its node stored.
    silent = np.bincount(rows.object, weights=agreed, minlength=len(keyed)) == 0
    silent &= (
        np.bincount(rows.object, weights=_as_stored(rows, expected, owner), minlength=len(keyed))
        == 0
    )
    moved = silent[rows.object]
    claims = looked_up(names, index)[named]
    strayed = np.flatnonzero(~agreed & (claims >= 0))
    owner[strayed] = np.where(
        is_of(rows, expected, claims, strayed), claims[strayed], owner[strayed]
    )
    shares = looked_up(names, share_of)[named]
    away = ~agreed & (shares >= 0) & (shares != share)
    if not (moved.any() or away.any()):
        return Owners(owner, np.flatnonzero(owner < 0), [])
    elsewhere = away & (
        moved | of_neighbours(rows, named, names, np.flatnonzero(away & ~moved), neighbour)
    )
    owner = np.where(elsewhere, -1, np.where(moved & (claims >= 0), claims, owner))
    unowned = np.flatnonzero((owner < 0) & ~elsewhere)
    return Owners(owner, unowned, visitors(rows, elsewhere, shares))


def named_turbines(rows: StageRows) -> tuple[list[str], Ints]:
    """Return the distinct values of `turbine_id`, and each row's index in them, (rows,).

    The index after the last name means null.
    """
    column = one(rows.table.column("turbine_id"))
    names = column.dictionary.to_pylist()
    return names, np.asarray(column.indices.fill_null(len(names)), dtype=np.int64)


def looked_up(names: list[str], numbers: Mapping[str, int]) -> Ints:
    """Return the number of each name, and of null at the end; -1 for an unknown one."""
    return np.array([numbers.get(name, -1) for name in names] + [-1], dtype=np.int64)


def visitors(rows: StageRows, elsewhere: Bools, shares: Ints) -> list[tuple[int, int]]:
    """Return (index of the object, number of the share) of the rows that belong to other shares."""
    pairs = np.unique(np.stack([rows.object[elsewhere], shares[elsewhere]]), axis=1)
    return [(int(item), int(to)) for item, to in pairs.T]


def of_neighbours(
    rows: StageRows, named: Ints, names: list[str], suspects: Ints, neighbour: Neighbours
) -> Bools:
    """Mask of the rows that equal a row stored by the other share's node that they name; (rows,).

    Only rows in `suspects` are compared.
    """
    found = np.zeros(len(named), dtype=bool)
    for name in np.unique(named[suspects]).tolist():
        if (theirs := neighbour(names[name])) is not None:
            mine = suspects[named[suspects] == name]
            found[mine] = is_of(rows, theirs, np.zeros(len(named), dtype=np.int64), mine)
    return found


def _as_stored(rows: StageRows, expected: Expectation, owner: Ints) -> Bools:
    """Mask of the rows with the `turbine_id` that the key's node stored, right or wrong."""
    if "id" not in rows.table.column_names or len(expected.id) == 0:
        return np.zeros(len(owner), dtype=bool)
    place = expected.index.find(owner, integers(rows.table.column("id")))
    found = codes(rows.table.column("turbine_id"), expected.vocabularies["turbine_id"])
    stored = expected.columns["turbine_id"][place]
    same: Bools = (place >= 0) & (found != FOREIGN) & (found == stored)
    return same


def is_of(rows: StageRows, expected: Expectation, claims: Ints, suspects: Ints) -> Bools:
    """Mask of `suspects` that equal, in times and channels, the row stored by the claimed node."""
    same = np.zeros(len(suspects), dtype=bool)
    if "id" not in rows.table.column_names or len(expected.id) == 0:
        return same
    table = rows.table.take(pa.array(suspects))
    place = expected.index.find(claims[suspects], integers(table.column("id")))
    same = place >= 0
    for name in expected.null:
        same &= integers(table.column(name)) == expected.columns[name][place]
        same &= nulls(table.column(name)) == expected.null[name][place]
    for name in CHANNEL_NAMES:
        same &= float_bits(table.column(name)) == expected.columns[name][place]
    return same
