"""The node files as the oracle reads them: databases and JSON configuration of each turbine, all files of its life.

`databases` opens each in its last committed state. Ids must be integers, none missing, none twice, whatever the table
says of them: else a node's rows cannot be judged. Well-typed files go through one bulk read, and the Arrow types that
come back tell whether every cell had its column's type. Only columns that have a misfit, text that is not UTF-8, or a
name that the schema does not know are looked at cell by cell.

A node that was given fresh files has its retired ones beside the last (`records.GENERATION_IDS`). One taken away from
between them is noticed. The newest, or all, taken away is not: the files alone do not tell how many there were. But
then the lake's ids are not those of the files that are left, and the verdict is that rows are unexpected and others
lost.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import adbc_driver_manager.dbapi
import adbc_driver_sqlite.dbapi
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
from sim.check.read.databases import NodeError, settled, shown

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
_PYTHON: Final[dict[pa.DataType, tuple[type, ...]]] = {
    pa.int64(): (int,),
    pa.float64(): (int, float),
    pa.string(): (str,),
}
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
_ONE_BATCH: Final = (
    "1000000000"  # types are inferred from the first batch of rows: make that all rows
)


@dataclass(frozen=True)
class NodeFile:
    """One turbine's files, as found: the turbine and farm are what the file and its folder are called. `retired`: the
    databases it had before, oldest first."""

    farm: str
    turbine: str
    database: Path
    config: Path
    retired: tuple[Path, ...] = ()


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
    allowed_lateness_s: int
    database: str


def discover(nodes: Path) -> list[NodeFile]:
    """All turbines that have a database or a configuration under `nodes/<farm>/`, sorted by farm and turbine."""
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
            shown(s.parent.name),
            shown(s.name),
            s.with_name(s.name + ".db"),
            s.with_name(s.name + ".json"),
            tuple(path for _, path in sorted(found)),
        )
        for s, found in sorted(retired.items())
    ]


def read_config(file: NodeFile) -> Node:
    """Raises NodeError when the configuration is missing or does not have the fields that the lake depends on."""
    try:
        raw = json.loads(file.config.read_text(encoding="utf-8-sig"))
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
            database=shown(file.database.name),
        )
    except OSError as error:
        why = error.strerror or str(error)
        raise NodeError(
            f"{shown(file.config)}: cannot read the node's configuration: {why}"
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        why = f"{type(error).__name__} {error}"
        raise NodeError(f"{shown(file.config)}: not a node configuration: {why}") from error


def _check_config(raw: dict[str, Any]) -> None:
    """Raise ValueError, TypeError or KeyError where a field is not of the kind that the pipeline takes."""
    json.dumps(raw, ensure_ascii=False).encode()  # no half of a surrogate pair
    texts = {name: raw[name] for name in ("turbine_id", "farm_id", *_IDS, "privacy_key")} | raw[
        "labels"
    ]
    texts |= {name: raw["asset"].get(name) or "" for name in _ASSET_TEXTS}
    for name, value in texts.items():
        if not isinstance(value, str):
            raise TypeError(f"{name} is {value!r}, and must be text")
    for name in ("turbine_id", "farm_id"):
        if not raw[name] or raw[name][0] in "._" or {"/", "\\"} & set(raw[name]):
            raise ValueError(f"{name} is {raw[name]!r}, which cannot name objects")
    for name, least in (("flush_every_s", 1), ("window_s", 1), ("allowed_lateness_s", 0)):
        if type(raw[name]) is not int or raw[name] < least:
            raise ValueError(f"{name} is {raw[name]!r}, and must be whole seconds, {least} or more")
    for name in _ASSET_NUMBERS:
        value = raw["asset"].get(name)
        if value is not None and (type(value) not in (int, float) or not math.isfinite(value)):
            raise ValueError(f"asset.{name} is {value!r}, and must be a number")
    bytes.fromhex(raw["privacy_key"])


def read_rows(file: NodeFile) -> pa.Table:
    """All rows of all of the node's files in id order, schema `NODE_ROWS`, ids as in the lake. Raises NodeError.

    `_rescued_data` is JSON with sorted names; `misfit` tells the rows of which it holds a cell of a known column.
    """
    files = [*file.retired, file.database]
    for number, path in enumerate(files[:-1]):
        if path.name != RETIRED_NAME.format(stem=file.database.stem, generation=number):
            raise NodeError(
                f"{shown(path)}: is there, but not retired file {number} of the node before it"
            )
    if not file.database.is_file():
        raise NodeError(
            f"{shown(file.database)}: no such file; the run's node files must all be there"
        )
    parts = []
    for number, path in enumerate(files):
        if path != file.database and path.stat().st_size == 0:
            continue  # stands for one that is lost
        table = _read_file(path)
        ids = np.asarray(table.column("id"))
        if len(ids) and not (ids[0] >= 1 and ids[-1] < GENERATION_IDS):
            raise NodeError(
                f"{shown(path)}: has ids from {ids[0]} to {ids[-1]}, beyond 1 to {GENERATION_IDS - 1}"
            )
        parts.append(
            table.set_column(0, NODE_ROWS.field("id"), pa.array(ids + number * GENERATION_IDS))
        )
    return pa.concat_tables(parts)


def _read_file(path: Path) -> pa.Table:
    """One file's rows, ids as it has them."""
    try:
        with settled(path) as uri:
            return _read_uri(uri)
    except _BadFile as error:
        raise NodeError(f"{shown(path)}: {error}") from error
    except (
        sqlite3.Error,
        adbc_driver_manager.dbapi.Error,
        OSError,
        pa.ArrowException,
        UnicodeError,
    ) as error:
        raise NodeError(
            f"{shown(path)}: {(str(error) or type(error).__name__).splitlines()[0]}"
        ) from error


