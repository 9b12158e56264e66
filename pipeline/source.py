"""One SQLite file of a node as an Arrow table, incrementally by id. Read-only; the file is never created or changed.

Well-typed files go through ADBC at about 1 us a row. SQLite lets any cell hold any type, and sensors' gateways make use
of that: where a column comes back with another type than its own, holds text that is not UTF-8, or is unknown, the same
rows are read once more, in the same transaction, with the cells that do not fit set to null and kept as JSON in
`_rescued_data` (the convention of Auto Loader; see `records.RESCUED`). A channel that the file lacks reads as null.

A file that was replaced by another without a word (`generations` says how it is told) must not be misread: row
`after_id` is read again, and must have been recorded when the checkpoint says. If it is gone, then old rows were
deleted (none below it is left; or there are rows on both sides, for a fresh file numbers without gaps), or else the
file is another, which has not come that far. Not covered: another file whose own oldest rows were deleted beyond
`after_id`, and rows with ids below 1 that come when the file has been begun.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import adbc_driver_sqlite.dbapi as adbc
import pyarrow as pa
from adbc_driver_manager import Error as AdbcError

from pipeline import rescue
from pipeline.records import CHANNEL_NAMES, GENERATION_IDS, NODE_COLUMNS, REQUIRED_COLUMNS, RESCUED, TABLE

_INTEGERS = ("id", "timestamp", "recorded_at")
_STORED: dict[str, pa.DataType] = {
    **dict.fromkeys(_INTEGERS, pa.int64()),
    "turbine_id": pa.string(),
    **dict.fromkeys(CHANNEL_NAMES, pa.float64()),
    "status": pa.string(),
}
RAW = pa.schema([*(pa.field(name, type_) for name, type_ in _STORED.items()), pa.field(RESCUED, pa.string())])
"""What a read returns: times as integers (microseconds), `_rescued_data` behind the node's own columns."""
_AS_THEY_ARE = {name: name for name in NODE_COLUMNS}
_LOWEST = -(2**63)
_PASSING = ("database is locked", "disk I/O error", "database or disk is full")


class SourceError(Exception):
    """The node's database cannot be read; the text names the file and what is wrong with it."""


class SourceBusy(SourceError):
    """The database cannot be read now (locked by another process, the disk full); another time may succeed."""


class SourceReplaced(SourceError):
    """The file is not the one of which the lake has rows already."""


def check(path: Path) -> None:
    """Raise SourceError unless `path` is a SQLite file that has the sensor table with the columns it must have."""
    if not path.is_file():
        raise SourceError(f"{path}: no such file")
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
            found = [row[1] for row in connection.execute(f"PRAGMA table_info({TABLE})")]
    except sqlite3.Error as error:
        _raise_if_passing(path, error)
        raise SourceError(f"{path}: not a readable SQLite database ({error})") from error
    if not found:
        raise SourceError(f"{path}: has no table {TABLE}")
    _check_columns(path, _known(found))


def read(path: Path, after_id: int, limit: int, anchor_us: int | None = None) -> pa.Table:
    """Rows with id > after_id (0: from the start) in id order, `limit` at most, as a RAW table of one chunk.

    anchor_us: when row `after_id` was recorded, None if that is not known. Raises SourceError.
    """
    try:
        with adbc.connect(f"file:{quote(str(path))}?mode=ro") as connection:
            first_id, wanted = (after_id, limit + 1) if after_id else (_LOWEST, limit)
            table = _query(connection, "*", first_id, wanted)
            if after_id and _is_quiet(table, after_id, anchor_us):
                return RAW.empty_table()
            table = _typed(path, connection, table, first_id, wanted)
            if after_id:
                table = _behind(path, connection, table, after_id, anchor_us).slice(0, limit)
    except (AdbcError, pa.ArrowException, OSError, UnicodeError) as error:
        _raise_if_passing(path, error)
        check(path)
        raise SourceError(f"{path}: cannot read: {error}") from error
    if table.num_rows:
        _check_ids(path, table)
    return table


def _is_quiet(table: pa.Table, after_id: int, anchor_us: int | None) -> bool:
    """Whether there is nothing but the row that the lake knows: what most polls find, and cheap to tell."""
    if len(table) != 1 or table.column_names != list(NODE_COLUMNS):
        return False
    return bool(table.column("id")[0].as_py() == after_id and table.column("recorded_at")[0].as_py() == anchor_us)


