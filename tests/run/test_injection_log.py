"""Injected faults on disk while a run lasts: one line a second at most, none without a change."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from sim.chaos.faults import InjectionCounts
from sim.run import operations
from sim.run.injection_log import EVERY_S, InjectionLog


def test_a_line_has_the_sums_and_comes_once_a_second_after_a_change(tmp_path: Path) -> None:
    now = 0.0
    log = InjectionLog(tmp_path, lambda: now)
    path = tmp_path / ".operations" / "injections.jsonl"
    nodes = InjectionCounts(Counter({("node.crash before", "data"): 2}))
    wire = InjectionCounts(Counter({("store.error", "manifest"): 3, ("store.error", "data"): 1}))

    def noted() -> list[dict[str, int]]:
        log.note(nodes, wire)
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line)["by_kind"] for line in lines]

    first = {"node.crash": 2, "store.error": 4}
    assert noted() == [first]
    nodes.by_point["node.crash before", "data"] += 1
    assert noted() == [first], "within a second"
    now += EVERY_S
    assert noted() == [first, first | {"node.crash": 3}]
    now += EVERY_S
    assert len(noted()) == 2, "nothing changed"


def test_a_run_without_faults_writes_nothing(tmp_path: Path) -> None:
    InjectionLog(tmp_path).note(InjectionCounts())
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_the_line_does_not_end_the_run(tmp_path: Path) -> None:
    (tmp_path / ".operations").write_text("a file in the way")
    InjectionLog(tmp_path).note(InjectionCounts(Counter({("store.error", "data"): 1})))
    assert (tmp_path / ".operations").read_text() == "a file in the way"


def test_the_end_of_a_run_removes_the_file(tmp_path: Path) -> None:
    InjectionLog(tmp_path).note(InjectionCounts(Counter({("store.error", "data"): 1})))
    assert (tmp_path / ".operations").is_dir()
    operations.merge(tmp_path)
    assert not (tmp_path / ".operations").exists()
