"""`windfleet campaign`: node files, the run without faults and its verdict, then every fault, then one result.

The oracle judges the run without faults, once; every other run is held against that one (`sim.chaos.invariants`). Then
"all runs equal, and the first is right" says that all are right. Exit code 5: an invariant broke. 6: a fault that was
planned never fired, or the oracle could not tell.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from rich.console import Console

from sim import check
from sim.chaos import campaign as chaos
from sim.chaos.faults import CRASH
from sim.chaos.memory import MemoryStore
from sim.chaos.outcome import Clean, Outcome
from sim.chaos.schedule import Line, parse
from sim.chaos.shrink import shrink
from sim.chaos.world import Unclean, World, build, run_clean, run_once
from sim.model.clock import SimClock
from sim.report.campaign import CampaignResult, Cell, Failure, Figure, print_summary, write
from sim.report.terminal import RunProgress
from sim.run import directory
from sim.run.exits import LAKE_WRONG, PASS, UNKNOWN
from sim.scenario import Scenario

FAILURES_KEPT: Final = 200
_VERDICTS: Final = {PASS: "pass", LAKE_WRONG: "fail", UNKNOWN: "unknown"}


@dataclass(frozen=True)
class CampaignOptions:
    """What the command line says. `seed` draws the random runs. `command` repeats the campaign, without --out."""

    out: Path
    runs: int
    seed: int
    workers: int
    overwrite: bool
    command: str
    replay: str


@dataclass
class _Tally:
    """All runs summed up as they come."""

    runs: int = 0
    failed: int = 0
    figures: Counter[str] = field(default_factory=Counter)
    fates: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    struck: Counter[tuple[str, str]] = field(default_factory=Counter)
    struck_failed: Counter[tuple[str, str]] = field(default_factory=Counter)
    recovery_s: list[float] = field(default_factory=list)
    amplification: float = 0.0
    failures: list[tuple[Line, Outcome]] = field(default_factory=list)

    def add(self, line: Line, outcome: Outcome) -> None:
        self.runs += 1
        self.figures.update({name: getattr(outcome, name) for name in _SUMMED})
        self.fates.update(outcome.fates._asdict())
        self.kinds.update(fired.kind for fired in outcome.fired)
        cells = chaos.cells_of(outcome)
        self.struck.update(cells)
        self.recovery_s += outcome.recovery_s
        self.amplification = max(self.amplification, outcome.puts / max(outcome.objects + outcome.committed, 1))
        if outcome.broken:
            self.failed += 1
            self.struck_failed.update(cells)
            self.broken.update({name for name, _ in outcome.broken})
            if len(self.failures) < FAILURES_KEPT:
                self.failures.append((line, outcome))


_SUMMED: Final = ("calls", "attempts", "acknowledged", "recovered", "committed", "objects", "puts")


def make_world(scenario: Scenario, folder: Path) -> World:
    """The scenario's node files and snapshots, in `folder`."""
    clock = SimClock(scenario.clock.start_us, scenario.clock.sample_us, scenario.clock.samples)
    settings = scenario.pipeline
    seconds = (settings.flush_every_s, settings.window_s, settings.allowed_lateness_s)
    return build(folder, scenario.fleet.farms, clock, scenario.seed, seconds, scenario.data_faults, scenario.events)


def replay(scenario: Scenario, line: Line, command: str, console: Console) -> int:
    """One schedule again, shrunk when it fails; the exit code. `command`: up to --replay."""

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    chaos.quieten()
    with tempfile.TemporaryDirectory(prefix="windfleet-") as folder:
        world = make_world(scenario, Path(folder))
        try:
            clean = run_clean(world)
        except Unclean as error:
            say(f"FAIL  without any fault: {error}")
            return LAKE_WRONG
        outcome = run_once(world, clean, line)
        _tell(outcome, say)
        if not outcome.broken:
            return PASS if outcome.fired else UNKNOWN
        line, outcome = shrink(world, clean, outcome, line)
        say("smallest schedule that still fails:")
        _tell(outcome, say)
        say(f"replay: {command} --replay '{line}'")
    return LAKE_WRONG


