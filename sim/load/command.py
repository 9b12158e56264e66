"""One load test from scenario to report: directory, store, batches, calibration, the course of phases, result.

Whatever happens, the raw record so far (requests, operations, resources of every phase) stays in the run directory, a
result.json says how far it came, no process is left, and the store holds nothing that the test wrote, unless
it did not answer any more.

`--master` waits for workers that are started elsewhere on this machine (`--worker`); otherwise clients are forked.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from pipeline.terminal import cause
from sim import run_directory
from sim.errors import (
    ENVIRONMENT,
    GENERATOR,
    INTERRUPTED,
    PASS,
    UNKNOWN,
    DirectoryError,
    PlanError,
    ending,
)
from sim.load import calibration, locust_processes
from sim.load import result as loadresult
from sim.load.batches import Batches
from sim.load.engine import Engine, Settings, require_files
from sim.load.nodes import cadence_of, fleet_of, load_of, nodes_of, require_busy, require_measurable
from sim.load.phase import REQUESTS, RESOURCES, Phase, PhaseRecord
from sim.load.phases import Course
from sim.load.progress import Watch
from sim.load.result import Circumstances
from sim.load.sampler import server_at
from sim.load_schedule import Load
from sim.measure.loadtest import PhaseKind
from sim.measure.operations import OPERATIONS_FILE
from sim.measure.operations import SCHEMA as OPERATIONS
from sim.report.load.terminal import print_load
from sim.report.progress import RunProgress
from sim.report.write import REQUESTS_FILE, RESOURCES_FILE, write_load
from sim.scenario import Scenario
from sim.store import target
from sim.store.target import Target

WORK: Final = ".load"
"""In the run directory, while the test runs: batches, plans and journals."""
_PREPARING: Final = "preparing batches"


@dataclass(frozen=True)
class LoadOptions:
    """What the command line says beside the scenario. processes: in place of load.processes; awaited: that many client
    processes join by themselves; replay: the command that repeats the test."""

    out: Path
    store: target.Options
    overwrite: bool = False
    processes: int | None = None
    awaited: bool = False
    replay: str = ""


def load_test(scenario: Scenario, options: LoadOptions, console: Console) -> int:
    """Run, report; the exit code. Raises PlanError, TargetError or DirectoryError where no report can be made."""
    load = load_of(scenario)
    if options.processes is not None:
        load = replace(load, processes=options.processes)
    require_busy(load)
    require_measurable(scenario.expect, load)
    target.endpoint_of(options.store)  # refuses what is not allowed before anything is made
    require_files(load.users, load.processes)
    with run_directory.made(options.out, options.overwrite, scenario.text, 0):
        return _tested(scenario, load, options, console)


def _tested(scenario: Scenario, load: Load, options: LoadOptions, console: Console) -> int:
    fleet = fleet_of(scenario, load)
    course = Course(load, scenario.seed, nodes_of(scenario, fleet))
    around = Circumstances(options.replay, started=datetime.now(UTC).isoformat(timespec="seconds"))
    test = _Test(scenario, load, options, course, around)
    begun = time.perf_counter()
    try:
        with RunProgress(console) as progress:
            test.run(progress)
    except PlanError as error:
        if not course.records:
            raise
        _ended(around, UNKNOWN, str(error))
    except (KeyboardInterrupt, Exception) as error:
        code, said = ending(error, options.out)
        kept = "; the raw record so far is kept" if course.records else " before the first phase"
        _ended(around, code, said + (kept if code == INTERRUPTED else ""))
    finally:
        if options.awaited:
            locust_processes.dismiss(
                options.out / WORK
            )  # in a file that joined workers still look for; the rest can go
            for folder in ("batches", "phases"):
                shutil.rmtree(options.out / WORK / folder, ignore_errors=True)
        else:
            shutil.rmtree(options.out / WORK, ignore_errors=True)
    around.total_s = time.perf_counter() - begun
    return _report(scenario, options, course, around, console)


def join(master: Path, console: Console) -> int:
    """Be a client process of the test that runs in `master`, until it ends. Raises EngineError."""
    locust_processes.join(
        master / WORK, lambda text: console.print(text, markup=False, highlight=False)
    )
    return PASS


def _ended(around: Circumstances, code: int, text: str) -> None:
    around.stopped_by = code
    around.errors.append(text)


class _Test:
    """One test while it runs."""

    def __init__(
        self,
        scenario: Scenario,
        load: Load,
        options: LoadOptions,
        course: Course,
        around: Circumstances,
    ) -> None:
        self._scenario, self._load, self._options = scenario, load, options
        self._course, self._around = course, around

    def run(self, progress: RunProgress) -> None:
        """Raises what `load_test` handles."""
        progress.phase("starting the store", None, "")
        with target.opened(self._options.store) as store:
            self._around.store = str(store)
            progress.phase("simulating the fleet", None, "")
            scenario, load, folder = self._scenario, self._load, self._options.out / WORK
            fleet, cadence = fleet_of(scenario, load), cadence_of(scenario, load)
            with Batches(
                folder / "batches", fleet, scenario.seed, cadence, load.limits.bytes
            ) as batches:
                settings = self._settings(store, folder, _Told(progress))
                batches.ensure(1, settings.preparing)
                if self._calibrated(settings, batches, progress):
                    self._drive(settings, batches)
        if self._options.store.keep:
            progress.log(
                f"the store is still running at {store.endpoint_url}; stop it with: windfleet store down"
            )

    def _settings(self, store: Target, folder: Path, told: _Told) -> Settings:
        load = self._load
        return Settings(
            endpoint_url=store.endpoint_url,
            seed=self._scenario.seed,
            mix=load.mix,
            users=load.users,
            processes=load.processes,
            folder=folder / "phases",
            limits=load.limits,
            encode_inside=load.encode_inside,
            server_pid=server_at(store.endpoint_url) if store.server is None else store.server.pid,
            awaited=folder if self._options.awaited else None,
            disposable=store.server is not None and not self._options.store.keep,
            own=store.server is not None,
            require_alive=store.require_alive,
            progress=told.of_phase,
            preparing=told.of_batches,
        )

    def _calibrated(self, settings: Settings, batches: Batches, progress: RunProgress) -> bool:
        """Whether the generator is fast enough for the plan."""
        progress.phase("calibrating the generator before a null store", None, "")
        found, why = calibration.judged(settings, batches, self._load, self._course.nodes)
        self._course.generator_per_s = found.per_s
        self._course.notes.append(
            f"A request costs the generator {1000 * found.cpu_s:.2f} ms of processor time."
        )
        if why is not None:
            _ended(self._around, GENERATOR, why)
        return why is None

    def _drive(self, settings: Settings, batches: Batches) -> None:
        engine, ends_s = Engine(settings, batches), time.monotonic() + self._load.limits.time_s
        try:
            self._course.run(engine, lambda: ends_s - time.monotonic())
        finally:
            known = {id(record) for record, _ in self._course.records}
            self._course.records += [
                (one, _kind(one)) for one in engine.records if id(one) not in known
            ]
            engine.close()
        records = [record for record, kind in self._course.records if kind in ("open", "hold")]
        if why := calibration.late_by_itself(records, self._load.users, self._load.processes):
            _ended(self._around, GENERATOR, why)


class _Told:
    """Turns an engine's progress into that of the terminal."""

    def __init__(self, progress: RunProgress) -> None:
        self._progress, self._phase, self._done = progress, "", 0

    def of_phase(self, phase: Phase, watch: Watch) -> None:
        if phase.name != self._phase:
            total = None if phase.arrivals is None else len(phase.arrivals)
            self._progress.phase(f"phase {phase.name}", total, "requests")
            self._phase, self._done = phase.name, 0
        self._progress.advance(watch.done - self._done)
        self._done = watch.done

    def of_batches(self, made: int) -> None:
        if self._phase != _PREPARING:
            self._progress.phase(_PREPARING, None, "batches")
            self._phase = _PREPARING
        self._progress.advance(made)


