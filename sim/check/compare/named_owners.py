"""Owners of rows in the compacted layout, where an object has rows of all turbines of a farm.

A row is matched by its `turbine_id` and id. A node may store rows under a wrong `turbine_id` (rule
`identity`), and one altered cell must not change a row's owner. So these rows are suspects:

- rows of a pair (`turbine_id`, id) that no node stored, or several did
- copies, and all rows in objects of other farms, or of a farm with a node that cannot be read

A suspect belongs to the node that stored the same times and channels under its id: best with the
same `turbine_id`, else with any. Copies beyond the stored rows belong to the last of these. A
suspect without such a node belongs to the turbine that it names. If that is judged in another
share, it belongs there only if it equals a row that the other node stored.

A window belongs to the turbine that it names.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.records import CHANNEL_NAMES
from sim.check.compare.owners import (
    Neighbours,
    Owners,
    looked_up,
    named_turbines,
    of_neighbours,
    visitors,
)
from sim.check.expected.rows import TIMES, Expectation
from sim.check.read.columns import Bools, Ints, codes, float_bits, integers, nulls
from sim.check.read.objects import StageRows

_FACTOR = np.uint64(0x9E37_79B9_7F4A_7C15)
_SHIFT = np.uint64(29)
Prints = npt.NDArray[np.uint64]


def find_named_owners(
    rows: StageRows,
    expected: Expectation,
    share: int,
    share_of: Mapping[str, int],
    neighbour: Neighbours = lambda turbine: None,
) -> Owners:
    """Find the owner of every row.

    share: number of this share; share_of: turbine -> number of its share.
    """
    names, named = named_turbines(rows)
    index = {node.turbine: i for i, node in enumerate(expected.nodes)}
    claims, shares = looked_up(names, index)[named], looked_up(names, share_of)[named]
    abroad = np.array([o.guest and o.place is not None for o in rows.objects], dtype=bool)
    elsewhere = (shares >= 0) & (shares != share)
    # Rows of a node whose file cannot be read are not judged, and may name another turbine.
    complete = len(expected.nodes) == sum(number == share for number in share_of.values())
    owner = claims
    if "id" in rows.table.column_names:
        visiting = abroad[rows.object] | (not complete)
        owner = _matched(rows, expected, claims, visiting)
        left = owner < 0
        suspects = np.flatnonzero(elsewhere & left)
        elsewhere = of_neighbours(rows, named, names, suspects, neighbour)
        owner = np.where(left & ~visiting, claims, owner)
        elsewhere &= owner < 0
    unowned = (owner < 0) & ~elsewhere
    known = np.array([o.place is not None and not o.guest for o in rows.objects], dtype=bool)
    return Owners(
        owner,
        np.flatnonzero(unowned),
        visitors(rows, elsewhere, shares),
        np.flatnonzero(unowned & known[rows.object] & complete),
    )


def _matched(rows: StageRows, expected: Expectation, claims: Ints, visiting: Bools) -> Ints:
    """Return the owner of each row that a node stored, shape (rows,); -1 for any other.

    visiting: mask of the rows that are only taken if a node stored the same.
    """
    number = integers(rows.table.column("id"))
    if len(expected.id) == 0:
        return np.full(len(number), -1, dtype=np.int64)
    code = codes(rows.table.column("turbine_id"), expected.vocabularies["turbine_id"])
    stored = expected.columns["turbine_id"]
    place = expected.index.find(claims, number)
    same = (place >= 0) & (stored[place] == code)
    copies, hit = np.bincount(place[same], minlength=len(stored)), same & ~visiting
    strange = expected.id[~expected.readings.own_turbine]
    suspect = ~hit
    suspect[hit] = copies[place[hit]] > 1
    if len(strange):
        suspect |= np.isin(number, strange)
    owner = np.where(suspect, -1, claims)
    at = np.flatnonzero(suspect)
    if len(at) == 0:
        return owner
    free = np.ones(len(stored), dtype=bool)
    free[place[~suspect]] = False
    candidates = np.flatnonzero(np.isin(expected.id, number[at]) & free)
    theirs, mine = _stored_prints(expected, candidates), _prints(rows.table.take(pa.array(at)))
    found, taken = _paired(_mixed(mine, code[at]), _mixed(theirs, stored[candidates]))
    again, open_ = np.flatnonzero(found < 0), np.flatnonzero(~taken)
    more, _ = _paired(mine[again], theirs[open_])
    found[again[more >= 0]] = open_[more[more >= 0]]
    known = found >= 0
    owner[at[known]] = expected.owner[candidates[found[known]]]
    return owner


def _paired(mine: Prints, theirs: Prints) -> tuple[Ints, Bools]:
    """Pair equal prints, the first with the first; the last of `theirs` takes the others.

    Returns the index in `theirs` of each of `mine`, -1 without one, and the mask of the taken ones.
    """
    order, sorted_ = np.argsort(theirs, kind="stable"), np.argsort(mine, kind="stable")
    low = np.searchsorted(theirs[order], mine[sorted_], side="left")
    high = np.searchsorted(theirs[order], mine[sorted_], side="right")
    rank = np.arange(len(mine)) - np.searchsorted(mine[sorted_], mine[sorted_], side="left")
    place = np.minimum(low + rank, high - 1)
    some = high > low
    found, taken = np.full(len(mine), -1, dtype=np.int64), np.zeros(len(theirs), dtype=bool)
    found[sorted_[some]] = order[place[some]]
    taken[found[found >= 0]] = True
    return found, taken


def _stored_prints(expected: Expectation, at: Ints) -> Prints:
    """Hash of id, times and channels of each of these expected rows."""
    prints = np.zeros(len(at), dtype=np.uint64)
    for name in ("id", *TIMES, *CHANNEL_NAMES):
        prints = _mixed(prints, expected.columns[name][at])
    for name in TIMES:
        prints = _mixed(prints, expected.null[name][at])
    return prints


def _prints(table: pa.Table) -> Prints:
    """Hash of id, times and channels of each row of the lake."""
    prints = np.zeros(len(table), dtype=np.uint64)
    for name in ("id", *TIMES):
        prints = _mixed(prints, integers(table.column(name)))
    for name in CHANNEL_NAMES:
        prints = _mixed(prints, float_bits(table.column(name)))
    for name in TIMES:
        prints = _mixed(prints, nulls(table.column(name)))
    return prints


def _mixed(prints: Prints, values: Ints | Bools) -> Prints:
    mixed = (prints ^ values.astype(np.int64).view(np.uint64)) * _FACTOR
    return mixed ^ (mixed >> _SHIFT)