def _tell(outcome: Outcome, say: Callable[[str], None]) -> None:
    verdict = "FAIL" if outcome.broken else "PASS" if outcome.fired else "nothing fired"
    say(f"{verdict}  {outcome.line}")
    for fired in outcome.fired[:40]:
        side = (" after its effect" if fired.after else " before its effect") if fired.kind == CRASH else ""
        say(f"  call {fired.number}: {fired.kind}{f' at {fired.point}' if fired.point else ''}{side}")
    for name, detail in outcome.broken[:20]:
        say(f"  broken: {name}: {detail}")
    say(f"  lost {outcome.fates.lost}, duplicated {outcome.fates.duplicated}, misplaced {outcome.fates.misplaced} rows")


def run_campaign(scenario: Scenario, options: CampaignOptions, console: Console) -> int:
    """Enumeration and random runs; the exit code. Raises DirectoryError."""
    if options.replay:
        return replay(scenario, parse(options.replay), options.command, console)
    directory.make(options.out, options.overwrite, scenario.text, 1_000_000)
    result = CampaignResult(scenario.name, options.seed, f"{options.command} --runs {options.runs}")
    with RunProgress(console) as progress, tempfile.TemporaryDirectory(prefix="windfleet-") as folder:
        chaos.quieten()
        progress.phase("simulating", None, "")
        world = make_world(scenario, Path(folder))
        try:
            clean = run_clean(world)
        except Unclean as error:
            result.exit_code, result.broken = LAKE_WRONG, {"without any fault": 1}
            result.sentence = f"Even without any fault: {error}"
        else:
            progress.phase("judging the lake without faults", None, "")
            _judge_clean(world, clean, Path(folder) / "lake", result)
            _run_all(world, clean, options, result, progress)
    result.verdict = _VERDICTS[result.exit_code]
    write(result, options.out)
    print_summary(console, result, options.out)
    return result.exit_code


def _judge_clean(world: World, clean: Clean, folder: Path, result: CampaignResult) -> None:
    dump(clean.store, folder)
    verdict = check.judge(world.final, check.LakeReader.folder(folder), None, 1)
    agreed = verdict.digest == clean.outcome.digest
    result.oracle = verdict.status if agreed or verdict.status != "pass" else "fail"
    result.digest = clean.outcome.digest


def dump(store: MemoryStore, folder: Path) -> None:
    """The store's objects as `folder/<bucket>/<key>`."""
    for (bucket, key), body in store.objects.items():
        path = folder / bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)


def _run_all(
    world: World, clean: Clean, options: CampaignOptions, result: CampaignResult, progress: RunProgress
) -> None:
    single = [*chaos.enumerated(clean), *chaos.spelled(world)]
    lines = [*single, *(chaos.drawn(world, len(clean.log), options.seed, i) for i in range(options.runs))]
    repeated = chaos.again(lines)
    todo = lines + [lines[i] for i in repeated]
    progress.phase("runs with faults", len(todo), "runs")
    begun = time.perf_counter()
    tally, traces = _Tally(), {}
    late: dict[int, Outcome] = {}
    for index, outcome in chaos.run_lines(world, todo, options.workers, progress.advance):
        if index >= len(lines):
            late[repeated[index - len(lines)]] = outcome
            continue
        traces[index] = (outcome.trace, outcome.digest)
        if index < len(single) and chaos.beyond(lines[index], clean) == bool(outcome.fired):
            outcome.broken.append(chaos.not_all_enumerated(outcome))
        tally.add(lines[index], outcome)
    for index, outcome in late.items():
        if traces[index] != (outcome.trace, outcome.digest):
            tally.broken["not.deterministic"] += 1
            tally.failures.append((lines[index], replace(outcome, broken=[chaos.NOT_DETERMINISTIC])))
    wall_s = time.perf_counter() - begun
    _sum(tally, len(single), len(late), wall_s, options, result)


