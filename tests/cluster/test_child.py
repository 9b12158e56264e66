"""A command in a process of its own: it ends with its parent, and when it is stopped."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from sim.cluster import child
from sim.errors import INTERRUPTED
from tests.support import clusters, runs

PARENT = """\
import os, sys
from sim.cluster import child
process = child.start(sys.argv[1:], dict(os.environ), sys.stderr.buffer)
print(process.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def waiting(tmp_path: Path) -> str:
    """A folder in which nobody starts a run: `watch` waits for one."""
    return str(tmp_path / "run")


@pytest.mark.parametrize("way", ["by the pipe", "by the kernel"])
def test_it_ends_when_its_parent_is_killed(waiting: str, tmp_path: Path, way: str) -> None:
    environment = os.environ | child.safe_path()
    if way == "by the pipe":  # as where the system has no such signal
        environment |= without_signal(tmp_path)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, "watch", waiting],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    with parent.stdin, parent.stdout:
        process = psutil.Process(int(parent.stdout.readline()))
        assert not runs.wait_until(lambda: not clusters.is_running(process), 1.5)
        if way == "by the kernel":
            process.suspend()
        parent.kill()
        parent.wait()
        try:
            assert runs.wait_until(lambda: not clusters.is_running(process), 10)
        finally:
            with suppress(psutil.NoSuchProcess):
                process.kill()


def without_signal(folder: Path) -> dict[str, str]:
    """Return a PYTHONPATH whose `sitecustomize` takes `prctl` away."""
    lines = ["import ctypes", "def gone(name): raise OSError(name)", "ctypes.CDLL = gone"]
    place = folder / "site"
    place.mkdir()
    (place / "sitecustomize.py").write_text("\n".join(lines) + "\n")
    return {"PYTHONPATH": os.pathsep.join([str(place), child.safe_path()["PYTHONPATH"]])}


def test_it_is_stopped_in_an_orderly_way(waiting: str, tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        process = child.start(["watch", waiting], os.environ | child.safe_path(), log)
        try:
            assert not runs.wait_until(lambda: process.poll() is not None, 1.5)
        finally:
            child.stop(process)
    assert process.returncode == INTERRUPTED
    assert (tmp_path / "log").read_text().splitlines()[-1] == "windfleet: interrupted"


def test_one_that_does_not_stop_is_killed(
    waiting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "STOP_WITHIN_S", 0.2)
    with (tmp_path / "log").open("wb") as log:
        process = child.start(["watch", waiting], os.environ | child.safe_path(), log)
        assert not runs.wait_until(lambda: process.poll() is not None, 1.5)
        psutil.Process(process.pid).suspend()
        child.stop(process)
    assert process.returncode == -9


def test_one_that_has_ended_keeps_its_number_until_it_is_stopped(tmp_path: Path) -> None:
    """Its process group may be killed then: no other process can have got that number."""
    with (tmp_path / "log").open("wb") as log:
        process = child.start(["--version"], os.environ | child.safe_path(), log)
        assert runs.wait_until(lambda: child.has_ended(process), 30)
    assert process.returncode is None
    assert psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE
    child.stop(process)
    assert process.returncode == 0
