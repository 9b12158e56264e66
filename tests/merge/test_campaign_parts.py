"""Parts of a campaign against the same campaign in one process."""

from __future__ import annotations

import copy
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from sim.campaign import command, plan
from sim.campaign.in_process_run import CleanRunBroken
from sim.campaign.invariants import BrokenInvariant
from sim.campaign.live_loads import LiveLoads
from sim.campaign.live_runs import LiveRun
from sim.campaign.loader import command as loader_command
from sim.campaign.loader import plan as loader_plan
from sim.campaign.loader.run import CleanLoadBroken
from sim.chaos.faults import InjectionCounts, fault_point
from sim.errors import LAKE_WRONG, PASS, UNKNOWN
from sim.run.part_index import PartIndex
from tests.support import runs
from tests.support.chaos_world import scenario_file

PARTS = 3
SIZES = ("--runs", "45", "--loads", "24", "--wired", "25", "--workers", "1")
KILL, HANG, SLOW = ("worker.kill", ""), ("store.hang", "data"), ("store.slow", "history")


def live_runs(*arguments: Any) -> Iterator[LiveRun]:
    """Yield whole runs as a function of their number. Run 9 fails, run 19 hit no point of one."""
    for index in arguments[3]:
        fired = Counter({KILL: 1 + index % 2, HANG: int(index != 19)})
        yield LiveRun(
            (f"seed={index}", "faults=[]"),
            {fault_point("worker.kill"): 0.0, HANG: 0.0 if index == 3 else 0.5, SLOW: 0.9},
            InjectionCounts(fired),
            [BrokenInvariant("lake.differs", "digest 12")] if index == 9 else [],
            requests=100 + index,
            loads=LiveLoads(killed=index) if index % 10 == 9 else None,
        )


def in_this_process(
    prepare: Callable[[], Callable[[Any], Any]],
    lines: Sequence[Any],
    workers: int,
    progress: Callable[[int], None],
) -> Iterator[tuple[int, Any]]:
    """Run lines without worker processes, the last one first: the order must not matter."""
    run = prepare()
    for index in reversed(range(len(lines))):
        yield index, copy.deepcopy(run(lines[index]))


class Planted:
    """A run of schedules that breaks an invariant in every seventh one."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def run_lines(self, prepare: Any, lines: Any, *others: Any) -> Iterator[tuple[int, Any]]:
        def prepared() -> Callable[[Any], Any]:
            run = prepare()

            def once(line: Any) -> Any:
                if str(line) not in self.kept:
                    self.kept[str(line)] = run(line)
                found = copy.deepcopy(self.kept[str(line)])
                if sum(str(line).encode()) % 7 == 0:
                    found.broken.append(BrokenInvariant("lake.missing", f"planted {line}"))
                return found

            return once

        return in_this_process(prepared, lines, *others)


@pytest.fixture
def thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out most enumerated runs, so that some points are never hit."""
    calls, others, foreign = plan.every_call, plan.every_other_kind, plan.foreign_in_each_bucket
    loads = loader_plan.every_call
    monkeypatch.setattr(plan, "every_call", lambda clean: calls(clean)[-1::-30])
    monkeypatch.setattr(plan, "every_other_kind", lambda *both: others(*both)[::2])
    monkeypatch.setattr(plan, "foreign_in_each_bucket", lambda clean: foreign(clean)[::3])
    monkeypatch.setattr(loader_plan, "every_call", lambda world: loads(world)[::90])
    monkeypatch.setattr(command, "make_live_runs", live_runs)
    for each in (command, loader_command):
        monkeypatch.setattr(each, "run_lines", in_this_process)


def made(folder: Path, name: str, *options: object) -> runs.Ended:
    scenario = scenario_file(folder)
    return runs.inside("campaign", scenario, *SIZES, *options, "--out", folder / name)


def parts_made(folder: Path, count: int = PARTS) -> tuple[list[Path], list[int]]:
    """Make all parts. Return their directories and exit codes."""
    names = [f"part-{index}" for index in range(1, count + 1)]
    codes = [made(folder, name, "--shard", f"{name[5:]}/{count}").code for name in names]
    return [folder / name for name in names], codes


def document(folder: Path) -> dict[str, Any]:
    """Return a campaign.json without what depends on the machine's speed."""
    found: dict[str, Any] = json.loads((folder / "campaign.json").read_text())
    figures = found["figures"]
    found["figures"] = {n: f for n, f in figures.items() if f["kind"] != "measured"}
    return found


@pytest.mark.usefixtures("thinned")
def test_the_merged_result_is_that_of_one_process(tmp_path: Path) -> None:
    whole = made(tmp_path, "whole")
    parts, codes = parts_made(tmp_path)
    merged = runs.inside("merge", *parts[::-1], "--out", tmp_path / "merged")
    print(whole.text, merged.text)
    want = document(tmp_path / "whole")
    assert document(tmp_path / "merged") == want
