"""`windfleet run`: the whole run as a list of steps, from scenario to report.

If anything ends a run early, three things still hold:

- The raw record stays in the run directory: node files, ground truth, operations so far.
- A result.json with the cause is written, if the disk takes it.
- No process is left.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from pipeline.terminal import cause
from sim import run_directory
from sim.errors import ENVIRONMENT, DirectoryError
from sim.measure.timeline import timeline
from sim.measure.usage import Usage
from sim.report.progress import RunProgress
from sim.report.result import Result
from sim.report.terminal import print_summary
from sim.report.write import write_all
from sim.resume_state import way_on
from sim.run import part_file, result
from sim.run.attempts import Attempts, Origin
from sim.run.delivery import deliver
from sim.run.early import EarlyOracle
from sim.run.in_process import can_run_in_process
from sim.run.needs import needs, require_fit, this_machine
from sim.run.part import part_of
from sim.run.part_index import WHOLE, PartIndex
from sim.run.past_runs import PastRun, past_runs, remember
from sim.run.planned_faults import planned_faults
from sim.run.record import Record
from sim.run.shards import start_server
from sim.run.verdict import judge_lake
from sim.scenario import Scenario
from sim.scenario.plan import Plan, plan
from sim.store import localstack, target
from sim.store.target import Target

CEILING: Final = "store.put_ceiling_per_s"


@dataclass(frozen=True)
class RunOptions:
    """Options of the command line.

    replay: the command that repeats the run. shard: the one part to run; None: the whole run.
    resume: earlier attempts at the run, to go on with; None for a new one.
    """

    out: Path
    workers: int
    store: target.Options
    overwrite: bool = False
    save_lake: bool = False
    replay: str = ""
    shard: PartIndex | None = None
    resume: Attempts | None = None


def run(scenario: Scenario, options: RunOptions, console: Console) -> int:
    """Run, judge, report. Return the exit code.

    Raises DirectoryError or TargetError where no report can be made.
    """
    part = part_of(scenario.fleet, options.shard or WHOLE)
    target.require_proxy_possible(options.store, scenario.faults)
    size = plan(scenario, part.turbines)
    kind = target.kind_of(options.store)
    need = needs(scenario, part, options.workers, kind, past_runs(localstack.HOME))
    require_fit(need, this_machine(options.out))
    console.print(Text(str(need), "dim"), soft_wrap=True)
    lake_bytes = sum(size.lake_bytes.values())
    target.require_room(options.store, lake_bytes)
    need_bytes = size.node_bytes + (lake_bytes if options.save_lake else 0)
    # A part with one worker needs no process for it.
    in_process = options.shard is not None and can_run_in_process(scenario, options.workers)
    directory = (
        run_directory.made(options.out, options.overwrite, scenario.text, need_bytes)
        if options.resume is None
        else run_directory.continued(options.out)
    )
    with directory:
        attempts = options.resume or _first_attempt(options)
        attempts.begin(options.out)
        record = Record(started=_now(), workers=options.workers)
        record.part = None if options.shard is None else part
        begun = time.perf_counter()
        kept_at = ""
        with record.catching(options.out), RunProgress(console) as progress:
            progress.phase(target.opening(options.store), None, "")
            if not in_process:
                start_server()
            with _usage(record), target.opened(options.store) as store:
                record.store = store.described()
                attempts.enter(options.out, store)
                kept_at = store.endpoint_url if store.kept else ""
                record.server_pids = store.server.pids if store.server is not None else ()
                record.begin("ceiling")
                if record.part is None or _expects(scenario, CEILING):
                    progress.phase("measuring the store's ceiling", None, "")
                    record.ceiling_per_s = target.ceiling(store)
                if record.part is None:
                    record.planned = planned_faults(scenario, size)
                rows = part.turbines * scenario.clock.samples
                record.begin("simulate and deliver")
                progress.phase("simulating and delivering", rows, "rows")
                oracle = (
                    None
                    if in_process or attempts.takes_over
                    else _early_oracle(scenario, store, record, progress, options)
                )
                deliver(
                    scenario,
                    store,
                    record,
                    progress.advance,
                    run_dir=options.out,
                    workers=options.workers,
                    part=part,
                    oracle=oracle,
                    attempts=attempts,
                    in_process=in_process,
                )
                if oracle is None:
                    record.begin("judge")
                judge_lake(
                    scenario,
                    store,
                    record,
                    progress,
                    run_dir=options.out,
                    part=part,
                    save=options.save_lake,
                    oracle=oracle,
                )
        if kept_at:
            stop = "stop it with: windfleet store down"
            console.print(
                f"the store is still running at {kept_at}; {stop}", highlight=False, soft_wrap=True
            )
        record.total_s = time.perf_counter() - begun
        _remember(record, size, kind, scenario.name)
        found = result.of_run(scenario, record, options.replay)
        _write(found, record, options.out, page=record.part is None)
        if record.part is not None:
            part_file.write(options.out, scenario, record)
        print_summary(console, found, options.out)
        if record.stopped_by is None:
            run_directory.finish(options.out)
        elif (way := way_on(options.out)) is not None:
            console.print(Text(f"go on with: {way}", "bold"), soft_wrap=True)
        return found.exit_code


def _first_attempt(options: RunOptions) -> Attempts:
    """Return the settings of a run that begins. Raises TargetError, OSError."""
    store = options.store
    named = target.endpoint_of(store)
    return Attempts(
        Origin.of(options.out),
        options.replay,
        options.workers,
        options.save_lake,
        None if options.shard is None else str(options.shard),
        store.gateway,
        store.processes,
        store.keep,
        named,
        named is not None,
    )


def _expects(scenario: Scenario, figure: str) -> bool:
    """Return True if a scenario judges a figure."""
    return any(wanted.figure == figure for wanted in scenario.expect)


def _remember(record: Record, size: Plan, kind: str, name: str) -> None:
    """Keep size, time and memory of a run that came to its verdict, for the next plan."""
    if record.verdict is None or record.started is None or record.total_s is None:
        return
    past = PastRun(
        record.started,
        kind,
        record.workers,
        size.rows,
        size.rows / size.batches,
        record.total_s,
        record.memory_peak_bytes or 0,
        name,
    )
    remember(localstack.HOME, past)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _early_oracle(
    scenario: Scenario, store: Target, record: Record, progress: RunProgress, options: RunOptions
) -> EarlyOracle | None:
    """Return the oracle that judges farms before the end; None where that cannot be."""
    if scenario.faults or store.folder is not None or options.save_lake:
        return None
    show = progress.follow("judging the lake", "objects")

    def judging(done: int, known: int) -> None:
        if record.phases[-1][0] != "judge":
            record.begin("judge")
        show(done, known)

    return EarlyOracle(store.lake, options.out, judging)


@contextmanager
def _usage(record: Record) -> Iterator[None]:
    """Put the largest memory of the run's processes, and the time line, into `record`."""
    usage = Usage()
    record.begin("start the store")
    try:
        with usage:
            yield
    finally:
        record.memory_peak_bytes = usage.peak_bytes
        record.timeline = timeline(
            usage.samples,
            record.spans,
            usage.begun_ns,
            record.phases,
            os.getpid(),
            record.server_pids,
            os.cpu_count() or 1,
        )


def _write(found: Result, record: Record, out: Path, page: bool) -> None:
    """Write the report. Raises DirectoryError with the run's own errors where the disk is full."""
    try:
        write_all(found, out, record.operations, page)
    except OSError as error:
        texts = [*record.errors, f"{out}: cannot write the report: {cause(error)}"]
        fix = "free some space, or name another disk with --out DIR"
        raise DirectoryError(f"{'; '.join(texts)}; {fix}", ENVIRONMENT) from error
