"""`windfleet watch`: its words, and its exit code when Ctrl-C ends it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from sim.watch.command import Follower
from tests.support import runs, watch_samples


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the first pause."""

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sim.watch.command.time.sleep", interrupt)


@pytest.mark.parametrize(
    ("world", "code", "news", "error"),
    [
        ("delivering", 130, "a run simulates and delivers", "windfleet: interrupted\n"),
        ("loading", 130, "a load test runs its phases", "windfleet: interrupted\n"),
        ("ended_load", 0, "the run has ended: pass; Ctrl-C ends the page", ""),
    ],
)
@pytest.mark.usefixtures("interrupted")
def test_ctrl_c_ends_it(tmp_path: Path, world: str, code: int, news: str, error: str) -> None:
    folder = getattr(watch_samples, world)(tmp_path)
    done = runs.inside("watch", folder)
    first, second = done.out.splitlines()
    assert re.fullmatch(rf"watching {folder}: http://127\.0\.0\.1:\d+/", first)
    assert (second, done.err, done.code) == (news, error, code)


def test_the_first_answer_knows_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that is given before the loop begins."""
    answers = []

    def run(follower: Follower) -> None:
        answers.append(json.loads(follower.answers["/state.json"]().body))
        raise KeyboardInterrupt

    monkeypatch.setattr(Follower, "run", run)
    runs.inside("watch", watch_samples.delivering(tmp_path))
    assert answers[0]["stage"] == "delivering"


@pytest.mark.usefixtures("interrupted")
def test_it_waits_for_a_run(tmp_path: Path) -> None:
    done = runs.inside("watch", tmp_path / "later")
    assert done.code == 130
    assert f"start one with: windfleet run SCENARIO --out {tmp_path / 'later'}" in done.out
    assert not (tmp_path / "later").exists()


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_text("x")
    done = runs.inside("watch", tmp_path)
    assert done.code == 2
    assert done.err == (
        f"windfleet: {tmp_path}: is not a windfleet run; name the directory of one "
        "(--out of `windfleet run`)\n"
    )
