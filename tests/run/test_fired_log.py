"""Faults that fired, on disk before they act: a SIGKILL makes no resumed run forget one."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from sim.chaos.call import Call
from sim.chaos.choice import Chooser
from sim.chaos.faults import Fault
from sim.run import fired_log
from sim.run.part import part_of
from sim.run.shard import run_shard
from sim.run.shard_plan import shard_plans
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


def test_a_line_that_is_cut_short_and_a_missing_file_are_no_error(run_dir: Path) -> None:
    assert not fired_log.fired(run_dir).by_point
    fired_log.note(run_dir, ("node.offline", ""))
    with (run_dir / fired_log.FIRED).open("a") as file:
        file.write('["store.err')
    assert fired_log.fired(run_dir).by_kind == {"node.offline": 1}
    fired_log.forget(run_dir)
    fired_log.forget(run_dir)
    fired_log.note(run_dir / "not there", ("node.offline", ""))
