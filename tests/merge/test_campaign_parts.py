"""Parts of a campaign against the same campaign in one process."""

from __future__ import annotations

import copy
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from rich.console import Console

from sim.campaign import campaign_part, command, journal, plan
from sim.campaign.campaign_part import CampaignPart
from sim.campaign.failures import FAILURES_KEPT
from sim.campaign.in_process_run import CleanRunBroken
from sim.campaign.invariants import BrokenInvariant, WrongRows
from sim.campaign.live_loads import LiveLoads
from sim.campaign.live_runs import LiveRun
from sim.campaign.loader import plan as loader_plan
from sim.campaign.loader.totals import WITHOUT_FAULT, LoadTotals
from sim.campaign.outcome import Outcome
from sim.campaign.schedule import FiredFault, Line, PlannedInjection
from sim.campaign.summary import Summary
from sim.chaos.faults import InjectionCounts, fault_point
from sim.errors import INTERRUPTED, INVALID, LAKE_WRONG, PASS, UNKNOWN
from sim.merge.campaign import merge_campaign
from sim.run.part_head import program_versions
from sim.run.part_index import PartIndex
from tests.support import part_records, runs
from tests.support.chaos_world import scenario_file

PARTS: Final = 3
SIZES: Final = ("--runs", "8", "--loads", "4", "--wired", "25", "--workers", "1")
KILL, HANG, SLOW = ("worker.kill", ""), ("store.hang", "data"), ("store.slow", "history")


def live_runs(*arguments: Any) -> Iterator[tuple[int, LiveRun]]:
    """Yield whole runs as a function of their number. Run 9 fails."""
    for index in arguments[3]:
        yield (
            index,
            LiveRun(
                (f"seed={index}", "faults=[]"),
                {fault_point("worker.kill"): 0.0, HANG: 0.0 if index == 3 else 0.5, SLOW: 0.9},
                InjectionCounts(Counter({KILL: 1 + index % 2, HANG: int(index != 19)})),
                [BrokenInvariant("lake.differs", "digest 12")] if index == 9 else [],
                requests=100 + index,
                loads=LiveLoads(killed=index) if index % 10 == 9 else None,
            ),
        )


@dataclass
class Runs:
    """Runs of lines in this process, the last line first: their order must not matter.

    kept: outcome of each line, made once. Every seventh line breaks an invariant, and the second
    run of every other one comes out differently.
    """

    kept: dict[str, Any] = field(default_factory=dict)

    def run_lines(
        self, prepare: Any, lines: Sequence[Any], workers: int, progress: object
    ) -> Iterator[tuple[int, Any]]:
        run = None
        for index in reversed(range(len(lines))):
            name = str(lines[index])
            if name not in self.kept:
                run = run or prepare()
                self.kept[name] = run(lines[index])
            found = copy.deepcopy(self.kept[name])
            number = sum(name.encode())
            if number % 7 == 0:
                found.broken.append(BrokenInvariant("lake.missing", f"planted {name}"))
            if number % 2 and lines[index] in lines[:index]:
                found.trace += "else"
            yield index, found


def thin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out most enumerated runs."""
    calls, others, foreign = plan.every_call, plan.every_other_kind, plan.foreign_in_each_bucket
    intervals, loads = plan.every_interval, loader_plan.every_call
    monkeypatch.setattr(plan, "REPEAT_EVERY", 8)
    monkeypatch.setattr(plan, "every_interval", lambda world: intervals(world)[::4])
    monkeypatch.setattr(plan, "every_call", lambda *given: calls(*given)[-1::-80])
    monkeypatch.setattr(plan, "every_other_kind", lambda *both: others(*both)[::6])
    monkeypatch.setattr(plan, "foreign_in_each_bucket", lambda clean: foreign(clean)[::4])
    monkeypatch.setattr(loader_plan, "every_call", lambda *given: loads(*given)[::150])


def patch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out most enumerated runs, and all other processes."""
    thin(monkeypatch)
    made = Runs()
    monkeypatch.setattr(command, "make_live_runs", live_runs)
    monkeypatch.setattr(journal, "run_lines", made.run_lines)


