"""The in-process world: the real simulator's node files, the real pipeline, a store in memory, and bad luck.

Node files are made once per scenario, with a snapshot of each for every flush time (the rows recorded by then), as a
plain file and as its writer would leave it if it were killed there; thousands of runs share them. One run drives every
farm's nodes at each flush time, as a process would: a crash takes all nodes of the farm with it, and they start again
from what the lake says. After the last flush everything is drained, first under fire, then healed; then all must go
through without a hand being lifted.

A run is a function of (world, schedule): no thread, no wall clock, no unseeded choice. So up to the flush in which
something can strike at all it is the run without faults, and begins there from what that one left (`Start`).
Not covered: two nodes' requests in flight at the same moment (nodes share nothing, so their order cannot matter), the
wire, and real processes; those are for runs against a real store.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import simpy

from pipeline.commit import Commit, Position
from pipeline.config import NodeConfig
from pipeline.node import Delivered, EdgeNode, Failed, run
from pipeline.retry import Retrying
from sim.campaign.faulty_store import FaultyStore
from sim.campaign.inline_executor import Inline
from sim.campaign.invariants import Broken, Fates, WatchedStore, fates, judge
from sim.campaign.outcome import Clean, Outcome, Start
from sim.campaign.schedule import Line, Schedule
from sim.chaos.faults import BUSY, DISK_FULL, JOURNAL, OF_FILES, OFFLINE, WAL, Crash
from sim.chaos.nodefiles import (
    copy_with_log,
    disk_full,
    fold_in,
    interrupted,
    lasting_copy,
    own_folder,
)
from sim.fleet.farm import Farm
from sim.fleet.nodes import node_configs
from sim.model.clock import SimClock, flush_samples
from sim.model.events import Event
from sim.model.farm import FarmModel
from sim.model.faults import DataFault
from sim.model.recording.nodefile import NodeWriter

RESTARTS: Final = 3
"""How often a crashed process is started again at once, in one flush, before it waits for the next."""
DRAINS_UNDER_FIRE: Final = 2
DRAINS_HEALED: Final = 2
"""Once every fault has ended, one drain brings everything home; the second must find nothing left to do."""
_EVERYTHING_US: Final = 2**63
"""Behind any time that a node can store."""


class Unclean(Exception):
    """The run without any fault breaks an invariant; the text names the first few."""


@dataclass(frozen=True)
class World:
    """Node files on disk, with snapshots. Picklable; `flush_s` are virtual seconds from the start, ascending."""

    folder: Path
    nodes: tuple[tuple[str, tuple[NodeConfig, ...]], ...]  # by farm
    start_us: int
    flush_s: tuple[float, ...]
    flush_every_s: int

    @property
    def drain_s(self) -> float:
        """When the first drain comes, virtual seconds from the start."""
        return (self.flush_s[-1] if self.flush_s else 0.0) + self.flush_every_s

    @property
    def final(self) -> Path:
        """The finished node files, as a run directory has them."""
        return self.folder / "nodes"

    def database(self, flush: int, config: NodeConfig) -> Path:
        """The node's file as it was at a flush; the finished one from the last flush on."""
        top = self.folder / f"flush-{flush}" if flush < len(self.flush_s) else self.final
        return top / config.farm_id / f"{config.turbine_id}.db"

    def struck(self, flush: int, config: NodeConfig, kind: str) -> Path:
        """The same, as a fault of files has it for this process."""
        if kind == BUSY:
            database = self.database(flush, config)
            return lasting_copy(
                database, own_folder(self.folder, "busy") / str(flush) / config.farm_id
            )
        left = (
            self.folder
            / f"log-{min(flush, len(self.flush_s))}"
            / config.farm_id
            / f"{config.turbine_id}.db"
        )
        copy = copy_with_log(left, own_folder(self.folder, "log") / config.farm_id)
        if kind == JOURNAL:
            interrupted(copy)
        return copy


def build(
    folder: Path,
    farms: Sequence[Farm],
    clock: SimClock,
    seed: int,
    settings: tuple[int, int, int],
    data_faults: Sequence[DataFault],
    events: Sequence[Event] = (),
) -> World:
    """Simulate, and take the snapshots. `settings`: flush_every_s, window_s, allowed_lateness_s."""
    flushes = flush_samples(
        clock.start_us, clock.sample_us, clock.samples, settings[0] * 1_000_000
    ).tolist()
    nodes = []
    for farm in farms:
        configs = node_configs(farm, seed, *settings)
        nodes.append((farm.farm_id, tuple(configs)))
        env, model = simpy.Environment(), FarmModel(farm, clock, seed, data_faults, events)
        model.start(env)
        made = 0
        with NodeWriter(folder / "nodes", farm, configs) as writer:
            for i, upto in enumerate([*flushes, clock.samples]):
                env.run(until=max(clock.seconds(upto - 1), 1e-9))
                writer.write(model.block(made, upto))
                made = upto
                for database in writer.paths:
                    copy_with_log(database, folder / f"log-{i}" / farm.farm_id)
                    if upto < clock.samples:
                        fold_in(copy_with_log(database, folder / f"flush-{i}" / farm.farm_id))
    return World(
        folder,
        tuple(nodes),
        clock.start_us,
        tuple(clock.seconds(n - 1) for n in flushes),
        settings[0],
    )


