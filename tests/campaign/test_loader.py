"""The loader under faults: no row lost or doubled; planted bugs of the loader are found."""

from __future__ import annotations

import io
import os
import re
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from rich.console import Console

from pipeline.catalog.tables import BY_NAME, SOURCE_FILE
from pipeline.store import S3ObjectStore
from sim.campaign.invariants import BrokenInvariant
from sim.campaign.journal import Journal
from sim.campaign.live_loads import load_live
from sim.campaign.loader import plan
from sim.campaign.loader.calls import FiredFault
from sim.campaign.loader.command import replay_load, run_loads
from sim.campaign.loader.faults import ERROR, KILL, KINDS, SECOND
from sim.campaign.loader.line import LoadInjection, LoadLine, parse
from sim.campaign.loader.run import CleanLoadBroken, LoadOutcome, LoadRun, run_clean, run_once
from sim.campaign.loader.tables import Tables, WrongRows
from sim.campaign.loader.totals import LOADS, LoadTotals
from sim.campaign.loader.world import LoaderWorld, select
from sim.campaign.plan import planned_points
from sim.campaign.summary import Summary
from sim.errors import LAKE_WRONG, PASS, UNKNOWN, ScheduleError
from sim.report.campaign import CampaignResult, print_summary, render
from sim.report.progress import RunProgress
from sim.store.target import Target
from tests.support import lakehouse
from tests.support.loader_bugs import BUGS, Patch, no_redo

SEED = 7
RAW = BY_NAME["wind_turbine_raw"]
TWO = (RAW, BY_NAME["wind_turbine_validated"])
OBJECTS = lakehouse.objects(*((f"A-00{i}", 1, i) for i in range(1, 5)))


def new_world(folder: Path) -> LoaderWorld:
    return select(folder, OBJECTS, TWO)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> LoaderWorld:
    made = new_world(tmp_path_factory.mktemp("loader"))
    run_clean(made)
    return made


def line_at(world: LoaderWorld, kind: str, call: str) -> LoadLine:
    """The fault at the first call whose name contains a text."""
    number = next(n for n, each in enumerate(world.log, 1) if call in each.name.text)
    return LoadLine((LoadInjection(kind, number),))


def test_each_fault_at_each_point_loses_and_doubles_nothing(world: LoaderWorld) -> None:
    """One call of each point; the campaign hits every call."""
    lines = {}
    for line in plan.every_call(world):
        item = line.items[0]
        lines[item.kind, world.log[item.number - 1].point, line.attempts] = line
    assert {(kind, point) for kind, point, _ in lines} == plan.certain_points(world)
    assert {kind for kind, _, _ in lines} == set(KINDS)
    for line in lines.values():
        outcome = run_once(world, line)
        assert (outcome.broken, plan.not_hit(line, outcome)) == ([], False), line
        assert outcome.wrong_rows == WrongRows()


def test_random_schedules_lose_and_double_nothing(world: LoaderWorld) -> None:
    for index in range(6):
        line = plan.random_line(world, SEED, index)
        assert run_once(world, line).broken == [], line


@pytest.mark.campaign
def test_every_fault_at_every_call_loses_and_doubles_nothing(world: LoaderWorld) -> None:
    random = (plan.random_line(world, SEED, index) for index in range(200))
    for line in (*plan.every_call(world), *random):
        assert run_once(world, line).broken == [], line


def test_a_run_of_the_loader_is_a_function_of_its_line(world: LoaderWorld) -> None:
    line = plan.random_line(world, SEED, 3)
    first = run_once(world, line)
    assert first.fired
    assert run_once(world, parse(str(line))).trace == first.trace
    assert plan.random_line(world, SEED, 3) == line != plan.random_line(world, SEED + 1, 3)


