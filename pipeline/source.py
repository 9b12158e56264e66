"""A node's SQLite file as Arrow tables, incrementally by id. Read-only; the file is never created or changed.

Well-typed files go through ADBC at about 1 us a row. SQLite lets any cell hold any type, and sensors' gateways make use
of that: where a column comes back with another type than its own, the same rows are read once more with the cells that
do not fit set to null and kept as JSON in `_rescued_data` (the convention of Auto Loader).
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import adbc_driver_sqlite.dbapi as adbc
import pyarrow as pa
from adbc_driver_manager import Error as AdbcError

from pipeline.records import CHANNEL_NAMES, NODE_COLUMNS, RESCUED, TABLE

_INTEGERS = ("id", "timestamp", "recorded_at")
_STORED: dict[str, pa.DataType] = {
    **dict.fromkeys(_INTEGERS, pa.int64()),
    "turbine_id": pa.string(),
    **dict.fromkeys(CHANNEL_NAMES, pa.float64()),
    "status": pa.string(),
}
_FITTING = {pa.int64(): "'integer'", pa.float64(): "'real', 'integer'", pa.string(): "'text'"}
RAW = pa.schema([*(pa.field(name, type_) for name, type_ in _STORED.items()), pa.field(RESCUED, pa.string())])
"""What a read returns: times as integers (microseconds), `_rescued_data` behind the node's own columns."""
_PASSING = ("database is locked", "disk I/O error", "database or disk is full")


class SourceError(Exception):
    """The node's database cannot be read; the text names the file and what is wrong with it."""


class SourceBusy(SourceError):
    """The database cannot be read now (locked by another process, the disk full); another time may succeed."""


def check(path: Path) -> None:
    """Raise SourceError unless `path` is a SQLite file that has the sensor table with every column."""
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
    missing = [name for name in NODE_COLUMNS if name not in found]
    if missing:
        raise SourceError(f"{path}: table {TABLE} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}")


def read(path: Path, after_id: int, limit: int) -> pa.Table:
    """Rows with id > after_id in id order, `limit` at most, as a RAW table of one chunk. Raises SourceError."""
    try:
        with adbc.connect(f"file:{quote(str(path))}?mode=ro") as connection:
            table = _query(connection, ", ".join(NODE_COLUMNS), after_id, limit)
            misfits = [name for name in NODE_COLUMNS if not _fits(table.schema.field(name).type, name)]
            if misfits:
                table = _query(connection, _rescuing(misfits), after_id, limit)
    except (AdbcError, OSError) as error:
        _raise_if_passing(path, error)
        check(path)
        raise SourceError(f"{path}: cannot read: {error}") from error
    if RESCUED not in table.column_names:
        table = table.append_column(RESCUED, pa.nulls(table.num_rows, pa.string()))
    return table.cast(RAW).combine_chunks()


def _raise_if_passing(path: Path, error: Exception) -> None:
    """Even a read-only reader of a WAL file may have to make its -shm, which a full disk does not take."""
    said = next((words for words in _PASSING if words in str(error)), None)
    if said == "database is locked":
        raise SourceBusy(f"{path}: another process holds the database locked; try again") from error
    if said is not None:
        raise SourceBusy(f"{path}: cannot be read now: {said} (is the node's disk full?); try again") from error


def _query(connection: adbc.Connection, columns: str, after_id: int, limit: int) -> pa.Table:
    with connection.cursor() as cursor:
        # types are inferred from the first batch of rows: make that all rows
        cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(limit)})
        cursor.execute(f"SELECT {columns} FROM {TABLE} WHERE id > ? ORDER BY id LIMIT ?", (after_id, limit))
        table: pa.Table = cursor.fetch_arrow_table()
        return table


def _fits(found: pa.DataType, name: str) -> bool:
    """Whether the inferred type holds only cells of the column's own type. All-null columns come back as int64."""
    return found in (_STORED[name], pa.int64(), pa.null())


def _rescuing(misfits: list[str]) -> str:
    """The SELECT list that nulls the cells of another type and keeps them in `_rescued_data`."""

    def alien(name: str) -> str:
        return f"typeof({name}) NOT IN ({_FITTING[_STORED[name]]}, 'null')"

    def keep(name: str) -> str:
        number = f"json(replace(printf('%!.17g', {name}), 'Inf', '9e999'))"  # json_object alone keeps 15 digits
        cell = f"CASE typeof({name}) WHEN 'blob' THEN hex({name}) WHEN 'real' THEN {number} ELSE {name} END"
        return f"'{name}', CASE WHEN {alien(name)} THEN {cell} END"

    columns = [
        f"CASE WHEN {alien(name)} THEN NULL ELSE {name} END AS {name}" if name in misfits else name
        for name in NODE_COLUMNS
    ]
    rescued = f"json_patch('{{}}', json_object({', '.join(keep(name) for name in misfits)}))"  # a patch drops nulls
    any_alien = " OR ".join(alien(name) for name in misfits)
    return ", ".join(columns) + f", CASE WHEN {any_alien} THEN {rescued} END AS {RESCUED}"
