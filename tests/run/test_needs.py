"""Needs of a run before it begins, and the past runs that they come from."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from sim.check import shares
from sim.errors import NeedsError
from sim.run import needs as needs_module
from sim.run.needs import Machine, Needs, needs, parts_at_once, require_fit
from sim.run.part import part_of
from sim.run.part_index import PartIndex
from sim.run.past_runs import FILE, KEPT, PastRun, of_kind, past_runs, remember
from sim.scenario import Scenario, load
from sim.scenario.plan import plan
from tests.support import runs
from tests.support.paths import ROOT

PAST = PastRun("2026-11-30T16:00:00+00:00", "embedded short", 2, 5_400_000, 900.0, 80.0, 1 << 31)
GIB = 1 << 30


@pytest.fixture(scope="module")
def hour() -> Scenario:
    return load(ROOT / "scenarios" / "fleet-hour.yaml")


def need_of(hour: Scenario, count: int = 1, past: list[PastRun] | None = None) -> Needs:
    part = part_of(hour.fleet, PartIndex(1, count))
    return needs(hour, part, 2, "embedded short", [PAST] if past is None else past)


def test_time_is_that_of_the_last_run_of_the_kind_by_rows(hour: Scenario) -> None:
    assert need_of(hour).seconds == 80.0
    assert need_of(hour, 10).seconds == 8.0
    text = "about 1 min 20 s here (scaled by rows from the run of 2026-11-30T16:00"
    assert text in str(need_of(hour))
    named = replace(PAST, scenario="quickstart")
    assert "scaled by rows from the run of quickstart of 2026" in str(need_of(hour, past=[named]))
    assert str(need_of(hour, 10)).startswith("part 1 of 10: 540,000 rows")
    assert need_of(hour, past=[]).seconds is None
    assert "no run of its kind was made here yet" in str(need_of(hour, past=[]))


def test_a_run_of_the_same_scenario_comes_before_a_newer_one(hour: Scenario) -> None:
    """Another one may have had faults that delay it."""
    own, other = replace(PAST, scenario=hour.name), replace(PAST, scenario="slow", seconds=900.0)
    assert need_of(hour, past=[own, other]).seconds == 80.0
    newer = replace(own, seconds=70.0)
    assert need_of(hour, past=[own, newer, other]).seconds == 70.0
    assert need_of(hour, past=[other]).seconds == 900.0


def test_a_load_test_takes_the_time_of_its_phases(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan is that of `load`; `run` of the same scenario has the time of a like run."""
    path = ROOT / "scenarios" / "load-ramp.yaml"
    scenario = load(path)
    size = plan(scenario)
    own = replace(PAST, rows_per_batch=size.rows / size.batches)
    monkeypatch.setattr(needs_module, "past_runs", lambda _: [own])
    monkeypatch.setattr(needs_module, "_kind_of_store", lambda _: own.store)
    done = runs.inside("plan", path, "--workers", 2)
    assert done.out.endswith("of memory with 2 workers, the time of its phases\n")
    assert "was made here" not in done.out
    assert (
        json.loads(runs.inside("plan", path, "--workers", 2, "--json").out)["needs"]["seconds"]
        is None
    )
    ran = needs(scenario, part_of(scenario.fleet), 2, own.store, [own])
    assert ran.seconds == own.seconds * size.rows / own.rows


@pytest.mark.parametrize(
    "other",
    [
        replace(PAST, store="s3"),
        replace(PAST, workers=3),
        replace(PAST, rows_per_batch=449.0),
        replace(PAST, rows_per_batch=1801.0),
    ],
)
def test_a_run_of_another_kind_says_nothing(other: PastRun) -> None:
    kind = ("embedded short", 2, 900.0)
    assert of_kind([other], *kind) is None
    newer = replace(PAST, started="later", rows_per_batch=1799.0)
    assert of_kind([PAST, newer, other], *kind) == newer


def test_the_newest_runs_are_kept_and_a_broken_file_is_no_error(tmp_path: Path) -> None:
    assert past_runs(tmp_path) == []
    for number in range(KEPT + 3):
        remember(tmp_path / "new", replace(PAST, rows=number))
    assert [run.rows for run in past_runs(tmp_path / "new")] == list(range(3, KEPT + 3))
    for text in ("", "[", "3", '[{"rows": 1}]', '{"a": 1}'):
        (tmp_path / "new" / FILE).write_text(text)
        assert past_runs(tmp_path / "new") == []
    odd = [{"rows_per_batch": 0}, {"rows_per_batch": None}, {"rows": 0}, {"seconds": "x"}]
    entries = [asdict(PAST) | change for change in (*odd, {"started": 7}, {})]
    (tmp_path / "new" / FILE).write_text(json.dumps(entries))
    assert past_runs(tmp_path / "new") == [PAST]
    (tmp_path / "new" / FILE).unlink()
    remember(tmp_path / "new", PAST)
    assert past_runs(tmp_path / "new") == [PAST]
    remember(Path("/proc/nowhere"), PAST)