class _Counting(Inline):
    """Counts how often each batch is handed to the store, by its manifest's key."""

    def __init__(self) -> None:
        self.commits: Counter[str] = Counter()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if len(args) > 1 and isinstance(args[1], Commit):  # a call of `pipeline.commit.commit`
            self.commits[args[1].manifest_key] += 1
        return super().submit(fn, *args, **kwargs)


class _Farm:
    """One farm's process, and the second writer that delivers for the same nodes."""

    def __init__(self, run: _Run, farm_id: str, configs: Sequence[NodeConfig]) -> None:
        self._run, self.farm_id, self._configs = run, farm_id, configs
        schedule = run.schedule
        self.faulty = FaultyStore(
            run.store, schedule, lambda: run.now_s, farm_id, self._intrude, run.store.plant
        )
        self._client = Retrying(
            self.faulty, attempts=schedule.line.attempts, sleep=lambda seconds: None
        )
        self._nodes = self._fresh()
        self._second = self._fresh()
        self._back_at = 0

    def positions(self) -> tuple[Position | None, ...]:
        return tuple(node.position for node in self._nodes)

    def begin_at(self, positions: Sequence[Position | None], log: Sequence[str]) -> None:
        for node, position in zip(self._nodes, positions, strict=True):
            node.position = position
        self.faulty.go_on(log)

    def flush(self, flush: int) -> bool:
        """One flush, or one drain from the last flush on; whether all of it went through."""
        if flush < self._back_at and not self._run.schedule.healed:
            return False
        for _ in range(1 + RESTARTS):
            online = [node for node in self._nodes if not self._spell([OFFLINE], node)]
            spells = {node.config.turbine_id: self._spell(OF_FILES, node) for node in online}
            try:
                return self._drive(online, flush, spells) and len(online) == len(self._nodes)
            except Crash:
                self._nodes = self._fresh()
                if self._run.schedule.line.down:
                    self._back_at = flush + 1 + self._run.schedule.line.down
                    return False
        return False

    def _fresh(self) -> list[EdgeNode]:
        return [EdgeNode(config, Path()) for config in self._configs]

    def _spell(self, kinds: Sequence[str], node: EdgeNode) -> str | None:
        return self._run.schedule.spell(kinds, node.config.turbine_id, self._run.now_s)

    def _drive(
        self, nodes: Sequence[EdgeNode], flush: int, spells: Mapping[str, str | None]
    ) -> bool:
        world, good = self._run.world, True
        for node in nodes:
            kind, config = spells.get(node.config.turbine_id), node.config
            node.database = (
                world.struck(flush, config, kind) if kind else world.database(flush, config)
            )
        until_us = None if flush < len(world.flush_s) else _EVERYTHING_US
        try:
            with disk_full() if DISK_FULL in spells.values() else nullcontext():
                for result in run(
                    nodes, self._client, self._run, self._run.pool, until_us, lock_wait_s=0.0
                ):
                    good &= self._run.note(result)
        except Exception as error:  # the pipeline's own mistake: the process is gone like any other
            self._run.broken.append(Broken("raised", f"{type(error).__name__}: {error}"))
            raise Crash from error
        return good

    def _intrude(self) -> None:
        """Another process, which may have slept since its last turn, drives the same nodes."""
        try:
            self._drive(self._second, self._run.flush, {})
        except Crash:
            self._second = self._fresh()


