"""Edge nodes side by side: figures of each flush, isolation of failures, and rows per call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline import batch, generations, node
from pipeline.commit import ContentConflict
from pipeline.database import SourceBusy, SourceError
from pipeline.history import HistoryError
from pipeline.node import Delivered, EdgeNode, Failed, NodeCommits, run
from pipeline.ports import Clock, ObjectStore, Unavailable
from pipeline.process import Work
from sim.campaign.inline_executor import Inline
from sim.campaign.memory_store import Call, MemoryStore
from tests.support.pipeline_world import END, START, FixedClock, Row, config, drive, good, write

SLOT = 90
"""Rows of a batch."""


def made(folder: Path, turbine: str, rows: int, step_s: int = 10) -> EdgeNode:
    return EdgeNode(
        config(turbine),
        write(folder / f"{turbine}.db", [good(i, turbine, step_s) for i in range(1, rows + 1)]),
    )


def ranges(results: Sequence[Delivered | Failed]) -> list[tuple[str, int, int]]:
    """Return delivered (node, first id, last id), node by node. Check that nothing failed."""
    assert not [result.error for result in results if isinstance(result, Failed)]
    found = [
        (r.node.config.turbine_id, r.first_id, r.last_id)
        for r in results
        if isinstance(r, Delivered)
    ]
    return sorted(found, key=lambda each: each[0])


def test_the_figures_of_a_delivered_batch(tmp_path: Path) -> None:
    rows: list[Row] = [good(i) for i in range(1, 11)]
    rows[3]["status"], rows[4]["timestamp"] = "dancing", None
    edge = EdgeNode(config(), write(tmp_path / "n.db", rows))
    store = MemoryStore()
    (delivered,) = drive([edge], store)
    assert isinstance(delivered, Delivered)
    assert (delivered.node, delivered.first_id, delivered.last_id) == (edge, 1, 10)
    assert delivered.event_us.tolist() == [row["timestamp"] or 0 for row in rows]
    assert delivered.rejected == {"state": 1, "null": 1}
    written = {
        place: body for place, body in store.objects.items() if "checkpoints" not in place[0]
    }
    assert delivered.objects == len(written) - 1
    assert delivered.bytes == sum(map(len, written.values()))
    assert edge.stopped is None


def test_nodes_go_in_rounds_and_each_in_its_order(tmp_path: Path) -> None:
    nodes = [made(tmp_path, "A-001", 3 * SLOT), made(tmp_path, "A-002", SLOT)]
    store = MemoryStore()
    flushed = drive(nodes, store, None)
    assert ranges(flushed) == [
        ("A-001", 1, 89),
        ("A-001", 90, 179),
        ("A-001", 180, 269),
        ("A-002", 1, 89),
    ]
    assert {result.node.config.turbine_id for result in flushed[:2]} == {"A-001", "A-002"}
    assert drive(nodes, store, None) == []
    assert ranges(drive(nodes, store)) == [("A-001", 270, 270), ("A-002", 90, 90)]


@pytest.mark.parametrize(("rows", "first"), [(1, 1), (SLOT, 1), (SLOT + 1, 2), (10**6, 3)])
def test_rows_that_go_through_the_stages_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, first: int
) -> None:
    """Nodes are read until enough rows are at hand. The durable result stays the same."""
    monkeypatch.setattr(node, "CHUNK_ROWS", rows)
    nodes = [made(tmp_path, f"A-00{i}", SLOT) for i in (1, 2, 3)]
    reads: list[str] = []
    read = generations.read

    def noted(database: Path, *how: Any) -> Any:
        reads.append(database.stem)
        return read(database, *how)

    monkeypatch.setattr(generations, "read", noted)
    results = run(nodes, MemoryStore(), FixedClock(), Inline(), None)
    next(results)
    assert reads == ["A-001", "A-002", "A-003"][:first]
    assert len(list(results)) == 2
    assert reads == ["A-001", "A-002", "A-003"]


def short_reads(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(batch, "MAX_BATCH_ROWS", most)
    for module in (batch, node):
        monkeypatch.setattr(module, "READ_ROWS", most + 1)


def test_a_node_with_more_rows_than_a_read_is_read_again_before_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short_reads(monkeypatch, 100)
    monkeypatch.setattr(node, "CHUNK_ROWS", 1)
    nodes = [
        made(tmp_path, "A-001", 250),
        made(tmp_path, "A-002", 101),
        made(tmp_path, "A-003", 100),
    ]
    assert [(turbine, last) for turbine, _, last in ranges(drive(nodes, MemoryStore(), None))] == [
        *(("A-001", 89), ("A-001", 179), ("A-002", 89), ("A-003", 89))
    ]


def test_a_node_that_failed_is_not_read_again_in_the_same_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short_reads(monkeypatch, 100)
    nodes = [made(tmp_path, "A-001", 250), made(tmp_path, "A-002", 250)]
    store = MemoryStore()

    def fault(call: Call, after: bool) -> None:
        if call.verb == "create" and "A-001-1-" in call.key:
            raise Unavailable("down")

    store.fault = fault
    results = drive(nodes, store, None)
    assert [r.node.config.turbine_id for r in results if isinstance(r, Failed)] == ["A-001"]
    assert len([r for r in results if isinstance(r, Delivered)]) == 2
    assert [edge.stopped for edge in nodes] == [None, None]
    store.fault = None
    assert [(turbine, last) for turbine, _, last in ranges(drive(nodes, store, None))] == [
        ("A-001", 89),
        ("A-001", 179),
    ]


def test_a_lake_that_does_not_answer_at_first_gets_another_request(tmp_path: Path) -> None:
    nodes = [made(tmp_path, "A-001", SLOT), made(tmp_path, "A-002", SLOT)]
    store = MemoryStore()

    def fault(call: Call, after: bool) -> None:
        if call.verb == "get" and call.key.endswith("A-001.json"):
            raise Unavailable("down")

    store.fault = fault
    first, second = drive(nodes, store, None)
    assert isinstance(first, Failed)
    assert (first.node, nodes[0].position, nodes[0].stopped) == (nodes[0], None, None)
    assert isinstance(second, Delivered)
    store.fault = None
    assert ranges(drive(nodes, store, None)) == [("A-001", 1, 89)]


def test_a_node_with_a_busy_file_continues_later_and_a_damaged_one_stops(tmp_path: Path) -> None:
    nodes = [
        made(tmp_path, "A-001", SLOT),
        made(tmp_path, "A-002", SLOT),
        made(tmp_path, "A-003", SLOT),
    ]
    nodes[1].database.write_bytes(b"no database" * 99)
    store = MemoryStore()
    nodes[0].database.rename(tmp_path / "A-001.retired-0.db")  # and the fresh file is not there yet
    results = drive(nodes, store, None)
    failed = {r.node.config.turbine_id: r.error for r in results if isinstance(r, Failed)}
    assert [(turbine, type(error)) for turbine, error in failed.items()] == [
        ("A-001", SourceBusy),
        ("A-002", SourceError),
    ]
    assert [edge.stopped for edge in nodes] == [None, failed["A-002"], None]
    assert ranges([r for r in results if isinstance(r, Delivered)]) == [("A-003", 1, 89)]
    write(nodes[0].database, [])
    assert ranges(drive(nodes, store, None)) == [("A-001", 1, 89)]


def test_a_conflict_stops_its_node_only(tmp_path: Path) -> None:
    nodes = [made(tmp_path, "A-001", 2 * SLOT + 9), made(tmp_path, "A-002", 2 * SLOT + 9)]
    clean = MemoryStore()
    drive(nodes[:1], clean, None)
    place = next(place for place in clean.objects if "A-001-1-89" in place[1])
    nodes[0] = EdgeNode(nodes[0].config, nodes[0].database)
    store = MemoryStore()
    store.objects[place] = b"else"
    results = drive(nodes, store, None)
    assert isinstance(nodes[0].stopped, ContentConflict)
    assert [(r.node.config.turbine_id, r.last_id) for r in results if isinstance(r, Delivered)] == [
        *(("A-002", 89), ("A-002", 179))
    ]
    assert [r.node for r in results if isinstance(r, Failed)] == [nodes[0]]
    assert drive(nodes, store, None) == []


def test_an_unreadable_past_stops_its_node_only(tmp_path: Path) -> None:
    nodes = [made(tmp_path, "A-001", SLOT), made(tmp_path, "A-002", SLOT)]
    store = MemoryStore()
    drive(nodes, store, None)
    for edge, last in zip(nodes, (300, 300), strict=True):
        more = [good(i, edge.config.turbine_id) for i in range(SLOT + 1, last)]
        more[5]["timestamp"] = START + 60_000_000  # late
        write(edge.database, more)
    for place in store.objects:
        if "validated" in place[0] and "A-001" in place[1]:
            store.objects[place] = b"damaged"
    results = drive(nodes, store, None)
    assert isinstance(nodes[0].stopped, HistoryError)
    assert [r.node for r in results if isinstance(r, Failed)] == [nodes[0]]
    assert [(r.node.config.turbine_id, r.last_id) for r in results if isinstance(r, Delivered)] == [
        *(("A-002", 179), ("A-002", 269))
    ]


def test_another_way_to_make_a_round_durable(tmp_path: Path) -> None:
    nodes = [made(tmp_path, f"A-00{i}", 3 * SLOT) for i in (1, 2)]
    rounds: list[list[tuple[str, int]]] = []

    def publish(
        works: Sequence[tuple[EdgeNode, Work]],
        store: ObjectStore,
        clock: Clock,
        commits: NodeCommits,
    ) -> Iterator[Delivered | Failed]:
        rounds.append([(edge.config.turbine_id, work.batch.id_range[1]) for edge, work in works])
        assert [(work.config, work.database) for _, work in works] == [
            (e.config, e.database.name) for e, _ in works
        ]
        if len(rounds) == 2:
            yield Failed(works[0][0], Unavailable("down"))
            works = works[1:]
        yield from node.commit_all(works, store, clock, commits)

    results = list(run(nodes, MemoryStore(), FixedClock(), Inline(), END, publish))
    assert rounds == [
        [("A-001", 89), ("A-002", 89)],
        [("A-001", 179), ("A-002", 179)],
        [("A-002", 269)],
        [("A-002", 270)],
    ]
    assert [r.node.config.turbine_id for r in results if isinstance(r, Failed)] == ["A-001"]


@pytest.mark.parametrize(
    ("rows", "step_s", "first", "last"), [(3 * SLOT, 10, 89, 269), (5, 900, 1, 4)]
)
def test_batches_that_another_writer_delivered_are_skipped(
    tmp_path: Path, rows: int, step_s: int, first: int, last: int
) -> None:
    """The writer drains the node after this one's first batch. No batch and no round is left."""
    edge, store = made(tmp_path, "A-001", rows, step_s), MemoryStore()

    def fault(call: Call, after: bool) -> None:
        if call.verb == "create" and call.bucket.endswith("checkpoints") and not after:
            store.fault = None
            drive([EdgeNode(edge.config, edge.database)], store, None)

    store.fault = fault
    assert ranges(drive([edge], store, None)) == [("A-001", 1, first)]
    assert edge.position is not None
    assert edge.position.state.last_id == last
