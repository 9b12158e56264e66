"""Commits under way: bounded by bytes, reported as they end, read and encoded ahead."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from pipeline.checkpoint import Checkpoint
from pipeline.commit import Position
from pipeline.node import Delivered, EdgeNode, NodeCommits, reports, run
from pipeline.under_way import Commits
from sim.campaign.memory_store import MemoryStore
from tests.support.pipeline_world import FixedClock, config, good, write

ROWS = 91  # more than one slot of 15 minutes, a row each ten seconds
DONE = Position(Checkpoint(), None)


def test_ended_waits_only_while_too_much_is_under_way() -> None:
    with ThreadPoolExecutor(1) as pool:
        commits: Commits[str] = Commits(pool, most_bytes=100)
        futures = {name: Future[Position]() for name in "abc"}
        for name in "ab":
            commits.begin(futures[name], 50, name)
        assert list(commits.ended()) == []  # at the bound: nothing to wait for
        commits.begin(futures["c"], 50, "c")
        threading.Timer(0.05, futures["b"].set_result, [DONE]).start()
        assert [ended.owner for ended in commits.ended()] == ["b"]
        assert commits.waited_s > 0
        futures["a"].set_result(DONE)
        assert [ended.owner for ended in commits.ended()] == ["a"]
        futures["c"].set_result(DONE)
        assert [ended.owner for ended in commits.rest()] == ["c"]
        assert list(commits.rest()) == []


class HeldStore(MemoryStore):
    """A store whose PUTs wait until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def create(self, bucket: str, key: str, body: bytes) -> str:
        assert self.go.wait(30)
        return super().create(bucket, key, body)


def nodes(folder: Path) -> list[EdgeNode]:
    made = []
    for name in ("A-001", "A-002"):
        write(folder / f"{name}.db", [good(i, name) for i in range(1, ROWS + 1)])
        made.append(EdgeNode(config(name), folder / f"{name}.db"))
    return made


def test_a_flush_leaves_its_last_commits_under_way(tmp_path: Path) -> None:
    """All files are read before the store takes anything, and the rest is reported afterwards."""
    edges, store = nodes(tmp_path), HeldStore()
    with ThreadPoolExecutor(2) as pool:
        commits = NodeCommits(pool)
        assert list(run(edges, store, FixedClock(), commits)) == []
        for edge in edges:
            edge.database.unlink()
        assert [edge.position and edge.position.state.last_id for edge in edges] == [0, 0]
        store.go.set()
        results = list(reports(commits.rest()))
    assert {r.node.config.turbine_id for r in results if isinstance(r, Delivered)} == {
        "A-001",
        "A-002",
    }
    assert all(edge.position and edge.position.state.last_id > 0 for edge in edges)


def test_a_flush_with_a_pool_waits_for_its_commits(tmp_path: Path) -> None:
    edges, store = nodes(tmp_path), HeldStore()
    threading.Timer(0.1, store.go.set).start()
    with ThreadPoolExecutor(2) as pool:
        assert len(list(run(edges, store, FixedClock(), pool))) == 2
