"""One run from scenario to report: directory, store, ceiling, shards, verdict, result; and whatever ends it early.

Whatever happens, the raw record (node files, ground truth, operations so far) stays in the run directory, a result.json
says how far it came (where the disk takes one), and no process is left.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from pipeline.lake import LakeError
from pipeline.settings import Settings
from pipeline.store import TIMEOUT_S
from pipeline.terminal import cause
from sim import check
from sim.chaos.proxy import CLIENT_TIMEOUT_S, FaultProxy
from sim.check.lake import LakeReader
from sim.measure.memory import MemoryPeak
from sim.model.clock import SimClock
from sim.report.terminal import RunProgress, print_summary
from sim.report.write import write_all
from sim.run import debris, directory, judgement, operations, rollcall, target
from sim.run.ending import ending
from sim.run.exits import ENVIRONMENT, INTERRUPTED
from sim.run.judgement import Record
from sim.run.planned import kills, planned
from sim.run.target import Target
from sim.run.task import ShardPlan
from sim.run.workers import run_all
from sim.scenario import Scenario, ScenarioError
from sim.scenario.plan import plan


@dataclass(frozen=True)
class RunOptions:
    """What the command line says beside the scenario. `replay`: the command that repeats the run; `compact`: one object
    per farm and hour in place of one per turbine (`sim.run.compact`)."""

    out: Path
    workers: int
    store: target.Options
    overwrite: bool = False
    save_lake: bool = False
    replay: str = ""
    compact: bool = False


def run(scenario: Scenario, options: RunOptions, console: Console) -> int:
    """Run, judge, report; the exit code. Raises DirectoryError or TargetError where no report can be made."""
    target.require_breakable(options.store, scenario.faults)  # refuses what is not allowed before anything is made
    size = plan(scenario)
    need = size.node_bytes + (sum(size.lake_bytes.values()) if options.save_lake else 0)
    with directory.made(options.out, options.overwrite, scenario.text, need):
        return _reported(scenario, options, console)


def _reported(scenario: Scenario, options: RunOptions, console: Console) -> int:
    record = Record(started=datetime.now(UTC).isoformat(timespec="seconds"), workers=options.workers)
    begun = time.perf_counter()
    try:
        with RunProgress(console) as progress:
            _run(scenario, options, record, progress)
    except (KeyboardInterrupt, Exception) as error:
        record.stopped_by, said = ending(error, options.out)
        kept = "; the raw record so far is kept" if record.stopped_by == INTERRUPTED else ""
        record.errors.append(said + kept)
    record.total_s = time.perf_counter() - begun
    return _report(scenario, options, record, console)


def _run(scenario: Scenario, options: RunOptions, record: Record, progress: RunProgress) -> None:
    progress.phase("starting the store", None, "")
    with target.opened(options.store) as store, MemoryPeak() as memory:
        record.store = str(store)
        try:
            _measure_ceiling(record, store, progress)
            progress.phase("simulating and delivering", scenario.fleet.turbines * scenario.clock.samples, "rows")
            drive(scenario, options, record, store, progress.advance)
            _measure_ceiling(record, store, progress)
            _judge(options, record, store, progress)
        finally:
            record.memory_peak_bytes = memory.peak_bytes
    if options.store.keep:
        progress.log(f"the store is still running at {store.endpoint_url}; stop it with: windfleet store down")


def _measure_ceiling(record: Record, store: Target, progress: RunProgress) -> None:
    """Before and after the load, the better counts: on a shared machine one measurement may meet a bad moment."""
    progress.phase("measuring the store's ceiling", None, "")
    found = target.ceiling(store)
    record.ceiling_per_s = max((c for c in (record.ceiling_per_s, found) if c is not None), default=None)


def drive(
    scenario: Scenario, options: RunOptions, record: Record, store: Target, advance: Callable[[int], None]
) -> None:
    """Simulate and deliver; what came of it goes into `record`. Raises what `sim.run.workers.run_all` raises.

    advance: told how many more rows were delivered.
    """
    clock = SimClock(scenario.clock.start_us, scenario.clock.sample_us, scenario.clock.samples)
    record.planned = planned(scenario)
    with target.broken(store, scenario.seed, scenario.faults) as proxy:
        try:
            _run_shards(scenario, options, record, store, clock, proxy, advance)
        finally:
            record.operations = operations.merge(options.out)
            if proxy is not None:
                record.struck.merge(proxy.struck)
                record.foreign = proxy.foreign
        if proxy is not None:
            proxy.settle()
    undelivered = {turbine: why for shard in record.shards for turbine, why in shard.undelivered.items()}
    if undelivered:
        turbine, why = next(iter(undelivered.items()))
        record.errors.append(f"{len(undelivered)} nodes could not deliver everything; {turbine}: {why}")


def _run_shards(
    scenario: Scenario,
    options: RunOptions,
    record: Record,
    store: Target,
    clock: SimClock,
    proxy: FaultProxy | None,
    advance: Callable[[int], None],
) -> None:
    """Every farm, over the workers; through the proxy, if there is one."""
    plans = [
        ShardPlan(
            farm=farm,
            seed=scenario.seed,
            clock=clock,
            pipeline=scenario.pipeline,
            uplink=scenario.uplink,
            data_faults=scenario.data_faults,
            events=scenario.events,
            run_dir=options.out,
            store=_reached(store, proxy),
            lake_dir=store.folder,
            compact=options.compact,
            faults=scenario.faults,
            proxied=proxy is not None,
            timeout_s=TIMEOUT_S if proxy is None else CLIENT_TIMEOUT_S,
        )
        for farm in scenario.fleet.farms
    ]
    run_all(
        plans,
        options.workers,
        lambda _, delivered: advance(delivered),
        store.require_alive,
        record.shards,
        kills(scenario),
        record.struck,
    )


def _reached(store: Target, proxy: FaultProxy | None) -> Settings | None:
    """How workers reach the store; None for a folder."""
    if store.folder is not None:
        return None
    return store.store if proxy is None else store.store.behind(proxy.endpoint_url)


def _judge(options: RunOptions, record: Record, store: Target, progress: RunProgress) -> None:
    """The independent verdict on what lies in the store."""
    reader = store.lake
    if options.save_lake:
        progress.phase("saving the lake", None, "objects")
        progress.advance(reader.save(options.out / "lake"))
        reader = LakeReader.folder(options.out / "lake")
    begun = time.perf_counter()
    record.verdict = judge(options.out, reader, options.workers, progress, None if store.folder else store.store)
    record.verify_s = time.perf_counter() - begun
    record.node_bytes = sum(file.stat().st_size for file in (options.out / "nodes").glob("*/*.db"))


def judge(
    run_dir: Path, reader: LakeReader, workers: int, progress: RunProgress, store: Settings | None = None
) -> check.Verdict:
    """The oracle over a run's node files and a lake, with progress. Raises check.LakeError.

    The oracle knows the node files that are there, and objects; that the files are all there is asked here, of the
    run's scenario, and whether unfinished uploads are left behind, of the S3 if there is one.
    """
    seen = 0

    def tell(done: int, total: int) -> None:
        nonlocal seen
        if seen == 0:
            progress.phase("judging the lake", total, "objects")
        progress.advance(done - seen)
        seen = done

    by_hand = not directory.is_run(run_dir)
    verdict = check.judge(run_dir / "nodes", reader, run_dir / "truth", workers, tell, by_hand)
    try:
        verdict = rollcall.held(verdict, run_dir)
    except ScenarioError as error:
        progress.log(f"could not check for missing node files: {error}")
    try:
        return debris.held(verdict, store) if store is not None and verdict.figures else verdict
    except LakeError as error:
        progress.log(f"could not check for unfinished uploads: {error}")
        return verdict


def _report(scenario: Scenario, options: RunOptions, record: Record, console: Console) -> int:
    result = judgement.result(scenario, record, options.replay)
    try:
        write_all(result, options.out, record.operations)
    except OSError as error:
        said = "; ".join([*record.errors, f"{options.out}: cannot write the report: {cause(error)}"])
        raise directory.DirectoryError(
            f"{said}; free some space, or name another disk with --out DIR", ENVIRONMENT
        ) from error
    print_summary(console, result, options.out)
    return result.exit_code
