"""The engine: runs phases with Locust in subprocesses, and collects their raw records.

    with Batches(...) as batches:
        engine = LocustEngine(EngineSettings(...), batches)
        record = engine.run(phase)

Each phase takes these steps:

1. Prepare enough batches. Put first batches in the lake if the mix has reads.
2. Write the plan, and start Locust (`sim.load.locust_processes`) on `sim.load.locustfile`.
3. Watch: follow the journals, sample resources each second, evaluate `stop_when` and the limits,
   notice a worker or a target that dies.
4. End all processes, collect the record, remove the phase's objects from the lake.

However a phase ends, its record so far is in `records`, no process is left, and its objects are
removed. `close` removes them once more, because a server that stood still may write some later.
"""

from __future__ import annotations

import contextlib
import math
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import lake
from pipeline.commit import ContentConflict
from pipeline.lake import LakeError
from pipeline.ports import StoreError
from pipeline.store import S3ObjectStore
from sim.errors import EngineError, TargetGone
from sim.load.batches import Batches, Prepared
from sim.load.client import journal
from sim.load.client.plan import ClientPlan, ran_out_path, read_started
from sim.load.client.request import seed, seeded_nodes
from sim.load.client.written_keys import Key, KeyRecorder, read_keys, remove
from sim.load.locust_processes import START_WITHIN_S, LocustProcesses
from sim.load.phase import Phase, PhaseRecord
from sim.load.preflight import require_files, require_reachable
from sim.load.progress import PhaseProgress
from sim.load.sampler import Sampler, port_of
from sim.load.settings import EngineSettings

POLL_S: Final = 0.25
GONE_AFTER: Final = 10
"""Failures in a row after which the engine checks that the target takes connections."""
HANG_S: Final = 30.0
"""Time after a phase's drain time for Locust to end by itself."""
SETTLE_S: Final = 1.0
"""Wait for abandoned requests to reach the lake before it is cleaned."""
SEED_THREADS: Final = 4
USER_FLUSHES_PER_S, CLOSED_FLUSHES_PER_S = 40.0, 150.0
"""First guess of the most flushes per second in a closed phase: per user, and in all.

A phase that makes more flushes runs out of batches. It is run again with at least twice as many.
"""
TRIES: Final = 4


