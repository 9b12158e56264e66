"""`windfleet campaign`: runs with every fault, in process and on a real store, and one result.

1. Make the node files, and the run without faults. The oracle judges that run, once.
2. Compare the lake of every other in-process run with the lake of that run
   (`sim.campaign.invariants`). An equal lake needs no verdict of its own. Lakes with foreign bytes
   must differ, so the oracle judges some of those.
3. Load that lake into Delta tables under faults of the loader (`sim.campaign.loader`).
4. Make whole runs on a real store (`sim.campaign.live_runs`).

Exit code 5: a run broke an invariant. Exit code 6: a fault that was certain to fire never did, or
the oracle could not judge. A campaign that ends early (Ctrl-C, a store that dies) reports the runs
that were made.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from pipeline.records import BUCKET_NAMES
from sim import check, run_directory
from sim.campaign import campaign_part, plan
from sim.campaign.campaign_part import CampaignPart
from sim.campaign.in_process_run import CleanRunBroken, run_clean, run_once, run_with_store
from sim.campaign.invariants import BrokenInvariant
from sim.campaign.journal import Journal, run_rest
from sim.campaign.live_runs import LiveRun, is_loaded, make_live_runs
from sim.campaign.loader.command import replay_load, run_loads
from sim.campaign.loader.line import is_load
from sim.campaign.loader.run import LoadOutcome
from sim.campaign.loader.totals import LoadTotals
from sim.campaign.memory_store import MemoryStore, dump
from sim.campaign.options import CampaignOptions
from sim.campaign.outcome import CleanRun, Outcome
from sim.campaign.pool import pipeline_runs, use_one_thread
from sim.campaign.schedule import Line, expanded, parse
from sim.campaign.shrink import shrink
from sim.campaign.state import write_state
from sim.campaign.summary import Summary
from sim.campaign.world import World, make_world
from sim.chaos.faults import CRASH, Fault
from sim.errors import LAKE_WRONG, PASS, UNKNOWN, PartError, ScheduleError, exit_code_and_message
from sim.report.campaign import CampaignResult, print_summary, write
from sim.report.progress import RunProgress
from sim.resume_state import way_on
from sim.run.part_head import head_of
from sim.run.part_index import PartIndex
from sim.scenario import Scenario

_VERDICTS: Final = {PASS: "pass", LAKE_WRONG: "fail"}
_CALLS_SHOWN: Final = 40
_BROKEN_SHOWN: Final = 20


def replay(scenario: Scenario, text: str, command: str, console: Console) -> int:
    """Run one schedule again, shrink it if it fails, and return the exit code.

    command: the command line before `--replay`. Raises ScheduleError.
    """

    def write_line(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    line = None if is_load(text) else parse(text)
    if line is not None:
        _require_possible(line, scenario)
    use_one_thread()
    with tempfile.TemporaryDirectory(prefix="windfleet-") as folder:
        world = make_world(scenario, Path(folder))
        try:
            clean = run_clean(world)
        except CleanRunBroken as error:
            write_line(f"FAIL  without any fault: {error}")
            return LAKE_WRONG
        if line is None:
            objects = clean.store.objects
            return replay_load(Path(folder) / "loads", objects, text, command, write_line)
        outcome = run_once(world, clean, line)
        _print_outcome(outcome, write_line)
        if not outcome.broken:
            return PASS if outcome.fired else UNKNOWN
        run = partial(run_once, world, clean)
        line, outcome = shrink(run, outcome, line, expanded(line, outcome.fired))
        write_line("smallest schedule that still fails:")
        _print_outcome(outcome, write_line)
        write_line(f"replay: {command} --replay '{line}'")
    return LAKE_WRONG


def _require_possible(line: Line, scenario: Scenario) -> None:
    """Raise ScheduleError for a fault that can never fire in this world."""
    if others := [item.kind for item in line.items if item.kind not in plan.IN_PROCESS_KINDS]:
        raise ScheduleError(
            f"{others[0]} fires only in whole runs on LocalStack; "
            "name it in `faults` of `windfleet run`"
        )
    known = {*BUCKET_NAMES, *(farm.farm_id for farm in scenario.fleet.farms)}
    for fault in line.items:
        if isinstance(fault, Fault) and (unknown := {*fault.farms, *fault.buckets} - known):
            raise ScheduleError(
                f"{fault.kind}: no such farm or bucket {min(unknown)}; "
                f"there are {', '.join(sorted(known))}"
            )


def _print_outcome(outcome: Outcome, write_line: Callable[[str], None]) -> None:
    verdict = "FAIL" if outcome.broken else "PASS" if outcome.fired else "nothing fired"
    write_line(f"{verdict}  {outcome.line}")
    for fired in outcome.fired[:_CALLS_SHOWN]:
        point = f" at {fired.point}" if fired.point else ""
        side = f" {'after' if fired.after else 'before'} its effect" if fired.kind == CRASH else ""
        write_line(f"  call {fired.number}: {fired.kind}{point}{side}")
    for name, detail in outcome.broken[:_BROKEN_SHOWN]:
        write_line(f"  broken: {name}: {detail}")
    rows = outcome.wrong_rows
    write_line(f"  lost {rows.lost}, duplicated {rows.duplicated}, misplaced {rows.misplaced} rows")


def run_campaign(scenario: Scenario, options: CampaignOptions, console: Console) -> int:
    """Make all runs of a campaign and return the exit code. Raises DirectoryError, PartError."""
    if options.replay is not None:
        if options.shard is not None:
            raise PartError("--replay repeats one schedule, which has no parts; leave --shard out")
        return replay(scenario, options.replay, options.command, console)
    directory = (
        run_directory.continued(options.out)
        if options.resumed
        else run_directory.made(options.out, options.overwrite, scenario.text, 1_000_000)
    )
    with directory:
        if not options.resumed:
            write_state(options)
        return _run_and_report(scenario, options, console)


def _run_and_report(scenario: Scenario, options: CampaignOptions, console: Console) -> int:
    shard = "" if options.shard is None else f" --shard {options.shard}"
    result = CampaignResult(
        scenario.name, options.seed, options.replay_whole + shard + options.place_again
    )
    summary = Summary(options.command, options.run_command)
    with (
        RunProgress(console) as progress,
        tempfile.TemporaryDirectory(prefix="windfleet-") as folder,
    ):
        use_one_thread()
        progress.phase("simulating", None, "")
        world = make_world(scenario, Path(folder))
        try:
            clean = run_clean(world)
        except CleanRunBroken as error:
            summary.without_fault = str(error)
            summary.sum_up(result)
        else:
            _require_enough(_lines(world, clean, options)[1], options.place)
            progress.phase("judging the lake without faults", None, "")
            _judge_clean(world, clean, Path(folder) / "lake", result)
            _run_all(scenario, world, clean, options, summary, result, progress)
    if options.shard is not None:
        whole = "`windfleet merge` judges what all parts together must hit"
        result.notes.append(f"part {options.shard}: {whole}")
    if options.resumed:
        result.notes.append("resumed: counts cover all runs, times and rates those made since then")
    report(result, options.out, console)
    if options.shard is not None and not result.errors:
        campaign_part.write(options.out, _part(scenario, options.shard, options, summary, result))
    if not result.errors:
        run_directory.finish(options.out)
    elif (way := way_on(options.out)) is not None:
        console.print(Text(f"go on with: {way}", "bold"), soft_wrap=True)
    return result.exit_code


def _part(
    scenario: Scenario,
    shard: PartIndex,
    options: CampaignOptions,
    summary: Summary,
    result: CampaignResult,
) -> CampaignPart:
    common = {**options.sizes, "digest without faults": result.digest}
    if options.live:
        common["gateway"] = options.gateway
    return CampaignPart(
        **head_of(shard, scenario, options.seed),
        kind="campaign",
        common=common,
        replay=options.replay_whole,
        summary=summary,
        oracle=result.oracle,
        digest=result.digest,
    )


def report(result: CampaignResult, out: Path, console: Console) -> None:
    """Write the result of a campaign, and print it. Raises OSError."""
    result.verdict = _VERDICTS.get(result.exit_code, "unknown")
    write(result, out)
    print_summary(console, result, out)


def _judge(world: World, store: MemoryStore, folder: Path) -> check.Verdict:
    """Write a store's objects to `folder`, and return the oracle's verdict on them."""
    dump(store, folder)
    return check.judge(world.final, check.LakeReader.folder(folder), None, 1, compacted=False)


def _judge_clean(world: World, clean: CleanRun, folder: Path, result: CampaignResult) -> None:
    verdict = _judge(world, clean.store, folder)
    agreed = verdict.digest == clean.outcome.digest
    result.oracle = verdict.status if agreed or verdict.status != "pass" else "fail"
    result.digest = clean.outcome.digest


def _run_all(
    scenario: Scenario,
    world: World,
    clean: CleanRun,
    options: CampaignOptions,
    summary: Summary,
    result: CampaignResult,
    progress: RunProgress,
) -> None:
    """Make the runs in process and on LocalStack. An early end still reports the runs made."""
    ended: tuple[int, str] | None = None
    try:
        _run_in_process(world, clean, options, summary, progress)
        if options.loads:
            summary.loads = LoadTotals(options.command)
            sizes = (options.loads, options.seed, options.workers)
            folder, objects = world.folder / "loads", clean.store.objects
            own = (Journal(options.out, LoadOutcome), options.place, options.quick)
            run_loads(folder, objects, summary.loads, sizes, progress, *own)
        _run_live(scenario, world, options, summary, progress)
    except (KeyboardInterrupt, Exception) as error:
        ended = exit_code_and_message(error, Path(tempfile.gettempdir()))
    (summary if options.shard is None else summary.of_part()).sum_up(result)
    if ended is not None:
        done = f"{summary.runs:,} runs in process and {summary.live:,} on LocalStack were made"
        result.errors.append(f"{ended[1]}; {done}")
        if result.exit_code != LAKE_WRONG:
            result.exit_code = ended[0]
            result.sentence = f"Not finished: {ended[1]}; {done}, none failed."


def _lines(
    world: World, clean: CleanRun, options: CampaignOptions
) -> tuple[list[Line], list[Line]]:
    """Return the enumerated schedules, and all, those at random too."""
    single = [
        *plan.every_call(clean, options.quick),
        *plan.every_interval(world),
        *plan.every_other_kind(world, clean),
    ]
    calls = len(clean.log)
    drawn = (plan.random_line(world, calls, options.seed, i) for i in range(options.runs))
    return single, [*single, *drawn]


def _require_enough(lines: Sequence[Line], place: PartIndex) -> None:
    """Raise PartError for more parts than schedules: some would have none."""
    if place.count > len(lines):
        many = f"{place.count} parts of {len(lines):,} schedules"
        raise PartError(f"{many}: some would be empty; ask for {len(lines):,} or fewer")


def _run_in_process(
    world: World, clean: CleanRun, options: CampaignOptions, summary: Summary, progress: RunProgress
) -> None:
    single, lines = _lines(world, clean, options)
    summary.matrix.certain = plan.certain_points(clean)
    costly = plan.repeated(lines)
    own = plan.dealt(len(lines), costly, options.place)
    todo = own + sorted({*own} & {*costly})
    progress.phase("runs with faults", len(todo), "runs")
    begun = time.perf_counter()
    traces: dict[int, tuple[str, str]] = {}
    second_times: dict[int, Outcome] = {}
    try:
        for nth, outcome in run_rest(
            Journal(options.out, Outcome),
            partial(pipeline_runs, world),
            [lines[i] for i in todo],
            options.workers,
            progress.advance,
        ):
            index = todo[nth]
            if nth >= len(own):
                second_times[index] = outcome
                continue
            traces[index] = (outcome.trace, outcome.digest)
            if index < len(single):
                summary.single += 1
                if plan.is_past_end(lines[index], clean) == bool(outcome.fired):
                    outcome.broken.append(plan.not_enumerated(outcome))
            summary.add(lines[index], outcome)
        _judge_foreign(world, clean, summary, options.place)
    finally:
        for index in second_times.keys() & traces.keys():
            summary.add_repeated(lines[index], traces[index], second_times[index])
        summary.runs_s = time.perf_counter() - begun


def _judge_foreign(world: World, clean: CleanRun, summary: Summary, place: PartIndex) -> None:
    """Judge lakes with foreign bytes. The oracle must fail each and name the key."""
    for line in plan.foreign_in_each_bucket(clean)[place.index - 1 :: place.count]:
        outcome, store = run_with_store(world, clean, line)
        with tempfile.TemporaryDirectory(prefix="windfleet-") as folder:
            verdict = _judge(world, store, Path(folder))
        named = {found.key for found in verdict.findings}
        if verdict.status != "fail" or not named >= {"/".join(place) for place in store.planted}:
            outcome.broken.append(
                BrokenInvariant(
                    "oracle",
                    f"verdict {verdict.status}, must be fail and name the object of {outcome.line}",
                )
            )
        summary.single += 1
        summary.add(line, outcome)


def _run_live(
    scenario: Scenario,
    world: World,
    options: CampaignOptions,
    summary: Summary,
    progress: RunProgress,
) -> None:
    loaded = [index for index in range(options.live) if is_loaded(index)]
    own = plan.dealt(options.live, loaded, options.place)
    if not own:
        return
    progress.phase("runs on LocalStack with killed workers", len(own), "runs")
    begun = time.perf_counter()
    summary.gateway = options.gateway
    journal = Journal(options.out, LiveRun)
    made = journal.outcomes([str(index) for index in range(options.live)])
    for index in [each for each in own if each in made]:
        summary.add_live(made[index])
        progress.advance(1)
    left = [index for index in own if index not in made]
    if not left:
        return
    try:
        for index, run in make_live_runs(
            scenario,
            options.load,
            world.flush_s,
            left,
            options.seed,
            options.workers,
            options.gateway,
        ):
            journal.add(index, str(index), run)
            summary.add_live(run)
            progress.advance(1)
    finally:
        summary.live_s = time.perf_counter() - begun
