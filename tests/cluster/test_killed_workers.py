"""`demo` and `campaign` on workers of Dask, one of which is killed in the middle of a part."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final

import psutil
import pytest

from sim.errors import PASS, UNKNOWN
from tests.support import clusters, runs
from tests.support.chaos_world import scenario_file
from tests.support.paths import ROOT

CLUSTER: Final = ("--cluster", "local:2", "--parts", "2")
DATA_SET: Final = (
    *("--farms", "E,F", "--turbines", "5", "--workers", "1", "--no-dashboard", "--nodes"),
    *("--layout", "turbine", "--start", "2024-07-01T00:30:00Z", "--sample-every", "1s"),
    *("--set", "clock.duration=2h", "--set", "pipeline.flush_every=30m", "--set", "events=[]"),
    *("--set", "data_faults=[{kind: row.duplicate, rate: 50 per turbine-day}]"),
)
SIZES: Final = ("--runs", "4", "--loads", "2", "--wired", "0", "--workers", "1")
VARYING: Final = ("time.runs", "throughput.runs_per_s", "time.loads")
FEW_RUNS: Final = """
import sys
if "campaign" in sys.orig_argv:
    from sim.campaign import plan
    from sim.campaign.loader import plan as loads
    plan.every_call = lambda *given, all=plan.every_call: all(*given)[:60]
    loads.every_call = lambda *given, all=loads.every_call: all(*given)[:2]
    plan.every_interval = lambda world: []
    plan.every_other_kind = lambda *both: []
    plan.foreign_in_each_bucket = lambda clean: []
"""


def parts_of(started: runs.Command) -> list[psutil.Process]:
    return [p for p in started.processes() if clusters.CHILD in clusters.command_line(p)]


def cpu_s(part: psutil.Process) -> float:
    """Return the CPU time of a part and of its worker processes."""
    total = 0.0
    with suppress(psutil.Error):
        for process in (part, *part.children(recursive=True)):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def with_one_killed(
    *arguments: object,
    in_the_middle: Callable[[list[psutil.Process]], psutil.Process | None],
    **env: str,
) -> runs.Done:
    """Run a command on two workers, and kill the worker of a part that is in the middle."""
    with closing(runs.start(*arguments, *CLUSTER, **env)) as started:
        found: list[psutil.Process] = []

        def begun() -> bool:
            part = in_the_middle(parts_of(started))
            found[:] = [] if part is None else [part]
            return bool(found)

        ended = started.process.poll
        assert runs.wait_until(lambda: begun() or ended() is not None, 90), started.text
        assert found, started.text
        clusters.kill_worker_of(found[0])
        done = runs.Done(started)
    begins = re.findall(r"^part (\d) of 2 begins on tcp://", done.out, re.MULTILINE)
    (died,) = re.findall(r"part (\d): the worker tcp://\S+ died; it ran again on tcp://", done.out)
    assert Counter(begins) == {died: 2, str(3 - int(died)): 1}, done.text
    return done


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".windfleet-lock"
    }


@pytest.mark.campaign
def test_the_data_set_is_that_of_one_process(tmp_path: Path) -> None:
    made, whole = tmp_path / "made", tmp_path / "whole"

    def has_files(parts: list[psutil.Process]) -> psutil.Process | None:
        made_files = [path.parts for path in tmp_path.glob("made.parts/*/part-*/**/*.parquet")]
        for part in parts:
            words = clusters.command_line(part)
            out = Path(words[words.index("--to") + 1]).name if "--to" in words else ""
            if any(out in path for path in made_files):
                return part
        return None

    done = with_one_killed("demo", *DATA_SET, "--to", made, in_the_middle=has_files)
    assert done.code == PASS, done.text
    assert runs.command("demo", *DATA_SET, "--to", whole).code == PASS
    found, want = files(made), files(whole)
    assert sorted(found) == sorted(want)
    assert [name for name in want if found[name] != want[name]] == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "whole"]


def document(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "campaign.json").read_text())
    for name in VARYING:
        found["figures"].pop(name, None)
    del found["replay"]
    return found


@pytest.mark.campaign
def test_the_campaign_is_that_of_one_process(tmp_path: Path) -> None:
    scenario, site = scenario_file(tmp_path), tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(FEW_RUNS)
    env = {"PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}
    out, whole = tmp_path / "out", tmp_path / "whole"

    def has_worked(parts: list[psutil.Process]) -> psutil.Process | None:
        return next((part for part in parts if cpu_s(part) > 2.5), None)

    command = ("campaign", scenario, *SIZES, "--out")
    done = with_one_killed(*command, out, in_the_middle=has_worked, **env)
    # Most combinations of fault and point were left out.
    assert done.code == runs.command(*command, whole, **env).code == UNKNOWN, done.text
    assert document(out) == document(whole)
