"""Whose rows an object holds: the turbine its key names, unless its rows say with one voice that they are another's.

A node may store rows under a wrong `turbine_id` (rule `identity`), and one altered cell must not make a row somebody
else's; but an object copied or moved under another turbine's name holds that other's rows, all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from sim.check.canon import FOREIGN, Ints, codes, integers
from sim.check.expect import Expectation
from sim.check.objects import StageRows


@dataclass(frozen=True)
class Owners:
    """`owner` (rows,): index of the node, -1 for rows that are not this share's. `visitors`: object -> share it goes
    to. `nobody` (rows,): rows that no turbine of the fleet claims.
    """

    owner: Ints
    visitors: dict[int, int]
    nobody: Ints


def owners(rows: StageRows, expected: Expectation, share: int, share_of: Mapping[str, int]) -> Owners:
    """`share_of` maps every turbine of the fleet to the share it is judged in; `share` is this one."""
    turbines = [node.turbine for node in expected.nodes]
    index = {turbine: i for i, turbine in enumerate(turbines)}
    named = np.array([index.get(o.place.turbine, -1) if o.place else -1 for o in rows.objects], dtype=np.int64)
    owner = named[rows.object]
    said = rows.table.column("turbine_id").combine_chunks()
    says = codes(said, pa.array(turbines, pa.string()))
    same = (says == owner) & (owner >= 0)
    if same.all():
        return Owners(owner, {}, np.empty(0, dtype=np.int64))
    agree = np.bincount(rows.object, weights=same, minlength=len(rows.objects))
    as_stored = np.zeros(len(owner), dtype=bool)
    if "id" in rows.table.column_names:
        place = expected.places.find(owner, integers(rows.table.column("id")))
        stored = expected.cells["turbine_id"][place] if len(expected.id) else place
        as_stored = (place >= 0) & (stored == codes(said, expected.vocabularies["turbine_id"])) & (stored != FOREIGN)
    agree += np.bincount(rows.object, weights=as_stored, minlength=len(rows.objects))
    others = (agree[rows.object] == 0) & ((says >= 0) | (owner < 0))
    elsewhere, visitors = _elsewhere(rows, agree == 0, share, share_of)
    others |= elsewhere
    owner = np.where(others, np.maximum(says, -1), owner)
    homeless = np.array([not item.guest for item in rows.objects])[rows.object] if rows.objects else np.empty(0, bool)
    return Owners(owner, visitors, np.flatnonzero((owner < 0) & homeless & ~elsewhere))


def _elsewhere(
    rows: StageRows, silent: np.ndarray, share: int, share_of: Mapping[str, int]
) -> tuple[np.ndarray, dict[int, int]]:
    """Rows of `silent` objects that belong to another share's turbines, and which object goes where."""
    column = rows.table.column("turbine_id").combine_chunks()
    target = np.array([share_of.get(name, -1) for name in column.dictionary.to_pylist()] + [-1], dtype=np.int64)
    goes = target[np.asarray(column.indices.fill_null(len(target) - 1))]
    elsewhere = silent[rows.object] & (goes >= 0) & (goes != share)
    pairs = np.unique(np.stack([rows.object[elsewhere], goes[elsewhere]]), axis=1)
    return elsewhere, {int(item): int(to) for item, to in pairs.T if not rows.objects[int(item)].guest}
