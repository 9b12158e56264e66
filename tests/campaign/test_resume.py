"""`windfleet campaign --resume DIR`: runs that were made are not made again, and count."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from sim import cli
from sim.campaign import command, journal, plan
from sim.campaign.invariants import BrokenInvariant
from sim.campaign.journal import Journal
from sim.campaign.live_loads import LiveLoads
from sim.campaign.live_runs import LiveRun
from sim.campaign.loader import plan as loader_plan
from sim.chaos.faults import InjectionCounts, fault_point
from tests.support.chaos_world import scenario_file

SIZES = ("--runs", "6", "--loads", "3", "--wired", "4", "--workers", "1")


def live_run(index: int) -> LiveRun:
    """Return a whole run as a function of its number."""
    point = fault_point("worker.kill")
    return LiveRun(
        (f"seed={index}", "faults=[]"),
        {point: 0.0, fault_point("store.hang", "data"): None},
        InjectionCounts(Counter({point: 1})),
        [BrokenInvariant("lake.differs", "digest 12")] if index == 2 else [],
        requests=100 + index,
        loads=LiveLoads(killed=index, faults=Counter({"store.slow": 2})),
    )


class Runs:
    """Runs in this process. Ctrl-C comes before the run number `most`, if it is reached."""

    def __init__(self, most: int) -> None:
        self.most, self.made = most, 0

    def count(self) -> None:
        if self.made == self.most:
            raise KeyboardInterrupt
        self.made += 1

    def run_lines(
        self, prepare: Callable[[], Any], lines: Sequence[Any], workers: int, progress: object
    ) -> Iterator[tuple[int, Any]]:
        run = prepare()
        for index in reversed(range(len(lines))):
            self.count()
            yield index, run(lines[index])

    def live(self, *arguments: Any) -> Iterator[tuple[int, LiveRun]]:
        for index in arguments[3]:
            self.count()
            yield index, live_run(index)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out most enumerated runs."""
    calls, loads = plan.every_call, loader_plan.every_call
    monkeypatch.setattr(plan, "REPEAT_EVERY", 5)
    monkeypatch.setattr(plan, "every_call", lambda *given: calls(*given)[:6])
    monkeypatch.setattr(plan, "every_interval", lambda world: [])
    monkeypatch.setattr(plan, "every_other_kind", lambda *both: [])
    monkeypatch.setattr(plan, "foreign_in_each_bucket", lambda clean: [])
    monkeypatch.setattr(loader_plan, "every_call", lambda *given: loads(*given)[:3])


def windfleet(monkeypatch: pytest.MonkeyPatch, most: int, *arguments: object) -> tuple[int, int]:
    """Run a command. Return its exit code, and the number of runs that it made."""
    runs = Runs(most)
    monkeypatch.setattr(journal, "run_lines", runs.run_lines)
    monkeypatch.setattr(command, "make_live_runs", runs.live)
    return cli.main([str(argument) for argument in arguments]), runs.made


def document(folder: Path) -> dict[str, Any]:
    """Return campaign.json without what depends on the machine, or tells of the interrupt."""
    text = (folder / "campaign.json").read_text()
    found: dict[str, Any] = json.loads(text.replace(str(folder), "DIR"))
    found["figures"] = {
        name: figure for name, figure in found["figures"].items() if figure["kind"] != "measured"
    }
    found["notes"] = [note for note in found["notes"] if not note.startswith("resumed: ")]
    return found


@pytest.mark.usefixtures("few")
def test_a_campaign_that_is_resumed_ends_as_without_an_interrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = scenario_file(tmp_path)
    whole, out = tmp_path / "whole", tmp_path / "out"
    code, total = windfleet(monkeypatch, -1, "campaign", path, *SIZES, "--out", whole)
    arguments: tuple[object, ...] = ("campaign", path, *SIZES, "--out", out)
    made = 0
    for most in (4, 8, 7, 3):  # among runs in process, among loads, among whole runs
        capsys.readouterr()
        ended, more = windfleet(monkeypatch, most, *arguments)
        assert (ended in (5, 130), more) == (True, most)
        made += more
        said = " ".join(capsys.readouterr().out.split())
        assert f"go on with: windfleet campaign --resume {out}" in said
        assert windfleet(monkeypatch, 0, "campaign", path, *SIZES, "--out", out) == (2, 0)
        assert f"`windfleet campaign --resume {out}`, replace it" in capsys.readouterr().err
        arguments = ("campaign", "--resume", out)
    ended, more = windfleet(monkeypatch, -1, *arguments)
    assert (ended, made + more) == (code, total)
    assert document(out) == document(whole)
    assert not (out / ".resume").exists()
    assert windfleet(monkeypatch, -1, *arguments) == (2, 0)
    assert "holds a run that is finished" in capsys.readouterr().err


def test_an_outcome_is_read_as_it_was_written(tmp_path: Path) -> None:
    runs = Journal(tmp_path, LiveRun)
    names = [str(index) for index in range(4)]
    for index in (2, 0):
        runs.add(index, names[index], live_run(index))
    with (tmp_path / ".resume" / "outcomes.txt").open("a", encoding="utf-8") as file:
        file.write('["LiveRun", 3, "3", {"sett')  # cut short by a kill
    runs.add(1, names[1], live_run(1))
    assert runs.outcomes(names) == {index: live_run(index) for index in range(3)}
    assert runs.outcomes(["0", "another", "2"]).keys() == {0, 2}
