"""A fresh database replaces a node's old one and its ids start again.

Nothing is lost or overwritten. A file that was replaced without keeping the old one is detected.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import generations, source
from pipeline.__main__ import _config
from pipeline.batch import cut
from pipeline.checkpoint import Checkpoint
from pipeline.database import SourceBusy
from pipeline.node import Delivered, EdgeNode, Failed
from pipeline.records import GENERATION_IDS, RETIRED_NAME, TABLE
from sim.campaign.memory_store import MemoryStore
from tests.support.examples import examples
from tests.support.pipeline_reference import batches, judge, messy, windows
from tests.support.pipeline_world import (
    END,
    Row,
    config,
    documents,
    drain,
    drive,
    good,
    rows_of,
    write,
)

FLUSH_S = 900
SEEN = st.lists(st.tuples(st.integers(1, 60), st.booleans()), max_size=6)


def retire(database: Path) -> Path:
    """Rename the old file and start a fresh one, as a node's software does. Return the old path."""
    number = sum(1 for _ in database.parent.glob(f"{database.stem}.retired-*.db"))
    old = database.with_name(RETIRED_NAME.format(stem=database.stem, generation=number))
    database.rename(old)
    write(database, [])
    return old


def numbered(rows: list[Row], cuts: list[int]) -> tuple[list[Row], list[Row]]:
    """Return the rows as their files number them, and as the lake does.

    The file is replaced before each row of `cuts`.
    """
    stored, lifted = [], []
    generation = number = 0
    for place, row in enumerate(rows):
        replaced = cuts.count(place)
        generation, number = generation + replaced, 1 if replaced else number + 1
        stored.append(row | {"id": number})
        lifted.append(row | {"id": generation * GENERATION_IDS + number})
    return stored, lifted


class Writer:
    """Stores rows as time passes, and replaces the file at given rows."""

    def __init__(self, database: Path, rows: list[Row], cuts: list[int]) -> None:
        self.database, self.rows, self.cuts, self.stored = (
            write(database, []),
            rows,
            sorted(cuts),
            0,
        )

    def upto(self, place: int) -> None:
        while self.cuts and self.cuts[0] <= place:
            self._store(self.cuts.pop(0))
            retire(self.database)
        self._store(place)

    def _store(self, place: int) -> None:
        write(self.database, self.rows[self.stored : place])
        self.stored = max(self.stored, place)


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    messy(),
    st.lists(st.integers(0, 60), max_size=4),
    st.lists(st.tuples(st.integers(1, 60), st.booleans()), max_size=6),
)
def test_the_times_of_reads_leave_no_trace(
    rows: list[Row], cuts: list[int], seen: list[tuple[int, bool]]
) -> None:
    """Cuts anywhere, also twice at one row or after the last; reads at any time.

    The node also sleeps or loses its memory.
    """
    node = config()
    cuts = [min(place, len(rows)) for place in cuts]
    stored, lifted = numbered(rows, cuts)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name / "n.db" for name in ("once", "often")]
        for path in paths:
            path.parent.mkdir()
        Writer(paths[0], stored, cuts).upto(len(rows))
        once, often = MemoryStore(), MemoryStore()
        assert all(isinstance(r, Delivered) for r in drive([EdgeNode(node, paths[0])], once))
        writer, edge, second = (
            Writer(paths[1], stored, cuts),
            EdgeNode(node, paths[1]),
            EdgeNode(node, paths[1]),
        )
        for place, again in [
            *sorted((min(n, len(rows)), again) for n, again in seen),
            (len(rows), False),
        ]:
            writer.upto(place)
            edge = EdgeNode(node, paths[1]) if again else edge
            for each in (edge, second) if again else (edge,):
                assert all(isinstance(r, Delivered) for r in drive([each], often, None))
        drive([edge, second], often)
    assert often.objects == once.objects
    assert sorted(row["id"] for row in rows_of(once, "ingestion")) == [row["id"] for row in lifted]
    found = [
        (d["source"]["first_id"], d["source"]["last_id"])
        for d in documents(once, "metadata").values()
    ]
    assert sorted(found) == batches(lifted, FLUSH_S)
    assert {d["source"]["database"] for d in documents(once, "metadata").values()} <= {"n.db"}
    verdicts = judge(lifted, node)
    assert {row["id"]: row["rule"] for row in rows_of(once, "quarantine")} == {
        i: r for i, r in verdicts.items() if r
    }
    latest = {
        row["window_start"]: row["rows"]
        for row in sorted(rows_of(once, "aggregated"), key=lambda r: r["revision"])
    }
    valid = [row for row in lifted if verdicts[row["id"]] is None]
    assert latest == {start: window["rows"] for start, window in windows(valid, node).items()}


