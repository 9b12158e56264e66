"""A load test, from its journals while it runs, and from its requests afterwards."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sim.watch.document import document
from tests.support import watch_samples
from tests.support.watch_samples import START_S


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return watch_samples.loading(tmp_path)


def test_requests_backlog_and_phase(folder: Path) -> None:
    state = watch_samples.polled(folder, START_S + 10.0)
    shown = document(state)
    assert (shown["stage"], shown["command"]) == ("loading", "load")
    assert shown["phases"] == [
        {"name": "ramp", "planned": 40, "done": 20, "failed": 1, "running": True}
    ]
    # All 40 are due, 22 have started, 20 have ended.
    assert (shown["backlog"], shown["under_way"]) == (40 - 22, 2)
    assert {(each["outcome"], each["count"]) for each in shown["requests"]} == {
        ("ok", 19),
        ("unavailable", 1),
    }
    assert sum(each["count"] for each in shown["operations"]) == 22
    assert shown["series"]["p50"][0] == pytest.approx(0.05, rel=0.06)
    assert sum(shown["series"]["requests"]) == 20


def test_a_phase_that_has_not_started_is_not_read(folder: Path) -> None:
    shutil.rmtree(folder / ".load")
    phase = watch_samples.load_phase(folder)
    state = watch_samples.polled(folder)
    assert document(state)["phases"][0]["done"] == 0
    watch_samples.load_requests(phase)
    state.poll()
    assert document(state)["phases"][0]["done"] == 20


def test_a_half_written_plan_waits(folder: Path) -> None:
    plan = folder / ".load" / "phases" / "001-ramp" / "phase.json"
    text = plan.read_text()
    plan.write_text(text[:50])
    state = watch_samples.polled(folder)
    assert document(state)["phases"] == []
    plan.write_text(text)
    state.poll()
    assert document(state)["phases"][0]["done"] == 20


def test_a_removed_phase_keeps_its_totals_and_the_next_begins(folder: Path) -> None:
    state = watch_samples.polled(folder, START_S + 10.0)
    shutil.rmtree(folder / ".load" / "phases" / "001-ramp")
    watch_samples.load_requests(watch_samples.load_phase(folder, "002-hold"), ended=5, begun=5)
    state.poll()
    assert [(each["name"], each["done"]) for each in document(state)["phases"]] == [
        ("ramp", 20),
        ("hold", 5),
    ]
    assert sum(each["count"] for each in document(state)["requests"]) == 25


def test_calibration_against_a_null_store_is_no_phase(folder: Path) -> None:
    (folder / ".load" / "phases" / "001-ramp").rename(folder / ".load" / "phases" / "null")
    assert document(watch_samples.polled(folder))["phases"] == []


def test_an_ended_test_has_the_backlog_over_time(tmp_path: Path) -> None:
    state = watch_samples.polled(watch_samples.ended_load(tmp_path / "ended"), START_S + 60.0)
    shown = document(state)
    assert (state.stage, state.trouble) == ("ended", None)
    assert [(each["name"], each["planned"], each["done"]) for each in shown["phases"]] == [
        ("ramp", 60, 60),
        ("hold", 60, 50),
    ]
    # At the end of each second 30 more were due, and 20 more had started.
    assert shown["series"]["backlog"][:3] == [10, 20, 30]
    assert max(shown["series"]["under_way"]) <= 1
    assert shown["backlog"] == 0
