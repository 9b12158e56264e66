"""`windfleet campaign` from the command line: verdict, exit code, report, replay."""

from __future__ import annotations

import io
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from sim import cli
from sim.arguments import parse
from sim.campaign import command, journal, plan
from sim.campaign.arguments import sizes
from sim.campaign.in_process_run import run_clean, run_once
from sim.campaign.invariants import BrokenInvariant, WrongRows
from sim.campaign.live_faults import draw_live_faults
from sim.campaign.live_runs import LiveRun
from sim.campaign.outcome import Outcome
from sim.campaign.schedule import FiredFault, Line, PlannedInjection
from sim.campaign.summary import IN_PROCESS, LIVE, Summary
from sim.campaign.world import make_world
from sim.chaos.faults import FaultPoint, InjectionCounts, fault_point
from sim.errors import TargetError
from sim.report.campaign import CampaignResult, Failure, MatrixCell, print_summary, render
from sim.scenario import load
from tests.support.chaos_world import scenario_file
from tests.support.commit_bugs import state_saved_although_a_bucket_refused


def summed(
    outcomes: list[Outcome],
    oracle: str = "pass",
    everything_fired: bool = True,
    live: tuple[LiveRun, ...] = (),
) -> CampaignResult:
    summary = Summary("windfleet campaign tiny.yaml --seed 7", "windfleet run tiny.yaml", single=1)
    for outcome in outcomes:
        summary.add(Line((PlannedInjection("store.error", 5),)), outcome)
    for run in live:
        summary.add_live(run)
    if everything_fired:
        summary.matrix.fired.update(plan.planned_points())
    result = CampaignResult("tiny", 7, "windfleet campaign tiny.yaml", oracle=oracle)
    summary.sum_up(result)
    result.verdict = command._VERDICTS.get(result.exit_code, "unknown")
    return result


def an_outcome(**fields: object) -> Outcome:
    outcome = Outcome(
        "attempts=1",
        [FiredFault("store.error", False, 5, "data")],
        calls=10,
        attempts=3,
        objects=5,
        puts=6,
    )
    return replace(outcome, **fields)  # type: ignore[arg-type]


def terminal_text(result: CampaignResult) -> str:
    console = Console(file=io.StringIO(), width=200)
    print_summary(console, result, Path("out"))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_campaign_without_failures_passes() -> None:
    result = summed(
        [an_outcome(), an_outcome(recovery_s=[300.0, 900.0]), an_outcome(recovery_s=[600.0])]
    )
    assert (result.verdict, result.exit_code) == ("pass", 0)
    figures = {name: figure.value for name, figure in result.figures.items()}
    assert figures["failure.bound"] == 1.5  # two random runs
    assert (figures["recovery.p50"], figures["recovery.max"]) == (600.0, 900.0)
    assert (figures["runs"], figures["store.calls"], figures["faults.fired"]) == (3, 30, 3)
    assert figures["writes.per_object"] == pytest.approx(18 / 15)
    assert result.kinds == {"store.error": 3}


def test_a_broken_invariant_fails_and_shows_its_replay_command() -> None:
    rows = WrongRows(lost=4, duplicated=2, misplaced=1)
    result = summed(
        [
            an_outcome(),
            an_outcome(broken=[BrokenInvariant("lake.missing", "some key")], wrong_rows=rows),
        ]
    )
    assert (result.verdict, result.exit_code) == ("fail", 5)
    assert result.broken == {"lake.missing": 1}
    assert [result.figures[f"rows.{name}"].value for name in rows._fields] == [4, 2, 1]
    assert result.figures["failure.bound"].value is None
    (failure,) = result.failures
    assert (
        failure.replay
        == "windfleet campaign tiny.yaml --seed 7 --replay 'attempts=1 down=0 seed=0 store.error#5'"
    )
    found = next(c for c in result.matrix if (c.fault, c.point) == ("store.error", "data"))
    assert (found.runs, found.failed, found.state) == (3, 1, "fail")
    assert failure.replay in terminal_text(result)
    page = render(result)
    assert '<td class="cell fail">✗ 1 of 3</td>' in page
    assert "some key" in page


