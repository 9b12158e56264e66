"""Faults that fired, on disk before they act: a SIGKILL makes no resumed run forget one."""

from __future__ import annotations

import os
import signal
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from sim.chaos.call import Call
from sim.chaos.choice import Chooser
from sim.chaos.faults import Fault
from sim.run import delivery, fired_log, shards
from sim.run.part import part_of
from sim.run.record import Record, ShardResult
from sim.run.shard import run_shard
from sim.run.shard_plan import ShardPlan, shard_plans
from sim.scenario import load
from sim.store.folder import make
from sim.store.target import Target
from tests.support import runs

CALL = Call("data", "put", "ingestion", "a/b", "A-001", "A")


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    (tmp_path / ".resume").mkdir()
    return tmp_path


def test_a_fault_of_the_wire_is_noted_before_it_is_injected(run_dir: Path) -> None:
    notes: list[tuple[object, ...]] = []

    def note(point: tuple[str, str], times: int) -> None:
        notes.append((point, times, chooser.injections.by_point[point]))
        fired_log.note(run_dir, point, times)

    chooser = Chooser(7, [(0, Fault("store.error"))], note)
    first = chooser.choose(CALL, 0.0)
    second = chooser.choose(CALL, 0.0)
    assert first is not None
    assert second is not None
    chooser.take_back(second, CALL)
    point = ("store.error", "data")
    assert notes == [(point, 1, 0), (point, 1, 1), (point, -1, 2)]
    assert fired_log.fired(run_dir) == chooser.injections


def test_what_a_killed_worker_injected_is_known(run_dir: Path) -> None:
    """The worker dies at the first fault that it reports, as the whole process group may."""
    faults = "faults: [{kind: node.crash, share: 50%}]\n"
    scenario = load(runs.scenario(run_dir, runs.SCENARIO + faults))
    make(run_dir / "lake")
    (run_dir / "nodes").mkdir()
    store = Target(folder=run_dir / "lake")
    part = part_of(scenario.fleet)
    plan = shard_plans(scenario, part, 1, store, None, run_dir, False, resumable=True)[0]
    if (child := os.fork()) == 0:
        run_shard(
            plan,
            lambda made, delivered: None,
            lambda: False,
            lambda point: os.kill(os.getpid(), signal.SIGKILL),
        )
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert fired_log.fired(run_dir).by_kind == {"node.crash": 1}


class Killed(shards._Worker):
    """A worker whose shard has made 10 rows, in a process that is feigned."""

    def __init__(self, plan: ShardPlan) -> None:
        self.plan, self.task, self.made, self.killed, self._pid = plan, None, 10, False, 0


@pytest.fixture
def plan(run_dir: Path) -> ShardPlan:
    scenario = load(runs.scenario(run_dir))
    store, part = Target(folder=run_dir / "lake"), part_of(scenario.fleet)
    (plan,) = shard_plans(scenario, part, 1, store, None, run_dir, True)[:1]
    return replace(plan, kill_rows=(10, 20))


def test_a_kill_is_noted_before_it_is_sent(
    run_dir: Path, plan: ShardPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, int]] = []
    monkeypatch.setattr(os, "kill", lambda *_: seen.append(dict(fired_log.kills(run_dir))))
    worker = Killed(plan)
    for _ in range(2):
        worker.kill_if_due()
    assert seen == [{plan.part.name: 1}]
    assert fired_log.fired(run_dir).by_kind == {"worker.kill": 1}


def test_a_kill_that_came_too_late_is_taken_back(
    run_dir: Path, plan: ShardPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "kill", lambda *_: None)
    worker, pool = Killed(plan), object.__new__(shards._WorkerPool)
    worker.kill_if_due()
    worker.future, worker.pool = Future(), ThreadPoolExecutor(1)
    worker.future.set_result(ShardResult("A", plan.part.name, "", []))
    pool.busy, pool._results, pool._oracle = [worker], [], None
    monkeypatch.setattr(pool, "_replace", lambda _: None)
    pool.take(worker)
    assert not fired_log.kills(run_dir)
    assert not fired_log.fired(run_dir).by_point


def test_a_resumed_shard_is_not_killed_again(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plant: kills of the earlier attempt are not looked up."""
    faults = "faults: [{kind: worker.kill, count: 2}]\n"
    scenario = load(runs.scenario(run_dir, runs.SCENARIO + faults))
    rows: dict[str, tuple[int, ...]] = {}
    monkeypatch.setattr(
        delivery,
        "run_shards",
        lambda plans, *_: rows.update({each.part.name: each.kill_rows for each in plans}),
    )

    def planned() -> dict[str, tuple[int, ...]]:
        attempts = SimpleNamespace(takes_over=True, began=(), note="", done=lambda *_: [])
        record = Record()
        with suppress(Exception):
            delivery.deliver(
                scenario,
                Target(folder=run_dir / "lake"),
                record,
                lambda _: None,
                run_dir=run_dir,
                workers=1,
                attempts=attempts,  # type: ignore[arg-type]
            )
        return dict(rows)

    before = planned()
    shard = next(name for name, those in before.items() if those)
    fired_log.note(run_dir, ("worker.kill", ""), shard=shard)
    assert planned() == {**before, shard: before[shard][1:]}


def test_a_line_that_is_cut_short_and_a_missing_file_are_no_error(run_dir: Path) -> None:
    assert not fired_log.fired(run_dir).by_point
    fired_log.note(run_dir, ("node.offline", ""))
    with (run_dir / fired_log.FIRED).open("a") as file:
        file.write('["store.err')
    assert fired_log.fired(run_dir).by_kind == {"node.offline": 1}
    fired_log.forget(run_dir)
    fired_log.forget(run_dir)
    fired_log.note(run_dir / "not there", ("node.offline", ""))