def test_a_batch_is_closed_by_a_row_of_the_next_file_and_not_by_the_switch(tmp_path: Path) -> None:
    """Otherwise the drain might have no batch with which to close the last windows."""
    database = write(tmp_path / "n.db", [good(i) for i in range(1, 9)])
    store, node = MemoryStore(), EdgeNode(config(), database)
    retire(database)
    assert drive([node], store, None) == []
    write(database, [good(9, id=1)])
    assert [
        (r.first_id, r.last_id) for r in drive([node], store, None) if isinstance(r, Delivered)
    ] == [(1, 8)]
    (tmp_path / "once").mkdir()
    other = write(tmp_path / "once" / "n.db", [good(i) for i in range(1, 9)])
    retire(other)
    ended = MemoryStore()
    assert [type(r) for r in drive([EdgeNode(config(), other)], ended)] == [Delivered]
    assert rows_of(ended, "aggregated") != []


def test_rows_without_a_recording_time_do_not_look_into_the_file_before(tmp_path: Path) -> None:
    rows = [
        good(1),
        good(2, id=GENERATION_IDS + 1, recorded_at=None),
        good(3, id=GENERATION_IDS + 2),
    ]
    database = write(tmp_path / "n.db", rows[:1])
    retire(database)
    write(database, [row | {"id": row["id"] - GENERATION_IDS} for row in rows[1:]])
    whole = [b.id_range for b in cut(generations.read(database, 0, 10), FLUSH_S, END)]
    later = [
        b.id_range
        for b in cut(generations.read(database, 1, 10, rows[0]["recorded_at"]), FLUSH_S, END)
    ]
    assert whole == batches(rows, FLUSH_S) == [(1, 1), *later]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_switch_during_a_read_is_detected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Between listing the folder and opening the file, or later; with rows or without."""
    read = source.read
    for known, fresh in ((0, 1), (2, 1), (2, 6)):
        folder = tmp_path / f"{known}-{fresh}"
        folder.mkdir()
        database = write(folder / "n.db", [good(i) for i in range(1, 5)])
        todo: list[Callable[[], None]] = [
            lambda to=database, n=fresh: (
                retire(to),
                write(to, [good(4 + i, id=i) for i in range(1, n + 1)]),
            )  # type: ignore[misc]
        ]

        def switched(
            path: Path, *how: float | None, todo: list[Callable[[], None]] = todo
        ) -> pa.Table:
            if moment == "before" and todo:
                todo.pop()()
            table = read(path, *how)  # type: ignore[arg-type]
            if moment == "after" and todo:
                todo.pop()()
            return table

        monkeypatch.setattr(source, "read", switched)
        ids = generations.read(
            database, known, 100, good(known)["recorded_at"] if known else None
        ).column("id")
        monkeypatch.setattr(source, "read", read)
        assert ids.to_pylist() == [
            *range(known + 1, 5),
            *(GENERATION_IDS + i for i in range(1, fresh + 1)),
        ]


def test_a_missing_first_file_is_waited_for(tmp_path: Path) -> None:
    database = write(tmp_path / "n.db", [good(1)])
    old = retire(database)
    store, node = MemoryStore(), EdgeNode(config(), database)
    for unmade in (lambda: database.unlink(), lambda: database.touch()):
        unmade()
        (result,) = drive([node], store)
        assert isinstance(result, Failed)
        assert isinstance(result.error, SourceBusy)
        assert "no such file yet" in str(result.error)
    database.unlink()
    write(database, [good(2, id=1)])
    assert all(isinstance(r, Delivered) for r in drive([node], store))
    assert old.exists()
    assert len(rows_of(store, "ingestion")) == 2


@pytest.mark.parametrize("fresh", [1, 3, 4, 5, 9])
@pytest.mark.parametrize("fix", ["the old file", "an empty one"])
def test_a_file_replaced_without_keeping_the_old_one_stops_the_node(
    tmp_path: Path, fresh: int, fix: str
) -> None:
    """Shorter than the lake's copy, as long, or longer: never misread. An operator must decide."""
    database = tmp_path / "n.db"
    store = drain(database, [good(i) for i in range(1, 5)])
    before = dict(store.objects)
    database.rename(tmp_path / "kept")
    write(database, [good(100 + i, id=i) for i in range(1, fresh + 1)])
    (failed,) = drive([node := EdgeNode(config(), database)], store)
    assert isinstance(failed, Failed)
    assert node.stopped is failed.error
    for words in (
        str(database),
        "another file than the one whose rows are in the lake",
        "n.retired-0.db",
    ):
        assert words in str(failed.error)
    assert store.objects == before
    retired = tmp_path / "n.retired-0.db"
    (tmp_path / "kept").rename(retired) if fix == "the old file" else retired.touch()
    assert all(isinstance(r, Delivered) for r in drive([EdgeNode(config(), database)], store))
    ids = sorted(row["id"] for row in rows_of(store, "ingestion"))
    assert ids == [*range(1, 5), *(GENERATION_IDS + i for i in range(1, fresh + 1))]


