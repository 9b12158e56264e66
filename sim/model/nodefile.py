"""The nodes' SQLite files: one per turbine, written block by block, readable by the pipeline all the while (WAL).

Fast because a new file is a copy of a template's bytes, handles stay open between blocks (at most `handles`; the least
recently used is closed beyond that), and one INSERT carries ROWS_PER_INSERT rows. PRAGMA synchronous is OFF: it decides
what a power cut does to a real disk; simulated nodes lose power in virtual time only, and a run that dies is repeated.

`close` folds the WAL in and leaves plain files, without -wal or -shm, that read-only readers leave as they are. Beside
each database lies the node's configuration (JSON).
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

from pipeline.config import NodeConfig
from pipeline.records import CHANNEL_NAMES, NODE_COLUMNS, NODE_DDL, STATES, TABLE
from sim.fleet.farm import Farm
from sim.model.block import Block

HANDLES = 512
FILES_PER_HANDLE = 3  # database, -wal, -shm
ROWS_PER_INSERT = 20


class NodeFileError(OSError):
    """A node's file cannot be written; the text names the file and why (disk full, no permission, not SQLite)."""


class NodeWriter:
    """Writes the node files of one farm into directory/<farm id>/. A context manager."""

    def __init__(self, directory: Path, farm: Farm, configs: Sequence[NodeConfig], handles: int = HANDLES) -> None:
        self.folder = directory / farm.farm_id
        self.paths = [self.folder / f"{turbine_id}.db" for turbine_id in farm.turbine_ids]
        self._handles = min(handles, _files_allowed(handles * FILES_PER_HANDLE) // FILES_PER_HANDLE)
        self._open: OrderedDict[int, sqlite3.Connection] = OrderedDict()
        self._whole = [_insert(turbine_id, ROWS_PER_INSERT) for turbine_id in farm.turbine_ids]
        self._turbine_ids = farm.turbine_ids
        self._unfinished = set(range(farm.turbines))
        with _naming(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            template = _template(self.folder / ".template.db")
        for path, config in zip(self.paths, configs, strict=True):
            with _naming(path):
                path.write_bytes(template)
                path.with_suffix(".json").write_text(config.to_json() + "\n")

    def write(self, block: Block) -> None:
        """Append a block: one transaction per node. Raises NodeFileError."""
        lists = _lists(block)
        odd = sorted(block.cells)
        offsets = block.offsets.tolist()
        for turbine, (low, high) in enumerate(pairwise(offsets)):
            if low < high:
                with _naming(self.paths[turbine]):
                    cells = [(name, block.cells[row, name], lists[0][row]) for row, name in odd if low <= row < high]
                    self._append(turbine, lists, low, high, cells)

    def _append(
        self, turbine: int, lists: list[list[Any]], low: int, high: int, cells: Sequence[tuple[str, Any, int]]
    ) -> None:
        """Rows low..high-1 of a block, and then the cells (column, value, id) that hold something else."""
        width = len(lists)
        flat: list[Any] = [None] * ((high - low) * width)
        for position, column in enumerate(lists):
            flat[position::width] = column[low:high]
        connection = self._connection(turbine)
        stride = ROWS_PER_INSERT * width
        whole = len(flat) - len(flat) % stride
        execute, statement = connection.execute, self._whole[turbine]
        execute("BEGIN")
        for start in range(0, whole, stride):
            execute(statement, flat[start : start + stride])
        if whole < len(flat):
            execute(_insert(self._turbine_ids[turbine], (len(flat) - whole) // width), flat[whole:])
        for name, value, number in cells:
            execute(f"UPDATE {TABLE} SET {name} = ? WHERE id = ?", (value, number))
        execute("COMMIT")

    def _connection(self, turbine: int) -> sqlite3.Connection:
        connection = self._open.get(turbine)
        if connection is not None:
            self._open.move_to_end(turbine)
            return connection
        while len(self._open) >= self._handles:
            oldest, connection = self._open.popitem(last=False)
            with _naming(self.paths[oldest]):
                connection.close()
        connection = sqlite3.connect(self.paths[turbine], isolation_level=None)
        self._open[turbine] = connection
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    def close(self) -> None:
        """Finish every file: what is half written is rolled back, the WAL folded in and given up. Safe to call again.

        Raises the first NodeFileError, after finishing the others. A file that somebody still reads stays in WAL mode.
        """
        first: NodeFileError | None = None
        while self._unfinished:
            turbine = self._unfinished.pop()
            try:
                with _naming(self.paths[turbine]), contextlib.closing(self._connection(turbine)) as connection:
                    del self._open[turbine]
                    _finish(connection)
            except NodeFileError as error:
                first = first or error
        if first is not None:
            raise first

    def __enter__(self) -> NodeWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            with contextlib.suppress(NodeFileError):  # what went wrong first is what the user must read
                self.close()


def _insert(turbine_id: str, rows: int) -> str:
    """An INSERT of so many rows; the turbine's id is part of the text, one value less to bind per row."""
    row = ", ".join(f"'{turbine_id}'" if name == "turbine_id" else "?" for name in NODE_COLUMNS)
    return f"INSERT INTO {TABLE} ({', '.join(NODE_COLUMNS)}) VALUES {', '.join([f'({row})'] * rows)}"


def _lists(block: Block) -> list[list[Any]]:
    """The columns in the order of the table, turbine_id left out, as Python values. SQLite stores NaN as NULL."""
    columns = block.columns
    names = [STATES[index] for index in columns["status"].tolist()]
    return [columns[n].tolist() for n in ("id", "timestamp", "recorded_at", *CHANNEL_NAMES)] + [names]


def _template(path: Path) -> bytes:
    """The bytes of an empty node database in WAL mode: copying them is forty times faster than making one."""
    path.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(NODE_DDL)
        connection.commit()
    data = path.read_bytes()
    path.unlink()
    return data


def _files_allowed(wanted: int) -> int:
    """How many files this process may use for node databases; raises the soft limit as far as the hard one allows."""
    spare = 256  # for everything else: sockets, libraries, the pipeline's own readers
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted + spare:
        soft = wanted + spare if hard == resource.RLIM_INFINITY else min(wanted + spare, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(FILES_PER_HANDLE, wanted if soft == resource.RLIM_INFINITY else min(wanted, soft - spare))


def _finish(connection: sqlite3.Connection) -> None:
    """From WAL to a plain file: a read-only reader of a WAL file leaves a -wal and a -shm behind."""
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
def _naming(path: Path) -> Iterator[None]:
    """Errors of SQLite and the file system as NodeFileError that name the file."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        if isinstance(error, NodeFileError):
            raise
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise NodeFileError(f"{path}: cannot write the node's database: {why}") from error