def test_a_fault_that_never_fired_is_unknown() -> None:
    result = summed([an_outcome()], everything_fired=False)
    assert (result.verdict, result.exit_code) == ("unknown", 6)
    assert "never fired: node.crash before at recover" in terminal_text(result)
    assert '<td class="cell unknown">? 0</td>' in render(result)
    assert summed([an_outcome()], oracle="unknown").exit_code == 6
    assert summed([an_outcome()], oracle="fail").exit_code == 5


SETTINGS = ("seed=8", "faults=[{kind: worker.kill, count: 1}]")


def live_run(*ways: FaultPoint, broken: list[BrokenInvariant] | None = None) -> LiveRun:
    return LiveRun(
        SETTINGS,
        dict.fromkeys(ways, 0.0),
        InjectionCounts(Counter(ways)),
        broken or [],
        WrongRows(),
        100,
    )


def test_whole_runs_have_their_own_matrix() -> None:
    run = live_run(fault_point("worker.kill"), fault_point("store.hang", "data"))
    result = summed([an_outcome()], live=(run, run))
    assert (result.verdict, result.exit_code) == ("pass", 0)
    assert (
        "each of 3 runs with faults, 2 of them on localstack with 2 workers killed,"
        in result.sentence.lower()
    )
    figures = {name: figure.value for name, figure in result.figures.items()}
    assert (figures["wired.runs"], figures["wired.killed"], figures["wired.requests"]) == (
        2,
        2,
        200,
    )
    assert [c for c in result.matrix if c.world == LIVE] == [
        MatrixCell(LIVE, "worker.kill", "", 2, 0),
        MatrixCell(LIVE, "store.hang", "data", 2, 0),
    ]
    assert result.kinds == {"store.error": 1, "store.hang": 2, "worker.kill": 2}
    assert LIVE[1:] in render(result)


def test_a_random_fault_that_never_fired_is_a_note_with_its_probability() -> None:
    run = live_run(fault_point("worker.kill"))
    run.meant = {
        **run.meant,
        fault_point("store.hang", "recover"): 0.5,
        fault_point("store.slow", "history"): None,
    }
    result = summed([an_outcome()], live=(run, run))
    assert (result.verdict, result.exit_code) == ("pass", 0)
    assert [note.partition(":")[0] for note in result.notes] == [
        "store.slow at history fired in no run on LocalStack",
        "store.hang at recover fired in no run on LocalStack",
    ]
    assert result.notes[1].endswith(": a chance of 25 %")
    assert result.notes[1] in terminal_text(result)
    assert '<td class="cell chance">– 0</td>' in render(result)


@pytest.mark.parametrize("flush_every", ["10m", "30m"])
def test_a_scenario_with_one_flush(tmp_path: Path, flush_every: str) -> None:
    """Nodes flush in the drain only: every possible scenario point is hit, in both worlds."""
    path = tmp_path / "one.yaml"
    path.write_text(ONE_FLUSH.replace("10m,", f"{flush_every},"))
    world = make_world(load(path), tmp_path / "world")
    clean = run_clean(world)
    assert world.flush_s == ()
    met: set[FaultPoint] = set()
    for line in (
        *plan.every_call(clean)[::3],
        *plan.every_interval(world),
        *plan.every_other_kind(world, clean),
    ):
        outcome = run_once(world, clean, line)
        assert (outcome.broken, bool(outcome.fired)) == ([], not plan.is_past_end(line, clean)), (
            line
        )
        met |= plan.points_of(outcome)
    once = {
        way for way in plan.certain_points(clean) if way[0].partition(" ")[0] not in plan.ENUMERATED
    }
    assert met >= once
    assert {point for _, point in plan.certain_points(clean)} == {
        "",
        "recover",
        "data",
        "manifest",
        "checkpoint",
    }
    for index in range(20):
        assert load(path, [f"faults={draw_live_faults(7, index, ['A'], (), 600.0).faults}"]).faults


ONE_FLUSH = """
schema_version: 1
name: one
seed: 7
fleet: {preset: full, farms: [A], turbines: 1}
clock: {start: 2024-01-15T00:00:00Z, duration: 10m, sample_every: 10s}
pipeline: {flush_every: 10m, window: 5m, allowed_lateness: 2m}
"""


