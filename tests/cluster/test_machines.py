"""Whole runs on several workers: the figures of one process, whatever dies meanwhile.

Each part has an embedded LocalStack. Long, so only in `make test-all`.
"""

from __future__ import annotations

import signal
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sim.errors import ENVIRONMENT, INTERRUPTED
from tests.support import clusters, runs
from tests.support.paths import ROOT

SMALL = ROOT / "scenarios" / "small.yaml"
NOWHERE = "http://127.0.0.1:9"

pytestmark = pytest.mark.campaign


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Result of `small.yaml` in one process."""
    out = tmp_path_factory.mktemp("whole") / "out"
    done = runs.inside("run", SMALL, "--out", out)
    assert done.code == 0, done.text
    return clusters.counted(runs.result(out))


def begun(started: runs.Command) -> list[str]:
    return [line for line in started.out.splitlines() if " begins on tcp://" in line]


def simulating(folder: Path, started: runs.Command) -> None:
    """Wait until a part writes node files."""
    there = runs.wait_until(lambda: list(folder.rglob("nodes/*/*.db")), 120)
    assert there, started.text


def assert_like(whole: dict[str, Any], out: Path) -> None:
    """Compare the result of a run that lost a worker, which only its note tells."""
    found = clusters.counted(runs.result(out))
    (note,) = found.pop("notes")
    assert "died; it ran again on tcp://" in note
    assert found == {name: value for name, value in whole.items() if name != "notes"}


def test_three_workers_one_of_them_killed(whole: dict[str, Any], tmp_path: Path) -> None:
    arguments = ("run", SMALL, "--cluster", "local:3", "--parts", "8", "--out", tmp_path / "out")
    with closing(runs.start(*arguments, "--worker-dir", tmp_path / "nodes")) as started:
        simulating(tmp_path / "nodes", started)
        part = next(p for p in started.processes() if clusters.CHILD in clusters.command_line(p))
        clusters.kill_worker_of(part)
        assert started.wait(600) == 0, started.text
        assert len(begun(started)) == 9, "one part began twice"
    assert_like(whole, tmp_path / "out")


def test_machines_in_directories_of_their_own_one_of_them_lost(
    whole: dict[str, Any], tmp_path: Path
) -> None:
    """As the README says; the workers' environment names another store, which is not used."""
    with clusters.machines() as up:
        process, address = clusters.scheduler(tmp_path / "scheduler")
        up.append(process)
        for name in ("one", "two", "three"):
            up.append(clusters.worker(tmp_path / name, address, AWS_ENDPOINT_URL=NOWHERE))
        log = tmp_path / "scheduler" / "log"
        assert runs.wait_until(lambda: log.read_text().count("Register worker") == 3, 120)
        arguments = ("run", SMALL, "--cluster", address, "--parts", "4")
        with closing(runs.start(*arguments, "--out", tmp_path / "out")) as started:
            simulating(tmp_path / "one", started)
            clusters.lose(up[1])
            assert started.wait(600) == 0, started.text
            assert len(begun(started)) == 5, "one part began twice"
            assert "Traceback" not in started.text
    assert_like(whole, tmp_path / "out")
    made = {path.parts[len(tmp_path.parts)] for path in tmp_path.rglob("part.json")}
    assert made == {"two", "three", "out"}, "node files stay where they were made"
    assert not clusters.parts_under_way(tmp_path)


def test_ctrl_c_ends_the_parts_and_keeps_those_that_ended(tmp_path: Path) -> None:
    arguments = ("run", SMALL, "--cluster", "local:1", "--parts", "2", "--out", tmp_path / "out")
    with closing(runs.start(*arguments, "--worker-dir", tmp_path / "nodes")) as started:
        assert runs.wait_until(lambda: "part 1 of 2: pass" in started.out, 120), started.text
        assert runs.wait_until(lambda: len(begun(started)) == 2, 60)
        time.sleep(2.0)  # the part is on its way
        started.process.send_signal(signal.SIGINT)
        done = runs.Done(started)
    assert done.code == INTERRUPTED
    assert done.err == "windfleet: interrupted\n"
    assert not done.left
    assert [path.parent.name for path in (tmp_path / "out").rglob("part.json")] == ["part-1-of-2"]


def test_a_scheduler_that_dies_ends_the_run(tmp_path: Path) -> None:
    quickly = "import sim.cluster.parts\nsim.cluster.parts.LOST_AFTER_S = 1.0"
    with clusters.machines() as up:
        process, address = clusters.scheduler(tmp_path / "scheduler")
        up += [process, clusters.worker(tmp_path / "one", address)]
        arguments = ("run", SMALL, "--cluster", address, "--parts", "2", "--out", tmp_path / "out")
        with closing(runs.start(*arguments, plant=quickly)) as started:
            assert runs.wait_until(lambda: begun(started), 120), started.text
            process.kill()
            done = runs.Done(started)
        assert done.code == ENVIRONMENT
        assert done.said_once("the scheduler stopped answering", "no part has ended"), done.text
        assert runs.wait_until(lambda: not clusters.parts_under_way(tmp_path), 60), (
            "the worker gave up"
        )
