"""The command `windfleet load`, one load test from scenario to report.

The steps, in the order of this file:

1. Check the plan, make the run directory (`load_test`).
2. Open the store, make batches, calibrate the generator, run the phases (`_LoadTest`).
3. Write the raw record and the report, print the result (`_report`).

However the test ends:

- The raw record so far (requests, operations and resources of every phase) is in the run directory.
- A result.json shows how far the test came.
- No process is left.
- The store has no object of the test, unless it stopped answering.

`--master` waits for workers that are started elsewhere on this machine (`--worker`, `join`).
Otherwise the clients are forked.
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
    exit_code_and_message,
)
from sim.load import calibration, locust_processes
from sim.load.batches import Batches
from sim.load.engine import LocustEngine
from sim.load.nodes import cadence_of, fleet_of, load_of, nodes_of
from sim.load.phase import REQUESTS, RESOURCES, Phase, PhaseRecord
from sim.load.phases import Course
from sim.load.preflight import require_busy, require_files, require_measurable
from sim.load.progress import PhaseProgress
from sim.load.result import Circumstances, result
from sim.load.sampler import server_at
from sim.load.settings import EngineSettings
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
"""Folder in the run directory while the test runs: batches, plans and journals."""
_PREPARING: Final = "preparing batches"


@dataclass(frozen=True)
class LoadOptions:
    """Options of the command line.

    processes: in place of load.processes. workers_join: the client processes join by themselves.
    replay: the command that repeats the test.
    """

    out: Path
    store: target.Options
    overwrite: bool = False
    processes: int | None = None
    workers_join: bool = False
    replay: str = ""


def load_test(scenario: Scenario, options: LoadOptions, console: Console) -> int:
    """Run a load test, report it, return the exit code.

    Raises PlanError, TargetError or DirectoryError if there is nothing to report.
    """
    load = load_of(scenario)
    if options.processes is not None:
        load = replace(load, processes=options.processes)
    require_busy(load)
    require_measurable(scenario.expect, load)
    target.endpoint_of(options.store)  # refuses a store that is not allowed
    require_files(load.users, load.processes)
    with run_directory.made(options.out, options.overwrite, scenario.text, 0):
        test = _LoadTest(scenario, load, options)
        test.run(console)
        return _report(test, console)


def join(master: Path, console: Console) -> int:
    """Run as a client process of the test in the run directory `master`. Raises EngineError."""

    def report(text: str) -> None:
        console.print(text, markup=False, highlight=False)

    locust_processes.join(master / WORK, report)
    return PASS


class _LoadTest:
    """One test while it runs. `course` and `around` have its results so far."""

    def __init__(self, scenario: Scenario, load: Load, options: LoadOptions) -> None:
        self.scenario, self.options = scenario, options
        self._load, self._work = load, options.out / WORK
        self._fleet = fleet_of(scenario, load)
        self.course = Course(load, scenario.seed, nodes_of(scenario, self._fleet))
        started = datetime.now(UTC).isoformat(timespec="seconds")
        self.around = Circumstances(options.replay, started=started)

    def run(self, console: Console) -> None:
        """Run to the end, or until an error. Raises PlanError before the first phase."""
        began = time.perf_counter()
        try:
            with RunProgress(console) as progress:
                self._with_store(progress)
        except PlanError as error:
            if not self.course.records:
                raise
            self._stop(UNKNOWN, str(error))
        except (KeyboardInterrupt, Exception) as error:
            code, text = exit_code_and_message(error, self.options.out)
            if code == INTERRUPTED:
                kept = self.course.records
                text += "; the raw record so far is kept" if kept else " before the first phase"
            self._stop(code, text)
        finally:
            self._remove_work()
        self.around.total_s = time.perf_counter() - began

    def _with_store(self, progress: RunProgress) -> None:
        """Open the store and run the test against it."""
        progress.phase("starting the store", None, "")
        with target.opened(self.options.store) as store:
            self.around.store = store.described()
            self._with_batches(store, progress)
        if self.options.store.keep:
            progress.log(
                f"the store is still running at {store.endpoint_url}; "
                "stop it with: windfleet store down"
            )

    def _with_batches(self, store: Target, progress: RunProgress) -> None:
        """Simulate the fleet, make first batches, calibrate, run the phases."""
        progress.phase("simulating the fleet", None, "")
        cadence = cadence_of(self.scenario, self._load)
        limit_bytes, seed = self._load.limits.bytes, self.scenario.seed
        with Batches(self._work / "batches", self._fleet, seed, cadence, limit_bytes) as batches:
            settings = self._settings(store, _TerminalProgress(progress))
            batches.ensure(1, settings.preparing)
            if self._fast_enough(settings, batches, progress):
                self._run_phases(settings, batches)

    def _settings(self, store: Target, progress: _TerminalProgress) -> EngineSettings:
        load, server = self._load, store.server
        return EngineSettings(
            endpoint_url=store.endpoint_url,
            seed=self.scenario.seed,
            mix=load.mix,
            users=load.users,
            processes=load.processes,
            folder=self._work / "phases",
            limits=load.limits,
            encode_inside=load.encode_inside,
            server_pid=server_at(store.endpoint_url) if server is None else server.pid,
            join_folder=self._work if self.options.workers_join else None,
            disposable=server is not None and not self.options.store.keep,
            own=server is not None,
            by_bucket=store.processes > 1,
            require_alive=store.require_alive,
            progress=progress.of_phase,
            preparing=progress.of_batches,
        )

    def _fast_enough(
        self, settings: EngineSettings, batches: Batches, progress: RunProgress
    ) -> bool:
        """Calibrate the generator. Return True if it is fast enough for the plan."""
        progress.phase("calibrating the generator with a null store", None, "requests")
        found, reason = calibration.check_generator(
            settings, batches, self._load, self.course.nodes
        )
        self.course.generator_per_s = found.per_s
        self.course.notes.append(
            f"A request costs the generator {1000 * found.cpu_s:.2f} ms of CPU time."
        )
        if reason is not None:
            self._stop(GENERATOR, reason)
        return reason is None

    def _run_phases(self, settings: EngineSettings, batches: Batches) -> None:
        """Run the course of phases, until its end or until the test's time is over."""
        engine = LocustEngine(settings, batches)
        ends_s = time.monotonic() + self._load.limits.time_s
        try:
            self.course.run(engine, lambda: ends_s - time.monotonic())
        finally:
            known = {id(record) for record, _ in self.course.records}
            cut_short = [record for record in engine.records if id(record) not in known]
            self.course.records += [(record, _kind(record)) for record in cut_short]
            engine.close()
        records = [record for record, kind in self.course.records if kind in ("open", "hold")]
        if reason := calibration.late_by_itself(records, self._load.users, self._load.processes):
            self._stop(GENERATOR, reason)

    def _stop(self, code: int, text: str) -> None:
        """Note the exit code and the message of an early end."""
        self.around.stopped_by = code
        self.around.errors.append(text)

    def _remove_work(self) -> None:
        if not self.options.workers_join:
            shutil.rmtree(self._work, ignore_errors=True)
            return
        # Joined workers still look for CURRENT_PHASE. The rest can go.
        locust_processes.dismiss(self._work)
        for folder in ("batches", "phases"):
            shutil.rmtree(self._work / folder, ignore_errors=True)


