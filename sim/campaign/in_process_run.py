"""One run in process: real node files, the real pipeline, a store in memory, scheduled faults.

At each flush time every farm's nodes deliver, as in one process per farm. A crash ends all nodes of
the farm, and they start again from the lake. After the last flush everything is drained, first with
the faults on, then after all faults have ended. The last drain must succeed.

A run is a function of (world, schedule): no thread, no wall clock, no unseeded choice. So it equals
the run without faults until the first flush in which a fault can fire. Therefore it begins at that
flush, with the saved state of the run without faults (`FlushStart`).

Not covered: concurrent requests of two nodes (nodes share nothing, so their order cannot matter),
the wire, and real processes. Those are covered by `sim.campaign.live_runs`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

from pipeline.commit import Commit, Position
from pipeline.config import NodeConfig
from pipeline.node import Delivered, EdgeNode, Failed
from pipeline.retry import Retrying
from sim.campaign.faulty_store import FaultyStore
from sim.campaign.inline_executor import Inline
from sim.campaign.invariants import (
    BrokenInvariant,
    WatchedStore,
    WrongRows,
    broken_invariants,
    wrong_rows,
)
from sim.campaign.outcome import CleanRun, FlushStart, Outcome
from sim.campaign.schedule import Line, Schedule
from sim.campaign.world import World
from sim.chaos.faults import DISK_FULL, FILE_FAULTS, OFFLINE, WAL, Crash
from sim.chaos.file_faults import disk_full
from sim.node_under_test import run

RESTARTS: Final = 3
"""Most restarts of a process within one flush. After another crash it waits for the next flush."""
DRAINS_WITH_FAULTS: Final = 2
"""Most drains with the faults still on."""
DRAINS_AFTER_FAULTS: Final = 2
"""Drains after all faults have ended: one delivers everything, the second must find nothing."""
_EVERYTHING_US: Final = 2**63
"""Later than any time that a node can store."""


class CleanRunBroken(Exception):
    """The run without faults breaks an invariant. The text names the first few."""


class _CommitCounter(Inline):
    """An inline executor that counts the commits of each batch, by its manifest's key."""

    def __init__(self) -> None:
        self.commits: Counter[str] = Counter()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if len(args) > 1 and isinstance(args[1], Commit):  # a call of `pipeline.commit.commit`
            self.commits[args[1].manifest_key] += 1
        return super().submit(fn, *args, **kwargs)


class _FarmProcess:
    """The process of one farm, and a second writer that delivers for the same nodes."""

    def __init__(self, run: InProcessRun, farm_id: str, configs: Sequence[NodeConfig]) -> None:
        self._run, self.farm_id, self._configs = run, farm_id, configs
        schedule = run.schedule
        self.faulty = FaultyStore(
            run.store, schedule, lambda: run.now_s, farm_id, self._deliver_twice, run.store.plant
        )
        self._client = Retrying(
            self.faulty, attempts=schedule.line.attempts, sleep=lambda seconds: None
        )
        self._nodes = self._new_nodes()
        self._second = self._new_nodes()
        self._returns_at = 0  # number of the flush at which a crashed process is back

    def positions(self) -> tuple[Position | None, ...]:
        return tuple(node.position for node in self._nodes)

    def begin_at(self, positions: Sequence[Position | None], log: Sequence[str]) -> None:
        """Set the state that the run without faults had: positions of the nodes, calls made."""
        for node, position in zip(self._nodes, positions, strict=True):
            node.position = position
        self.faulty.continue_after(log)

    def flush(self, flush: int) -> bool:
        """Flush once, or drain once after the last flush. Return True if every node succeeded."""
        if flush < self._returns_at and not self._run.schedule.faults_ended:
            return False
        for _ in range(1 + RESTARTS):
            online = [node for node in self._nodes if not self._node_fault([OFFLINE], node)]
            faults = {n.config.turbine_id: self._node_fault(FILE_FAULTS, n) for n in online}
            try:
                return self._drive(online, flush, faults) and len(online) == len(self._nodes)
            except Crash:
                self._nodes = self._new_nodes()
                if self._run.schedule.line.down:
                    self._returns_at = flush + 1 + self._run.schedule.line.down
                    return False
        return False

    def _new_nodes(self) -> list[EdgeNode]:
        return [EdgeNode(config, Path()) for config in self._configs]

    def _node_fault(self, kinds: Sequence[str], node: EdgeNode) -> str | None:
        return self._run.schedule.node_fault(kinds, node.config.turbine_id, self._run.now_s)

    def _drive(
        self, nodes: Sequence[EdgeNode], flush: int, faults: Mapping[str, str | None]
    ) -> bool:
        """Run the pipeline on these nodes. faults: the file fault of each turbine."""
        world, good = self._run.world, True
        for node in nodes:
            kind, config = faults.get(node.config.turbine_id), node.config
            node.database = (
                world.faulty_database(flush, config, kind)
                if kind
                else world.database(flush, config)
            )
        until_us = None if flush < len(world.flush_s) else _EVERYTHING_US
        try:
            with disk_full() if DISK_FULL in faults.values() else nullcontext():
                for result in run(
                    nodes, self._client, self._run, self._run.pool, until_us, lock_wait_s=0.0
                ):
                    good &= self._run.note(result)
        except Exception as error:  # a bug of the pipeline ends the process like a crash
            self._run.broken.append(BrokenInvariant("raised", f"{type(error).__name__}: {error}"))
            raise Crash from error
        return good

    def _deliver_twice(self) -> None:
        """Let the second writer deliver for the same nodes. It may have missed some flushes."""
        try:
            self._drive(self._second, self._run.flush, {})
        except Crash:
            self._second = self._new_nodes()


