"""The nodes' SQLite files: one per turbine, written block by block, readable by the pipeline (WAL).

Speed: a new file is a copy of a template's bytes. Handles stay open between blocks (at most
`handles`; beyond that the least recently used is closed). One INSERT carries ROWS_PER_INSERT rows.
PRAGMA synchronous is OFF: it matters only when a real disk loses power. Simulated nodes lose power
in virtual time only, and a run that dies is repeated.

A node may set its file aside and begin a fresh one, and its table may gain or lose a channel
(`file_changes` has the times). The old file is closed after a WAL checkpoint and kept as
`pipeline.records.RETIRED_NAME`.

`close` checkpoints the WAL and leaves plain files. Readers that only read them then create no -wal
or -shm file. Beside each database lies the node's configuration (JSON).
"""

from __future__ import annotations

import contextlib
import resource
import sqlite3
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from pipeline.config import NodeConfig
from pipeline.records import (
    GENERATION_IDS,
    NODE_COLUMNS,
    NODE_DDL,
    RETIRED_NAME,
    STATES,
    TABLE,
)
from sim import private
from sim.errors import NodeFileError
from sim.fleet.part import FarmPart
from sim.model.recording.block import Block, FileChange

HANDLES = 512
FILES_PER_HANDLE = 3  # database, -wal, -shm
ROWS_PER_INSERT = 20
_STATES = np.array(STATES, dtype=object)