def _kind(record: PhaseRecord) -> PhaseKind:
    """Of a phase that was cut short, so that nobody told."""
    if record.phase.users is not None:
        return "closed"
    return "step" if record.phase.name.startswith("search-") else "open"


def _report(
    scenario: Scenario,
    options: LoadOptions,
    course: Course,
    around: Circumstances,
    console: Console,
) -> int:
    records = [record for record, _ in course.records]
    requests = _joined(REQUESTS, [record.requests for record in records])
    operations = _joined(OPERATIONS, [record.operations for record in records])
    resources = _joined(RESOURCES, [record.resources for record in records])
    result = loadresult.result(scenario, course, around)
    try:
        if records:  # a test that came to nothing leaves no raw record, and stands in nobody's way
            for name, table in (
                (REQUESTS_FILE, requests),
                (OPERATIONS_FILE, operations),
                (RESOURCES_FILE, resources),
            ):
                with (options.out / name).open("wb") as file:  # pyarrow may take a path for a URI
                    pq.write_table(table, file, compression="zstd")
        write_load(result, options.out, requests, resources, operations)
    except OSError as error:
        said = "; ".join(
            [*around.errors, f"{options.out}: cannot write the report: {cause(error)}"]
        )
        raise DirectoryError(
            f"{said}; free some space, or name another disk with --out DIR", ENVIRONMENT
        ) from error
    print_load(console, result, options.out)
    return result.exit_code


def _joined(schema: pa.Schema, parts: list[pa.Table]) -> pa.Table:
    return pa.concat_tables([schema.empty_table(), *parts])