def test_a_killed_loader_changes_nothing_any_more(world: LoaderWorld, tmp_path: Path) -> None:
    """Not even in its clean-up: the new warehouse's file and the lock's file stay."""
    run = LoadRun(world, line_at(world, KILL, "list "), tmp_path)
    assert run._load(0, 0).killed
    assert sorted(os.listdir(run.warehouse)) == [".windfleet.lock", "warehouse.json"]
    run.calls.ended = True
    assert run._load(0, 1).loaded is not None  # the lock is free
    assert ".windfleet.lock" not in os.listdir(run.warehouse)


def test_a_second_loader_waits_for_the_first(world: LoaderWorld, tmp_path: Path) -> None:
    run = LoadRun(world, line_at(world, SECOND, "commit "), tmp_path)
    assert run.make().seconds == 1
    order = [call.name.second for call in run.calls.log if call.point == "list"]
    in_round = [call.name.second for call in run.calls.log if call.name.round == 0]
    assert order.index(True) > order.index(False)
    first_wait = in_round.index(True)
    assert not all(in_round[first_wait:])  # it made a file, waited, and the first went on


def test_a_retried_error_ends_no_load(world: LoaderWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    line = LoadLine(line_at(world, ERROR, "get ").items, attempts=4)
    assert run_once(world, line).broken == []
    monkeypatch.setattr("sim.campaign.loader.read_store.Retrying.run", lambda *call: call[-1]())
    assert [each.invariant for each in run_once(world, line).broken] == ["load.gave-up"]


def shuffled(world: LoaderWorld, kind: str, call: str) -> list[LoadLine]:
    """The enumerated lines of a kind in a random order, the same each time."""
    lines = [
        line
        for line in plan.every_call(world)
        if kind in ("", line.items[0].kind)
        and call in world.log[line.items[0].number - 1].name.text
    ]
    order = np.random.default_rng(SEED).permutation(len(lines))
    return [lines[i] for i in order]


def until_found(folder: Path, kind: str, call: str) -> tuple[int, LoadOutcome | str]:
    """Count the runs until one breaks an invariant; the run without faults is the first."""
    world = new_world(folder)
    try:
        run_clean(world)
    except CleanLoadBroken as error:
        return 1, str(error)
    lines = shuffled(world, kind, call)
    for count, line in enumerate(lines, 2):
        outcome = run_once(world, line)
        if outcome.broken:
            return count, outcome
    return len(lines), "nothing"


@pytest.mark.parametrize("plant", BUGS, ids=lambda plant: plant.__name__)
def test_seeded_bugs_of_the_loader_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plant: Patch
) -> None:
    plant(monkeypatch)
    invariants, kind, call = BUGS[plant]
    runs, found = until_found(tmp_path, kind, call)
    names = {each.invariant for each in found.broken} if isinstance(found, LoadOutcome) else found
    line = found.line if isinstance(found, LoadOutcome) else "without faults"
    print(f"\n{plant.__name__}: found by run {runs}, {line}: {names}")
    assert any(name in names for name in invariants), found


# --- the judge


@pytest.fixture
def loaded(world: LoaderWorld, tmp_path: Path) -> Path:
    run = LoadRun(world, LoadLine(), tmp_path)
    assert run.make().broken == []
    return run.warehouse


def raw_of(warehouse: Path) -> tuple[str, pa.Table]:
    path = str(warehouse / RAW.name)
    return path, DeltaTable(path).to_pyarrow_table()


def judged(world: LoaderWorld, warehouse: Path) -> WrongRows:
    return Tables(warehouse).wrong_rows(world.rows(len(world.lakes) - 1))


