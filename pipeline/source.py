"""One SQLite file of a node as an Arrow table, incrementally by id.

The file is only read, never created or changed. Well-typed files go through ADBC at about 1 us a
row. SQLite lets any cell hold any type, and sensor gateways make use of that. If a column comes
back with another type than its own, holds text that is not UTF-8, or is unknown, the same rows are
read again in the same transaction. Then cells that do not fit are null, and are kept as JSON in
`_rescued_data` (the convention of Auto Loader; see `records.RESCUED`). A channel that the file
lacks reads as null.

`database` opens the file, explains why it cannot be read, and knows the tables that SQLite itself
numbers. Ids of all other tables are counted at every read, before a row is used.

A file that was replaced without being retired (see `generations`) must not be taken for the old
one. So row `after_id` is read again: its recording time must equal the checkpoint's. If
the row is missing, the other rows decide:

- No row is left, or a later row exists: old rows were deleted. A fresh file has no later row
  without this one, because it numbers without gaps.
- All rows have lower ids: the file is another one, with fewer rows so far.

Not covered: another file whose own oldest rows were deleted beyond `after_id`, and new rows with
lower ids than those in the lake.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import adbc_driver_sqlite as adbc
import pyarrow as pa
from adbc_driver_manager import AdbcConnection, AdbcStatement
from adbc_driver_manager import Error as AdbcError

from pipeline import database, rescue
from pipeline.database import LOCK_WAIT_S, SourceError, shown
from pipeline.records import (
    CHANNEL_NAMES,
    GENERATION_IDS,
    NODE_COLUMNS,
    REQUIRED_COLUMNS,
    RESCUED,
    TABLE,
)

_INTEGERS = ("id", "timestamp", "recorded_at")
_STORED: dict[str, pa.DataType] = {
    **dict.fromkeys(_INTEGERS, pa.int64()),
    "turbine_id": pa.string(),
    **dict.fromkeys(CHANNEL_NAMES, pa.float64()),
    "status": pa.string(),
}
RAW = pa.schema(
    [*(pa.field(name, type_) for name, type_ in _STORED.items()), pa.field(RESCUED, pa.string())]
)
"""Schema of a read: times as integers (microseconds), `_rescued_data` after the node's columns."""
_AS_THEY_ARE = {name: name for name in NODE_COLUMNS}
_LOWEST = -(2**63)
_FAILURES = (AdbcError, pa.ArrowException, OSError, UnicodeError)


class SourceReplaced(SourceError):
    """A file that is not the one whose rows are in the lake."""


def check(path: Path, lock_wait_s: float = LOCK_WAIT_S) -> None:
    """Raise SourceError unless `path` is a SQLite file with a valid sensor table.

    Valid means that it has the columns and ids that the pipeline needs.
    """
    with database.opened(path, lock_wait_s) as connection:
        hidden = 1  # of a virtual table; 2 and 3 are generated columns, read like any other
        found = [
            row[1] for row in connection.execute(f"PRAGMA table_xinfo({TABLE})") if row[6] != hidden
        ]
        if not found:
            raise SourceError(f"{shown(path)}: has no table {TABLE}")
        _check_columns(path, _known(found))
        (definition,) = connection.execute(f"SELECT {database.DEFINITION}").fetchone()
        if not database.id_is_rowid(definition):
            _check_id_counts(path, connection.execute(database.COUNT_IDS).fetchone())


def read(
    path: Path,
    after_id: int,
    limit: int,
    anchor_us: int | None = None,
    lock_wait_s: float = LOCK_WAIT_S,
) -> pa.Table:
    """Return rows with id > after_id in id order, `limit` at most, as a RAW table of one chunk.

    after_id: 0 for the start. anchor_us: recording time of row `after_id`, None if unknown.
    lock_wait_s: longest wait for a lock. Raises SourceError.
    """
    try:
        with _connected(database.uri(path)) as connection:
            return _read(path, connection, after_id, limit, anchor_us)
    except _FAILURES:
        check(path, lock_wait_s)
    with database.readable(path, lock_wait_s) as file_uri:
        try:
            with _connected(file_uri) as connection:
                _first_row(connection, f"PRAGMA busy_timeout = {round(lock_wait_s * 1000)}")
                return _read(path, connection, after_id, limit, anchor_us)
        except _FAILURES as error:
            _read_through(path)
            raise SourceError(f"{shown(path)}: cannot read: {error}") from error


