"""The loader's part of a campaign: all its runs, or one schedule again."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sim.campaign import plan as pipeline_plan
from sim.campaign.invariants import BrokenInvariant
from sim.campaign.journal import Journal, run_rest
from sim.campaign.loader import plan
from sim.campaign.loader.calls import expanded
from sim.campaign.loader.line import LoadLine, parse
from sim.campaign.loader.read_store import Objects
from sim.campaign.loader.run import CleanLoadBroken, LoadOutcome, run_clean, run_once
from sim.campaign.loader.totals import LoadTotals
from sim.campaign.loader.world import LoaderWorld, select
from sim.campaign.shrink import shrink
from sim.errors import LAKE_WRONG, PASS, UNKNOWN
from sim.report.progress import RunProgress
from sim.run.part_index import WHOLE, PartIndex

_CALLS_SHOWN = 40
WriteLine = Callable[[str], None]


def _runner(world: LoaderWorld) -> Callable[[LoadLine], LoadOutcome]:
    """Return the run of one line, in a worker process."""
    return partial(run_once, world)


def run_loads(
    folder: Path,
    objects: Objects,
    totals: LoadTotals,
    options: tuple[int, int, int],
    progress: RunProgress,
    journal: Journal[LoadOutcome],
    place: PartIndex = WHOLE,
    quick: bool = False,
) -> None:
    """Make all runs of the loader, or one part. options: random runs, their seed, workers.

    journal: has those that were made before. An early end leaves the sums of the runs that were
    made. Raises WorkerLost.
    """
    runs, seed, workers = options
    begun = time.perf_counter()
    world = select(folder, objects)
    try:
        run_clean(world)
    except CleanLoadBroken as error:
        totals.fail_without_fault(str(error))
        return
    single = plan.every_call(world, quick)
    totals.certain = plan.certain_points(world)
    totals.struck = len({item.number for line in single for item in line.items})
    lines = [*single, *(plan.random_line(world, seed, i) for i in range(runs))]
    costly = plan.repeated(lines, pipeline_plan.REPEAT_EVERY)
    own = pipeline_plan.dealt(len(lines), costly, place)
    todo = own + sorted({*own} & {*costly})
    progress.phase("loads with faults", len(todo), "runs")
    traces: dict[int, str] = {}
    again: dict[int, LoadOutcome] = {}
    try:
        schedules = [lines[i] for i in todo]
        prepare = partial(_runner, world)
        for nth, outcome in run_rest(journal, prepare, schedules, workers, progress.advance):
            index = todo[nth]
            if nth >= len(own):
                again[index] = outcome
                continue
            traces[index] = outcome.trace
            if index < len(single):
                totals.single += 1
                if plan.not_hit(lines[index], outcome):
                    outcome.broken.append(
                        BrokenInvariant("not.enumerated", "did not fire exactly at its call")
                    )
            totals.add(lines[index], outcome)
    finally:
        for index in again.keys() & traces.keys():
            totals.add_repeated(lines[index], traces[index], again[index])
        totals.wall_s = time.perf_counter() - begun


def replay_load(
    folder: Path, objects: Objects, text: str, command: str, write_line: WriteLine
) -> int:
    """Run one schedule of the loader again, shrink it if it fails, and return the exit code.

    command: the command line before `--replay`. Raises ScheduleError.
    """
    line = parse(text)
    world = select(folder, objects)
    try:
        run_clean(world)
    except CleanLoadBroken as error:
        write_line(f"FAIL  a load without any fault: {error}")
        return LAKE_WRONG
    run = partial(run_once, world)
    outcome = run(line)
    _print(outcome, write_line)
    if not outcome.broken:
        return PASS if outcome.fired else UNKNOWN
    line, outcome = shrink(run, outcome, line, expanded(line, outcome.fired))
    write_line("smallest schedule that still fails:")
    _print(outcome, write_line)
    write_line(f"replay: {command} --replay '{line}'")
    return LAKE_WRONG


def _print(outcome: LoadOutcome, write_line: WriteLine) -> None:
    verdict = "FAIL" if outcome.broken else "PASS" if outcome.fired else "nothing fired"
    write_line(f"{verdict}  {outcome.line}")
    for fired in outcome.fired[:_CALLS_SHOWN]:
        call = f"call {fired.number}" if fired.number else f"try {fired.call.attempt + 1}"
        second = ", second loader" if fired.call.second else ""
        write_line(f"  {call}{second}: {fired.kind} at {fired.call.text}")
    for name, detail in outcome.broken:
        write_line(f"  broken: {name}: {detail}")
    rows = outcome.wrong_rows
    write_line(f"  lost {rows.lost}, duplicated {rows.duplicated}, altered {rows.altered} rows")
