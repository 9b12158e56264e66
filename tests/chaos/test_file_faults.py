"""Faults of a node's own file, made for real: the reader's errors, waits and late deliveries."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipeline import node as edge
from pipeline import source
from pipeline.database import SourceBusy
from pipeline.node import Delivered, EdgeNode, Failed
from pipeline.records import RETIRED_NAME, TABLE
from sim.campaign.in_process_run import run_clean, run_once
from sim.campaign.memory_store import MemoryStore
from sim.campaign.plan import every_interval
from sim.campaign.schedule import parse
from sim.campaign.world import World
from sim.chaos.choice import chosen
from sim.chaos.faults import BUSY, DISK_FULL, FILE_FAULTS, JOURNAL, WAL, Fault
from sim.chaos.file_faults import (
    LockHolder,
    checkpoint_wal,
    copy_with_wal,
    disk_full,
    interrupt_transaction,
)
from sim.chaos.shard import ShardFaults
from tests.support.chaos_world import tiny
from tests.support.pipeline_world import config, drive, good, rows_of, write


@pytest.fixture
def in_use(tmp_path: Path) -> Iterator[Path]:
    """A database that its writer has open: row 1 in the file, rows 2 and 3 in the WAL."""
    path = tmp_path / "A-001.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        write(path, [good(1)])
        writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        write(path, [good(2), good(3)])
        yield path


def flush(node: EdgeNode, store: MemoryStore) -> Delivered | Failed:
    (result,) = drive([node], store)
    return result


def is_delayed(result: Delivered | Failed) -> bool:
    return (
        isinstance(result, Failed)
        and isinstance(result.error, SourceBusy)
        and result.node.stopped is None
    )


def test_rows_of_a_killed_writer_are_delivered_completely(in_use: Path, tmp_path: Path) -> None:
    copy = copy_with_wal(in_use, tmp_path / "left")
    assert sorted(path.name for path in copy.parent.iterdir()) == ["A-001.db", "A-001.db-wal"]
    with closing(sqlite3.connect(f"file:{copy}?immutable=1", uri=True)) as without_log:
        assert without_log.execute(f"SELECT count(*) FROM {TABLE}").fetchone() == (1,)
    store = MemoryStore()
    assert isinstance(flush(EdgeNode(config(), copy), store), Delivered)
    assert [row["id"] for row in rows_of(store, "ingestion")] == [1, 2, 3]


def test_delivery_waits_for_a_full_disk(in_use: Path, tmp_path: Path) -> None:
    node, store = EdgeNode(config(), copy_with_wal(in_use, tmp_path / "left")), MemoryStore()
    with disk_full():
        assert is_delayed(flush(node, store))
    node.database = copy_with_wal(in_use, tmp_path / "left")
    assert isinstance(flush(node, store), Delivered)
    assert [row["id"] for row in rows_of(store, "ingestion")] == [1, 2, 3]


def test_a_full_disk_does_not_stop_a_reader_during_a_write_session(
    in_use: Path, tmp_path: Path
) -> None:
    """Use a separate process: SQLite's locks between connections do not count within one."""
    copy = copy_with_wal(in_use, tmp_path / "left")
    select = f"c.execute('SELECT id FROM {TABLE}').fetchall()"
    use = f"import sqlite3; c = sqlite3.connect({str(copy)!r}); {select}"
    command = [sys.executable, "-c", f"{use}; print(1, flush=True); input()"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with disk_full():
            assert source.read(copy, 0, 10).num_rows == 3
        writer.communicate("done")


def test_a_full_disk_rejects_writes_until_it_ends(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("123")
    with disk_full():
        assert (tmp_path / "old").read_text() == "123"
        with pytest.raises(OSError, match="File too large"):
            (tmp_path / "new").write_text("123")
    (tmp_path / "new").write_text("123")


def test_delivery_waits_for_a_locked_file(in_use: Path, tmp_path: Path) -> None:
    """Lock a file in WAL mode, where another connection's transaction does not block readers."""
    copy = copy_with_wal(in_use, tmp_path / "held")
    node, store = EdgeNode(config(), copy), MemoryStore()
    with LockHolder() as holder:
        holder.lock(copy)
        assert is_delayed(flush(node, store))
        with pytest.raises(OSError, match="could not be locked"):
            holder.lock(tmp_path / "nowhere" / "x.db")
    assert isinstance(flush(node, store), Delivered)


def test_retired_files_are_copied_with_the_current_file(in_use: Path, tmp_path: Path) -> None:
    retired = RETIRED_NAME.format(stem=in_use.stem, generation=0)
    for name in (retired, RETIRED_NAME.format(stem="A-002", generation=0)):
        (tmp_path / name).write_bytes(b"rows")
    (tmp_path / "left").mkdir()
    # an earlier copy's
    (tmp_path / "left" / RETIRED_NAME.format(stem="A-001", generation=1)).touch()
    copy = copy_with_wal(in_use, tmp_path / "left")
    assert sorted(path.name for path in copy.parent.iterdir()) == [
        "A-001.db",
        "A-001.db-wal",
        retired,
    ]
    checkpoint_wal(copy)
    assert source.read(copy, 0, 10).num_rows == 3
    assert sorted(path.name for path in copy.parent.iterdir()) == ["A-001.db", retired]


def test_delivery_waits_for_a_hot_journal(in_use: Path, tmp_path: Path) -> None:
    """The next writer rolls back; until then the file has uncommitted rows."""
    copy = copy_with_wal(in_use, tmp_path / "left")
    interrupt_transaction(copy)
    assert sorted(path.name for path in copy.parent.iterdir()) == ["A-001.db", "A-001.db-journal"]
    with closing(sqlite3.connect(f"file:{copy}?immutable=1", uri=True)) as blind:
        assert blind.execute(f"SELECT count(*) FROM {TABLE} WHERE status IS NULL").fetchone()[0] > 0
    node, store = EdgeNode(config(), copy), MemoryStore()
    assert is_delayed(flush(node, store))
    checkpoint_wal(copy)
    assert isinstance(flush(node, store), Delivered)
    assert [row["id"] for row in rows_of(store, "ingestion")] == [1, 2, 3]


def test_a_file_name_of_any_bytes_can_be_locked(tmp_path: Path) -> None:
    database = write(tmp_path / "caf\udce9\n.db", [good(1)])
    with LockHolder() as holder:
        holder.lock(database)
        with pytest.raises(SourceBusy):
            source.read(database, 0, 1, lock_wait_s=0.0)


@pytest.mark.parametrize("kind", FILE_FAULTS)
def test_each_file_fault_in_a_run(in_use: Path, tmp_path: Path, kind: str) -> None:
    """Each fault counts when it fires, ends with its window, and leaves no files."""
    now_s, said = 10.0, list[str]()
    faults = ShardFaults(
        7, "A", [Fault(kind, from_s=10, for_s=5)], lambda: now_s, lambda way: said.append(way[0])
    )
    node, store = EdgeNode(config(), in_use), MemoryStore()
    struck = tmp_path / "struck"
    with faults.files([in_use], struck) as files:
        assert files.assign([node])[0].database == struck / in_use.name
        result = flush(node, store)
        files.count(result)
    assert said == [kind]
    assert is_delayed(result) == (kind != WAL)
    assert not struck.exists()
    now_s = 15.0
    with faults.files([in_use], struck) as files:
        assert files.assign([node])[0].database == in_use
        for result in drive([node], store):
            files.count(result)
    assert said == [kind]
    assert [row["id"] for row in rows_of(store, "ingestion")] == [1, 2, 3]


def test_a_full_disk_does_not_affect_files_without_a_wal(in_use: Path, tmp_path: Path) -> None:
    """Use another node of the same process: its writer must keep its -shm file."""
    other = tmp_path / "A-002.db"
    shutil.copyfile(copy_with_wal(in_use, tmp_path / "copy"), other)
    fault = Fault(DISK_FULL, share=0.5, for_s=5)
    of_one = [False, True]  # A-002 and not A-001
    seed = next(
        s for s in range(99) if [chosen(s, 0, fault, name) for name in ("A-001", "A-002")] == of_one
    )
    faults = ShardFaults(seed, "A", [fault], lambda: 0.0, lambda kind: None)
    nodes = [EdgeNode(config(), in_use), EdgeNode(config("A-002"), other)]
    with faults.files([in_use, other], tmp_path / "struck") as files:
        sound, _ = files.assign(nodes)
        assert source.read(sound.database, 0, 10).num_rows == 3
        assert sound.database != in_use


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return tiny(tmp_path_factory.mktemp("files"))


@pytest.mark.parametrize("kind", FILE_FAULTS)
def test_each_file_fault_in_process(world: World, kind: str) -> None:
    clean = run_clean(world)
    outcome = run_once(world, clean, parse(f"seed=1 {kind}[0+700] node.crash#20"))
    assert outcome.broken == []
    assert outcome.digest == clean.outcome.digest
    assert {fired.kind for fired in outcome.fired} == {kind, "node.crash"}
    assert outcome.recovery_s == ([] if kind == WAL else [600.0])
    # one of two
    assert (
        run_once(world, clean, parse(f"seed=1 {kind}[0+700]%0.5")).recovery_s == outcome.recovery_s
    )


@pytest.mark.parametrize("kind", [BUSY, DISK_FULL, JOURNAL])
def test_a_node_that_stops_for_a_file_fault_is_reported(
    world: World, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    clean = run_clean(world)

    def stop(node: EdgeNode, error: Exception) -> Failed:
        node.stopped = error
        return Failed(node, error)

    monkeypatch.setattr(edge, "_fail", stop)
    assert {name for name, _ in run_once(world, clean, parse(f"{kind}[0+700]")).broken} >= {
        "stopped",
        "lake.missing",
    }


def test_a_reader_that_ignores_the_wal_is_reported(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`immutable=1` reads any file and ignores the rows of its WAL: they come late."""
    clean, connect = run_clean(world), source.adbc.connect
    monkeypatch.setattr(
        source.adbc, "connect", lambda uri: connect(uri.replace("mode=ro", "immutable=1"))
    )
    broken = [
        run_once(world, clean, line).broken for line in every_interval(world) if WAL in str(line)
    ]
    assert len(broken) == len(world.flush_s) + 1 > 2  # and at the drain
    assert all({name for name, _ in found} == {"late"} for found in broken)
    uncommitted = run_once(world, clean, parse(f"seed=1 {JOURNAL}[0+700]"))
    assert any(name.startswith("lake.") for name, _ in uncommitted.broken)