def test_a_failed_whole_run_shows_its_replay_run() -> None:
    result = summed(
        [an_outcome()],
        live=(
            live_run(
                fault_point("worker.kill"), broken=[BrokenInvariant("lake.differs", "digest 12")]
            ),
        ),
    )
    assert (result.verdict, result.exit_code, result.broken) == ("fail", 5, {"lake.differs": 1})
    (failure,) = result.failures
    assert (
        failure.replay
        == "windfleet run tiny.yaml --set=seed=8 '--set=faults=[{kind: worker.kill, count: 1}]'"
    )
    assert MatrixCell(LIVE, "worker.kill", "", 1, 1) in result.matrix
    assert failure.replay in terminal_text(result)


def test_a_planned_fault_that_no_whole_run_fired_is_unknown() -> None:
    run = live_run(fault_point("worker.kill"))
    run.meant = {**run.meant, fault_point("store.hang", "recover"): 0.0}
    result = summed([an_outcome()], live=(run,))
    assert (result.verdict, result.exit_code) == ("unknown", 6)
    assert "never fired: store.hang at recover" in terminal_text(result)
    run = live_run(fault_point("worker.kill"))
    run.unknown = ["workers were done before they could be killed: 1"]
    result = summed([an_outcome()], live=(run,))
    assert (result.exit_code, "could be killed: 1" in result.sentence) == (6, True)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyboardInterrupt(), 130),
        (TargetError("LocalStack died"), 3),
        (ZeroDivisionError("oops"), 1),
    ],
)
def test_a_campaign_that_ends_early_keeps_its_failures(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
) -> None:
    monkeypatch.setattr(
        plan, "every_call", lambda clean, quick: [Line((PlannedInjection("node.crash", 1),))]
    )
    monkeypatch.setattr(plan, "every_interval", lambda world: [])
    monkeypatch.setattr(plan, "every_other_kind", lambda world, clean: [])
    monkeypatch.setattr(plan, "foreign_in_each_bucket", lambda clean: [])

    def dies(*args: object) -> object:
        yield 0, live_run(fault_point("worker.kill"))
        raise error

    monkeypatch.setattr(command, "make_live_runs", dies)
    out = tmp_path / "out"
    arguments = [
        "campaign",
        str(scenario_file(tmp_path)),
        "--runs",
        "2",
        "--loads",
        "0",
        "--wired",
        "9",
        "--out",
        str(out),
    ]
    assert cli.main([*arguments, "--workers", "1"]) == code
    document = json.loads((out / "campaign.json").read_text())
    assert (document["verdict"], document["exit_code"]) == ("unknown", code)
    assert document["figures"]["runs"]["value"] == 3
    assert document["figures"]["wired.runs"]["value"] == 1
    assert document["gateway"] == "short"
    assert "whole runs on LocalStack (short gateway)" in (out / "campaign.html").read_text()
    assert "3 runs in process and 1 on LocalStack were made" in document["errors"][0]
    assert document["errors"][0] in " ".join(capsys.readouterr().out.split())
    assert document["errors"][0] in (out / "campaign.html").read_text()


def test_every_point_of_the_catalogue_is_planned() -> None:
    cells = plan.planned_points()
    assert len(cells) == len(set(cells))
    assert {row for row, _ in cells} == {
        *(
            "node.crash before",
            "node.crash after",
            "node.offline",
            "node.busy",
            "node.wal",
            "node.journal",
            "node.disk-full",
            "node.second-writer",
            "farm.uplink",
        ),
        *(
            "store.error",
            "store.ack-lost",
            "store.late-commit",
            "store.outage",
            "store.truncated-get",
        ),
        *("store.conflict", "store.precondition", "bucket.refuses", "store.foreign-object"),
    }
    assert MatrixCell(IN_PROCESS, "x", "data", 0, 0).state == "unknown"


def test_names_from_a_schedule_are_escaped_in_the_page() -> None:
    result = CampaignResult(
        "<b>", 7, "x", failures=[Failure("<i>", ("lake.missing",), "<u>", "<s>")]
    )
    assert not {"<b>", "<i>", "<u>", "<s>"} & set(render(result).replace("<title>", "").split())
    assert "&lt;u&gt;" in render(result)