def _read(
    path: Path, connection: AdbcConnection, after_id: int, limit: int, anchor_us: int | None
) -> pa.Table:
    """Return the rows of one moment: a connection is one transaction.

    Raises SourceError, and one of _FAILURES.
    """
    if _has_no_new_rows(path, connection, after_id, anchor_us):
        return RAW.empty_table()
    first_id, wanted = (after_id, limit + 1) if after_id else (_LOWEST, limit)
    table = _typed(path, connection, _query(connection, "*", first_id, wanted), first_id, wanted)
    if after_id:
        table = _without_last_row_in_lake(path, connection, table, after_id, anchor_us).slice(
            0, limit
        )
    if table.num_rows:
        _check_ids(path, table)
    return table


def _has_no_new_rows(
    path: Path, connection: AdbcConnection, after_id: int, anchor_us: int | None
) -> bool:
    """Return True if the file ends at the last row in the lake, as in most polls. Cheap.

    Raises SourceError for an id that is missing, repeated or not an integer: such rows would go
    unread.
    """
    newer = f"EXISTS (SELECT 1 FROM {TABLE} WHERE {TABLE}.id > {after_id})"
    recorded = (
        f"(SELECT recorded_at FROM {TABLE} WHERE {TABLE}.id = {after_id} "
        "AND typeof(recorded_at) = 'integer')"
    )
    seen = f", {newer}, {recorded}" if after_id and anchor_us is not None else ", 1, NULL"
    definition, rows, recorded_us = _first_row(connection, f"SELECT {database.DEFINITION}{seen}")
    if definition is not None and not database.id_is_rowid(definition):
        _check_id_counts(path, _first_row(connection, database.COUNT_IDS))
    return not rows and recorded_us == anchor_us


def _read_through(path: Path) -> None:
    """Read every row with sqlite3, whose code explains a failure. Raise SourceError."""
    with database.opened(path, 0) as connection:
        connection.text_factory = bytes
        for _ in connection.execute(f"SELECT * FROM {TABLE}"):
            pass


def _check_id_counts(path: Path, counts: Sequence[int]) -> None:
    if problem := database.id_problem(*counts):
        raise SourceError(f"{shown(path)}: {problem}")


@contextmanager
def _connected(uri: str) -> Iterator[AdbcConnection]:
    """Yield a connection: one transaction. ADBC's `dbapi` would import polars if it is there."""
    with adbc.connect(uri) as opened, AdbcConnection(opened) as connection:
        connection.set_autocommit(False)
        yield connection


def _fetched(
    connection: AdbcConnection, sql: str, parameters: Sequence[str] = (), batch_rows: int = 1
) -> pa.Table:
    """Return the result of a query. Its types are inferred from the first `batch_rows` rows."""
    with AdbcStatement(connection) as statement:
        statement.set_options(**{adbc.StatementOptions.BATCH_ROWS.value: str(batch_rows)})
        statement.set_sql_query(sql)
        if parameters:
            statement.prepare()
            names = [str(i) for i in range(len(parameters))]
            statement.bind(pa.record_batch([[each] for each in parameters], names=names))
        stream, _ = statement.execute_query()
        with pa.RecordBatchReader.from_stream(stream) as reader:
            table: pa.Table = reader.read_all()
        return table


def _first_row(connection: AdbcConnection, sql: str) -> list[Any]:
    """Return the first row of a query's result."""
    return [column[0].as_py() for column in _fetched(connection, sql).columns]


def _typed(
    path: Path, connection: AdbcConnection, table: pa.Table, first_id: int, limit: int
) -> pa.Table:
    """Return the rows of `table` as RAW.

    table: all columns, rows from `first_id` on, `limit` at most.
    """
    known = _AS_THEY_ARE if table.column_names == list(NODE_COLUMNS) else _known(table.column_names)
    _check_columns(path, known)
    misfits = [column for column, name in known.items() if not _fits(table.column(name), column)]
    unknown = [
        n
        for n in table.column_names
        if n not in known.values() and table.column(n).null_count < len(table)
    ]
    if misfits or unknown:
        garbled = {}
        for column in (*misfits, *unknown):
            name = known.get(column, column)
            if ids := _garbled(connection, table.column(name), name, first_id, limit):
                garbled[column] = json.dumps(ids)
        places = {column: f"?{1 + i}" for i, column in enumerate(garbled)}
        columns = rescue.selection(
            {column: _STORED[column] for column in known}, misfits, unknown, places
        )
        table = _query(connection, columns, first_id, limit, *garbled.values())
        known = {name: name for name in (*known, RESCUED)}
    columns_of = {name: table.column(known[name]) for name in RAW.names if name in known}
    nothing = pa.nulls(len(table), pa.string())
    arrays = [columns_of.get(field.name, nothing) for field in RAW]
    # not safe: an integer too large for a float is rounded, as SQLite does
    typed = [
        array if array.type == field.type else array.cast(field.type, safe=False)
        for array, field in zip(arrays, RAW, strict=True)
    ]
    return pa.Table.from_arrays(typed, schema=RAW).combine_chunks()


