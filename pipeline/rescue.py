"""SELECT list that reads misfit cells as null and keeps them as JSON. Only SQL text is made here.

Cells of unknown columns are kept as well. The text of a cell depends on that cell only, never on
its neighbours, so a row gives the same bytes whatever other rows are read with it. SQLite cannot
tell text that is not UTF-8 from other text: the caller finds it, and passes the ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from pipeline.records import RESCUED

_FITTING = {pa.int64(): "'integer'", pa.float64(): "'real', 'integer'", pa.string(): "'text'"}
_PAIRS = 50  # names in one json_object: SQLite may limit a call to 127 arguments


def selection(
    columns: Mapping[str, pa.DataType],
    misfits: Sequence[str],
    unknown: Sequence[str],
    garbled: Mapping[str, str],
) -> str:
    """Return the SELECT list for `columns`, with `_rescued_data` last.

    columns: of this schema, and in the file. misfits: those of `columns` that hold another type
    than their own, or garbled text. unknown: columns to keep whole. garbled: column -> the
    placeholder of a JSON array of the ids where its text is not UTF-8.
    """

    def is_garbled(name: str) -> str:
        return f"id IN (SELECT value FROM json_each({garbled[name]}))"

    def is_misfit(name: str) -> str:
        if name in unknown:
            return f"{quoted(name)} IS NOT NULL"
        other_type = f"typeof({name}) NOT IN ({_FITTING[columns[name]]}, 'null')"
        return f"({other_type} OR {is_garbled(name)})" if name in garbled else other_type

    def keep(name: str) -> str:
        cell = quoted(name)
        # json_object by itself keeps 15 digits. + 0.0: SQLite's versions differ in the sign of zero
        number = f"json(replace(printf('%!.17g', {cell} + 0.0), 'Inf', '9e999'))"
        as_hex = f"typeof({cell}) = 'blob'" + (f" OR {is_garbled(name)}" if name in garbled else "")
        kept = (
            f"CASE WHEN {as_hex} THEN hex({cell}) "
            f"WHEN typeof({cell}) = 'real' THEN {number} ELSE {cell} END"
        )
        key = "'" + name.replace("'", "''") + "'"
        return f"{key}, CASE WHEN {is_misfit(name)} THEN {kept} END"

    fitting = {name: f"CASE WHEN {is_misfit(name)} THEN NULL ELSE {name} END" for name in misfits}
    # AS: the file may have the name in capitals
    typed = [f"{fitting.get(name, name)} AS {name}" for name in columns]
    names = sorted([*misfits, *unknown])
    rescued = "'{}'"
    for first in range(0, len(names), _PAIRS):
        pairs = ", ".join(map(keep, names[first : first + _PAIRS]))
        rescued = f"json_patch({rescued}, json_object({pairs}))"  # a patch drops nulls
    any_misfit = " OR ".join(map(is_misfit, names))
    return ", ".join(typed) + f", CASE WHEN {any_misfit} THEN {rescued} END AS {RESCUED}"


def quoted(name: str) -> str:
    """Return a column's name quoted for SQL, whatever characters it has.

    Only for columns that exist: SQLite takes any other quoted name for a string.
    """
    return '"' + name.replace('"', '""') + '"'
