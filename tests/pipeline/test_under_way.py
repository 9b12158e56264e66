"""Commits under way: bounded by bytes, reported as they end, read and encoded ahead."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.checkpoint import Checkpoint
from pipeline.commit import Position
from pipeline.node import Delivered, EdgeNode, NodeCommits, reports, run
from pipeline.under_way import LEAST_CALLS, MOST_CALLS, CallBound, Commits, Pool
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


def settled(rate_of: Callable[[int], float], bound: CallBound, ends: int = 60_000) -> list[int]:
    """Return the number of calls at once after each of the last ends. rate_of: of a store."""
    now_s, seen = 0.0, []
    for _ in range(ends):
        now_s += 1 / rate_of(bound.calls)
        bound.ended("commit", True, now_s)
        seen.append(bound.calls)
    return seen[-ends // 2 :]


def test_a_store_far_away_gets_as_many_calls_as_its_latency_asks_for() -> None:
    assert max(settled(lambda calls: calls / 0.030, CallBound())) == MOST_CALLS
    # one that takes 3,000 calls per second, however many wait for it
    seen = settled(lambda calls: min(3_000, calls / 0.030), CallBound())
    assert sorted(seen)[len(seen) // 2] == 2 * LEAST_CALLS * 2


def test_a_busy_store_gets_no_more_calls_than_it_needs() -> None:
    bound = CallBound()
    seen = settled(lambda calls: 1_000, bound)
    assert seen.count(LEAST_CALLS) > 0.6 * len(seen)
    assert max(seen) <= 2 * LEAST_CALLS
    # far away at first, then busy
    assert max(settled(lambda calls: calls / 0.030, bound)) == MOST_CALLS
    settled(lambda calls: 1_000, bound)
    seen = settled(lambda calls: 1_000, bound)
    assert seen.count(LEAST_CALLS) > 0.6 * len(seen)


def test_calls_that_do_not_wait_or_are_of_another_kind_say_nothing_about_the_store() -> None:
    alone, mixed = CallBound(), CallBound()
    for number in range(10_000):
        alone.ended("commit", False, number / 1_000)
        mixed.ended(("recover", "commit")[number % 2], True, number / 1_000)
        assert (alone.calls, mixed.calls) == (LEAST_CALLS, LEAST_CALLS)


class Places:
    """Calls that wait until they are let go, and are counted."""

    def __init__(self) -> None:
        self.go, self.begun, self.most = threading.Event(), threading.Semaphore(0), 0
        self._now, self._lock = 0, threading.Lock()

    def call(self, number: int) -> int:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        self.begun.release()
        assert self.go.wait(30)
        with self._lock:
            self._now -= 1
        if number == 7:
            raise ValueError(number)
        return number


def test_a_pool_makes_as_many_calls_at_once_as_its_bound_says() -> None:
    places, bound = Places(), CallBound(3, 6)
    with Pool(bound) as pool:
        futures = [pool.submit(places.call, number) for number in range(20)]
        for _ in range(3):
            assert places.begun.acquire(timeout=30)
        assert [future.running() for future in futures] == [True] * 3 + [False] * 17
        places.go.set()
    assert places.most <= 6
    assert isinstance(futures[7].exception(), ValueError)
    assert [future.result() for future in futures if not future.exception()] == [
        *range(7),
        *range(8, 20),
    ]
    with pytest.raises(RuntimeError, match="after the pool's end"):
        pool.submit(places.call, 1)


def test_calls_that_wait_for_a_place_can_be_cancelled() -> None:
    places = Places()
    pool = Pool(CallBound(2, 2))
    futures = [pool.submit(places.call, number) for number in range(5)]
    for _ in range(2):
        assert places.begun.acquire(timeout=30)
    pool.shutdown(wait=False, cancel_futures=True)
    places.go.set()
    assert [future.result() for future in futures[:2]] == [0, 1]
    assert all(future.cancelled() for future in futures[2:])


def test_a_flush_with_the_pool_delivers_what_one_with_threads_does(tmp_path: Path) -> None:
    lakes = []
    for pool in (ThreadPoolExecutor(2), Pool()):
        folder = tmp_path / type(pool).__name__
        folder.mkdir()
        store = MemoryStore()
        with pool:
            assert len(list(run(nodes(folder), store, FixedClock(), pool))) == 2
        lakes.append(store.digest())
    assert lakes[0] == lakes[1]