def test_the_judge_counts_lost_duplicated_and_altered_rows(
    world: LoaderWorld, loaded: Path
) -> None:
    assert judged(world, loaded) == WrongRows()
    path, rows = raw_of(loaded)
    write_deltalake(path, rows.slice(0, 2), mode="append")
    assert judged(world, loaded) == WrongRows(duplicated=2)
    assert Tables(loaded).wrong_so_far(world.rows(1), ()) == WrongRows(duplicated=2)
    write_deltalake(path, rows.slice(3), mode="overwrite")
    assert judged(world, loaded) == WrongRows(lost=3)
    source = tuple(rows[SOURCE_FILE][0].as_py().split("/", 1))
    assert Tables(loaded).wrong_so_far(world.rows(1), [source]).lost > 0
    assert Tables(loaded).wrong_so_far(world.rows(1), ()) == WrongRows()
    column = rows.schema.get_field_index("rotor_rpm")
    wrong = rows.set_column(column, rows.schema.field(column), pa.array([0.5] * rows.num_rows))
    write_deltalake(path, wrong, mode="overwrite")
    assert judged(world, loaded) == WrongRows(altered=rows.num_rows)


def test_the_judge_compares_floats_by_their_bits(world: LoaderWorld, tmp_path: Path) -> None:
    """A NaN equals itself, and 0.0 is not -0.0."""
    place, body = min(OBJECTS.items())
    rows = pq.read_table(io.BytesIO(body))
    column = rows.schema.get_field_index("rotor_rpm")

    def lake(value: float) -> LoaderWorld:
        values = pa.array([value] * rows.num_rows)
        text = io.BytesIO()
        pq.write_table(rows.set_column(column, rows.schema.field(column), values), text)
        table = next(each for each in BY_NAME.values() if each.bucket in place[0])
        return select(tmp_path / str(value), {place: text.getvalue()}, (table,))

    for value, other in ((float("nan"), 0.0), (0.0, -0.0)):
        run = LoadRun(lake(value), LoadLine(), tmp_path / f"run {value}")
        run.warehouse.parent.mkdir()
        assert run.make().broken == []
        wrong = judged(lake(other), run.warehouse)
        assert wrong == WrongRows(altered=rows.num_rows)


# --- its text, replay, and place in the campaign


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("load loader.kil#3", "kinds are store.error"),
        ("load loader.kill", "kind#number or kind%share"),
        ("load loader.kill#0", "numbered from 1"),
        ("load loader.kill%1.5", "more than 0 and at most 1"),
        ("load loader.kill%1.5.2", "1.5.2 is not a number"),
        ("load attempts=0", "at least once"),
    ],
)
def test_a_line_that_is_no_schedule_of_the_loader_is_rejected(text: str, why: str) -> None:
    with pytest.raises(ScheduleError, match=re.escape(why)):
        parse(text)


def test_a_failing_line_is_shown_shrunk_and_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = select(tmp_path / "all", OBJECTS)
    run_clean(world)
    number = line_at(world, KILL, "commit ").items[0].number
    last = max(n for n, call in enumerate(world.log, 1) if call.point == "get")
    text = f"load seed=3 store.error#{last} loader.kill#{number} list.late%0.001"
    shown: list[str] = []
    replayed = partial(
        replay_load, objects=OBJECTS, command="windfleet campaign x.yaml", write_line=shown.append
    )
    assert replayed(tmp_path / "good", text="load store.error#5") == PASS
    assert replayed(tmp_path / "none", text="load loader.kill#9999") == UNKNOWN
    no_redo(monkeypatch)
    assert replayed(tmp_path / "bad", text=text) == LAKE_WRONG
    smallest = shown[-1].rpartition("--replay ")[2].strip("'")
    assert len(parse(smallest).items) == 1
    assert any("broken: load.lost" in line for line in shown)
    assert replayed(tmp_path / "again", text=smallest) == LAKE_WRONG


def summed(totals: LoadTotals) -> CampaignResult:
    """A campaign whose other runs are good."""
    summary = Summary(totals.command, "windfleet run x.yaml", loads=totals)
    summary.matrix.fired.update(planned_points())
    result = CampaignResult("x", SEED, totals.command, oracle="pass")
    summary.sum_up(result)
    return result


