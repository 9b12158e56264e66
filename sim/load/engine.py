"""Runs phases: Locust in subprocesses, watched from here, and their raw records put together.

    with Batches(...) as batches:
        engine = Engine(Settings(...), batches)
        record = engine.run(phase)

For each phase: batches enough, first batches in the lake where the mix has reads, a folder with the plan, Locust
(`sim.load.locust_processes`) on `sim.load.locustfile`; then watch: follow the journals, sample resources each second, evaluate
`stop_when`, keep the caps, notice a worker or a target that dies. However a phase ends, its record so far is in
`records`, no process is left, and what it wrote is removed from the lake (once more at `close`, for what a server
that stood still may have done later).
"""

from __future__ import annotations

import contextlib
import math
import resource
import shutil
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import lake
from pipeline.commit import ContentConflict
from pipeline.lake import LakeError
from pipeline.ports import StoreError
from pipeline.settings import Settings as StoreSettings
from pipeline.settings import settings as settings_of
from pipeline.store import TIMEOUT_S, S3ObjectStore
from sim.errors import EngineError, PlanError, TargetGone
from sim.load.arrivals import Mix
from sim.load.batches import Batches, Prepared
from sim.load.client import journal
from sim.load.client.plan import ClientPlan, ran_out_path, read_started
from sim.load.client.request import SEEDED, seed
from sim.load.client.written_keys import Key, Noting, noted, remove
from sim.load.locust_processes import START_WITHIN_S, Crew
from sim.load.phase import DRAIN_S, Phase, PhaseRecord
from sim.load.progress import Watch
from sim.load.sampler import Sampler, port_of
from sim.load_schedule import FILES_PER_USER, FILES_SPARE, Limits

POLL_S: Final = 0.25
GONE_AFTER: Final = 10
"""Failures in a row after which the target is asked whether it is there at all."""
CONNECT_S: Final = 2.0
HANG_S: Final = 30.0
SETTLE_S: Final = 1.0
SEED_THREADS: Final = 4
PER_USER_S, CLOSED_S = 40.0, 150.0
"""First guess at the flushes a second of one user, and of any number of users, of a closed phase. A phase that makes
more runs out of batches, and is run again with twice as many."""
AGAIN: Final = 4


@dataclass(frozen=True)
class Settings:
    """What holds for every phase of a run. `folder`: for plans and journals. server_pid: the store's, if it is known.

    awaited: where workers look that join by themselves. require_alive: raises when the store is known to have died.
    progress: told of the phase and how far it is, several times a second; preparing: of batches made.
    again: the target is a null store.
    disposable: the store ends with the test, and need not be left as it was found.
    own: the server is one that windfleet started.
    """

    endpoint_url: str
    seed: int
    mix: Mix
    users: int
    processes: int
    folder: Path
    limits: Limits
    encode_inside: bool = False
    timeout_s: float = TIMEOUT_S
    drain_s: float = DRAIN_S
    server_pid: int | None = None
    awaited: Path | None = None
    require_alive: Callable[[], None] = lambda: None
    progress: Callable[[Phase, Watch], None] = lambda phase, watch: None
    preparing: Callable[[int], None] = lambda made: None
    again: bool = False
    disposable: bool = False
    own: bool = False

    @property
    def store(self) -> StoreSettings:
        """How to reach the store. Raises SettingsError."""
        return settings_of(self.endpoint_url, self.own)


