"""Node files by hand: rows in by INSERTs of many rows, rows out by one ADBC query a file."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import adbc_driver_sqlite.dbapi as adbc
import pyarrow as pa

from pipeline.records import NODE_COLUMNS, NODE_DDL, STATES, TABLE
from sim.model.recording.block import Block

ROWS_PER_INSERT: Final = 20


def template(folder: Path) -> bytes:
    """Return the bytes of an empty node file in WAL mode."""
    path = folder / ".template.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(NODE_DDL)
        connection.commit()
    data = path.read_bytes()
    path.unlink()
    return data


def write(block: Block, folder: Path, empty: bytes, turbine_ids: Sequence[str]) -> None:
    """Write a file per turbine, each in one transaction. empty: of `template`."""
    columns = block.columns
    lists = [
        columns[name].tolist() for name in NODE_COLUMNS if name not in ("turbine_id", "status")
    ]
    lists.append([STATES[code] for code in columns["status"].tolist()])
    width = len(lists)
    stride = ROWS_PER_INSERT * width
    for turbine, name in enumerate(turbine_ids):
        low, high = int(block.offsets[turbine]), int(block.offsets[turbine + 1])
        path = folder / f"{name}.db"
        path.write_bytes(empty)
        one = ",".join(f"'{name}'" if c == "turbine_id" else "?" for c in NODE_COLUMNS)
        flat: list[Any] = [None] * ((high - low) * width)
        for place, column in enumerate(lists):
            flat[place::width] = column[low:high]
        whole = len(flat) - len(flat) % stride
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("BEGIN")
            statement = f"INSERT INTO {TABLE} VALUES " + ",".join([f"({one})"] * ROWS_PER_INSERT)
            for at in range(0, whole, stride):
                connection.execute(statement, flat[at : at + stride])
            if rest := (len(flat) - whole) // width:
                statement = f"INSERT INTO {TABLE} VALUES " + ",".join([f"({one})"] * rest)
                connection.execute(statement, flat[whole:])
            connection.execute("COMMIT")


def read(paths: Sequence[Path], rows: int) -> list[pa.Table]:
    """Return all rows of each file. rows: more than any file has, so that a table is one batch."""
    tables = []
    for path in paths:
        with (
            adbc.connect(f"file:{path}?mode=ro&immutable=1") as connection,
            connection.cursor() as cursor,
        ):
            cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(rows)})
            cursor.execute(f"SELECT * FROM {TABLE}")
            tables.append(cursor.fetch_arrow_table())
    return tables