def _without_last_row_in_lake(
    path: Path, connection: AdbcConnection, table: pa.Table, after_id: int, anchor_us: int | None
) -> pa.Table:
    """Return the table without its first row `after_id`, which must be the last row in the lake.

    Raises SourceReplaced.
    """
    another = f"{shown(path)}: another file than the one whose rows are in the lake"
    if len(table) and table.column("id")[0].as_py() == after_id:
        at = table.column("recorded_at")[0].as_py()
        if anchor_us is not None and at != anchor_us:
            raise SourceReplaced(
                f"{another}: its row {after_id} was recorded at {at} us, not at {anchor_us}"
            )
        return table.slice(1)
    highest = _first_row(connection, f"SELECT max({TABLE}.id) FROM {TABLE}")[0]
    if highest is not None and highest < after_id:
        raise SourceReplaced(
            f"{another}: it ends at id {highest}, and the lake has rows up to {after_id}"
        )
    return table


def _check_ids(path: Path, table: pa.Table) -> None:
    first, last = table.column("id")[0].as_py(), table.column("id")[-1].as_py()
    if first < 1:
        raise SourceError(
            f"{shown(path)}: has a row with id {first}; ids must be 1 or more. None of its rows is "
            "in the lake yet: number them again, in the order in which they were stored"
        )
    if last >= GENERATION_IDS:
        raise SourceError(
            f"{shown(path)}: has a row with id {last}; "
            f"ids must be less than {GENERATION_IDS:,}: start a fresh file"
        )


def _check_columns(path: Path, known: dict[str, str]) -> None:
    missing = [name for name in REQUIRED_COLUMNS if name not in known]
    if missing:
        raise SourceError(
            f"{shown(path)}: table {TABLE} lacks the column{'s' * (len(missing) > 1)} "
            f"{', '.join(missing)}"
        )


def _known(names: Sequence[str]) -> dict[str, str]:
    """Return column of this schema -> its name in the file. SQLite ignores the case of a-z."""
    found = {name.encode().lower(): name for name in names}
    return {column: found[column.encode()] for column in NODE_COLUMNS if column.encode() in found}


def _query(
    connection: AdbcConnection, columns: str, first_id: int, limit: int, *more: str
) -> pa.Table:
    # numbers are part of the text: binding them costs more than the query
    sql = (
        f"SELECT {columns} FROM {TABLE} WHERE {TABLE}.id >= {first_id} "
        f"ORDER BY {TABLE}.id LIMIT {limit}"
    )
    return _fetched(connection, sql, more, batch_rows=limit)


def _fits(found: pa.ChunkedArray, name: str) -> bool:
    """Return True if a column holds only cells of its own type, as inferred.

    A column of nulls comes back as int64.
    """
    wanted = _STORED[name]
    if found.type == wanted:
        return wanted != pa.string() or _is_utf8(found)
    return bool(
        found.null_count == len(found) or (wanted == pa.float64() and found.type == pa.int64())
    )


def _is_utf8(texts: pa.ChunkedArray) -> bool:
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _garbled(
    connection: AdbcConnection, found: pa.ChunkedArray, name: str, first_id: int, limit: int
) -> list[int]:
    """Return the ids of rows whose text in this column is not UTF-8."""
    if found.type != pa.binary() and (found.type != pa.string() or _is_utf8(found)):
        return []  # no text, or only valid text
    name = rescue.quoted(name)
    cells = f"{TABLE}.id AS id, CASE typeof({name}) WHEN 'text' THEN {name} END AS cell"
    table = _query(connection, cells, first_id, limit)
    texts = table.column("cell")
    if texts.type != pa.string():
        return []
    # CAST(... AS BLOB) in SQL would give bytes in the file's own encoding, which may be UTF-16
    pairs = zip(table.column("id").to_pylist(), texts.cast(pa.binary()).to_pylist(), strict=True)
    return [number for number, cell in pairs if cell is not None and not _decodes(cell)]


def _decodes(cell: bytes) -> bool:
    try:
        cell.decode()
    except UnicodeDecodeError:
        return False
    return True
