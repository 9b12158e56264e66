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
from sim.campaign.loader.faults import DISK_FULL, KILL, SECOND
from sim.check.read.lake import ObjectRef
from sim.query import loader, warehouse
from sim.query.offsets import Offsets
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

    monkeypatch.setattr(loader, "CommitProperties", properties)


def without_known_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    read = Offsets.read

    def forgetful(folder: Path, bucket: str) -> Offsets:
        log = read(folder, bucket)
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
        folders = (self.folder / "_batches").glob("*")
        early.logs = {folder: read(folder, "?") for folder in folders}
        with owned(self):
            yield

    def from_memory(folder: Path, bucket: str) -> Offsets:
        log: Offsets = early.logs.get(folder, Offsets(folder, bucket))
        log.bucket = bucket
        return log

    monkeypatch.setattr(Warehouse, "owned", reading)
    monkeypatch.setattr(Offsets, "read", from_memory)


def log_after_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The offsets are written once the rows are in the table."""
    append, write = Offsets.append, loader.write_deltalake
    waiting: list[tuple[Offsets, Sequence[ObjectRef]]] = []

    def later(self: Offsets, refs: Sequence[ObjectRef]) -> int:
        waiting[:] = [(self, refs)]
        return self.last + 1

    def write_both(*arguments: Any, **options: Any) -> None:
        write(*arguments, **options)
        for log, refs in waiting:
            append(log, refs)
        waiting.clear()

    monkeypatch.setattr(Offsets, "append", later)
    monkeypatch.setattr(loader, "write_deltalake", write_both)


def log_written_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def append(self: Offsets, refs: Sequence[ObjectRef]) -> int:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.last += 1
        text = json.dumps([[ref.key, ref.size] for ref in refs])
        self._path(self.last).write_text(text, encoding="utf-8")
        return self.last

    monkeypatch.setattr(Offsets, "append", append)


def warehouse_file_written_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "with_suffix", lambda self, suffix: self)
    monkeypatch.setattr(Path, "replace", lambda self, target: self.rename(target))
    assert warehouse.FILE


def cursor_on_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only keys after the newest known one are new."""
    run = loader._Load.run

    def after_the_newest(self: Any, listed: Sequence[ObjectRef]) -> None:
        known = self.log.known
        newest = max(known, default="")
        run(self, [ref for ref in listed if ref.key in known or ref.key > newest])

    monkeypatch.setattr(loader._Load, "run", after_the_newest)


def missing_object_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = loader._Load._decoded

    def lenient(self: Any, ref: ObjectRef, body: bytes | None) -> pa.Table | str:
        return self.table.schema.empty_table() if body is None else decoded(self, ref, body)

    monkeypatch.setattr(loader._Load, "_decoded", lenient)


def source_without_its_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ObjectRef, "name", property(lambda self: self.key))


def table_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    create = DeltaTable.create

    def over(*arguments: Any, **options: Any) -> DeltaTable:
        return create(*arguments, **options | {"mode": "overwrite"})

    monkeypatch.setattr(DeltaTable, "is_deltatable", lambda path: False)
    monkeypatch.setattr(DeltaTable, "create", over)


BUGS: dict[Patch, tuple[set[str], str]] = {
    no_redo: ({"load.lost"}, ""),
    redo_always: ({"load.duplicated"}, ""),
    commit_without_its_number: ({"load.duplicated"}, ""),
    without_known_keys: ({"load.duplicated"}, ""),
    without_lock: ({"load.duplicated", "load.raised", "load.stuck"}, SECOND),
    log_read_before_the_lock: ({"load.duplicated"}, SECOND),
    log_after_the_commit: ({"load.duplicated"}, KILL),
    log_written_in_place: ({"load.stuck"}, DISK_FULL),
    warehouse_file_written_in_place: ({"load.stuck"}, DISK_FULL),
    cursor_on_the_key: ({"load.lost"}, ""),
    missing_object_is_empty: ({"load.lost"}, ""),
    source_without_its_bucket: ({"load.lost"}, ""),
    table_made_anew: ({"load.lost"}, ""),
}
"""Each bug, the invariants of which it must break one, and a fault that shows it ("": any)."""