def _typed(path: Path, connection: adbc.Connection, table: pa.Table, first_id: int, limit: int) -> pa.Table:
    """The rows of `table` (all columns from `first_id` on, `limit` at most) as RAW."""
    known = _AS_THEY_ARE if table.column_names == list(NODE_COLUMNS) else _known(table.column_names)
    _check_columns(path, known)
    misfits = [column for column, name in known.items() if not _fits(table.column(name), column)]
    unknown = [n for n in table.column_names if n not in known.values() and table.column(n).null_count < len(table)]
    if misfits or unknown:
        garbled = {}
        for column in (*misfits, *unknown):
            name = known.get(column, column)
            if ids := _garbled(connection, table.column(name), name, first_id, limit):
                garbled[column] = json.dumps(ids)
        places = {column: f"?{3 + i}" for i, column in enumerate(garbled)}
        columns = rescue.selection({column: _STORED[column] for column in known}, misfits, unknown, places)
        table = _query(connection, columns, first_id, limit, *garbled.values())
        known = {name: name for name in (*known, RESCUED)}
    if known is _AS_THEY_ARE:
        table = table.append_column(RESCUED, pa.nulls(len(table), pa.string()))
    else:
        nothing = pa.nulls(len(table))
        table = pa.table({name: table.column(known[name]) if name in known else nothing for name in RAW.names})
    return table.cast(RAW, safe=False).combine_chunks()  # a number too large for its float is rounded, as SQLite does


def _behind(path: Path, connection: adbc.Connection, table: pa.Table, after_id: int, anchor_us: int | None) -> pa.Table:
    """The table without its first row `after_id`, which must be the row that the lake knows."""
    another = f"{path}: is another file than the one whose rows are in the lake"
    if len(table) and table.column("id")[0].as_py() == after_id:
        at = table.column("recorded_at")[0].as_py()
        if anchor_us is not None and at != anchor_us:
            raise SourceReplaced(f"{another}: its row {after_id} was recorded at {at} us, not at {anchor_us}")
        return table.slice(1)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT max(id) FROM {TABLE}")
        highest = cursor.fetch_arrow_table().column(0)[0].as_py()
    if highest is not None and highest < after_id:
        raise SourceReplaced(f"{another}: it ends at id {highest}, and the lake has rows up to {after_id}")
    return table


def _check_ids(path: Path, table: pa.Table) -> None:
    first, last = table.column("id")[0].as_py(), table.column("id")[-1].as_py()
    if first < 1:
        raise SourceError(
            f"{path}: has a row with id {first}; ids must be 1 and more. None of its rows are in the lake yet: number "
            f"them anew, in the order of storing"
        )
    if last >= GENERATION_IDS:
        raise SourceError(
            f"{path}: has a row with id {last}; ids must be less than {GENERATION_IDS:,}: start a fresh file"
        )


def _check_columns(path: Path, known: dict[str, str]) -> None:
    missing = [name for name in REQUIRED_COLUMNS if name not in known]
    if missing:
        raise SourceError(f"{path}: table {TABLE} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}")


def _known(names: Sequence[str]) -> dict[str, str]:
    """Column of this schema -> its name in the file. SQLite's names are the same whatever the case of a-z."""
    found = {name.encode().lower(): name for name in names}
    return {column: found[column.encode()] for column in NODE_COLUMNS if column.encode() in found}


def _raise_if_passing(path: Path, error: Exception) -> None:
    """Even a read-only reader of a WAL file may have to make its -shm, which a full disk does not take."""
    said = next((words for words in _PASSING if words in str(error)), None)
    if said == "database is locked":
        raise SourceBusy(f"{path}: another process holds the database locked; try again") from error
    if said is not None:
        raise SourceBusy(f"{path}: cannot be read now: {said} (is the node's disk full?); try again") from error


def _query(connection: adbc.Connection, columns: str, first_id: int, limit: int, *more: str) -> pa.Table:
    with connection.cursor() as cursor:
        # types are inferred from the first batch of rows: make that all rows
        cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(limit)})
        sql = f"SELECT {columns} FROM {TABLE} WHERE {TABLE}.id >= ?1 ORDER BY {TABLE}.id LIMIT ?2"
        cursor.execute(sql, (first_id, limit, *more))
        table: pa.Table = cursor.fetch_arrow_table()
        return table


def _fits(found: pa.ChunkedArray, name: str) -> bool:
    """Whether a column holds only cells of its own type, as inferred. One of nulls only comes back as int64."""
    wanted = _STORED[name]
    if found.type == wanted:
        return wanted != pa.string() or _is_utf8(found)
    return bool(found.null_count == len(found) or (wanted == pa.float64() and found.type == pa.int64()))


def _is_utf8(texts: pa.ChunkedArray) -> bool:
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _garbled(connection: adbc.Connection, found: pa.ChunkedArray, name: str, first_id: int, limit: int) -> list[int]:
    """Ids of the rows whose text in this column is not UTF-8."""
    if found.type != pa.binary() and (found.type != pa.string() or _is_utf8(found)):
        return []  # no text, or none that is garbled
    name = rescue.quoted(name)
    cells = f"{TABLE}.id AS id, CASE typeof({name}) WHEN 'text' THEN CAST({name} AS BLOB) END AS cell"
    table = _query(connection, cells, first_id, limit)
    pairs = zip(table.column("id").to_pylist(), table.column("cell").to_pylist(), strict=True)
    return [number for number, cell in pairs if isinstance(cell, bytes) and not _decodes(cell)]


def _decodes(cell: bytes) -> bool:
    try:
        cell.decode()
    except UnicodeDecodeError:
        return False
    return True