class InProcessRun:
    """The state of one run. It is also the pipeline's clock.

    acknowledged: (turbine, first id) of batches reported as durable. stopped: turbines that stopped
    because of foreign bytes and reported their key. levels: see `CleanRun`.
    """

    def __init__(self, world: World, line: Line, start: FlushStart | None = None) -> None:
        self.world, self.schedule = world, Schedule(line)
        self.store = start.store.copy() if start else WatchedStore()
        self.pool = _CommitCounter()
        self.broken: list[BrokenInvariant] = []
        self.acknowledged: set[tuple[str, int]] = set()
        self.stopped: set[str] = set()
        self.levels: list[dict[str, int]] = []
        self.flush = 0
        self._farms = [_FarmProcess(self, farm_id, configs) for farm_id, configs in world.nodes]
        if start is not None:
            self.flush, self.schedule.calls = start.flush, start.calls
            self.pool.commits = start.commits.copy()
            self.acknowledged, self.levels = set(start.acknowledged), list(start.levels)
            for farm, positions, log in zip(self._farms, start.positions, start.logs, strict=True):
                farm.begin_at(positions, log)

    @property
    def now_s(self) -> float:
        """Virtual seconds from the start. Drains are one flush interval apart."""
        times = self.world.flush_s
        past = self.flush - len(times)
        return (
            times[self.flush] if past < 0 else self.world.drain_s + past * self.world.flush_every_s
        )

    def now_us(self) -> int:
        return self.world.start_us + round(self.now_s * 1e6)

    def note(self, result: Delivered | Failed) -> bool:
        """Record a node's result. Return True if it delivered."""
        turbine = result.node.config.turbine_id
        if isinstance(result, Delivered):
            self.acknowledged.add((turbine, result.first_id))
            return True
        if result.node.stopped is not None:
            planted = [
                "/".join(place)
                for place, met in self.store.planted.items()
                if met.turbine == turbine
            ]
            if any(name in str(result.error) for name in planted):
                self.stopped.add(turbine)
            else:
                self.broken.append(BrokenInvariant("stopped", f"{turbine}: {result.error}"))
        return False

    def _start(self) -> FlushStart:
        return FlushStart(
            self.flush,
            self.schedule.calls,
            self.store.copy(),
            self.pool.commits.copy(),
            frozenset(self.acknowledged),
            tuple(self.levels),
            tuple(farm.positions() for farm in self._farms),
            tuple(tuple(farm.faulty.log) for farm in self._farms),
        )

    def all_flushes(self, starts: list[FlushStart] | None = None) -> bool:
        """Make every flush and the drains. Return True if the last drain succeeded.

        starts: a list that receives the state before each flush.
        """
        last = len(self.world.flush_s)
        for flush in range(self.flush, last):
            self.flush = flush
            if starts is not None:
                starts.append(self._start())
            self._flush_farms()
        for self.flush in range(last, last + DRAINS_WITH_FAULTS):
            if self._flush_farms():
                break
        self.schedule.faults_ended = True
        done = False
        for _ in range(DRAINS_AFTER_FAULTS):
            self.flush += 1
            done = self._flush_farms()
        for farm in self._farms:
            farm.faulty.settle()  # late commits arrive after everything else
        return done

    def _flush_farms(self) -> bool:
        done = [farm.flush(self.flush) for farm in self._farms]
        self.levels.append(dict(self.store.reached))
        return all(done)

    def calls(self) -> list[str]:
        return [entry for farm in self._farms for entry in farm.faulty.log]


