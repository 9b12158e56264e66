"""Refusals of `windfleet run --cluster` before anything runs: one message, exit code, no trace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sim.cluster.address import cluster_address
from sim.errors import ENVIRONMENT, INVALID
from tests.support import clusters, runs

NOBODY = "tcp://127.0.0.1:9"
REMOTE = "tcp://10.9.8.7:8786"


@pytest.mark.parametrize("text", ["tcp://10.0.0.7:8786", "tcp://[::1]:8786", "tcp://dask:1"])
def test_a_scheduler_is_named_by_host_and_port(text: str) -> None:
    found = cluster_address(text)
    assert (str(found), found.scheduler) == (text, text)
    assert found.loopback == ("::1" in text)


def test_local_workers_are_named_by_their_number() -> None:
    assert cluster_address("local:12").workers == 12


@pytest.mark.parametrize(
    "text",
    [
        *("", "local", "local:0", "local:-1", "local:99999", "tcp://h", "tls://h:1", "h:1"),
        *("tcp://:1", "tcp://u:p@h:1", "tcp://h:1/x", "http://h:1", "inproc://1:2"),
        "tcp://h:99999",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    done = runs.inside("run", "x.yaml", "--cluster", text)
    assert done.code == INVALID
    assert "tcp://HOST:PORT" in done.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--cluster", "local:2", "--shard", "1/2"), "--cluster does not go with --shard"),
        (("--cluster", "local:2", "--keep"), "--cluster does not go with --keep"),
        (("--cluster", "local:2", "--port", "4566"), "--cluster does not go with --port"),
        (("--cluster", "local:2", "--save-lake"), "--cluster does not go with --save-lake"),
        (("--parts", "3"), "--parts goes with --cluster"),
        (("--worker-dir", "x"), "--worker-dir goes with --cluster"),
        (("--cluster", "local:2", "--parts", "0"), "not a whole number of 1 or more"),
    ],
)
def test_options_that_do_not_fit(options: tuple[str, ...], words: str) -> None:
    done = runs.inside("run", "x.yaml", *options)
    assert done.code == INVALID
    assert words in done.err


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("demo --cluster local:2 --shard 1/2", "--cluster does not go with --shard"),
        ("demo --cluster local:2 --empty-lake", "--cluster does not go with --empty-lake"),
        ("demo --cluster local:2 --to http://127.0.0.1:9", "a part is made in a folder"),
        ("demo --worker-dir x", "--worker-dir goes with --cluster"),
        ("campaign x.yaml --cluster local:2 --replay x", "--cluster does not go with --replay"),
        ("campaign x.yaml --cluster local:2 --shard 1/2", "--cluster does not go with --shard"),
        ("campaign x.yaml --parts 2", "--parts goes with --cluster"),
        ("campaign x.yaml --allow-remote", "--allow-remote goes with --cluster"),
        ("verify x --cluster local:2 --shard 1/2", "--cluster does not go with --shard"),
        ("verify x --cluster local:2 --out y", "--cluster does not go with --out"),
        ("verify x --cluster local:2 --lake y", "--cluster does not go with --lake"),
    ],
)
def test_options_of_other_commands_that_do_not_fit(command: str, words: str) -> None:
    done = runs.inside(*command.split())
    assert done.code == INVALID
    assert words in done.err


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Path of the tiny scenario. Afterwards no run directory is there."""
    monkeypatch.chdir(tmp_path)
    yield runs.scenario(tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.name in ("nodes", "parts")]


def test_a_scheduler_elsewhere_needs_leave(tiny: Path) -> None:
    done = runs.inside("run", tiny, "--cluster", REMOTE)
    assert done.code == ENVIRONMENT
    assert done.said_once(REMOTE, "--allow-remote")


def test_a_store_on_this_machine_is_none_for_workers_elsewhere(tiny: Path) -> None:
    leave = ("--allow-remote", "--endpoint-url", "http://127.0.0.1:4566")
    done = runs.inside("run", tiny, "--cluster", REMOTE, *leave)
    assert done.code == ENVIRONMENT
    assert done.said_once("http://127.0.0.1:4566 is on this machine", REMOTE)


def test_more_parts_than_turbines_are_refused(tiny: Path) -> None:
    done = runs.inside("run", tiny, "--cluster", NOBODY, "--parts", "10")
    assert done.code == INVALID
    assert done.said_once("10 parts of 9 turbines")


def test_without_the_extra_the_message_has_the_command(tiny: Path) -> None:
    done = runs.quick("run", tiny, "--cluster", "local:2", plant="sys.modules['distributed']=None")
    assert done.code == ENVIRONMENT
    assert done.said_once("--cluster needs the package distributed", "pip install '.[cluster]'")


def test_no_scheduler(tiny: Path) -> None:
    quickly = "import sim.cluster.command\nsim.cluster.command.CONNECT_WITHIN_S = 0.5"
    done = runs.quick("run", tiny, "--cluster", NOBODY, plant=quickly)
    assert done.code == ENVIRONMENT
    assert done.said_once(f"no Dask scheduler answers at {NOBODY}", "dask scheduler")


def test_workers_are_refused_by_name(tiny: Path, tmp_path: Path) -> None:
    """A scheduler without windfleet, first without workers, then with two that do not fit."""
    bare = clusters.hide(tmp_path / "hidden", "sim")
    other = clusters.another_version(tmp_path / "other-version", "windfleet", "9.9")
    arguments = ("run", tiny, "--endpoint-url", "http://127.0.0.1:9", "--cluster")
    hasty = "import sim.cluster.roll_call\nsim.cluster.roll_call.WORKER_WITHIN_S = 0.0"
    with clusters.machines() as up:
        process, address = clusters.scheduler(tmp_path / "scheduler", PYTHONPATH=bare)
        up.append(process)
        done = runs.quick(*arguments, address, plant=hasty)
        assert done.code == ENVIRONMENT
        assert done.said_once(f"{address} has no worker", f"dask worker {address}")
        up.append(clusters.worker(tmp_path / "bare", address, PYTHONPATH=bare))
        up.append(clusters.worker(tmp_path / "old", address, PYTHONPATH=other))
        log = tmp_path / "scheduler" / "log"
        assert runs.wait_until(lambda: log.read_text().count("Register worker") == 2, 60)
        done = runs.quick(*arguments, address)
    assert done.code == ENVIRONMENT
    assert "Traceback" not in done.text
    head, *lines = done.err.splitlines()
    assert head == "windfleet: this cluster cannot run the parts:"
    found = dict(line.split(": ", 1) for line in lines)
    (old,) = [text for name, text in found.items() if name.startswith("worker old at tcp://")]
    assert old.startswith("has windfleet 9.9, this machine has ")
    (missing,) = [text for name, text in found.items() if name.startswith("worker bare at tcp://")]
    assert "pip install '.[cluster]'" in missing
    assert found[f"scheduler {address}"] == missing
    assert len(found) == 3