def _sum(
    tally: _Tally, single: int, again: int, wall_s: float, options: CampaignOptions, result: CampaignResult
) -> None:
    failures = sorted(tally.failures, key=lambda pair: (len(pair[0].items), str(pair[0])))
    result.kinds = dict(sorted(tally.kinds.items()))
    result.broken = dict(sorted(tally.broken.items()))
    result.matrix = [Cell(*cell, tally.struck[cell], tally.struck_failed[cell]) for cell in chaos.planned_cells()]
    result.failures = [
        Failure(
            str(line),
            tuple(sorted({name for name, _ in outcome.broken})),
            outcome.broken[0].detail,
            f"{options.command} --replay '{line}'",
        )
        for line, outcome in failures
    ]
    result.figures = _figures(tally, single, again, wall_s)
    grey = sum(cell.state == "unknown" for cell in result.matrix)
    if tally.broken or result.oracle == "fail":
        result.exit_code = LAKE_WRONG
        if tally.failed:
            result.sentence = f"{tally.failed:,} of {tally.runs:,} runs broke an invariant."
        elif tally.broken:
            result.sentence = f"{tally.broken['not.deterministic']:,} of {again:,} repeated runs came out differently."
        else:
            result.sentence = "The oracle finds the lake wrong, without any fault."
    elif grey or result.oracle != "pass":
        result.exit_code = UNKNOWN
        result.sentence = f"No run of {tally.runs:,} broke an invariant, but " + (
            f"{grey} planned combinations of fault and point never fired." if grey else "the oracle could not judge."
        )
    else:
        result.exit_code = PASS
        result.sentence = f"Each of {tally.runs:,} runs with faults left the very lake of the run without."


def _figures(tally: _Tally, single: int, again: int, wall_s: float) -> dict[str, Figure]:
    def counted(value: float | None, text: str) -> Figure:
        return Figure(value, "", "counted", text)

    n, sums, broken = tally.runs - single, tally.figures, tally.broken
    regressions = broken["checkpoint.regressed"] + broken["checkpoint.ahead"]
    return {
        "runs": counted(tally.runs, f"{single:,} enumerated, {n:,} at random"),
        "runs.failed": counted(tally.failed, "broke an invariant"),
        "runs.repeated": counted(again, f"made twice; {broken['not.deterministic']} came out differently"),
        "store.calls": counted(sums["calls"], "calls to the store, struck ones too"),
        "faults.fired": counted(tally.kinds.total(), f"of {len(tally.kinds)} kinds"),
        "batches.attempts": counted(sums["attempts"], "batches handed to the store, every try counted"),
        "batches.acknowledged": counted(sums["acknowledged"], "reported durable to the process"),
        "batches.recovered": counted(sums["recovered"], "durable although no process was told so"),
        "rows.lost": counted(tally.fates["lost"], "against the run without faults"),
        "rows.duplicated": counted(tally.fates["duplicated"], "in the lake more than once"),
        "rows.misplaced": counted(tally.fates["misplaced"], "under another hour than they belong to"),
        "checkpoint.regressions": counted(regressions, "runs in which a checkpoint went back, or ahead of the data"),
        "runs.stuck": counted(broken["stuck"] + broken["stopped"], "did not drain after healing, or gave up"),
        "recovery.p50": Figure(_median(tally.recovery_s), "s", "modelled", "behind the run without faults, per spell"),
        "recovery.max": Figure(max(tally.recovery_s, default=None), "s", "modelled", "the longest such spell"),
        "writes.per_object": counted(sums["puts"] / max(sums["objects"] + sums["committed"], 1), "puts per object"),
        "writes.per_object.max": counted(tally.amplification, "the same in the worst run"),
        "failure.bound": counted(3 / n if n and not broken else None, "95 % bound per random run, 3/n"),
        "time.runs": Figure(wall_s, "s", "measured", "wall time of all runs"),
        "throughput.runs_per_s": Figure((tally.runs + again) / max(wall_s, 1e-9), "runs/s", "measured", "all workers"),
    }


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None
