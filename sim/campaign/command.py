"""`windfleet campaign`: node files, the run without faults and its verdict, then every fault, then one result.

The oracle judges the run without faults, once; every other run in process is held against that one
(`sim.campaign.invariants`). Then "all runs equal, and the first is right" says that all are right. Where foreign bytes
stopped a node, the lake is right up to there, and the oracle is shown some of those lakes. Whole runs on a real store
follow (`sim.campaign.live_runs`). Exit code 5: an invariant broke. 6: a fault that was planned never fired, or the oracle
could not tell. What ends it early (Ctrl-C, a store that dies) leaves a report of what was done.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from pipeline.records import BUCKET_NAMES
from sim import check, run_directory
from sim.campaign import plan as chaos
from sim.campaign.invariants import Broken
from sim.campaign.live_runs import Load, wired_runs
from sim.campaign.outcome import Clean, Outcome
from sim.campaign.scenario_world import dump, make_world
from sim.campaign.schedule import Line, parse
from sim.campaign.shrink import shrink
from sim.campaign.summary import Tally
from sim.campaign.world import Unclean, World, run_clean, run_kept, run_once
from sim.chaos.faults import CRASH, Fault
from sim.errors import LAKE_WRONG, PASS, UNKNOWN, ScheduleError, ending
from sim.report.campaign import CampaignResult, print_summary, write
from sim.report.progress import RunProgress
from sim.scenario import Scenario

_VERDICTS: Final = {PASS: "pass", LAKE_WRONG: "fail"}


@dataclass(frozen=True)
class CampaignOptions:
    """What the command line says. `seed` draws the random runs. `command` repeats the campaign, without --out;
    `run_command` makes one whole run of its scenario; `load` reads that scenario with more settings."""

    out: Path
    runs: int
    wired: int
    seed: int
    workers: int
    overwrite: bool
    command: str
    run_command: str
    load: Load
    replay: str | None = None


def replay(scenario: Scenario, text: str, command: str, console: Console) -> int:
    """One schedule again, shrunk when it fails; the exit code. `command`: up to --replay. Raises ScheduleError."""

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    line = parse(text)
    _require_possible(line, scenario)
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


def _require_possible(line: Line, scenario: Scenario) -> None:
    """Raises ScheduleError for a fault that cannot strike here, whatever happens."""
    if elsewhere := [item.kind for item in line.items if item.kind not in chaos.HERE]:
        raise ScheduleError(
            f"{elsewhere[0]} strikes whole runs on LocalStack only; name it in `faults` of `windfleet run`"
        )
    known = {*BUCKET_NAMES, *(farm.farm_id for farm in scenario.fleet.farms)}
    for fault in line.items:
        if isinstance(fault, Fault) and (unknown := {*fault.farms, *fault.buckets} - known):
            raise ScheduleError(
                f"{fault.kind}: no such place {min(unknown)}; places are {', '.join(sorted(known))}"
            )


def _tell(outcome: Outcome, say: Callable[[str], None]) -> None:
    verdict = "FAIL" if outcome.broken else "PASS" if outcome.fired else "nothing fired"
    say(f"{verdict}  {outcome.line}")
    for fired in outcome.fired[:40]:
        side = (
            (" after its effect" if fired.after else " before its effect")
            if fired.kind == CRASH
            else ""
        )
        say(
            f"  call {fired.number}: {fired.kind}{f' at {fired.point}' if fired.point else ''}{side}"
        )
    for name, detail in outcome.broken[:20]:
        say(f"  broken: {name}: {detail}")
    say(
        f"  lost {outcome.fates.lost}, duplicated {outcome.fates.duplicated}, misplaced {outcome.fates.misplaced} rows"
    )


def run_campaign(scenario: Scenario, options: CampaignOptions, console: Console) -> int:
    """Enumeration, random runs, whole runs on a real store; the exit code. Raises DirectoryError."""
    if options.replay is not None:
        return replay(scenario, options.replay, options.command, console)
    with run_directory.made(options.out, options.overwrite, scenario.text, 1_000_000):
        return _reported(scenario, options, console)


def _reported(scenario: Scenario, options: CampaignOptions, console: Console) -> int:
    full = f"{options.command} --runs {options.runs} --wired {options.wired}"
    result = CampaignResult(scenario.name, options.seed, full)
    with (
        RunProgress(console) as progress,
        tempfile.TemporaryDirectory(prefix="windfleet-") as folder,
    ):
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
            _run_both(scenario, world, clean, options, result, progress)
    result.verdict = _VERDICTS.get(result.exit_code, "unknown")
    write(result, options.out)
    print_summary(console, result, options.out)
    return result.exit_code


def _judge_clean(world: World, clean: Clean, folder: Path, result: CampaignResult) -> None:
    dump(clean.store, folder)
    verdict = check.judge(world.final, check.LakeReader.folder(folder), None, 1)
    agreed = verdict.digest == clean.outcome.digest
    result.oracle = verdict.status if agreed or verdict.status != "pass" else "fail"
    result.digest = clean.outcome.digest


def _run_both(
    scenario: Scenario,
    world: World,
    clean: Clean,
    options: CampaignOptions,
    result: CampaignResult,
    progress: RunProgress,
) -> None:
    """Both worlds, as far as they come."""
    tally = Tally(options.command, options.run_command)
    ended: tuple[int, str] | None = None
    try:
        _run_in_process(world, clean, options, tally, progress)
        _run_wired(scenario, world, options, tally, progress)
    except (KeyboardInterrupt, Exception) as error:
        ended = ending(error, Path(tempfile.gettempdir()))
    tally.sum_up(result)
    if ended is not None:
        done = f"{tally.runs:,} runs in process and {tally.wired:,} on LocalStack were made"
        result.errors.append(f"{ended[1]}; {done}")
        if result.exit_code != LAKE_WRONG:
            result.exit_code, result.sentence = (
                ended[0],
                f"Not finished: {ended[1]}; {done}, none failed.",
            )


def _run_in_process(
    world: World, clean: Clean, options: CampaignOptions, tally: Tally, progress: RunProgress
) -> None:
    single = [*chaos.enumerated(clean), *chaos.spelled(world), *chaos.sampled(world, clean)]
    tally.matrix.certain = chaos.certain(world, clean)
    lines = [
        *single,
        *(chaos.drawn(world, len(clean.log), options.seed, i) for i in range(options.runs)),
    ]
    repeated = chaos.again(lines)
    todo = lines + [lines[i] for i in repeated]
    progress.phase("runs with faults", len(todo), "runs")
    begun = time.perf_counter()
    traces: dict[int, tuple[str, str]] = {}
    late: dict[int, Outcome] = {}
    try:
        for index, outcome in chaos.run_lines(world, todo, options.workers, progress.advance):
            if index >= len(lines):
                late[repeated[index - len(lines)]] = outcome
                continue
            traces[index] = (outcome.trace, outcome.digest)
            if index < len(single):
                tally.single += 1
                if chaos.beyond(lines[index], clean) == bool(outcome.fired):
                    outcome.broken.append(chaos.not_all_enumerated(outcome))
            tally.add(lines[index], outcome)
        _judge_foreign(world, clean, tally)
    finally:
        for index in late.keys() & traces.keys():
            tally.add_again(lines[index], traces[index], late[index])
        tally.runs_s = time.perf_counter() - begun


def _judge_foreign(world: World, clean: Clean, tally: Tally) -> None:
    """Lakes with foreign bytes before the oracle: it must fail each, and name the key."""
    for line in chaos.foreign_in_each_bucket(clean):
        outcome, store = run_kept(world, clean, line)
        with tempfile.TemporaryDirectory(prefix="windfleet-") as folder:
            dump(store, Path(folder))
            verdict = check.judge(world.final, check.LakeReader.folder(Path(folder)), None, 1)
        named = {found.key for found in verdict.findings}
        if verdict.status != "fail" or not named >= {"/".join(place) for place in store.planted}:
            outcome.broken.append(
                Broken(
                    "oracle", f"{verdict.status}, and no word of {outcome.line}'s foreign object"
                )
            )
        tally.single += 1
        tally.add(line, outcome)


def _run_wired(
    scenario: Scenario, world: World, options: CampaignOptions, tally: Tally, progress: RunProgress
) -> None:
    if not options.wired:
        return
    progress.phase("runs on LocalStack with killed workers", options.wired, "runs")
    begun = time.perf_counter()
    try:
        for run in wired_runs(
            scenario, options.load, world.flush_s, options.wired, options.seed, options.workers
        ):
            tally.add_wired(run)
            progress.advance(1)
    finally:
        tally.wired_s = time.perf_counter() - begun