def _kind(record: PhaseRecord) -> PhaseKind:
    """Return the kind of a phase that was cut short, before the course had it."""
    if record.phase.users is not None:
        return "closed"
    return "step" if record.phase.name.startswith("search-") else "open"


class _TerminalProgress:
    """The engine's progress, shown on the terminal."""

    def __init__(self, progress: RunProgress) -> None:
        self._progress, self._phase, self._done = progress, "", 0

    def of_phase(self, phase: Phase, progress: PhaseProgress) -> None:
        """Show requests that have ended."""
        if phase.name != self._phase:
            total = None if phase.arrivals is None else len(phase.arrivals)
            self._progress.phase(f"phase {phase.name}", total, "requests")
            self._phase, self._done = phase.name, 0
        self._progress.advance(progress.done - self._done)
        self._done = progress.done

    def of_batches(self, made: int) -> None:
        """Show batches that were made."""
        if self._phase != _PREPARING:
            self._progress.phase(_PREPARING, None, "batches")
            self._phase = _PREPARING
        self._progress.advance(made)


def _report(test: _LoadTest, console: Console) -> int:
    """Write the raw record and the report, print the result, return the exit code.

    A test without a phase leaves no raw record, so that its run directory can be used again.
    """
    out, records = test.options.out, [record for record, _ in test.course.records]
    requests = _joined(REQUESTS, [record.requests for record in records])
    operations = _joined(OPERATIONS, [record.operations for record in records])
    resources = _joined(RESOURCES, [record.resources for record in records])
    found = result(test.scenario, test.course, test.around)
    try:
        if records:
            _write(out / REQUESTS_FILE, requests)
            _write(out / OPERATIONS_FILE, operations)
            _write(out / RESOURCES_FILE, resources)
        write_load(found, out, requests, resources, operations)
    except OSError as error:
        unwritten = f"{out}: cannot write the report: {cause(error)}"
        text = "; ".join([*test.around.errors, unwritten])
        raise DirectoryError(
            f"{text}; free some space, or name another disk with --out DIR", ENVIRONMENT
        ) from error
    print_load(console, found, out)
    return found.exit_code


def _joined(schema: pa.Schema, parts: list[pa.Table]) -> pa.Table:
    return pa.concat_tables([schema.empty_table(), *parts])


def _write(path: Path, table: pa.Table) -> None:
    # A file object, because pyarrow may take a path for a URI.
    with path.open("wb") as file:
        pq.write_table(table, file, compression="zstd")
