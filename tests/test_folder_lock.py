"""One owner of a run directory at a time, of any command, and none after its death."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sim import run_directory
from sim.cli import main
from sim.errors import DirectoryError
from sim.folder_lock import LOCK_FILE, Occupied, is_owned, owned
from tests.support import runs

OWNER = """
import pathlib, sys, time
from sim.folder_lock import owned
with owned(pathlib.Path(sys.argv[1])):
    print("mine", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that owns `tmp_path`."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, tmp_path], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "mine\n"
        yield process
        process.kill()


def test_the_owner_is_named_and_a_killed_one_has_no_lock(
    tmp_path: Path, owner: subprocess.Popen[str]
) -> None:
    who = rf"^process {owner.pid} on \S+, since \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$"
    with pytest.raises(Occupied, match=who), owned(tmp_path):
        pass
    owner.kill()
    owner.wait()
    assert (tmp_path / LOCK_FILE).exists()
    with owned(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_only_one_of_many_owns_the_folder(tmp_path: Path) -> None:
    """Each removes the file at its end, while others have it open."""
    inside: list[int] = []

    def turn(number: int) -> int:
        with owned(tmp_path, wait=True):
            inside.append(number)
            seen = len(inside)
            inside.remove(number)
            return seen

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(turn, range(400))) == {1}


def test_the_lock_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("dear")
    (tmp_path / LOCK_FILE).symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="symbolic links"), owned(tmp_path):
        pass
    assert (tmp_path / "precious").read_text() == "dear"


LOAD = "load={schedule: [{kind: constant, rate: 8/s, for: 20s}]}"


@pytest.fixture
def signals() -> Iterator[None]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize("more", [[], ["--overwrite"]])
@pytest.mark.parametrize("command", ["run", "load", "campaign", "demo", "report"])
def test_no_command_writes_into_a_folder_in_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, more: list[str]
) -> None:
    scenario = runs.scenario(tmp_path)
    out = tmp_path / "out"
    with run_directory.made(out, False, "name: x", 1):
        (out / "nodes").mkdir()
        (out / "result.json").write_text("{}")
        before = sorted(path.name for path in out.iterdir())
        words = {
            "demo": ["--to", str(out), "--farms", "E", "--turbines", "1", *more],
            "report": [str(out)],
            "load": [
                str(scenario),
                "--out",
                str(out),
                "--set",
                LOAD,
                "--set",
                "expect=[]",
                "--set",
                "data_faults=[]",
                *more,
            ],
        }.get(command, [str(scenario), "--out", str(out), *more])
        assert main([command, *words]) == 3
        printed = capsys.readouterr().err
        assert printed.startswith(f"windfleet: {out}: another windfleet is at work here (process ")
        assert printed.count("\n") == 1
        assert (
            "--to DIR"
            if command == "demo"
            else "--out DIR"
            if command != "report"
            else "another DIR"
        ) in printed
        assert sorted(path.name for path in out.iterdir()) == before


@pytest.mark.parametrize(("code", "kept"), [(130, True), (3, False)])
def test_an_interrupted_run_is_kept_and_a_failed_start_is_not(
    tmp_path: Path, code: int, kept: bool
) -> None:
    """Neither has nodes yet."""
    for name, text in (
        (run_directory.SCENARIO_FILE, run_directory.MARK + "name: x"),
        ("result.json", f'{{"exit_code": {code}}}'),
        ("report.html", ""),
    ):
        (tmp_path / name).write_text(text)
    if kept:
        with (
            pytest.raises(DirectoryError, match="--overwrite"),
            run_directory.made(tmp_path, False, "", 1),
        ):
            pass
        assert len(list(tmp_path.iterdir())) == 3
    else:
        with run_directory.made(tmp_path, False, "name: y", 1):
            assert {path.name for path in tmp_path.iterdir()} == {
                run_directory.SCENARIO_FILE,
                LOCK_FILE,
            }


def test_a_killed_run_is_an_earlier_run(tmp_path: Path) -> None:
    """Its lock file remains, without a result."""
    (tmp_path / run_directory.SCENARIO_FILE).write_text(run_directory.MARK + "name: x")
    (tmp_path / LOCK_FILE).write_text("process 1 on there, since then")
    (tmp_path / "nodes").mkdir()
    with (
        pytest.raises(DirectoryError, match="holds an earlier run"),
        run_directory.made(tmp_path, False, "", 1),
    ):
        pass


def test_a_lock_in_a_users_folder_does_not_turn_it_into_a_run(tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).touch()
    (tmp_path / "letter.txt").write_text("dear")
    with (
        pytest.raises(DirectoryError, match="not a windfleet run"),
        run_directory.made(tmp_path, True, "", 1),
    ):
        pass
    assert (tmp_path / "letter.txt").read_text() == "dear"


def test_a_look_at_the_owner_takes_no_lock(tmp_path: Path) -> None:
    assert not is_owned(tmp_path)
    with owned(tmp_path):
        assert is_owned(tmp_path)
    assert not is_owned(tmp_path)


@pytest.mark.parametrize(
    ("text", "there"),
    [
        (f"process {os.getpid()} on {socket.gethostname()}, since x", True),
        (f"process {2**22 + 1} on {socket.gethostname()}, since x", False),  # no such process
        (f"process {2**22 + 1} on another, since x", True),
        ("process 1 on " + socket.gethostname() + ", since x", True),  # of another user
        ("", True),  # just begun
    ],
    ids=["here", "killed", "elsewhere", "another user's", "just begun"],
)
def test_an_owner_that_was_killed_is_gone(tmp_path: Path, text: str, there: bool) -> None:
    (tmp_path / LOCK_FILE).write_text(text)
    assert is_owned(tmp_path) == there
