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

from pipeline.settings import Settings
from pipeline.store import TIMEOUT_S
from pipeline.terminal import cause
from sim import run_directory
from sim.chaos.proxy import CLIENT_TIMEOUT_S, FaultProxy
from sim.check.read.lake import LakeReader
from sim.errors import ENVIRONMENT, INTERRUPTED, DirectoryError, ending
from sim.measure.memory import MemoryPeak
from sim.model.clock import SimClock
from sim.report.terminal import RunProgress, print_summary
from sim.report.write import write_all
from sim.run import judgement, operations
from sim.run.judgement import Record
from sim.run.planned import kills, planned
from sim.run.task import ShardPlan
from sim.run.workers import run_all
from sim.scenario import Scenario
from sim.scenario.plan import plan
from sim.store import target
from sim.store.target import Target
from sim.verify.judge import judge


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
    target.require_breakable(
        options.store, scenario.faults
    )  # refuses what is not allowed before anything is made
    size = plan(scenario)
    need = size.node_bytes + (sum(size.lake_bytes.values()) if options.save_lake else 0)
    with run_directory.made(options.out, options.overwrite, scenario.text, need):
        return _reported(scenario, options, console)


def _reported(scenario: Scenario, options: RunOptions, console: Console) -> int:
    record = Record(
        started=datetime.now(UTC).isoformat(timespec="seconds"), workers=options.workers
    )
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
            progress.phase(
                "simulating and delivering",
                scenario.fleet.turbines * scenario.clock.samples,
                "rows",
            )
            drive(scenario, options, record, store, progress.advance)
            _measure_ceiling(record, store, progress)
            _judge(scenario, options, record, store, progress)
        finally:
            record.memory_peak_bytes = memory.peak_bytes
    if options.store.keep:
        progress.log(
            f"the store is still running at {store.endpoint_url}; stop it with: windfleet store down"
        )


def _measure_ceiling(record: Record, store: Target, progress: RunProgress) -> None:
    """Before and after the load, the better counts: on a shared machine one measurement may meet a bad moment."""
    progress.phase("measuring the store's ceiling", None, "")
    found = target.ceiling(store)
    record.ceiling_per_s = max(
        (c for c in (record.ceiling_per_s, found) if c is not None), default=None
    )


def drive(
    scenario: Scenario,
    options: RunOptions,
    record: Record,
    store: Target,
    advance: Callable[[int], None],
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
                record.struck.merge(proxy.injections)
                record.foreign = proxy.foreign
        if proxy is not None:
            proxy.settle()
    undelivered = {
        turbine: why for shard in record.shards for turbine, why in shard.undelivered.items()
    }
    if undelivered:
        turbine, why = next(iter(undelivered.items()))
        record.errors.append(
            f"{len(undelivered)} nodes could not deliver everything; {turbine}: {why}"
        )


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


def _judge(
    scenario: Scenario, options: RunOptions, record: Record, store: Target, progress: RunProgress
) -> None:
    """The independent verdict on what lies in the store."""
    reader = store.lake
    if options.save_lake:
        progress.phase("saving the lake", None, "objects")
        progress.advance(reader.save(options.out / "lake"))
        reader = LakeReader.folder(options.out / "lake")
    begun = time.perf_counter()
    record.verdict = judge(
        options.out,
        reader,
        workers=options.workers,
        farms=scenario.fleet.farms,
        store=None if store.folder else store.store,
        progress=progress.follow("judging the lake", "objects"),
        log=progress.log,
    )
    record.verify_s = time.perf_counter() - begun
    record.node_bytes = sum(file.stat().st_size for file in (options.out / "nodes").glob("*/*.db"))


def _report(scenario: Scenario, options: RunOptions, record: Record, console: Console) -> int:
    result = judgement.result(scenario, record, options.replay)
    try:
        write_all(result, options.out, record.operations)
    except OSError as error:
        said = "; ".join(
            [*record.errors, f"{options.out}: cannot write the report: {cause(error)}"]
        )
        raise DirectoryError(
            f"{said}; free some space, or name another disk with --out DIR", ENVIRONMENT
        ) from error
    print_summary(console, result, options.out)
    return result.exit_code
