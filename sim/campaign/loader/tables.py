"""Rows of a warehouse's Delta tables against rows of the lake's objects.

Nothing here uses code of the loader, or the library that writes the tables: Delta's log is read as
the JSON that it is, Parquet with plain pyarrow. A row counts as the same if its object, its key
within the object (id, or window and revision) and every value are the same, bit for bit.

Not covered: a Delta log with a checkpoint, or with deletion vectors. Either is an error.
"""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.catalog.tables import SOURCE_FILE, Table
from pipeline.records import BUCKET_PREFIX
from sim.campaign.loader.read_store import Objects
from sim.chaos.call import Place

_STAGED: Final = re.compile(r"\d{20}\.json#\d+")
"""An entry that its writer had not yet linked to its name when it died: no part of the log."""


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
    by_source: Counter[str]


def expected(objects: Objects, tables: Sequence[Table]) -> dict[str, Expected]:
    """Return the rows of the objects by table."""
    return {table.name: _expected(objects, table) for table in tables}


def _expected(objects: Objects, table: Table) -> Expected:
    parts = []
    counts = Counter[str]()
    for (bucket, key), body in sorted(objects.items()):
        if bucket != BUCKET_PREFIX + table.bucket or not key.startswith(table.prefix):
            continue
        rows, name = _plain(pq.read_table(io.BytesIO(body))), f"{bucket}/{key}"
        parts.append(rows.append_column(SOURCE_FILE, pa.array([name] * rows.num_rows)))
        counts[name] = rows.num_rows
    empty = table.schema.empty_table()
    return Expected(_sorted(pa.concat_tables([empty, *parts], promote_options="default")), counts)


class Tables:
    """The Delta tables of a warehouse. A data file never changes, so each is read once."""

    def __init__(self, warehouse: Path) -> None:
        self._warehouse = warehouse
        self._files: dict[Path, pa.Table] = {}
        self._sources: dict[Path, Counter[str]] = {}

    def wrong_rows(self, want: dict[str, Expected]) -> WrongRows:
        """Compare every table with the rows that it must hold."""
        found = WrongRows()
        for name, expected in want.items():
            parts = [self._rows(path) for path in _data_files(self._warehouse / name)]
            rows = pa.concat_tables(parts or [expected.rows.slice(0, 0)], promote_options="default")
            found = found.plus(_compare(rows, expected.rows))
        return found

    def wrong_so_far(self, want: dict[str, Expected], shown: Collection[Place]) -> WrongRows:
        """Count rows that are there too often, and rows of shown objects that are not there."""
        names = {"/".join(place) for place in shown}
        lost = doubled = 0
        for name, expected in want.items():
            have = Counter[str]()
            for path in _data_files(self._warehouse / name):
                have.update(self._source_counts(path))
            doubled += (have - expected.by_source).total()
            lost += sum(
                max(rows - have[source], 0)
                for source, rows in expected.by_source.items()
                if source in names
            )
        return WrongRows(lost, doubled)

    def _rows(self, path: Path) -> pa.Table:
        if path not in self._files:
            self._files[path] = _plain(pq.ParquetFile(path).read())
        return self._files[path]

    def _source_counts(self, path: Path) -> Counter[str]:
        if path not in self._sources:
            counts = _counts(self._rows(path), [SOURCE_FILE])
            self._sources[path] = Counter({source: n for (source,), n in counts})
        return self._sources[path]


def _data_files(table: Path) -> list[Path]:
    """Return the files of the newest version of a Delta table, none if there is no table.

    Raises ValueError for a log that this reader does not know.
    """
    files: dict[str, Path] = {}
    for entry in sorted((table / "_delta_log").glob("*")):
        if _STAGED.fullmatch(entry.name):
            continue
        if entry.suffix != ".json":
            if entry.name.startswith((".", "_")) and entry.name != "_last_checkpoint":
                continue
            raise ValueError(f"{entry}: only JSON entries of a Delta log are known here")
        for line in entry.read_text(encoding="utf-8").splitlines():
            for kind, action in json.loads(line).items():
                if kind == "add":
                    if action.get("deletionVector"):
                        raise ValueError(f"{entry}: has deletion vectors")
                    files[action["path"]] = table / unquote(action["path"])
                elif kind == "remove":
                    files.pop(action["path"], None)
    return list(files.values())


def _compare(found: pa.Table, want: pa.Table) -> WrongRows:
    found = _sorted(found)
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
