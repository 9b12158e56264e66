"""Bugs of the loader, planted one at a time. A campaign must find each."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable

from sim import folder_lock
from sim.campaign.loader.faults import DISK_FULL, KILL, MISSING, SECOND
from sim.check.read.lake import ObjectRef
from sim.errors import QueryError
from sim.query import loader, objects, stored_table, warehouse
from sim.query.offsets import Offsets
from sim.query.stored_table import StoredTable
from sim.query.warehouse import Warehouse

Patch = Callable[[pytest.MonkeyPatch], None]


def no_redo(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that is in the log counts as loaded."""
    monkeypatch.setattr(DeltaTable, "transaction_version", lambda self, application: 10**9)


def redo_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """The version in the table is ignored."""
    monkeypatch.setattr(DeltaTable, "transaction_version", lambda self, application: None)


def commit_without_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def properties(app_transactions: Any, **others: Any) -> CommitProperties:
        return CommitProperties(**others)

    monkeypatch.setattr(stored_table, "CommitProperties", properties)


def without_known_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    read = Offsets.read

    def forgetful(path: Path) -> Offsets:
        log = read(path)
        log.known.clear()
        return log

    monkeypatch.setattr(Offsets, "read", forgetful)


def without_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_lock, "owned", lambda folder, wait=False: nullcontext())


def log_read_before_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loader that waited goes on with the log as it was before."""
    early, read, owned = threading.local(), Offsets.read, Warehouse.owned

    @contextmanager
    def reading(self: Warehouse) -> Iterator[None]:
        early.logs = {path: read(path) for path in (self.folder / "_batches").glob("*")}
        with owned(self):
            yield

    def from_memory(path: Path) -> Offsets:
        log: Offsets = early.logs.get(path, Offsets(path))
        return log

    monkeypatch.setattr(Warehouse, "owned", reading)
    monkeypatch.setattr(Offsets, "read", from_memory)


def log_after_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The offsets are written once the rows are in the table."""
    append, write = Offsets.append, stored_table.write_deltalake
    waiting: list[tuple[Offsets, Sequence[str]]] = []

    def later(self: Offsets, keys: Sequence[str]) -> int:
        waiting[:] = [(self, keys)]
        return self.last + 1

    def write_both(*arguments: Any, **options: Any) -> None:
        write(*arguments, **options)
        for log, keys in waiting:
            append(log, keys)
        waiting.clear()

    monkeypatch.setattr(Offsets, "append", later)
    monkeypatch.setattr(stored_table, "write_deltalake", write_both)


def torn_line_is_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(path: Path) -> Offsets:
        log = Offsets(path)
        for line in path.read_bytes().splitlines(keepends=True) if path.exists() else ():
            try:
                log._add(json.loads(line), len(line))
            except ValueError as error:
                raise QueryError(f"{path}: {error}") from error
        return log

    monkeypatch.setattr(Offsets, "read", read)


def torn_line_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next batch is appended to it."""

    def append(self: Offsets, keys: Sequence[str]) -> int:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps(list(keys)).encode() + b"\n"
        with self.path.open("ab") as file:
            file.write(line)
        self._add(list(keys), len(line))
        return self.last

    monkeypatch.setattr(Offsets, "append", append)


def compaction_in_two_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is emptied, and then filled again."""

    def compact(self: StoredTable, few: int) -> None:
        table = DeltaTable(str(self._path))
        if len(table.file_uris()) < few:
            return
        rows = table.to_pyarrow_table()
        self._step(f"compact {self._name}")
        stored_table.write_deltalake(table, rows.slice(0, 0), mode="overwrite")
        self._step(f"remove old files of {self._name}")
        stored_table.write_deltalake(table, rows, mode="append")

    monkeypatch.setattr(StoredTable, "compact", compact)


def warehouse_file_written_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "with_suffix", lambda self, suffix: self)
    monkeypatch.setattr(Path, "replace", lambda self, target: self.rename(target))
    assert warehouse.FILE


def cursor_on_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only keys after the newest known one are new."""
    batches = loader._Load.batches

    def after_the_newest(self: Any, listed: Sequence[ObjectRef]) -> Iterator[Any]:
        known = self.log.known
        newest = max(known, default="")
        return batches(self, [ref for ref in listed if ref.key in known or ref.key > newest])

    monkeypatch.setattr(loader._Load, "batches", after_the_newest)


def missing_object_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = objects._decoded

    def lenient(ref: ObjectRef, body: bytes | None, schema: pa.Schema) -> pa.Table | str:
        return schema.empty_table() if body is None else decoded(ref, body, schema)

    monkeypatch.setattr(objects, "_decoded", lenient)


def source_without_its_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ObjectRef, "name", property(lambda self: self.key))


def table_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    create = DeltaTable.create

    def over(*arguments: Any, **options: Any) -> DeltaTable:
        return create(*arguments, **options | {"mode": "overwrite"})

    monkeypatch.setattr(DeltaTable, "is_deltatable", lambda path: False)
    monkeypatch.setattr(DeltaTable, "create", over)


BUGS: dict[Patch, tuple[set[str], str, str]] = {
    no_redo: ({"load.lost"}, "", ""),
    redo_always: ({"load.duplicated"}, "", ""),
    commit_without_its_number: ({"load.duplicated"}, "", ""),
    without_known_keys: ({"load.duplicated"}, "", ""),
    without_lock: ({"load.duplicated", "load.raised", "load.stuck"}, SECOND, ""),
    log_read_before_the_lock: ({"load.duplicated"}, SECOND, ""),
    log_after_the_commit: ({"load.duplicated"}, KILL, ""),
    torn_line_is_a_batch: ({"load.stuck"}, DISK_FULL, ""),
    torn_line_stays: ({"load.stuck"}, DISK_FULL, "open _batches"),
    compaction_in_two_transactions: ({"load.lost"}, KILL, "old files"),
    warehouse_file_written_in_place: ({"load.stuck"}, DISK_FULL, "warehouse"),
    cursor_on_the_key: ({"load.lost"}, "", ""),
    missing_object_is_empty: ({"load.lost"}, MISSING, ""),
    source_without_its_bucket: ({"load.lost"}, "", ""),
    table_made_anew: ({"load.lost"}, "", ""),
}
"""Each bug, the invariants of which it must break one, and the faults that show it.

These are a kind ("": any) and a part of the name of the call that it hits.
"""