class NodeWriter:
    """Writer of a part's node files into directory/<farm id>/. A context manager.

    Parts of one farm may be written at the same time.
    """

    def __init__(
        self, directory: Path, part: FarmPart, configs: Sequence[NodeConfig], handles: int = HANDLES
    ) -> None:
        self.folder, ids = directory / part.farm.farm_id, part.turbine_ids
        self.paths = [self.folder / f"{turbine_id}.db" for turbine_id in ids]
        self._handles = min(handles, _files_allowed(handles * FILES_PER_HANDLE) // FILES_PER_HANDLE)
        self._open: OrderedDict[int, sqlite3.Connection] = OrderedDict()
        self._whole = [_insert(turbine_id, ROWS_PER_INSERT) for turbine_id in ids]
        self._turbine_ids = ids
        self._unfinished = set(range(part.turbines))
        self._retired: dict[int, int] = {}  # number of files by turbine
        # statements that give a fresh file of a turbine its current columns
        self._altered: dict[int, list[str]] = {}
        self._columns: dict[int, tuple[str, ...]] = {}  # by turbine, where they changed
        with _as_node_file_error(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._template = _template(self.folder / f".template-{part.name}.db")
        for path, config in zip(self.paths, configs, strict=True):
            with _as_node_file_error(path):
                path.write_bytes(self._template)
                private.write(path.with_suffix(".json"), f"{config.to_json()}\n".encode())

    def write(self, block: Block) -> None:
        """Append a block and apply its file changes, with a transaction per node and file.

        Raises NodeFileError.
        """
        changes: dict[int, list[FileChange]] = {}
        for change in block.changes:
            changes.setdefault(change.turbine, []).append(change)
        offsets = block.offsets.tolist()
        for turbine, (low, high) in enumerate(pairwise(offsets)):
            for change in changes.get(turbine, ()):
                self._append(turbine, block, low, change.row)
                low = change.row
                self._change(change)
            self._append(turbine, block, low, high)

    def replace(self, turbine: int) -> None:
        """Set the node's file aside after a WAL checkpoint, and begin a fresh one.

        Raises NodeFileError.
        """
        path, number = self.paths[turbine], self._retired.get(turbine, 0)
        with _as_node_file_error(path):
            with contextlib.closing(self._connection(turbine)) as connection:
                del self._open[turbine]
                connection.execute("PRAGMA busy_timeout = 1000")
                # a -wal file left here would be read as the fresh file's
                connection.execute("PRAGMA journal_mode = DELETE")
            path.rename(path.with_name(RETIRED_NAME.format(stem=path.stem, generation=number)))
            path.write_bytes(self._template)
            self._retired[turbine] = number + 1
            for statement in self._altered.get(turbine, ()):
                self._connection(turbine).execute(statement)

    def add_channel(self, turbine: int, name: str) -> None:
        """Add a column to the node's file. Raises NodeFileError."""
        statement = f'ALTER TABLE {TABLE} ADD COLUMN "{name}" REAL'
        with _as_node_file_error(self.paths[turbine]):
            self._connection(turbine).execute(statement)
        self._altered.setdefault(turbine, []).append(statement)
        self._columns[turbine] = (*self._columns.get(turbine, NODE_COLUMNS), name)

    def drop_channel(self, turbine: int, name: str) -> None:
        """Begin a fresh file without this column, so that no stored row is rewritten.

        Raises NodeFileError.
        """
        self._altered.setdefault(turbine, []).append(f'ALTER TABLE {TABLE} DROP COLUMN "{name}"')
        self._columns[turbine] = tuple(
            c for c in self._columns.get(turbine, NODE_COLUMNS) if c != name
        )
        self.replace(turbine)

    def _change(self, change: FileChange) -> None:
        if change.kind == "node.replaced":
            self.replace(change.turbine)
        else:
            assert change.channel is not None
            (self.add_channel if change.kind == "schema.added" else self.drop_channel)(
                change.turbine, change.channel
            )

    def _append(self, turbine: int, block: Block, low: int, high: int) -> None:
        """Append rows low..high-1 of a block, then replace their cells of other types.

        Raises NodeFileError.
        """
        if low == high:
            return
        names = self._columns.get(turbine, NODE_COLUMNS)
        stored = [name for name in names if name != "turbine_id"]
        width = len(stored)
        flat: list[Any] = [None] * ((high - low) * width)
        for position, name in enumerate(stored):
            flat[position::width] = _values(block, name, slice(low, high))
        stride = ROWS_PER_INSERT * width
        whole = len(flat) - len(flat) % stride
        turbine_id = self._turbine_ids[turbine]
        statement = (
            self._whole[turbine]
            if names is NODE_COLUMNS
            else _insert(turbine_id, ROWS_PER_INSERT, names)
        )
        with _as_node_file_error(self.paths[turbine]):
            execute = self._connection(turbine).execute
            execute("BEGIN")
            for start in range(0, whole, stride):
                execute(statement, flat[start : start + stride])
            if whole < len(flat):
                execute(_insert(turbine_id, (len(flat) - whole) // width, names), flat[whole:])
            for row, name in block.cells:
                if low <= row < high:
                    value = block.cells[row, name]
                    (number,) = _values(block, "id", slice(row, row + 1))
                    execute(f"UPDATE {TABLE} SET {name} = ? WHERE id = ?", (value, number))
            execute("COMMIT")

    def _connection(self, turbine: int) -> sqlite3.Connection:
        connection = self._open.get(turbine)
        if connection is not None:
            self._open.move_to_end(turbine)
            return connection
        while len(self._open) >= self._handles:
            oldest, connection = self._open.popitem(last=False)
            with _as_node_file_error(self.paths[oldest]):
                connection.close()
        connection = sqlite3.connect(self.paths[turbine], isolation_level=None)
        self._open[turbine] = connection
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    def close(self) -> None:
        """Finish every file: roll back open transactions, checkpoint the WAL. Safe to repeat.

        A file that somebody still reads stays in WAL mode. Raises the first NodeFileError, after
        finishing the others.
        """
        first: NodeFileError | None = None
        while self._unfinished:
            turbine = self._unfinished.pop()
            try:
                with (
                    _as_node_file_error(self.paths[turbine]),
                    contextlib.closing(self._connection(turbine)) as connection,
                ):
                    del self._open[turbine]
                    _finish(connection)
            except NodeFileError as error:
                first = first or error
        if first is not None:
            raise first

    def __enter__(self) -> NodeWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            with contextlib.suppress(NodeFileError):  # the first error is the one to report
                self.close()


def _insert(turbine_id: str, rows: int, names: Sequence[str] = NODE_COLUMNS) -> str:
    """An INSERT statement of `rows` rows.

    The turbine's id is part of its text, so each row has one value less to bind.
    """
    row = ", ".join(f"'{turbine_id}'" if name == "turbine_id" else "?" for name in names)
    return f"INSERT INTO {TABLE} ({', '.join(names)}) VALUES {', '.join([f'({row})'] * rows)}"


def _values(block: Block, name: str, rows: slice) -> list[Any]:
    """Return cells of a column of the table as Python values; ids as in the file.

    SQLite stores NaN as NULL.
    """
    if name == "id":
        return (block.columns["id"][rows] % GENERATION_IDS).tolist()  # type: ignore[no-any-return]
    if name == "status":
        return _STATES[block.columns["status"][rows]].tolist()  # type: ignore[no-any-return]
    column = block.extra[name] if name in block.extra else block.columns[name]
    return column[rows].tolist()  # type: ignore[no-any-return]


def _template(path: Path) -> bytes:
    """The bytes of an empty node database in WAL mode.

    Copying them is forty times faster than creating a database.
    """
    path.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(NODE_DDL)
        connection.commit()
    data = path.read_bytes()
    path.unlink()
    return data


def _files_allowed(wanted: int) -> int:
    """Number of files that this process may use for node databases.

    Raises the soft limit if it is too low, up to the hard limit.
    """
    spare = 640  # connections of 256 calls, as many idle ones, libraries and readers
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted + spare:
        soft = wanted + spare if hard == resource.RLIM_INFINITY else min(wanted + spare, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(
        FILES_PER_HANDLE, wanted if soft == resource.RLIM_INFINITY else min(wanted, soft - spare)
    )


def _finish(connection: sqlite3.Connection) -> None:
    """Turn a WAL database into a plain file.

    A read-only reader of a WAL database would leave a -wal and a -shm file.
    """
    if connection.in_transaction:
        connection.rollback()
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname != "SQLITE_BUSY":
            raise
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")


@contextlib.contextmanager
def _as_node_file_error(path: Path) -> Iterator[None]:
    """Raise errors of SQLite and the file system as NodeFileError that names the file."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        if isinstance(error, NodeFileError):
            raise
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise NodeFileError(f"{path}: cannot write the node's database: {reason}") from error