class Engine:
    """See `sim.load.phase.Engine`. `records`: of all phases so far, those that were cut short included."""

    def __init__(self, settings: Settings, batches: Batches) -> None:
        """Raises PlanError when there are more users than files may be open."""
        self.settings = settings
        self.records: list[PhaseRecord] = []
        self._batches = batches
        self._begun = time.monotonic()
        self._sent = 0
        self._late: set[Key] = set()
        self._number = 0
        self._more = 1.0
        require_files(settings.users, settings.processes)

    def run(self, phase: Phase) -> PhaseRecord:
        """Raises EngineError, PlanError (out of `limits.bytes`), KeyboardInterrupt; `records` has what was done."""
        require_files(phase.users or self.settings.users, self.settings.processes)
        for _ in range(AGAIN):
            self._prepare(phase)
            record, ran_out = self._run(phase)
            if not ran_out:
                return record
            self.records.pop()
            self._more *= 2 * max(1.0, _rate_per_s(record) / self._closed_per_s(phase))
        rate = self._closed_per_s(phase)
        raise EngineError(
            f"{phase.name}: {rate:.0f} flushes a second are more than can be prepared"
        )

    def close(self) -> None:
        """Remove what a server wrote after its phase was over."""
        if self._late and not self.settings.disposable:
            with contextlib.suppress(
                LakeError
            ):  # it was removed once; a store that is gone holds nothing
                lake.remove(self.settings.store, self._late)

    def _prepare(self, phase: Phase) -> None:
        """Batches enough for the phase, without a clock running."""
        nodes = len(self._batches.configs)
        if phase.arrivals is not None:
            most = int(phase.arrivals.flushes(nodes).max(initial=0))
        else:
            most = math.ceil(self._closed_per_s(phase) * phase.duration_s / nodes) + 1
        most = 1 if self.settings.again else most + (self._seeded() > 0)
        if self.settings.encode_inside:
            self._batches.ensure(min(1, self._seeded()), self.settings.preparing)
            self._batches.simulate(most)
        else:
            self._batches.ensure(most, self.settings.preparing)

    def _closed_per_s(self, phase: Phase) -> float:
        """The most flushes a second that are guessed for a phase in which each user goes on as soon as it can."""
        return self._more * min(PER_USER_S * (phase.users or 1), CLOSED_S)

    def _seeded(self) -> int:
        return (
            min(SEEDED, len(self._batches.configs))
            if any(kind != "flush" for kind, _ in self.settings.mix)
            else 0
        )

    def _run(self, phase: Phase) -> tuple[PhaseRecord, bool]:
        """One try at the phase: its record, and whether it ran out of batches."""
        self._number += 1
        folder = self.settings.folder / f"{self._number:03d}-{phase.name}"
        plan = self._plan(phase)
        plan.write(folder)
        try:
            self._seed(folder)
            found = self._attend(phase, plan, folder)
        except BaseException as error:
            if not isinstance(error, TargetGone):
                with contextlib.suppress(
                    EngineError
                ):  # what went wrong first is what the user must read
                    self._clean(folder, ended=True)
            raise
        self._clean(folder)
        return found

    def _plan(self, phase: Phase) -> ClientPlan:
        s, users = self.settings, phase.users or self.settings.users
        return ClientPlan(
            name=phase.name,
            seed=s.seed,
            workers=min(s.processes, users),
            users=users,
            endpoint_url=s.endpoint_url,
            batches=self._batches.folder,
            nodes=len(self._batches.configs),
            seeded=self._seeded(),
            encode_inside=s.encode_inside,
            timeout_s=s.timeout_s,
            duration_s=phase.duration_s,
            drain_s=s.drain_s,
            offset_ns=journal.wall_offset_ns(),
            mix=s.mix,
            arrivals=phase.arrivals,
            again=s.again,
            own=s.own,
        )

    def _attend(self, phase: Phase, plan: ClientPlan, folder: Path) -> tuple[PhaseRecord, bool]:
        s = self.settings
        crew = Crew(folder, s.endpoint_url, plan.users, plan.workers, s.awaited)
        stopped: str | None = None

        def processes() -> dict[str, int]:
            return crew.processes() | ({} if s.server_pid is None else {"server": s.server_pid})

        with Sampler(processes, port_of(s.endpoint_url), plan.now_ns) as sampler:
            try:
                stopped = self._watch(phase, plan, folder, crew)
            except BaseException as error:
                stopped = (
                    "interrupted"
                    if isinstance(error, KeyboardInterrupt)
                    else str(error) or type(error).__name__
                )
                raise
            finally:
                lost, ended_ns = 0 if stopped else len(crew.lost()), plan.now_ns()
                crew.end()
                resources = sampler.table()
                if stopped:  # how long it takes to end the clients is no part of the phase
                    resources = resources.filter(
                        pc.less_equal(resources["time"].cast(pa.int64()), ended_ns)
                    )
                record = _record(phase, plan, folder, resources, stopped, lost)
                self.records.append(record)
                self._sent += pc.sum(record.requests["bytes"]).as_py() or 0
        return record, ran_out_path(folder).exists()

    def _watch(self, phase: Phase, plan: ClientPlan, folder: Path, crew: Crew) -> str | None:
        """Until the phase is over; why it was ended early, None when it was not."""
        s, started_ns = self.settings, _wait_for_start(plan, folder, crew)
        watch, follower = Watch(phase, started_ns), journal.Follower(folder, plan.workers)
        give_up_ns = started_ns + round((plan.duration_s + plan.drain_s + HANG_S) * 1e9)
        while crew.running():
            time.sleep(POLL_S)
            watch.feed(follower.news())
            s.progress(phase, watch)
            s.require_alive()
            if watch.failed_in_a_row >= GONE_AFTER and s.store.proxy is None:
                require_there(s.endpoint_url)
            if why := watch.broken(plan.now_ns()) or self._beyond(watch, plan.now_ns()):
                return why
            if plan.now_ns() > give_up_ns:
                raise EngineError(f"Locust did not end by itself.{crew.log_tail()}")
        if crew.failed() and not crew.lost():
            raise EngineError(f"Locust failed.{crew.log_tail()}")
        return None

    def _beyond(self, watch: Watch, now_ns: int) -> str | None:
        """The limit that is reached."""
        limits = self.settings.limits
        if self._sent + watch.size > limits.bytes:
            return f"load.limits.bytes: {(self._sent + watch.size) / 1e6:,.0f} MB were sent"
        if time.monotonic() - self._begun > limits.time_s:
            return f"load.limits.time: the load test has lasted {limits.time_s:g} s"
        if (rate := watch.rate_per_s(now_ns)) > limits.rate_per_s:
            return f"load.limits.rate: {rate:.0f} requests a second were made"
        return None

    def _seed(self, folder: Path) -> None:
        """What reads will read. Raises EngineError."""
        nodes = self._seeded()
        if not nodes:
            return
        store = Noting(S3ObjectStore(self.settings.store, self.settings.timeout_s), folder, "seed")
        prepared = Prepared(self._batches.folder)
        try:
            with ThreadPoolExecutor(SEED_THREADS) as pool:
                list(pool.map(lambda node: seed(store, prepared, [node]), range(nodes)))
        except (StoreError, ContentConflict) as error:
            raise EngineError(
                f"{self.settings.endpoint_url}: the lake cannot be made ready: {error}"
            ) from error

    def _clean(self, folder: Path, ended: bool = False) -> None:
        """Remove what the phase wrote, but for its record. `ended`: no other phase will come. Raises EngineError."""
        if self.settings.again or (ended and self.settings.disposable):
            shutil.rmtree(folder)
            return
        keys = noted(folder)
        if (
            self.records
            and pc.any(pc.equal(self.records[-1].requests["outcome"], "abandoned")).as_py()
        ):
            self._late |= keys
            time.sleep(SETTLE_S)
        remove(self.settings.store, keys)
        shutil.rmtree(folder)


