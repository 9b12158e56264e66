"""The state of Spark in a warehouse.

    <warehouse>/spark/state.json     the place and version that the folder is of
    <warehouse>/spark/tables/        rows, and Spark's log of them
    <warehouse>/spark/storage/       checkpoints: which objects are in which micro-batch
    <warehouse>/spark/columns.json   columns that schema evolution added
    <warehouse>/spark/empty/         read for a prefix that holds no object yet
    <warehouse>/spark/log.txt        the last call's log

Spark commits a micro-batch in its log of rows and then in its checkpoint. A kill between leaves a
batch that the next call makes again under the same number, and the log of rows takes a number once:
no row is lost or doubled. The catalogue of tables lives in memory, so that no kill can spoil it.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pipeline.catalog.tables import TABLES, Table
from sim.errors import QueryError

VERSION: Final = 2
GLOB: Final = set("{}[]*?\\\"'`\n")
"""Characters that Spark takes for a pattern in a path, or that end a literal."""


def prepared(folder: Path) -> Path:
    """Make the folder, or check that it was made at this place. Raises QueryError."""
    folder = Path(os.path.realpath(folder))
    if odd := sorted(GLOB & set(str(folder))):
        raise QueryError(f"{folder}: Spark cannot write to a path that holds {' '.join(odd)}")
    file = folder / "state.json"
    mine = {"version": VERSION, "place": str(folder)}
    if file.exists():
        try:
            there = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise QueryError(f"{file}: cannot be read ({error}); remove {folder}") from error
        if there != mine:
            raise QueryError(
                f"{folder}: was made elsewhere or by another version (Spark's log names whole "
                "paths); remove it, and it is loaded again"
            )
    for table in TABLES:
        (folder / "tables" / table.name).mkdir(parents=True, exist_ok=True)
        (folder / "empty" / table.name).mkdir(parents=True, exist_ok=True)
    if not file.exists():
        _write(file, mine)
    return folder


def tables(folder: Path) -> tuple[Table, ...]:
    """Return the catalogue's tables with the columns that evolution added. Raises QueryError."""
    added = _added(folder)
    return tuple(
        dataclasses.replace(table, added=tuple(map(tuple, added.get(table.name, ()))))
        for table in TABLES
    )


def widen(folder: Path, columns: Mapping[str, Sequence[tuple[str, str]]]) -> list[str]:
    """Add columns to tables for good. Return their names as table.column.

    Raises QueryError if a table has one of them: the load would start again without end.
    """
    added = _added(folder)
    for table, found in columns.items():
        there = {name for name, _ in added.get(table, ())}
        if again := sorted(there & {name for name, _ in found}):
            raise QueryError(
                f"{table}: Spark takes {', '.join(again)} for new after the table was widened; "
                f"remove {folder}, and it is loaded again"
            )
        added[table] = [*added.get(table, ()), *found]
    _write(folder / "columns.json", added)
    return [f"{table}.{name}" for table, found in columns.items() for name, _ in found]


def _added(folder: Path) -> dict[str, Any]:
    file = folder / "columns.json"
    if not file.exists():
        return {}
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise QueryError(f"{file}: cannot be read ({error}); remove {folder}") from error
    return found


def _write(file: Path, content: object) -> None:
    part = file.with_suffix(".part")
    part.write_text(json.dumps(content) + "\n", encoding="utf-8")
    part.replace(file)


def objects(folder: Path) -> int:
    """Return the number of objects in Spark's checkpoints."""
    found = set()
    for path in (folder / "storage").glob("_checkpoints/**/sources/0/*"):
        if path.name[0].isdigit():
            lines = path.read_text(encoding="utf-8").splitlines()[1:]
            found |= {json.loads(line)["path"] for line in lines if line}
    return len(found)