class _BadFile(Exception):
    """The sensor table lacks what it must have; the text says what."""


def _read_uri(uri: str) -> pa.Table:
    table = _query(uri, f"SELECT * FROM {TABLE} ORDER BY {TABLE}.id")
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
    """Raise _BadFile unless ids (in order) are integers, none missing, none twice."""
    if ids.null_count:
        raise _BadFile(
            f"{ids.null_count:,} rows have no id; ids must be integers, none missing, none twice"
        )
    if len(ids) and ids.type != pa.int64():
        raise _BadFile("some ids are no integers; ids must be integers, none missing, none twice")
    numbers = np.asarray(ids)
    again = numbers[1:][numbers[1:] <= numbers[:-1]]
    if len(again):
        raise _BadFile(
            f"id {again[0]} stands twice; ids must be integers, none missing, none twice"
        )


def _folded(name: str) -> str:
    """The name as SQLite compares it: only a-z and A-Z are alike."""
    return "".join(c.lower() if c.isascii() else c for c in name)


def _fits(column: pa.ChunkedArray, wanted: pa.DataType) -> bool:
    if column.null_count == len(column):
        return True
    if wanted == pa.string() and column.type == wanted:
        try:
            column.cast(pa.binary()).cast(wanted)
        except pa.ArrowInvalid:
            return False  # not UTF-8
    return bool(column.type == wanted or (wanted == pa.float64() and column.type == pa.int64()))


def _cells(uri: str, name: str) -> list[Any]:
    """One column cell by cell, by id. Text that is not UTF-8 comes as bytes, as blobs do: those of the file, which may
    be UTF-16."""
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
    return cell.hex().upper() if isinstance(cell, bytes) else cell


def _query(uri: str, sql: str) -> pa.Table:
    with adbc_driver_sqlite.dbapi.connect(uri) as connection, connection.cursor() as cursor:
        cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": _ONE_BATCH})
        cursor.execute(sql)
        return cursor.fetch_arrow_table()