def test_runs_of_the_loader_count_in_the_campaigns_verdict(world: LoaderWorld) -> None:
    lines = plan.every_call(world)
    totals = LoadTotals("windfleet campaign x.yaml", plan.certain_points(world), len(world.log))
    assert summed(totals).figures.keys().isdisjoint(totals.figures())  # none were asked for
    for line in lines:  # as if each had fired at its call
        item = line.items[0]
        call = world.log[item.number - 1]
        fired = [FiredFault(item.kind, call.point, item.number, call.name)]
        totals.single += 1
        totals.add(line, LoadOutcome(str(line), fired, loads=3))
    good = summed(totals)
    assert good.exit_code == PASS
    assert f"Each of {len(lines)} runs of the loader left each row" in good.sentence
    assert {cell.state for cell in good.matrix if cell.world == LOADS} == {"pass"}
    assert good.figures["loads.made"].value == 3 * len(lines)

    lost = BrokenInvariant("load.lost", "4 rows after the plain load")
    bad_line = LoadLine((LoadInjection(KILL, 7),))
    totals.add(bad_line, LoadOutcome(str(bad_line), broken=[lost], wrong_rows=WrongRows(lost=4)))
    bad = summed(totals)
    assert bad.exit_code == LAKE_WRONG
    assert bad.figures["loads.rows.lost"].value == 4
    assert bad.figures["loads.bound"].value is None
    (failure,) = bad.failures
    assert failure.replay == f"windfleet campaign x.yaml --replay '{bad_line}'"
    assert failure.replay in terminal_text(bad)
    assert LOADS[1:] in render(bad)


def test_a_point_of_the_loader_that_was_never_hit_is_unknown(world: LoaderWorld) -> None:
    totals = LoadTotals("windfleet campaign x.yaml", plan.certain_points(world), runs=1)
    result = summed(totals)
    assert result.exit_code == UNKNOWN
    assert {cell.state for cell in result.matrix if cell.world == LOADS} == {"unknown"}


def test_a_repeated_run_that_differs_fails_the_campaign(world: LoaderWorld) -> None:
    totals = LoadTotals("windfleet campaign x.yaml", runs=1)
    line = plan.every_call(world)[0]
    totals.add_repeated(line, "a", LoadOutcome(str(line), trace="a"))
    assert summed(totals).exit_code == PASS
    totals.add_repeated(line, "a", LoadOutcome(str(line), trace="b"))
    assert summed(totals).exit_code == LAKE_WRONG


def terminal_text(result: CampaignResult) -> str:
    console = Console(file=io.StringIO(), width=200)
    print_summary(console, result, Path("out"))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_campaign_runs_the_loader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every two hundredth enumerated run and two random ones, in a worker process."""
    everything = plan.every_call
    monkeypatch.setattr(plan, "every_call", lambda world, quick: everything(world)[::200])
    totals = LoadTotals("windfleet campaign x.yaml")
    with RunProgress(Console(file=io.StringIO())) as progress:
        made = Journal(tmp_path / "out", LoadOutcome)
        (tmp_path / "out").mkdir()
        run_loads(tmp_path / "loads", OBJECTS, totals, (2, SEED, 1), progress, made)
    assert (totals.runs, totals.failed, totals.broken.total()) == (totals.single + 2, 0, 0)
    assert totals.single >= 2
    assert totals.sums["loads"] > totals.runs


@pytest.mark.campaign
def test_killed_loader_processes_lose_and_double_nothing(clean_lake: str, tmp_path: Path) -> None:
    store = Target(clean_lake)
    client = S3ObjectStore(store.store)
    parts = [(f"{farm}-{i:03}", 1, 3) for farm in "AB" for i in range(30)]
    for (bucket, key), body in lakehouse.objects(*parts).items():
        client.create(bucket, key, body)
    found = load_live(store, tmp_path / "warehouse", SEED)
    assert found.broken == []
    assert found.killed >= 1
    assert found.faults.total() > 10
    assert sum(DeltaTable(str(tmp_path / "warehouse" / t)).count() for t in BY_NAME) == 5 * 60 * 3
