"""Node files: the databases and the JSON configuration of each turbine, with all retired databases.

`databases` opens each file in its last committed state. Ids must be integers, without nulls or
duplicates, regardless of the table's declaration; otherwise a node's rows cannot be judged. One
query reads all rows. The Arrow types of the result show if every cell has its column's type.
Only these columns are read again, cell by cell: columns with a misfit, with text that is not UTF-8,
or with a name that the schema does not have.

A node that got a fresh file has its retired ones beside the current one (`records.GENERATION_IDS`).
A gap in their numbers is detected. Not detected is the loss of the newest retired file or of all of
them, since the files do not show their number. The lake's ids then do not match the remaining
files: the oracle reports some rows as unexpected and others as lost.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import sqlite3
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import adbc_driver_manager
import adbc_driver_sqlite
import numpy as np
import pyarrow as pa

from pipeline.records import (
    CHANNEL_NAMES,
    GENERATION_IDS,
    NODE_COLUMNS,
    REQUIRED_COLUMNS,
    RESCUED,
    RETIRED_NAME,
    TABLE,
)
from sim.check.read.databases import NodeError, path_text, settled

_TYPES: Final = {
    "id": pa.int64(),
    "timestamp": pa.int64(),
    "recorded_at": pa.int64(),
    "turbine_id": pa.string(),
    **dict.fromkeys(CHANNEL_NAMES, pa.float64()),
    "status": pa.string(),
}
NODE_ROWS: Final = pa.schema(
    [
        *((name, _TYPES[name]) for name in NODE_COLUMNS),
        (RESCUED, pa.string()),
        ("misfit", pa.bool_()),
    ]
)
_PLAIN: Final = pa.schema([(name, _TYPES[name]) for name in NODE_COLUMNS])
"""Schema of a file in which every cell has its column's type. Of nulls only, it is another."""
_TEXTS: Final = ("turbine_id", "status")
_PYTHON: Final[dict[pa.DataType, tuple[type, ...]]] = {
    pa.int64(): (int,),
    pa.float64(): (int, float),
    pa.string(): (str,),
}
_ID_RULE: Final = "ids must be integers without nulls or duplicates"
_IDS: Final = ("job_id", "execution_id", "node_id")
_ASSET_NUMBERS: Final = ("rated_power", "rated_rpm", "hub_height", "latitude", "longitude")
_ASSET_TEXTS: Final = (
    "turbine_type",
    "serial_number",
    "installation_date",
    "operator_contact",
    "technician",
)
_RETIRED: Final = re.compile(r"(?P<turbine>.+)\.retired-(?P<number>0|[1-9]\d*)")
_BATCH_ROWS: Final = (100_000, 1_000_000_000)
"""Rows per batch of the driver: first, and for a file with more rows.

The driver infers types from the first batch, which must be all rows. A bound that no file has costs
0.6 CPU-ms a file.
"""


@dataclass(frozen=True)
class NodeFile:
    """One turbine's files, as found.

    `turbine` and `farm` are the names of the file and of its folder. `retired`: former databases,
    oldest first.
    """

    farm: str
    turbine: str
    database: Path
    config: Path
    retired: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Node:
    """The part of a node's configuration that affects the lake. Powers in MW, times in seconds.

    `asset` is as in the file.
    """

    turbine: str
    farm: str
    ids: dict[str, str]
    labels: dict[str, str]
    asset: dict[str, Any]
    privacy_key: str
    flush_every_s: int
    window_s: int
    allowed_lateness_s: int
    database: str


def discover(nodes: Path) -> list[NodeFile]:
    """List turbines with a database or a configuration in `nodes/<farm>/`, by farm and turbine."""
    retired: dict[Path, list[tuple[int, Path]]] = {}
    for path in (path for ending in ("db", "json") for path in nodes.glob(f"*/*.{ending}")):
        old = _RETIRED.fullmatch(path.stem) if path.suffix == ".db" else None
        found = retired.setdefault(
            path.with_name(old["turbine"]) if old else path.with_suffix(""), []
        )
        if old:
            found.append((int(old["number"]), path))
    return [
        NodeFile(
            path_text(s.parent.name),
            path_text(s.name),
            s.with_name(s.name + ".db"),
            s.with_name(s.name + ".json"),
            tuple(path for _, path in sorted(found)),
        )
        for s, found in sorted(retired.items())
    ]