def test_a_small_campaign_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every fortieth enumerated run and four random ones, over two processes: no verdict yet."""
    scenario, everything = scenario_file(tmp_path), plan.every_call
    monkeypatch.setattr(plan, "every_call", lambda clean, quick: everything(clean)[-1::-40])
    monkeypatch.setattr(plan, "every_other_kind", lambda world, clean: [])
    monkeypatch.setattr(plan, "foreign_in_each_bucket", lambda clean: [])
    arguments = [
        "campaign",
        str(scenario),
        "--runs",
        "4",
        "--loads",
        "0",
        "--wired",
        "0",
        "--workers",
        "2",
        "--out",
        str(tmp_path / "out"),
    ]
    assert cli.main(arguments) == 6
    said = capsys.readouterr().out
    document = json.loads((tmp_path / "out" / "campaign.json").read_text())
    assert document["verdict"] == "unknown"
    assert document["oracle"] == "pass"
    assert document["broken"] == {}
    assert document["figures"]["runs.repeated"]["value"] == 2
    assert document["digest"] in said
    assert "never fired: " in said
    assert "</html>" in (tmp_path / "out" / "campaign.html").read_text()
    assert cli.main(arguments) == 2  # the directory contains a run
    assert "--overwrite" in capsys.readouterr().err


def test_runs_that_differ_from_their_schedule_or_repetition_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second run makes other calls; an enumerated fault does not fire."""
    arguments = [
        "campaign",
        str(scenario_file(tmp_path)),
        "--runs",
        "60",
        "--loads",
        "0",
        "--wired",
        "0",
        "--overwrite",
        "--out",
        str(tmp_path / "out"),
    ]
    monkeypatch.setattr(
        plan, "every_call", lambda clean, quick: [Line((PlannedInjection("node.crash", 1),))]
    )
    monkeypatch.setattr(plan, "every_interval", lambda world: [])
    monkeypatch.setattr(plan, "every_other_kind", lambda world, clean: [])
    monkeypatch.setattr(plan, "foreign_in_each_bucket", lambda clean: [])

    def pretend(second: Outcome, first: Outcome) -> dict[str, int]:
        def run_lines(world: object, lines: list[Line], workers: int, progress: object) -> object:
            twice = len(plan.repeated(lines[:61]))
            return [
                (i, first if i == 0 else second if i >= 61 else an_outcome())
                for i in range(61 + twice)
            ]

        monkeypatch.setattr(journal, "run_lines", run_lines)
        code = cli.main(arguments)
        capsys.readouterr()
        broken: dict[str, int] = json.loads((tmp_path / "out" / "campaign.json").read_text())[
            "broken"
        ]
        assert code == (5 if broken else 6)
        return broken

    assert pretend(an_outcome(), an_outcome()) == {}
    assert pretend(an_outcome(trace="other"), an_outcome()) == {"not.deterministic": 3}
    assert pretend(an_outcome(digest="other"), an_outcome()) == {"not.deterministic": 3}
    assert pretend(an_outcome(), an_outcome(fired=[])) == {"not.enumerated": 1}


@pytest.mark.parametrize("kind", ["worker.kill", "store.slow"])
def test_a_fault_that_cannot_fire_in_process_is_no_failure_of_the_lake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    assert (
        cli.main(["campaign", str(scenario_file(tmp_path)), "--replay", f"node.crash#2 {kind}#3"])
        == 2
    )
    assert f"windfleet: {kind} fires only in whole runs on LocalStack" in capsys.readouterr().err


def test_an_empty_line_is_a_schedule_without_faults_and_no_campaign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (
        cli.main(
            [
                "campaign",
                str(scenario_file(tmp_path)),
                "--runs",
                "1",
                "--loads",
                "0",
                "--wired",
                "0",
                "--replay",
                "",
            ]
        )
        == 6
    )
    assert capsys.readouterr().out.startswith("nothing fired")


@pytest.mark.parametrize(
    ("fault", "place"), [("farm.uplink[0+900]=Z", "Z"), ("bucket.refuses[0+900]=nope", "nope")]
)
def test_a_replay_of_an_unknown_point_is_rejected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str, place: str
) -> None:
    assert cli.main(["campaign", str(scenario_file(tmp_path)), "--replay", fault]) == 2
    assert f"no such farm or bucket {place}; there are A, aggregated" in capsys.readouterr().err