def _wait_for_start(plan: ClientPlan, folder: Path, crew: Crew) -> int:
    give_up = time.monotonic() + START_WITHIN_S
    while (started_ns := read_started(folder)) is None:
        if not crew.running() or time.monotonic() > give_up:
            there = len(list(folder.glob("client-*.pid")))
            raise EngineError(
                f"Locust did not start ({there} of {plan.workers} clients are there).{crew.log_tail()}"
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
    return PhaseRecord(
        phase, requests, _operations(plan, folder), resources, started_ns, stopped, lost
    )


def _rate_per_s(record: PhaseRecord) -> float:
    """Requests a second until the last of them ended."""
    last = pc.max(record.requests["end"]).cast(pa.int64()).as_py() or record.started_ns
    return float(record.requests.num_rows / max((last - record.started_ns) / 1e9, 0.1))


def _operations(plan: ClientPlan, folder: Path) -> pa.Table:
    parts = [journal.read_operations(folder, worker) for worker in range(plan.workers)]
    return pa.concat_tables(parts).sort_by([("start", "ascending"), ("worker", "ascending")])


def require_there(endpoint_url: str) -> None:
    """Raises TargetGone when nobody takes connections at the endpoint."""
    parts = urlsplit(endpoint_url)
    try:
        socket.create_connection(
            (parts.hostname or "", port_of(endpoint_url)), timeout=CONNECT_S
        ).close()
    except TimeoutError:
        return  # slow is not gone
    except OSError as error:
        raise TargetGone(
            f"{endpoint_url} takes no connections ({error}): the target is not there, or has died"
        ) from error


def require_files(users: int, processes: int = 1) -> None:
    """Raise the soft limit of open files as far as a process's share of so many users needs. Raises PlanError."""
    need = -(-users // processes) * FILES_PER_USER + FILES_SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and need > hard:
        most = max(hard - FILES_SPARE, 0) // FILES_PER_USER * processes
        raise PlanError(
            f"load.users: {users:,} users need {need:,} open files, and this process may have {hard:,} (ulimit -Hn): "
            f"take at most {most:,} users, or raise the limit"
        )
    if soft != resource.RLIM_INFINITY and need > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (need, hard))
