"""The node files as the oracle reads them: SQLite database and JSON configuration, one pair per turbine.

Opened read-only. A database without a write-ahead log is opened as immutable, so that nothing appears beside it; one
with a log is read with its log. Well-typed files go through one bulk read, and the Arrow types that come back tell
whether every cell had its column's type. Only for a file that has a misfit is the type asked cell by cell.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import adbc_driver_manager.dbapi
import adbc_driver_sqlite.dbapi
import pyarrow as pa

from pipeline.records import CHANNEL_NAMES, NODE_COLUMNS, RESCUED, TABLE

_TYPES: Final = {
    "id": pa.int64(),
    "timestamp": pa.int64(),
    "recorded_at": pa.int64(),
    "turbine_id": pa.string(),
    **dict.fromkeys(CHANNEL_NAMES, pa.float64()),
    "status": pa.string(),
}
NODE_ROWS: Final = pa.schema([*((name, _TYPES[name]) for name in NODE_COLUMNS), (RESCUED, pa.string())])
_STORAGE: Final = {pa.int64(): ("integer",), pa.float64(): ("real", "integer"), pa.string(): ("text",)}
_CAST: Final = {pa.int64(): "INTEGER", pa.float64(): "REAL", pa.string(): "TEXT"}
_ONE_BATCH: Final = "1000000000"  # types are inferred from the first batch of rows: make that all rows


class NodeError(Exception):
    """A node's files cannot be read; the text names the file and why."""


@dataclass(frozen=True)
class NodeFile:
    """One turbine's files, as found: the turbine and farm are what the file and its folder are called."""

    farm: str
    turbine: str
    database: Path
    config: Path


@dataclass(frozen=True)
class Node:
    """A node's configuration as far as the lake shows it. Powers MW, times whole seconds. `asset` as in the file."""

    turbine: str
    farm: str
    ids: dict[str, str]
    labels: dict[str, str]
    asset: dict[str, Any]
    privacy_key: str
    flush_every_s: int
    window_s: int
    database: str


def discover(nodes: Path) -> list[NodeFile]:
    """All turbines that have a database or a configuration under `nodes/<farm>/`, sorted by farm and turbine."""
    stems = {path.with_suffix("") for ending in ("db", "json") for path in nodes.glob(f"*/*.{ending}")}
    return [
        NodeFile(s.parent.name, s.name, s.with_name(s.name + ".db"), s.with_name(s.name + ".json"))
        for s in sorted(stems)
    ]


def read_config(file: NodeFile) -> Node:
    """Raises NodeError when the configuration is missing or does not have the fields that the lake depends on."""
    try:
        raw = json.loads(file.config.read_text())
        asset = raw["asset"]
        asset["power_curve"] = [(float(v), float(p)) for v, p in asset["power_curve"]]
        return Node(
            turbine=str(raw["turbine_id"]),
            farm=str(raw["farm_id"]),
            ids={name: str(raw[name]) for name in ("job_id", "execution_id", "node_id")},
            labels=dict(raw["labels"]),
            asset=asset,
            privacy_key=str(raw["privacy_key"]),
            flush_every_s=int(raw["flush_every_s"]),
            window_s=int(raw["window_s"]),
            database=file.database.name,
        )
    except OSError as error:
        raise NodeError(f"{file.config}: cannot read the node's configuration: {error.strerror}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise NodeError(f"{file.config}: not a node configuration: {type(error).__name__} {error}") from error


def read_rows(file: NodeFile) -> pa.Table:
    """All rows in id order, schema `NODE_ROWS`; `_rescued_data` is JSON with sorted names. Raises NodeError."""
    if not file.database.is_file():
        raise NodeError(f"{file.database}: no such file; the run's node files must all be there")
    columns = ", ".join(NODE_COLUMNS)  # unquoted: SQLite takes a quoted name it does not know for a string
    try:
        table = _query(file, f"SELECT {columns} FROM {TABLE} ORDER BY id")
    except (adbc_driver_manager.dbapi.Error, OSError) as error:
        table = None
        if "no such" in str(error) or "not a database" in str(error) or "malformed" in str(error):
            raise NodeError(f"{file.database}: {str(error).splitlines()[0]}") from error
    if table is not None and all(_fits(table.column(name), _TYPES[name]) for name in NODE_COLUMNS):
        return table.cast(pa.schema(list(NODE_ROWS)[:-1])).append_column(RESCUED, pa.nulls(len(table), pa.string()))
    return _read_misfits(file)


def _fits(column: pa.ChunkedArray, wanted: pa.DataType) -> bool:
    exact: bool = column.type == wanted or column.null_count == len(column)
    return exact or bool(wanted == pa.float64() and column.type == pa.int64())


def _read_misfits(file: NodeFile) -> pa.Table:
    """The same for a file with cells of a wrong type: those cells are null, and their values are rescued."""
    cells: dict[int, dict[str, Any]] = {}
    selected = []
    try:
        connection = sqlite3.connect(_uri(file), uri=True)
        connection.text_factory = lambda raw: raw.decode(errors="replace")
        for name in NODE_COLUMNS:
            kinds = ", ".join(f"'{kind}'" for kind in _STORAGE[_TYPES[name]])
            selected.append(f"CASE WHEN typeof({name}) IN ({kinds}) THEN CAST({name} AS {_CAST[_TYPES[name]]}) END")
            misfits = f"SELECT id, {name} FROM {TABLE} WHERE typeof({name}) NOT IN ('null', {kinds})"
            for number, value in connection.execute(misfits):
                cells.setdefault(number, {})[name] = value.hex().upper() if isinstance(value, bytes) else value
        connection.close()
        named = ", ".join(f"{cell} AS {name}" for cell, name in zip(selected, NODE_COLUMNS, strict=True))
        table = _query(file, f"SELECT {named} FROM {TABLE} ORDER BY {TABLE}.id").cast(pa.schema(list(NODE_ROWS)[:-1]))
    except (sqlite3.Error, adbc_driver_manager.dbapi.Error, OSError, pa.ArrowInvalid) as error:
        raise NodeError(f"{file.database}: {str(error).splitlines()[0]}") from error
    texts = [json.dumps(cells[i], sort_keys=True) if i in cells else None for i in table.column("id").to_pylist()]
    return table.append_column(RESCUED, pa.array(texts, pa.string()))


def _uri(file: NodeFile) -> str:
    log = file.database.with_name(file.database.name + "-wal")
    mode = "mode=ro" if log.exists() and log.stat().st_size else "mode=ro&immutable=1"
    return f"file:{quote(str(file.database.resolve()))}?{mode}"


def _query(file: NodeFile, sql: str) -> pa.Table:
    with adbc_driver_sqlite.dbapi.connect(_uri(file)) as connection, connection.cursor() as cursor:
        cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": _ONE_BATCH})
        cursor.execute(sql)
        return cursor.fetch_arrow_table()
