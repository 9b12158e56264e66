"""Rows of a warehouse's Delta tables against rows of the lake's objects.

Nothing here uses code of the loader. The objects are decoded with plain pyarrow. A row counts as
the same if its object, its key within the object (id, or window and revision) and every value are
the same, bit for bit.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable

from pipeline.catalog.tables import SOURCE_FILE, TABLES, Table
from pipeline.records import BUCKET_PREFIX
from sim.campaign.loader.read_store import Objects
from sim.chaos.call import Place


class WrongRows(NamedTuple):
    """Numbers of wrong rows in all tables. altered: with another value than in the object."""

    lost: int = 0
    duplicated: int = 0
    altered: int = 0

    def plus(self, other: WrongRows) -> WrongRows:
        return WrongRows(*(mine + yours for mine, yours in zip(self, other, strict=True)))


class Expected(NamedTuple):
    """Rows that a table must hold, and their number by object."""

    rows: pa.Table
    by_source: dict[str, int]


def expected(objects: Objects) -> dict[str, Expected]:
    """Return the rows of the objects by table."""
    return {table.name: _expected(objects, table) for table in TABLES}


def _expected(objects: Objects, table: Table) -> Expected:
    parts = []
    counts = {}
    for (bucket, key), body in sorted(objects.items()):
        if bucket != BUCKET_PREFIX + table.bucket or not key.startswith(table.prefix):
            continue
        rows, name = _plain(pq.read_table(io.BytesIO(body))), f"{bucket}/{key}"
        parts.append(rows.append_column(SOURCE_FILE, pa.array([name] * rows.num_rows)))
        counts[name] = rows.num_rows
    empty = table.schema.empty_table()
    return Expected(_sorted(pa.concat_tables([empty, *parts], promote_options="default")), counts)


def of_table(path: Path, columns: list[str] | None = None) -> pa.Table | None:
    """Return the rows of a Delta table, None where there is none."""
    if not DeltaTable.is_deltatable(str(path)):
        return None
    return DeltaTable(str(path)).to_pyarrow_table(columns=columns)


def wrong_rows(warehouse: Path, want: dict[str, Expected]) -> WrongRows:
    """Compare every table of a warehouse with the rows that it must hold."""
    found = WrongRows()
    for name, rows in want.items():
        there = of_table(warehouse / name)
        found = found.plus(_compare(rows.rows.slice(0, 0) if there is None else there, rows.rows))
    return found


def wrong_so_far(warehouse: Path, want: dict[str, Expected], shown: Collection[Place]) -> WrongRows:
    """Count rows that are there too often, and rows of shown objects that are not there."""
    names = {"/".join(place) for place in shown}
    lost = doubled = 0
    for name, rows in want.items():
        there = of_table(warehouse / name, [SOURCE_FILE])
        have = dict(_counts(there, [SOURCE_FILE])) if there is not None else {}
        for (source,), n in have.items():
            doubled += max(n - rows.by_source.get(source, 0), 0)
        lost += sum(
            max(n - have.get((source,), 0), 0)
            for source, n in rows.by_source.items()
            if source in names
        )
    return WrongRows(lost, doubled)


def _compare(found: pa.Table, want: pa.Table) -> WrongRows:
    found = _sorted(_plain(found))
    if found.num_rows == want.num_rows:
        different = _different(found, want)
        if different is not None and not different:
            return WrongRows()
    keys = [SOURCE_FILE, *_keys(want)]
    have, must = dict(_counts(found, keys)), dict(_counts(want, keys))
    lost = sum(max(n - have.get(key, 0), 0) for key, n in must.items())
    doubled = sum(max(n - must.get(key, 0), 0) for key, n in have.items())
    altered = 0
    if not lost and not doubled:
        different = _different(found, want)
        altered = want.num_rows if different is None else different
    return WrongRows(lost, doubled, altered)


def _different(found: pa.Table, want: pa.Table) -> int | None:
    """Return the number of unequal rows of two sorted tables, None for other columns."""
    if set(found.column_names) != set(want.column_names):
        return None
    unequal = pa.array([False] * want.num_rows)
    for name in want.column_names:
        mine, yours = _bits(found[name]), _bits(want[name])
        if mine.equals(yours):
            continue
        if mine.type != yours.type or pa.types.is_nested(mine.type):
            return None
        same = pc.if_else(
            pc.and_(mine.is_valid(), yours.is_valid()),
            pc.equal(mine, yours),
            pc.equal(mine.is_valid(), yours.is_valid()),
        )
        unequal = pc.or_(unequal, pc.invert(pc.fill_null(same, False)))
    return int(pc.sum(unequal).as_py() or 0)


def _plain(table: pa.Table) -> pa.Table:
    """Return a table without dictionaries and with one type of string and of list."""
    names = {pa.large_string(): pa.string(), pa.string_view(): pa.string()}
    columns = []
    for column in table.columns:
        kind = column.type
        if pa.types.is_dictionary(kind):
            column, kind = column.cast(kind.value_type), kind.value_type
        if pa.types.is_list(kind) or pa.types.is_large_list(kind):
            kind = pa.list_(names.get(kind.value_type, kind.value_type))
        columns.append(column.cast(names.get(kind, kind)))
    return pa.table(columns, names=table.column_names)


def _keys(table: pa.Table) -> list[str]:
    return ["id"] if "id" in table.column_names else ["turbine_id", "window_start", "revision"]


def _sorted(table: pa.Table) -> pa.Table:
    keys = [SOURCE_FILE, *_keys(table)]
    return table.sort_by([(name, "ascending") for name in keys]).combine_chunks()


def _bits(column: pa.ChunkedArray) -> pa.Array:
    """Return the values, floating point as its bits: a NaN equals itself, and 0.0 is not -0.0."""
    values = column.combine_chunks()
    values = pa.concat_arrays(values.chunks) if isinstance(values, pa.ChunkedArray) else values
    return values.view(pa.int64()) if pa.types.is_float64(values.type) else values


def _counts(table: pa.Table, keys: list[str]) -> Iterable[tuple[tuple[Any, ...], int]]:
    counted = table.select(keys).group_by(keys).aggregate([([], "count_all")])
    values = [counted.column(name).to_pylist() for name in keys]
    return zip(zip(*values, strict=True), counted.column("count_all").to_pylist(), strict=True)