def run(folder: Path, name: str, *options: object, sizes: Sequence[str] = SIZES) -> runs.Ended:
    scenario = scenario_file(folder)
    return runs.inside("campaign", scenario, *sizes, *options, "--out", folder / name)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the directories of a whole campaign, which fails, and of its parts."""
    folder = tmp_path_factory.mktemp("campaign")
    with pytest.MonkeyPatch.context() as monkeypatch:
        patch(monkeypatch)
        assert run(folder, "whole").code == LAKE_WRONG
        for index in range(1, PARTS + 1):
            run(folder, f"part-{index}", "--shard", f"{index}/{PARTS}")
    return folder


def directories(folder: Path) -> list[Path]:
    return [folder / f"part-{index}" for index in range(1, PARTS + 1)]


def document(folder: Path) -> dict[str, Any]:
    """Return a campaign.json without its place and what depends on the machine's speed."""
    found: dict[str, Any] = json.loads((folder / "campaign.json").read_text())
    found["replay"] = found["replay"].removesuffix(f" --out {folder} --overwrite")
    figures = found["figures"]
    found["figures"] = {n: f for n, f in figures.items() if f["kind"] != "measured"}
    return found


def test_the_merged_result_is_that_of_one_process(made: Path) -> None:
    want = document(made / "whole")
    assert len(want["figures"]) >= 40
    assert {*want["broken"]} == {"lake.missing", "lake.differs", "not.deterministic"}
    assert {cell["state"] for cell in want["matrix"]} == {"pass", "fail", "unknown", "chance"}
    assert len(want["notes"]) == 1
    for order in (1, -1):
        options = ("--out", made / "merged", "--overwrite")
        assert runs.inside("merge", *directories(made)[::order], *options).code == LAKE_WRONG
        assert document(made / "merged") == want
    assert "planted" in (made / "merged" / "campaign.html").read_text()


def test_times_are_sums(made: Path) -> None:
    runs.inside("merge", *directories(made), "--out", made / "merged", "--overwrite")
    for name in ("time.runs", "time.loads", "time.wired"):
        times = [
            json.loads((folder / "campaign.json").read_text())["figures"][name]["value"]
            for folder in (*directories(made), made / "merged")
        ]
        assert sum(times[:-1]) == pytest.approx(times[-1])


def test_a_part_says_that_it_is_one_and_misses_no_point(made: Path) -> None:
    for index, folder in enumerate(directories(made), 1):
        found = document(folder)
        place = f"part {index}/{PARTS}"
        assert found["notes"] == [
            f"{place}: `windfleet merge` judges what all parts together must hit"
        ]
        assert found["replay"].endswith(f"--wired 25 --shard {index}/{PARTS}")
        assert {cell["state"] for cell in found["matrix"]} <= {"pass", "fail"}
        assert found["figures"]["runs.repeated"]["value"] == 1


def test_every_schedule_is_in_one_part_and_costly_ones_are_shared() -> None:
    for count in (1, 2, 3, 20, 100):
        places = [PartIndex(index, count) for index in range(1, count + 1)]
        costly = list(range(10, 400, 20))
        parts = [plan.dealt(400, costly, place) for place in places]
        assert sorted(index for part in parts for index in part) == list(range(400))
        assert all(part == sorted(part) for part in parts)
        for chosen in (parts, [[i for i in part if i in costly] for part in parts]):
            sizes = [len(part) for part in chosen]
            assert max(sizes) - min(sizes) <= 1


OUTCOME: Final = Outcome("x", [FiredFault("store.error", False, 5, "data")], calls=10)


def hand_made(index: int, *outcomes: Outcome, count: int = 2) -> CampaignPart:
    summary = Summary("windfleet campaign x", "windfleet run x", runs_s=1.0)
    for nth, outcome in enumerate(outcomes):
        summary.add(Line((PlannedInjection("store.error", nth + 1),), seed=index), outcome)
    summary.matrix.certain = {("store.error", "data")}
    summary.matrix.meant = set(summary.matrix.certain)
    head = (index, count, "x", "0", 7, program_versions())
    return CampaignPart(*head, "replay x", summary, "pass", "abc", kind="campaign")


def merged(folder: Path, *parts: CampaignPart) -> tuple[int, dict[str, Any]]:
    """Merge parts after they were written and read again."""
    read = {}
    for part in parts:
        place = folder / str(part.index)
        place.mkdir(exist_ok=True)
        campaign_part.write(place, part)
        read[place] = campaign_part.read(place)
        assert read[place] == part
    return merge_campaign(read, folder, Console(quiet=True)), document(folder)


def varied(nth: int) -> Outcome:
    """Return an outcome that differs from the others in every sum."""
    return replace(
        OUTCOME,
        fired=[FiredFault(("store.error", "node.crash")[nth % 2], False, 1, "data")],
        broken=[BrokenInvariant("lake.missing", f"key {nth}")] if nth % 4 == 0 else [],
        attempts=nth,
        acknowledged=2 * nth,
        recovered=3 * nth,
        committed=4 * nth,
        objects=5,
        puts=nth * nth,
        recovery_s=[float(nth)],
        wrong_rows=WrongRows(nth, 1, 2),
    )