def run_clean(world: World) -> CleanRun:
    """Make the run without faults. Raises CleanRunBroken if it breaks an invariant."""
    state = InProcessRun(world, Line())
    starts: list[FlushStart] = []
    done = state.all_flushes(starts)
    outcome = _outcome(state, state.store, done, [])
    if outcome.broken:
        raise CleanRunBroken("; ".join(f"{name}: {detail}" for name, detail in outcome.broken[:5]))
    entries = sorted((entry.split(" ") for entry in state.calls()), key=lambda words: int(words[0]))
    log = [(words[1], words[2].split("/")[0]) for words in entries]
    return CleanRun(state.store, state.levels, outcome, log, starts)


def run_once(world: World, clean: CleanRun, line: Line) -> Outcome:
    """Make one run under a schedule and check its invariants."""
    return run_with_store(world, clean, line)[0]


def run_with_store(world: World, clean: CleanRun, line: Line) -> tuple[Outcome, WatchedStore]:
    """Make one run under a schedule. Return its outcome and its store, for the oracle."""
    state = InProcessRun(world, line, latest_start(world, clean, line))
    done = state.all_flushes()
    return _outcome(state, clean.store, done, clean.levels), state.store


def latest_start(world: World, clean: CleanRun, line: Line) -> FlushStart | None:
    """Return the state before the first flush in which a fault can fire."""
    schedule, found = Schedule(line), None
    for start in clean.starts:
        if schedule.may_fire((1, start.calls + 1), world.flush_s[: start.flush]):
            break
        found = start
    return found


def _outcome(
    state: InProcessRun, clean: WatchedStore, done: bool, levels: list[dict[str, int]]
) -> Outcome:
    store, line = state.store, state.schedule.line
    broken = state.broken + broken_invariants(store, clean, state.pool.commits, line.attempts)
    met_foreign = {met.turbine for met in store.planted.values()}
    broken += [
        BrokenInvariant("foreign.unnoticed", f"{turbine} went on")
        for turbine in sorted(met_foreign - state.stopped)
    ]
    if not done:
        broken.append(
            BrokenInvariant(
                "stuck", f"not drained after {DRAINS_AFTER_FAULTS} drains without faults"
            )
        )
    lags = _lags(state.levels, levels, state.world.flush_every_s, met_foreign)
    if lags and {fired.kind for fired in state.schedule.fired} == {WAL}:
        broken.append(
            BrokenInvariant(
                "late", f"{max(lags):g} s late, although every row could be read from the WAL"
            )
        )
    batches = sum(1 for bucket, _ in store.objects if bucket.endswith("metadata"))
    puts = sum(n for (bucket, _), n in store.puts.items() if not bucket.endswith("checkpoints"))
    return Outcome(
        line=str(line),
        fired=state.schedule.fired,
        broken=broken,
        calls=state.schedule.calls,
        attempts=sum(state.pool.commits.values()),
        acknowledged=len(state.acknowledged),
        recovered=batches - len(state.acknowledged),
        committed=batches,
        objects=len(store.hashes),
        puts=puts,
        recovery_s=lags,
        wrong_rows=wrong_rows(store, clean)
        if any(each.invariant.startswith("lake.") for each in broken)
        else WrongRows(),
        digest=store.lake_digest(),
        trace=hashlib.blake2b("\n".join(state.calls()).encode(), digest_size=16).hexdigest(),
    )


def _lags(
    levels: list[dict[str, int]], clean: list[dict[str, int]], flush_every_s: int, stopped: set[str]
) -> list[float]:
    """Return, in virtual seconds, each interval in which the lake lagged the run without faults.

    stopped: turbines that stopped for good, and are left out.
    """
    lags: list[float] = []
    flushes = 0
    for i, level in enumerate(levels):
        want = clean[min(i, len(clean) - 1)] if clean else level
        if all(
            level.get(turbine, 0) >= last_id
            for turbine, last_id in want.items()
            if turbine not in stopped
        ):
            if flushes:
                lags.append(flushes * float(flush_every_s))
            flushes = 0
        else:
            flushes += 1
    return lags