class _Run:
    """One run's state; also the pipeline's clock."""

    def __init__(self, world: World, line: Line, start: Start | None = None) -> None:
        self.world, self.schedule = world, Schedule(line)
        self.store, self.pool = start.store.copy() if start else WatchedStore(), _Counting()
        self.broken: list[Broken] = []
        self.acknowledged: set[tuple[str, int]] = set()
        self.stopped: set[str] = set()  # nodes that stopped for foreign bytes, and named them
        self.levels: list[dict[str, int]] = []
        self.flush = 0
        self._farms = [_Farm(self, farm_id, configs) for farm_id, configs in world.nodes]
        if start is not None:
            self.flush, self.schedule.calls, self.pool.commits = (
                start.flush,
                start.calls,
                start.commits.copy(),
            )
            self.acknowledged, self.levels = set(start.acknowledged), list(start.levels)
            for farm, positions, log in zip(self._farms, start.nodes, start.logs, strict=True):
                farm.begin_at(positions, log)

    @property
    def now_s(self) -> float:
        """Virtual seconds from the start; drains follow each other as flushes do."""
        times = self.world.flush_s
        past = self.flush - len(times)
        return (
            times[self.flush] if past < 0 else self.world.drain_s + past * self.world.flush_every_s
        )

    def now_us(self) -> int:
        return self.world.start_us + round(self.now_s * 1e6)

    def note(self, result: Delivered | Failed) -> bool:
        turbine = result.node.config.turbine_id
        if isinstance(result, Delivered):
            self.acknowledged.add((turbine, result.first_id))
            return True
        if result.node.stopped is not None:
            ways = [
                "/".join(place)
                for place, met in self.store.planted.items()
                if met.turbine == turbine
            ]
            if any(name in str(result.error) for name in ways):
                self.stopped.add(turbine)
            else:
                self.broken.append(Broken("stopped", f"{turbine}: {result.error}"))
        return False

    def _start(self) -> Start:
        return Start(
            self.flush,
            self.schedule.calls,
            self.store.copy(),
            self.pool.commits.copy(),
            frozenset(self.acknowledged),
            tuple(self.levels),
            tuple(farm.positions() for farm in self._farms),
            tuple(tuple(farm.faulty.log) for farm in self._farms),
        )

    def all_flushes(self, starts: list[Start] | None = None) -> bool:
        """Whether the drain succeeded. `starts` takes what the run was before each flush."""
        last = len(self.world.flush_s)
        for flush in range(self.flush, last):
            self.flush = flush
            if starts is not None:
                starts.append(self._start())
            self._turn()
        for self.flush in range(last, last + DRAINS_UNDER_FIRE):
            if self._turn():
                break
        self.schedule.healed = True
        done = False
        for _ in range(DRAINS_HEALED):
            self.flush += 1
            done = self._turn()
        for farm in self._farms:
            farm.faulty.settle()  # what was still on its way arrives when all is done
        return done

    def _turn(self) -> bool:
        done = [farm.flush(self.flush) for farm in self._farms]
        self.levels.append(dict(self.store.reached))
        return all(done)

    def calls(self) -> list[str]:
        return [entry for farm in self._farms for entry in farm.faulty.log]


def run_clean(world: World) -> Clean:
    """The run without faults. Raises Unclean when even that breaks an invariant."""
    state = _Run(world, Line())
    starts: list[Start] = []
    done = state.all_flushes(starts)
    outcome = _outcome(state, state.store, done, [])
    if outcome.broken:
        raise Unclean("; ".join(f"{name}: {detail}" for name, detail in outcome.broken[:5]))
    entries = sorted((entry.split(" ") for entry in state.calls()), key=lambda words: int(words[0]))
    log = [(words[1], words[2].split("/")[0]) for words in entries]
    return Clean(state.store, state.levels, outcome, log, starts)


def run_once(world: World, clean: Clean, line: Line) -> Outcome:
    """One run under a schedule, judged."""
    return run_kept(world, clean, line)[0]


def run_kept(world: World, clean: Clean, line: Line) -> tuple[Outcome, WatchedStore]:
    """The same with the lake that it leaves, for the oracle."""
    state = _Run(world, line, _quiet_until(world, clean, line))
    done = state.all_flushes()
    return _outcome(state, clean.store, done, clean.levels), state.store


def _quiet_until(world: World, clean: Clean, line: Line) -> Start | None:
    """The last flush before which nothing can strike."""
    schedule, found = Schedule(line), None
    for start in clean.starts:
        if schedule.may_strike((1, start.calls + 1), world.flush_s[: start.flush]):
            break
        found = start
    return found


def _outcome(state: _Run, clean: WatchedStore, done: bool, levels: list[dict[str, int]]) -> Outcome:
    store, line = state.store, state.schedule.line
    broken = state.broken + judge(store, clean, state.pool.commits, line.attempts)
    struck = {met.turbine for met in store.planted.values()}
    broken += [
        Broken("foreign.unnoticed", f"{turbine} went on")
        for turbine in sorted(struck - state.stopped)
    ]
    if not done:
        broken.append(
            Broken("stuck", f"not drained after {DRAINS_HEALED} drains without any fault")
        )
    spells = _spells(state.levels, levels, state.world.flush_every_s, struck)
    if spells and {fired.kind for fired in state.schedule.fired} == {WAL}:
        broken.append(
            Broken(
                "late", f"{max(spells):g} s behind, although every row could be read from the log"
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
        recovery_s=spells,
        fates=fates(store, clean)
        if any(b.invariant.startswith("lake.") for b in broken)
        else Fates(),
        digest=store.lake_digest(),
        trace=hashlib.blake2b("\n".join(state.calls()).encode(), digest_size=16).hexdigest(),
    )


def _spells(
    levels: list[dict[str, int]], clean: list[dict[str, int]], flush_every_s: int, without: set[str]
) -> list[float]:
    """Length of every spell of flushes after which the lake was behind the run without faults; `without`: nodes that
    stopped for good."""
    spells: list[float] = []
    behind = 0
    for i, level in enumerate(levels):
        want = clean[min(i, len(clean) - 1)] if clean else level
        if all(
            level.get(turbine, 0) >= last_id
            for turbine, last_id in want.items()
            if turbine not in without
        ):
            if behind:
                spells.append(behind * float(flush_every_s))
            behind = 0
        else:
            behind += 1
    return spells