def test_sums_of_parts_are_those_of_all_runs() -> None:
    """Each field is compared, so that none is forgotten."""
    whole, *parts = (Summary("c", "r") for _ in range(1 + PARTS))
    everything = [Line((PlannedInjection("store.error", nth + 1),)) for nth in range(12)]
    for summary, own in [(whole, range(12)), *((p, range(i, 12, 3)) for i, p in enumerate(parts))]:
        for nth in own:
            summary.add(everything[nth], varied(nth))
            summary.add_repeated(everything[nth], ("x" * (nth % 2), ""), varied(nth))
            for _, run in live_runs(0, 0, 0, [nth]):
                summary.add_live(replace(run, unknown=[f"reason {nth}"]))
            summary.single += nth
            summary.runs_s += nth
            summary.live_s += nth
            summary.gateway = "short"
            summary.loads.struck = 5
            summary.loads.wall_s += nth
    first, *others = parts
    for other in others:
        first.merge(other)
    for each in (first, whole):
        for name in ("unknown", "recovery_s", "live_loads", "failures"):
            getattr(each, name).sort(key=str)
        matrix = each.live_matrix
        matrix.never = {point: round(never or 0, 12) for point, never in matrix.never.items()}
    assert first == whole
    assert min(whole.live_matrix.never.values()) < 0.3


def test_all_parts_together_must_hit_what_is_certain(tmp_path: Path) -> None:
    hit, missed = hand_made(1, OUTCOME), hand_made(2, replace(OUTCOME, fired=[]))
    code, found = merged(tmp_path, hit, missed)
    assert (code, found["verdict"]) == (PASS, "pass")
    assert found["sentence"].startswith("Each of 2 runs")
    code, found = merged(tmp_path, replace(missed, index=1), missed)
    assert (code, found["verdict"]) == (UNKNOWN, "unknown")
    assert "1 combinations of fault and point that were certain" in found["sentence"]


def test_the_worst_verdict_of_the_oracle_counts(tmp_path: Path) -> None:
    one, two = hand_made(1, OUTCOME), hand_made(2, OUTCOME)
    for status, want in (("pass", PASS), ("unknown", UNKNOWN), ("fail", LAKE_WRONG)):
        code, found = merged(tmp_path, one, replace(two, oracle=status))
        assert (code, found["oracle"]) == (want, status)


def test_the_simplest_failures_of_all_parts_are_kept(tmp_path: Path) -> None:
    broken = replace(OUTCOME, broken=[BrokenInvariant("lake.missing", "x")])
    many = [broken] * (3 * FAILURES_KEPT)
    code, found = merged(tmp_path, hand_made(1, *many), hand_made(2, *many, broken))
    assert code == LAKE_WRONG
    assert found["figures"]["runs.failed"]["value"] == 6 * FAILURES_KEPT + 1
    lines = [failure["line"] for failure in found["failures"]]
    every = [
        f"attempts=1 down=0 seed={seed} store.error#{nth + 1}"
        for seed in (1, 2)
        for nth in range(len(many) + seed - 1)
    ]
    assert lines == sorted(every)[:FAILURES_KEPT]


def test_a_failed_load_without_faults_counts_once() -> None:
    one, two = LoadTotals("windfleet campaign x"), LoadTotals("windfleet campaign x")
    for each in (one, two):
        each.fail_without_fault("some row")
    want = copy.deepcopy(one)
    one.merge(two)
    assert one == want
    assert (one.runs, one.failed, one.broken[WITHOUT_FAULT]) == (1, 1, 1)


def test_a_campaign_that_fails_without_faults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(world: object) -> None:
        raise CleanRunBroken("lake.missing: some key")

    monkeypatch.setattr(command, "run_clean", broken)
    assert run(tmp_path, "whole").code == LAKE_WRONG
    for index in (1, 2):
        assert run(tmp_path, f"part-{index}", "--shard", f"{index}/2").code == LAKE_WRONG
    parts = directories(tmp_path)[:2]
    assert runs.inside("merge", *parts, "--out", tmp_path / "merged").code == LAKE_WRONG
    assert document(tmp_path / "merged") == document(tmp_path / "whole")
    assert "Even without any fault" in document(tmp_path / "merged")["sentence"]