@pytest.mark.parametrize("purged", ["id <= 4", "id = 4", "id <= 2", "id <= 6"])
def test_old_rows_that_a_node_deletes_are_no_replacement(tmp_path: Path, purged: str) -> None:
    database = tmp_path / "n.db"
    store = drain(database, [good(i) for i in range(1, 5)])
    write(database, [good(i) for i in range(5, 9)])
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(f"DELETE FROM {TABLE} WHERE {purged}")
        left = [i for (i,) in connection.execute(f"SELECT id FROM {TABLE} WHERE id > 4")]
    assert all(isinstance(r, Delivered) for r in drive([EdgeNode(config(), database)], store))
    assert sorted(row["id"] for row in rows_of(store, "ingestion")) == [1, 2, 3, 4, *left]


@pytest.mark.parametrize("recorded_at", [None, "half past", b"\x00\xff", 1.5])
def test_a_last_row_without_a_recording_time_proves_nothing(
    tmp_path: Path, recorded_at: object
) -> None:
    database = tmp_path / "n.db"
    store = drain(database, [good(1), good(2, recorded_at=recorded_at)])
    (checkpoint,) = documents(store, "checkpoints").values()
    assert checkpoint["anchor_us"] is None
    write(database, [good(3)])
    assert [type(r) for r in drive([EdgeNode(config(), database)], store)] == [Delivered]


def test_a_checkpoint_without_an_anchor_is_read() -> None:
    state = Checkpoint(9, 2, anchor_us=77)
    body = state.to_json("A-001", "n-1")
    assert Checkpoint.from_json(body, "A-001").anchor_us == 77
    old = {name: value for name, value in json.loads(body).items() if name != "anchor_us"}
    read = Checkpoint.from_json(json.dumps(old).encode(), "A-001")
    assert read.anchor_us is None
    assert read == state


@pytest.mark.parametrize(
    ("number", "expected"), [(0, "id 0"), (-3, "id -3"), (GENERATION_IDS, f"id {GENERATION_IDS}")]
)
def test_ids_out_of_range_are_reported_and_no_row_is_skipped(
    tmp_path: Path, number: int, expected: str
) -> None:
    database = write(tmp_path / "n.db", [good(1), good(2, id=number)])
    store, node = MemoryStore(), EdgeNode(config(), database)
    (failed,) = drive([node], store)
    assert isinstance(failed, Failed)
    assert expected in str(failed.error)
    assert str(database) in str(failed.error)
    assert node.stopped is not None
    assert not store.objects


def test_a_delivered_file_may_be_deleted_and_another_may_not(tmp_path: Path) -> None:
    database = write(tmp_path / "n.db", [good(1)])
    first = retire(database)
    write(database, [good(2, id=1)])
    second = retire(database)
    write(database, [good(3, id=1)])
    kept = first.read_bytes()
    first.unlink()
    store = MemoryStore()
    (failed,) = drive([EdgeNode(config(), database)], store)
    assert isinstance(failed, Failed)
    assert f"{second} exists, but {first.name} before it does not" in str(failed.error)
    first.write_bytes(kept)
    assert len(drive([EdgeNode(config(), database)], store)) == 3
    first.unlink()
    second.unlink()
    write(database, [good(4, id=2)])
    assert [
        (r.first_id, r.last_id)
        for r in drive([EdgeNode(config(), database)], store)
        if isinstance(r, Delivered)
    ] == [(2 * GENERATION_IDS + 2, 2 * GENERATION_IDS + 2)]


def test_a_read_has_a_limit_over_files_too(tmp_path: Path) -> None:
    database = write(tmp_path / "n.db", [good(i) for i in (1, 2)])
    retire(database)
    retire(database)
    write(database, [good(i, id=i) for i in (1, 2, 3)])
    third = 2 * GENERATION_IDS
    everything = [1, 2, third + 1, third + 2, third + 3]
    for limit in range(1, 7):
        assert generations.read(database, 0, limit).column("id").to_pylist() == everything[:limit]
        assert (
            generations.read(database, 2, limit).column("id").to_pylist()
            == everything[2 : 2 + limit]
        )


def test_a_node_by_hand_finds_its_turbine_in_a_retired_file(tmp_path: Path) -> None:
    database = write(tmp_path / "n.db", [good(1, "Q-7")])
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(f"INSERT INTO {TABLE} (id, turbine_id) VALUES (2, CAST(x'ff' AS TEXT))")
    retire(database)
    assert _config(database, None).turbine_id == "Q-7"