def read_config(file: NodeFile) -> Node:
    """Read a node's configuration. Raises NodeError if a required field is missing or wrong."""
    try:
        text = file.config.read_text(encoding="utf-8-sig")
        raw = json.loads(text)
        if "\\u" in text:
            json.dumps(raw, ensure_ascii=False).encode()  # raises for half a surrogate pair
        _check_config(raw)
        asset = raw["asset"]
        asset["power_curve"] = [(float(v), float(p)) for v, p in asset["power_curve"]]
        return Node(
            turbine=raw["turbine_id"],
            farm=raw["farm_id"],
            ids={name: raw[name] for name in _IDS},
            labels=raw["labels"],
            asset=asset,
            privacy_key=raw["privacy_key"],
            flush_every_s=raw["flush_every_s"],
            window_s=raw["window_s"],
            allowed_lateness_s=raw["allowed_lateness_s"],
            database=path_text(file.database.name),
        )
    except OSError as error:
        why = error.strerror or str(error)
        raise NodeError(
            f"{path_text(file.config)}: cannot read the node's configuration: {why}"
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        why = f"{type(error).__name__} {error}"
        raise NodeError(f"{path_text(file.config)}: not a node configuration: {why}") from error


def _check_config(raw: dict[str, Any]) -> None:
    """Raise ValueError, TypeError or KeyError for a field that the pipeline does not accept."""
    texts = {name: raw[name] for name in ("turbine_id", "farm_id", *_IDS, "privacy_key")} | raw[
        "labels"
    ]
    texts |= {name: raw["asset"].get(name) or "" for name in _ASSET_TEXTS}
    for name, value in texts.items():
        if not isinstance(value, str):
            raise TypeError(f"{name} is {value!r}, must be text")
    for name in ("turbine_id", "farm_id"):
        if not raw[name] or raw[name][0] in "._" or {"/", "\\"} & set(raw[name]):
            raise ValueError(f"{name} is {raw[name]!r}, must be usable in object keys")
    for name, least in (("flush_every_s", 1), ("window_s", 1), ("allowed_lateness_s", 0)):
        if type(raw[name]) is not int or raw[name] < least:
            raise ValueError(f"{name} is {raw[name]!r}, must be whole seconds, at least {least}")
    for name in _ASSET_NUMBERS:
        value = raw["asset"].get(name)
        if value is not None and (type(value) not in (int, float) or not math.isfinite(value)):
            raise ValueError(f"asset.{name} is {value!r}, must be a number")
    bytes.fromhex(raw["privacy_key"])


def read_rows(file: NodeFile) -> pa.Table:
    """Read all rows of all of a node's files, in id order, with ids as in the lake.

    Schema `NODE_ROWS`. `_rescued_data` is JSON with sorted names. `misfit` marks rows with a
    rescued cell of a known column. Raises NodeError.
    """
    files = [*file.retired, file.database]
    for number, path in enumerate(files[:-1]):
        if path.name != RETIRED_NAME.format(stem=file.database.stem, generation=number):
            raise NodeError(f"{path_text(path)}: retired file {number} of the node is missing")
    if not file.database.is_file():
        raise NodeError(
            f"{path_text(file.database)}: no such file; the oracle needs all node files of the run"
        )
    parts = []
    for number, path in enumerate(files):
        if path != file.database and path.stat().st_size == 0:
            continue  # an empty file stands for a lost one
        table = _read_file(path)
        ids = np.asarray(table.column("id"))
        if len(ids) and not (ids[0] >= 1 and ids[-1] < GENERATION_IDS):
            raise NodeError(
                f"{path_text(path)}: ids are {ids[0]} to {ids[-1]}, "
                f"must be within 1 to {GENERATION_IDS - 1}"
            )
        if number:
            own = pa.array(ids + number * GENERATION_IDS)
            table = table.set_column(0, NODE_ROWS.field("id"), own)
        parts.append(table)
    return pa.concat_tables(parts)


def _read_file(path: Path) -> pa.Table:
    """Read one file's rows, with its own ids."""
    try:
        with settled(path) as uri:
            return _read_uri(uri)
    except _BadFile as error:
        raise NodeError(f"{path_text(path)}: {error}") from error
    except (
        sqlite3.Error,
        adbc_driver_manager.Error,
        OSError,
        pa.ArrowException,
        UnicodeError,
    ) as error:
        raise NodeError(
            f"{path_text(path)}: {(str(error) or type(error).__name__).splitlines()[0]}"
        ) from error


class _BadFile(Exception):
    """The sensor table is incomplete or has invalid ids. The text names the problem."""


def _read_uri(uri: str) -> pa.Table:
    table = _query(uri, f"SELECT * FROM {TABLE} ORDER BY {TABLE}.id")
    if table.schema.equals(_PLAIN) and all(_fits(table.column(n), pa.string()) for n in _TEXTS):
        _check_ids(table.column("id"))
        rest = [pa.nulls(len(table), pa.string()), pa.array(np.zeros(len(table), dtype=bool))]
        return pa.Table.from_arrays([*table.columns, *rest], schema=NODE_ROWS)
    return _mixed(uri, table)


def _mixed(uri: str, table: pa.Table) -> pa.Table:
    """Return the rows of any table: cells of another type and unknown columns are rescued."""
    names = {_folded(name): name for name in table.column_names}
    if missing := [name for name in REQUIRED_COLUMNS if name not in names]:
        raise _BadFile(f"no such column: {', '.join(missing)}")
    _check_ids(table.column(names["id"]))
    rescued: dict[int, dict[str, Any]] = {}
    misfit: set[int] = set()
    columns = []
    for name, wanted in _TYPES.items():
        column = table.column(names[name]) if name in names else pa.nulls(len(table))
        if not _fits(column, wanted):
            fitting = []
            for i, cell in enumerate(_cells(uri, names[name])):
                fits = cell is None or isinstance(cell, _PYTHON[wanted])
                fitting.append(cell if fits else None)
                if not fits:
                    rescued.setdefault(i, {})[name] = _plain(cell)
                    misfit.add(i)
            column = pa.array(fitting, pa.float64() if wanted == pa.float64() else wanted)
        columns.append(column.cast(wanted, safe=False))
    for folded, name in names.items():
        if folded not in _TYPES and table.column(name).null_count < len(table):
            for i, cell in enumerate(_cells(uri, name)):
                if cell is not None:
                    rescued.setdefault(i, {})[name] = _plain(cell)
    texts = pa.nulls(len(table), pa.string())
    if rescued:
        cells = (rescued.get(i) for i in range(len(table)))
        texts = pa.array(
            [json.dumps(cell, sort_keys=True) if cell else None for cell in cells], pa.string()
        )
    columns.append(texts)
    marks = np.zeros(len(table), dtype=bool)
    marks[list(misfit)] = True
    return pa.table([*columns, pa.array(marks)], schema=NODE_ROWS)


def _check_ids(ids: pa.ChunkedArray) -> None:
    """Raise _BadFile unless ids (in order) are integers without nulls or duplicates."""
    if ids.null_count:
        raise _BadFile(f"rows without an id: {ids.null_count:,}; {_ID_RULE}")
    if len(ids) and ids.type != pa.int64():
        raise _BadFile(f"some ids are not integers; {_ID_RULE}")
    numbers = np.asarray(ids)
    again = numbers[1:][numbers[1:] <= numbers[:-1]]
    if len(again):
        raise _BadFile(f"id {again[0]} is in the table twice; {_ID_RULE}")


@lru_cache(maxsize=256)
def _folded(name: str) -> str:
    """Return a name as SQLite compares it: case counts, except for a-z and A-Z."""
    return "".join(c.lower() if c.isascii() else c for c in name)


def _fits(column: pa.ChunkedArray, wanted: pa.DataType) -> bool:
    """Return True if every cell of a column has the type of its schema."""
    if column.null_count == len(column):
        return True
    if wanted == pa.string() and column.type == wanted:
        try:
            column.validate(full=True)
        except pa.ArrowInvalid:
            return False  # text that is not UTF-8
    return bool(column.type == wanted or (wanted == pa.float64() and column.type == pa.int64()))


def _cells(uri: str, name: str) -> list[Any]:
    """Read one column cell by cell, by id.

    Blobs are bytes. Text that is not UTF-8 becomes the bytes in the file, which may be UTF-16.
    """
    quoted = '"' + name.replace('"', '""') + '"'
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
        connection.text_factory = _text
        sql = f"SELECT {quoted}, CAST({quoted} AS BLOB) FROM {TABLE} ORDER BY {TABLE}.id"
        return [raw if isinstance(cell, bytes) else cell for cell, raw in connection.execute(sql)]


def _text(raw: bytes) -> str | bytes:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _plain(cell: Any) -> Any:
    """Return a rescued cell as it stands in JSON: zero has no sign."""
    if isinstance(cell, bytes):
        return cell.hex().upper()
    return cell + 0.0 if isinstance(cell, float) else cell


def _query(uri: str, sql: str) -> pa.Table:
    for rows in _BATCH_ROWS:
        batch, schema = _first_batch(uri, sql, rows)
        if batch is None or len(batch) < rows:
            break
    return pa.Table.from_batches([] if batch is None else [batch], schema)


def _first_batch(uri: str, sql: str, rows: int) -> tuple[pa.RecordBatch | None, pa.Schema]:
    """Return the first rows of a query, None without any, and the schema of all."""
    with (
        adbc_driver_sqlite.connect(uri) as database,
        adbc_driver_manager.AdbcConnection(database) as connection,
        adbc_driver_manager.AdbcStatement(connection) as statement,
    ):
        statement.set_options(**{adbc_driver_sqlite.StatementOptions.BATCH_ROWS.value: str(rows)})
        statement.set_sql_query(sql)
        with pa.RecordBatchReader.from_stream(statement.execute_query()[0]) as reader:
            return next(reader, None), reader.schema