def test_a_part_that_ended_early_has_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "_run_in_process", stopped)
    part = tmp_path / "part-1"
    assert run(tmp_path, part.name, "--shard", "1/1").code == INTERRUPTED
    assert (part / "campaign.json").exists()
    refused = runs.inside("merge", part)
    assert refused.code == INVALID
    assert "is not a finished part" in refused.text
    assert "until it has a campaign-part.json" in refused.text


edited = partial(part_records.edited, record="campaign-part.json")
common = partial(part_records.common, record="campaign-part.json")


@pytest.mark.parametrize(
    ("change", "chosen", "names"),
    [
        (None, [1, 3], ["missing of 3 parts: 2", "--shard 2/3"]),
        (edited(lambda raw: raw.update(index=1)), [1, 2, 3], ["part 1 of 3 is there 2 times"]),
        (edited(lambda raw: raw.update(seed=8)), [1, 2, 3], ["part-2: its seed is 8", "is 7"]),
        (edited(lambda raw: raw.update(scenario="x")), [1, 2, 3], ["its scenario is x", "tiny"]),
        (edited(lambda raw: raw.update(scenario_sha256="")), [1, 2, 3], ["other settings"]),
        (edited(lambda raw: raw.update(kind="run")), [1, 2, 3], ["its command is run"]),
        (
            edited(lambda raw: raw["versions"].update(numpy="1.0")),
            [1, 2, 3],
            ["made with numpy 1.0, this machine has"],
        ),
        (common("--runs", "9"), [1, 2, 3], ["part-2: its --runs is 9, that of", "is 8"]),
        (common("--loads", "9"), [1, 2, 3], ["its --loads is 9"]),
        (common("--wired", "9"), [1, 2, 3], ["its --wired is 9"]),
        (common("gateway", "stock"), [1, 2, 3], ["its gateway is stock", "is short"]),
        (common("digest without faults", "abc"), [1, 2, 3], ["its digest without faults is abc"]),
        (edited(lambda raw: raw.update(schema_version=9)), [1, 2, 3], ["schema_version is 9"]),
        (edited(lambda raw: raw.pop("summary")), [1, 2, 3], ["campaign-part.json", "again"]),
        (edited(lambda raw: raw["summary"].update(runs="x")), [1, 2, 3], ["summary.runs", "again"]),
        (
            edited(lambda raw: raw["summary"]["matrix"].update(fired=[1])),
            [1, 2, 3],
            ["not a record of a part", "again"],
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused_by_name(
    made: Path,
    tmp_path: Path,
    change: Callable[[Path], None] | None,
    chosen: list[int],
    names: list[str],
) -> None:
    for part in directories(made):
        shutil.copytree(part, tmp_path / part.name)
    if change is not None:
        change(tmp_path)
    parts = [tmp_path / f"part-{index}" for index in chosen]
    refused = runs.inside("merge", *parts, "--out", tmp_path / "merged")
    assert refused.code == INVALID
    for name in names:
        assert name in refused.text
    assert not (tmp_path / "merged").exists()


def test_the_result_does_not_replace_a_part(made: Path) -> None:
    parts = directories(made)
    refused = runs.inside("merge", *parts, "--out", parts[0], "--overwrite")
    assert refused.code == INVALID
    assert "is one of the parts" in refused.text


def test_one_schedule_has_no_parts(tmp_path: Path) -> None:
    refused = run(tmp_path, "x", "--shard", "1/2", "--replay", "node.crash#1")
    assert refused.code == INVALID
    assert "leave --shard out" in refused.text


@pytest.mark.campaign
def test_parts_with_workers_and_whole_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    thin(monkeypatch)
    sizes = ("--runs", "12", "--loads", "4", "--wired", "3", "--workers", "2")
    whole = run(tmp_path, "whole", sizes=sizes)
    for index in (1, 2):
        run(tmp_path, f"part-{index}", "--shard", f"{index}/2", sizes=sizes)
    parts = directories(tmp_path)[:2]
    ended = runs.inside("merge", *parts, "--out", tmp_path / "merged")
    assert (whole.code, ended.code) == (UNKNOWN, UNKNOWN), whole.text + ended.text
    found, want = document(tmp_path / "merged"), document(tmp_path / "whole")
    # Kills and retries of whole runs depend on the machine.
    for each in (found, want):
        assert each["figures"]["wired.runs"]["value"] == 3
        assert each["figures"]["wired.requests"]["value"] > 0
        for name in list(each["figures"]):
            if name.startswith("wired.") or name == "runs.foreign":
                del each["figures"][name]
        each["matrix"] = [cell for cell in each["matrix"] if "LocalStack" not in cell["world"]]
        for name in ("kinds", "notes", "sentence"):
            del each[name]
    assert found == want