class LocustEngine:
    """An engine on Locust; see `sim.load.phase.Engine`.

    records: of all phases so far, also of those that ended early.
    """

    def __init__(self, settings: EngineSettings, batches: Batches) -> None:
        """Check the limit of open files. Raises PlanError if the users need more."""
        self.settings = settings
        self.records: list[PhaseRecord] = []
        self._batches = batches
        self._nodes = len(batches.configs)
        self._seeded = seeded_nodes(settings.mix, self._nodes)
        self._began = time.monotonic()
        self._sent_bytes = 0
        self._late: set[Key] = set()
        self._number = 0
        self._more = 1.0
        require_files(settings.users, settings.processes)

    def run(self, phase: Phase) -> PhaseRecord:
        """Run a phase and return its record.

        Raises EngineError, PlanError (out of `limits.bytes`) and KeyboardInterrupt. `records` then
        has the record so far.
        """
        require_files(phase.users or self.settings.users, self.settings.processes)
        for _ in range(TRIES):
            self._prepare(phase)
            record, ran_out = self._try(phase)
            if not ran_out:
                return record
            self.records.pop()
            self._more *= 2 * max(1.0, _rate_per_s(record) / self._closed_per_s(phase))
        rate = self._closed_per_s(phase)
        raise EngineError(
            f"{phase.name}: {rate:.0f} flushes a second are more than can be prepared"
        )

    def _prepare(self, phase: Phase) -> None:
        """Make enough batches for the phase, before its clock starts."""
        if phase.arrivals is not None:
            most = int(phase.arrivals.flushes(self._nodes).max(initial=0))
        else:
            most = math.ceil(self._closed_per_s(phase) * phase.duration_s / self._nodes) + 1
        most = 1 if self.settings.repeat_batch else most + (self._seeded > 0)
        if self.settings.encode_inside:
            self._batches.ensure(min(1, self._seeded), self.settings.preparing)
            self._batches.simulate(most)
        else:
            self._batches.ensure(most, self.settings.preparing)

    def _closed_per_s(self, phase: Phase) -> float:
        """Return the expected most flushes a second of a closed phase."""
        return self._more * min(USER_FLUSHES_PER_S * (phase.users or 1), CLOSED_FLUSHES_PER_S)

    def _try(self, phase: Phase) -> tuple[PhaseRecord, bool]:
        """Run the phase once. Return its record, and True if it ran out of batches."""
        settings = self.settings
        self._number += 1
        folder = settings.folder / f"{self._number:03d}-{phase.name}"
        workers = min(settings.processes, phase.users or settings.users)
        plan = ClientPlan.of(phase, settings, workers, self._batches.folder, self._nodes)
        plan.write(folder)
        try:
            self._seed(folder)
            found = self._run_locust(phase, plan, folder)
        except BaseException as error:
            if not isinstance(error, TargetGone):
                with contextlib.suppress(EngineError):  # the user must read the first error
                    self._clean(folder, ended=True)
            raise
        self._clean(folder)
        return found

    def _seed(self, folder: Path) -> None:
        """Commit the first batches, for reads. Raises EngineError."""
        if not self._seeded:
            return
        client = S3ObjectStore(self.settings.store, self.settings.timeout_s)
        store, prepared = KeyRecorder(client, folder, "seed"), Prepared(self._batches.folder)
        try:
            with ThreadPoolExecutor(SEED_THREADS) as pool:
                list(pool.map(lambda node: seed(store, prepared, [node]), range(self._seeded)))
        except (StoreError, ContentConflict) as error:
            raise EngineError(
                f"{self.settings.endpoint_url}: the lake cannot be made ready: {error}"
            ) from error

    def _run_locust(self, phase: Phase, plan: ClientPlan, folder: Path) -> tuple[PhaseRecord, bool]:
        """Start Locust, watch it, end it and collect the record."""
        s = self.settings
        locust = LocustProcesses(folder, s.endpoint_url, plan.users, plan.workers, s.join_folder)
        stopped: str | None = None

        def processes() -> dict[str, int]:
            return locust.processes() | ({} if s.server_pid is None else {"server": s.server_pid})

        with Sampler(processes, port_of(s.endpoint_url), plan.now_ns) as sampler:
            try:
                stopped = self._watch(phase, plan, folder, locust)
            except KeyboardInterrupt:
                stopped = "interrupted"
                raise
            except BaseException as error:
                stopped = str(error) or type(error).__name__
                raise
            finally:
                lost, ended_ns = 0 if stopped else len(locust.lost()), plan.now_ns()
                locust.end()
                resources = sampler.table()
                if stopped:  # the time to end the clients is no part of the phase
                    times = resources["time"].cast(pa.int64())
                    resources = resources.filter(pc.less_equal(times, ended_ns))
                record = _record(phase, plan, folder, resources, stopped, lost)
                self.records.append(record)
                self._sent_bytes += pc.sum(record.requests["bytes"]).as_py() or 0
        return record, ran_out_path(folder).exists()

    def _watch(
        self, phase: Phase, plan: ClientPlan, folder: Path, locust: LocustProcesses
    ) -> str | None:
        """Wait until the phase is over. Return the reason if it must end early, else None."""
        s, started_ns = self.settings, _wait_for_start(plan, folder, locust)
        progress = PhaseProgress(phase, started_ns)
        follower = journal.Follower(folder, plan.workers)
        give_up_ns = started_ns + round((plan.duration_s + plan.drain_s + HANG_S) * 1e9)
        while locust.running():
            time.sleep(POLL_S)
            progress.feed(follower.new_rows())
            s.progress(phase, progress)
            s.require_alive()
            if progress.failed_in_a_row >= GONE_AFTER and s.store.proxy is None:
                require_reachable(s.endpoint_url)
            now_ns = plan.now_ns()
            if reason := progress.stop_reason(now_ns) or self._limit_reached(progress, now_ns):
                return reason
            if now_ns > give_up_ns:
                raise EngineError(f"Locust did not end by itself.{locust.log_tail()}")
        if locust.failed() and not locust.lost():
            raise EngineError(f"Locust failed.{locust.log_tail()}")
        return None

    def _limit_reached(self, progress: PhaseProgress, now_ns: int) -> str | None:
        """Return a message about the limit that is reached, or None."""
        limits, sent_bytes = self.settings.limits, self._sent_bytes + progress.size
        if sent_bytes > limits.bytes:
            return f"load.limits.bytes: {sent_bytes / 1e6:,.0f} MB were sent"
        if time.monotonic() - self._began > limits.time_s:
            return f"load.limits.time: the load test has lasted {limits.time_s:g} s"
        if (rate := progress.rate_per_s(now_ns)) > limits.rate_per_s:
            return f"load.limits.rate: {rate:.0f} requests a second were made"
        return None

    def _clean(self, folder: Path, ended: bool = False) -> None:
        """Remove the phase's objects and its folder. Raises EngineError.

        ended: no other phase follows, so that a disposable store may keep them.
        """
        if self.settings.repeat_batch or (ended and self.settings.disposable):
            shutil.rmtree(folder)
            return
        keys = read_keys(folder)
        if self.records and _any_abandoned(self.records[-1]):
            self._late |= keys
            time.sleep(SETTLE_S)
        remove(self.settings.store, keys)
        shutil.rmtree(folder)

    def close(self) -> None:
        """Remove objects that a server wrote after their phase was over."""
        if self._late and not self.settings.disposable:
            # They were removed once. A store that has ended has no objects.
            with contextlib.suppress(LakeError):
                lake.remove(self.settings.store, self._late)


def _wait_for_start(plan: ClientPlan, folder: Path, locust: LocustProcesses) -> int:
    """Return the time of the schedule's 0, once it is known. Raises EngineError."""
    give_up = time.monotonic() + START_WITHIN_S
    while (started_ns := read_started(folder)) is None:
        if not locust.running() or time.monotonic() > give_up:
            ready = len(list(folder.glob("client-*.pid")))
            raise EngineError(
                f"Locust did not start ({ready} of {plan.workers} clients are ready)."
                f"{locust.log_tail()}"
            )
        time.sleep(POLL_S / 5)
    return started_ns


def _record(
    phase: Phase,
    plan: ClientPlan,
    folder: Path,
    resources: pa.Table,
    stopped: str | None,
    lost: int,
) -> PhaseRecord:
    started_ns = read_started(folder) or plan.now_ns()
    rows = {worker: journal.read(folder, worker) for worker in range(plan.workers)}
    requests = journal.requests(phase, started_ns, rows)
    operations = journal.read_operations(folder, plan.workers)
    return PhaseRecord(phase, requests, operations, resources, started_ns, stopped, lost)


def _any_abandoned(record: PhaseRecord) -> bool:
    return bool(pc.any(pc.equal(record.requests["outcome"], "abandoned")).as_py())


def _rate_per_s(record: PhaseRecord) -> float:
    """Return the rate of requests until the last of them ended."""
    last = pc.max(record.requests["end"]).cast(pa.int64()).as_py() or record.started_ns
    return float(record.requests.num_rows / max((last - record.started_ns) / 1e9, 0.1))