def test_memory_grows_with_workers_and_with_the_rows_of_a_flush(hour: Scenario) -> None:
    def memory(flush: str, workers: int, rows: str = "1h") -> int:
        path = ROOT / "scenarios" / "fleet-hour.yaml"
        longer = [f"clock.duration={rows}", f"pipeline.flush_every={flush}"]
        scenario = load(path, longer)
        return needs(scenario, part_of(scenario.fleet), workers, "s3", []).memory_bytes

    assert memory("5m", 2) < memory("15m", 2) < memory("15m", 4)
    # Shards bound the rows of a flush, so a longer one needs no more.
    assert memory("6h", 2, "24h") < 1.1 * memory("1h", 2, "24h")


@pytest.mark.parametrize(
    ("machine", "held"),
    [
        (Machine(2, 64 * GIB, 1000 * GIB), 1),
        (Machine(12, 64 * GIB, 1000 * GIB), 4),
        (Machine(64, 5 * GIB, 1000 * GIB), 2),
        (Machine(64, 64 * GIB, 2 * GIB), 2),
        (Machine(64, GIB, 1000 * GIB), 0),
    ],
)
def test_cores_memory_and_disk_bound_the_parts_of_a_machine(
    hour: Scenario, machine: Machine, held: int
) -> None:
    need = replace(need_of(hour), memory_bytes=2 * GIB, disk_bytes=GIB)
    assert parts_at_once(need, machine)[0] == held


@pytest.mark.parametrize(
    ("machine", "names"),
    [
        (Machine(2, GIB, 9 * GIB), ["2.0 GiB of memory", "has 1.0 GiB", "--shard I/N"]),
        (Machine(2, 9 * GIB, GIB), ["3.0 GiB of disk", "1.0 GiB are free", "--out DIR"]),
    ],
)
def test_a_run_that_does_not_fit_is_refused(
    hour: Scenario, machine: Machine, names: list[str]
) -> None:
    need = replace(need_of(hour), memory_bytes=2 * GIB, disk_bytes=3 * GIB)
    require_fit(need, Machine(1, 2 * GIB, 3 * GIB))
    with pytest.raises(NeedsError) as refused:
        require_fit(need, machine)
    for name in names:
        assert name in str(refused.value)


def test_the_share_of_the_oracle_is_the_oracle_s() -> None:
    assert needs_module.SHARE_BYTES == shares.SHARE_BYTES


def test_a_compacted_farm_is_one_share_of_the_oracle() -> None:
    """Plant: the share of a lake of single turbines bounds that of a whole farm."""
    lakes: dict[bool, list[int]] = {True: [], False: []}
    for days in (10, 20):
        path = ROOT / "scenarios" / "fleet-day.yaml"
        scenario = load(path, [f"clock.duration={days}d", "fleet.farms=[A, B]"])
        part = part_of(scenario.fleet)
        for compacted, found in lakes.items():
            found.append(needs(scenario, part, 1, "folder", [], compacted).memory_bytes)
        nodes = plan(scenario, max(farm.turbines for farm in part.farms)).node_bytes
        assert lakes[True][-1] > 8 * nodes
    assert lakes[False][0] == lakes[False][1]
    assert lakes[True][1] > 1.5 * lakes[True][0]


def test_a_plan_says_what_a_machine_holds() -> None:
    path = ROOT / "scenarios" / "fleet-day.yaml"
    done = runs.inside("plan", path, "--parts", 16, "--cores", 64, "--memory", "256GiB")
    assert done.code in (0, 3), "the disk of this machine decides"
    assert "part 1 of 16: 8,035,200 rows" in done.out
    assert "of memory with 4 workers, " in done.out
    held = r"64 cores and 256.0 GiB of memory hold \d+ such parts? at once: the limit is"
    assert re.search(held, done.out)
    assert "4 workers a part, chosen from 64 cores for 16 parts; --workers N" in done.out
    wide = runs.inside("plan", path, "--cores", 64, "--memory", "256GiB", "--parts", 100)
    assert "1 worker a part, chosen from 64 cores for 100 parts" in wide.out
    given = ("--cores", 64, "--memory", "256GiB", "--parts", 100, "--workers", 3)
    told = runs.inside("plan", path, *given).out
    assert "of memory with 3 workers, " in told
    assert "chosen" not in told
    small = runs.inside("plan", path, "--memory", "100MB")
    assert small.code == 3
    assert "the machine has 95.4 MiB" in small.text
    for size in ("100", "0GB", "x", "1XB", "1 GB x"):
        wrong = runs.inside("plan", path, "--memory", size)
        assert wrong.code == 2
        assert "64GiB" in wrong.text


def test_a_run_is_remembered(tmp_path: Path, localstack: str) -> None:
    path = runs.scenario(tmp_path)
    where = ("--endpoint-url", localstack, "--empty-lake", "--workers", 1)
    first = runs.inside("run", path, "--out", tmp_path / "run", *where)
    assert first.code == 0, first.text
    assert "2,160 rows, about" in first.out
    second = runs.inside("run", path, "--out", tmp_path / "run", "--overwrite", *where)
    started = runs.result(tmp_path / "run")["run"]["started"]
    assert started not in second.out
    assert re.search(
        r"about [\d.]+ m?s here \(scaled by rows from the run of \w+ of 20\d\d-",
        second.out,
    )