def test_a_failing_schedule_is_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["campaign", str(scenario_file(tmp_path)), "--replay"]
    assert cli.main([*arguments, "node.crash#7 store.ack-lost#30"]) == 0
    assert "PASS" in capsys.readouterr().out
    assert cli.main([*arguments, "node.crash#99999"]) == 6
    assert cli.main([*arguments, "node.crush#9"]) == 2
    assert "node.crush#9" in capsys.readouterr().err
    state_saved_although_a_bucket_refused(monkeypatch)
    assert (
        cli.main([*arguments, "node.crash#7 bucket.refuses[300+300]=enriched store.ack-lost#30"])
        == 5
    )
    said = capsys.readouterr().out
    assert "broken: manifest.ahead" in said
    smallest = said.rpartition("--replay ")[2].strip().strip("'")
    assert len(smallest.split()) == 4  # three settings, one fault
    assert cli.main([*arguments, smallest]) == 5


def _single_runs(tmp_path: Path) -> int:
    """Runs with one fault each: every call with every kind, intervals, samples, foreign bytes."""
    world = make_world(load(scenario_file(tmp_path)), tmp_path / "world")
    clean = run_clean(world)
    once = (plan.every_call(clean), plan.every_interval(world), plan.every_other_kind(world, clean))
    return sum(map(len, (*once, plan.foreign_in_each_bucket(clean))))


@pytest.mark.campaign
def test_the_whole_campaign_of_a_tiny_world(tmp_path: Path) -> None:
    """A dozen whole runs of few calls: some matrix points stay uncovered, the verdict unknown."""
    arguments = [
        "campaign",
        str(scenario_file(tmp_path)),
        "--runs",
        "500",
        "--loads",
        "0",
        "--wired",
        "12",
        "--workers",
        "2",
    ]
    assert cli.main([*arguments, "--out", str(tmp_path / "out")]) in (0, 6)
    said = json.loads((tmp_path / "out" / "campaign.json").read_text())
    assert (said["oracle"], said["broken"], said["errors"], said["failures"]) == (
        "pass",
        {},
        [],
        [],
    )
    assert all(
        said["figures"][name]["value"] == 0 for name in ("runs.failed", "wired.failed", "rows.lost")
    )
    assert said["figures"]["runs"]["value"] == 500 + _single_runs(tmp_path)
    assert said["figures"]["wired.runs"]["value"] == 12
    states = {world: Counter[str]() for world in (IN_PROCESS, LIVE)}
    for each in said["matrix"]:
        states[each["world"]][each["state"]] += 1
    assert set(states[IN_PROCESS]) == {"pass"}
    assert states[LIVE]["pass"] > 0.8 * states[LIVE].total()


def test_quick_hits_every_point_and_is_a_part_of_the_whole(tmp_path: Path) -> None:
    """Of each kind's calls at a point, the first and the last."""
    world = make_world(load(scenario_file(tmp_path)), tmp_path)
    clean = run_clean(world)
    every, quick = plan.every_call(clean), plan.every_call(clean, quick=True)
    assert len(quick) < len(every) / 3
    assert set(map(str, quick)) < set(map(str, every))
    for line in quick:
        assert plan.is_past_end(line, clean) or line.items
    calls = plan._calls(clean)

    def points(lines: list[Line]) -> set[tuple[str, str, int]]:
        found = set()
        for line in lines:
            (item,) = line.items
            if item.number <= len(calls):
                found.add((item.kind, calls[item.number - 1][0], line.attempts))
        return found

    assert points(quick) == points(every)


def test_ends_are_the_first_and_last_of_each_group() -> None:
    assert plan.ends([1, 2, 3, 4, 7, 9], lambda n: n % 2) == [1, 2, 4, 9]
    assert plan.ends([5], lambda n: n) == [5]
    assert plan.ends([], lambda n: n) == []


def test_quick_changes_the_defaults_and_nothing_that_was_given() -> None:
    usual = sizes(parse(["campaign", "x.yaml"]))
    assert usual == {"runs": 2000, "loads": 200, "wired": 60}
    assert sizes(parse(["campaign", "x.yaml", "--quick"])) == {"runs": 100, "loads": 20, "wired": 2}
    assert sizes(parse(["campaign", "x.yaml", "--quick", "--runs", "7"]))["runs"] == 7
