"""One shard of a run, in a process of its own: simulate, store at the nodes, deliver, drain.

SimPy decides the order. At every flush time the shard's samples so far are made and stored, and the
nodes deliver (`sim.run.farm_nodes`). The wall time of that does not move the virtual clock. What
was sent, and when, goes into the result, for the model of the farm's line (`sim.run.uplink`).

A flush comes just after the first sample of a new interval, because that row closes the batches
(see `pipeline.batch`). Its last commits are still under way while the next interval is simulated:
the nodes' files were read by then. At the end the nodes are drained, DRAIN_ATTEMPTS times at most.
"""

from __future__ import annotations

import glob
import resource
import time
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any

import simpy

from pipeline.config import NodeConfig
from pipeline.ports import ObjectStore
from pipeline.retry import Operation, Retrying
from pipeline.settings import Settings
from pipeline.store import S3ObjectStore
from pipeline.under_way import Pool
from sim.chaos.faults import FaultPoint
from sim.chaos.shard import ShardFaults
from sim.errors import StoreGone
from sim.fleet.nodes import node_configs
from sim.measure.timeline import Span
from sim.model.clock import flush_samples
from sim.model.farm import FarmModel
from sim.model.recording.nodefile import NodeWriter
from sim.run import finished, fired_log, operations, truth
from sim.run.activity import Activities
from sim.run.earlier_attempt import Continued, recorded
from sim.run.farm_nodes import FarmNodes
from sim.run.operations import Recorder
from sim.run.record import ShardResult
from sim.run.shard_plan import ShardPlan
from sim.run.uplink import Sent, runs
from sim.run.written import Written
from sim.store.folder import FolderStore

DRAIN_ATTEMPTS = 5
DRAIN_WAIT_S = 1.0
"""Wait after the first attempt. It doubles after each further one."""
PROXIED_WAIT = 0.25
"""Factor on every wait between attempts behind a fault proxy, where many calls fail."""
BLOCK_ROWS = 1_000_000
"""Rows of a shard that are made at once; bounds memory when flushes are far apart."""
_EVERYTHING_US = 2**63
"""Later than any time that a node can store."""


class Stopped(Exception):
    """The parent asked the worker to stop."""


Progress = Callable[[int, int], None]
"""Called with rows simulated and rows delivered since the last call."""
Fired = Callable[[FaultPoint], None]
"""Called with the fault point of each injected fault."""


class _Shard:
    """The shard's SimPy process and everything it drives. It is the pipeline's clock, too."""

    def __init__(
        self,
        plan: ShardPlan,
        result: ShardResult,
        store: ObjectStore,
        progress: Progress,
        stopped: Callable[[], bool],
        fired: Fired,
        sleep: Callable[[float], None],
        activities: Activities,
        configs: list[NodeConfig],
        continued: Continued | None,
    ) -> None:
        self._plan, self._progress, self._stopped, self._sleep = plan, progress, stopped, sleep
        self._activities = activities
        self._env = simpy.Environment()
        self._model = FarmModel(plan.part, plan.clock, plan.seed, plan.data_faults, plan.events)
        self._configs = configs
        _remove_files_of_killed(plan)
        self._flushed_s = 0.0
        self._pool = Pool()
        self.result, farm_id = result, plan.part.farm.farm_id
        faults = ShardFaults(plan.seed, farm_id, plan.faults, lambda: self._env.now, fired)
        self._nodes = FarmNodes(
            plan,
            self._configs,
            store,
            faults,
            self,
            self._pool,
            activities,
            self.result,
            self._check_stop,
            lambda rows: progress(0, rows),
            None if continued is None else continued.durable,
        )

    def run(self) -> None:
        self._check_stop()
        self._model.start(self._env)
        with (
            NodeWriter(self._plan.run_dir / "nodes", self._plan.part, self._configs) as writer,
            self._pool,
        ):
            try:
                self._env.run(until=self._env.process(self._simulate_and_deliver(writer)))
            finally:
                self._write_truth()

    def _simulate_and_deliver(self, writer: NodeWriter) -> Generator[simpy.Event, Any, None]:
        """Simulate and deliver as one SimPy process, until the last batch is in the lake."""
        clock = self._plan.clock
        made = 0
        every_us = self._plan.pipeline.flush_every_s * 1_000_000
        flushes = flush_samples(clock.start_us, clock.sample_us, clock.samples, every_us)
        for upto in [*flushes.tolist(), clock.samples]:
            while made < upto:
                last = min(upto, made + max(1, BLOCK_ROWS // len(self._configs)))
                yield self._env.timeout(max(0.0, clock.seconds(last - 1) - self._env.now))
                self._simulate(writer, made, last)
                made = last
            if made < clock.samples and self.result.rows >= self._plan.resume_rows:
                self._begin_flush()
        yield self._env.timeout(clock.seconds(clock.samples) - self._env.now)
        self._drain()

    def _simulate(self, writer: NodeWriter, first: int, last: int) -> None:
        self._check_stop()
        begun = time.perf_counter()
        with self._activities.during("simulate"):
            block = self._model.block(first, last)
            writer.write(block)
        rows = len(block.columns["id"])
        self.result.rows += rows
        self.result.simulate_s += time.perf_counter() - begun
        self._progress(rows, 0)

    def _begin_flush(self, until_us: int | None = None) -> None:
        """End the flush before, and begin to deliver."""
        self._end_flush()
        if self._plan.proxied and self._plan.store is not None:
            self._send_time(self._plan.store.server.url)
        self._flushed_s = self._env.now
        with self._activities.during("deliver"):
            self._nodes.begin(until_us)

    def _end_flush(self) -> None:
        """Wait for the last commits. Note the batches, for the model of the farm's line."""
        with self._activities.during("deliver"):
            batches = self._nodes.finish()
        self.result.sent += [
            Sent(
                self._flushed_s,
                batch.node.config.turbine_id,
                batch.first_id,
                batch.bytes,
                runs(batch.event_us),
            )
            for batch in batches
        ]

    def _drain(self) -> None:
        """Deliver everything that is recorded, windows included."""
        self._end_flush()
        for attempt in range(DRAIN_ATTEMPTS):
            self.result.undelivered.clear()
            self._begin_flush(_EVERYTHING_US)
            self._end_flush()
            stopped = self._nodes.stopped()
            self.result.undelivered |= stopped
            if self.result.undelivered.keys() <= stopped.keys():
                break
            self._sleep(DRAIN_WAIT_S * 2**attempt)

    def _send_time(self, url: str) -> None:
        """Send the fault proxy the virtual time. Raises StoreGone."""
        from sim.chaos.proxy import report_time  # it serves HTTP

        try:
            report_time(url, self._plan.part.farm.farm_id, self._env.now)
        except OSError as error:
            raise StoreGone(f"the fault proxy is gone: {error}") from error

    def _check_stop(self) -> None:
        if self._stopped():
            raise Stopped

    def now_us(self) -> int:
        """Return the virtual time, us since 1970: the pipeline's clock."""
        return self._plan.clock.start_us + round(self._env.now * 1e6)

    def _write_truth(self) -> None:
        model = self._model
        faults = model.truth()
        self.result.faults = faults.num_rows
        tables = {
            "faults": faults,
            "states": model.states(),
            "operations": model.orders(),
            "wear": model.wear(),
        }
        truth.write(self._plan.run_dir / "truth", self._plan.part.name, tables)


def _configs(plan: ShardPlan) -> list[NodeConfig]:
    settings = plan.pipeline
    return node_configs(
        plan.part,
        plan.seed,
        settings.flush_every_s,
        settings.window_s,
        settings.allowed_lateness_s,
    )


def _store(plan: ShardPlan, settings: Settings | None) -> ObjectStore:
    return FolderStore(plan.lake_dir) if plan.lake_dir else S3ObjectStore(settings, plan.timeout_s)


def _continued(
    plan: ShardPlan,
    configs: list[NodeConfig],
    store: ObjectStore,
    silent: ObjectStore,
    record: Callable[[Operation], None],
) -> Continued | None:
    """Return the store of a shard that is run again; None for one that never began.

    silent: the same store without a record. Raises StoreGone.
    """
    if not (plan.resumed or plan.shared):
        return None
    earlier = None
    if plan.resumed:
        table = operations.earlier(plan.run_dir, plan.part.farm.farm_id)
        if table is None:
            return None
        earlier = recorded(table)
    faultless = Retrying(_store(plan, plan.upstream))
    found = Continued(store, silent, faultless, configs, earlier, record)
    found.look()
    return found


def _remove_files_of_killed(plan: ShardPlan) -> None:
    """Remove the node files that a killed worker left. Other shards own the farm's other files."""
    folder = plan.run_dir / "nodes" / plan.part.farm.farm_id
    for turbine in plan.part.turbine_ids:
        for path in folder.glob(f"{glob.escape(turbine)}.*"):
            path.unlink()


def run_shard(
    plan: ShardPlan,
    progress: Progress,
    stopped: Callable[[], bool],
    fired: Fired,
    spent: Callable[[Span], None] = lambda span: None,
) -> ShardResult:
    """Run one shard, to its end or until `stopped` returns True. Raises NodeFileError, OSError.

    spent: called with the time spent with each activity.

    A store that is gone ends it with `result.error` set. Operations and ground truth so far are
    written in any case.
    """
    recorder = Recorder(plan.run_dir, plan.part.name)
    inject = partial(_log_and_report, plan.run_dir, fired) if plan.resumable else fired
    begun = time.perf_counter()
    sleep = (lambda seconds: time.sleep(seconds * PROXIED_WAIT)) if plan.proxied else time.sleep
    bare = _store(plan, plan.store)
    store: ObjectStore = Retrying(bare, recorder.append, sleep=sleep)
    result = ShardResult(
        plan.part.farm.farm_id, plan.part.name, plan.part.farm.region, plan.part.turbine_ids
    )
    written, done = Written(store), False
    try:
        silent = Retrying(bare, sleep=sleep)
        configs = _configs(plan)
        continued = _continued(plan, configs, store, silent, recorder.append)
        if continued is not None and not plan.resumed:
            result.taken_over = sum(1 for last_id in continued.durable.values() if last_id)
        written = Written(continued or store)
        seen = written if plan.early else continued or store
        activities = Activities(spent)
        shard = _Shard(
            plan, result, seen, progress, stopped, inject, sleep, activities, configs, continued
        )
        shard.run()
        done = not result.undelivered
    except Stopped:
        pass
    except StoreGone as error:
        result.error = str(error)
    finally:
        recorder.close()
    result.written = written.refs()
    result.wall_s = time.perf_counter() - begun
    result.memory_peak_bytes = _memory_peak_bytes()
    if done and plan.resumable:
        finished.write(plan.run_dir, result)
    return result


def _log_and_report(run_dir: Path, fired: Fired, point: FaultPoint) -> None:
    fired_log.note(run_dir, point)
    fired(point)


def _memory_peak_bytes() -> int:
    """Return this process's largest resident memory so far.

    On Linux getrusage begins with the parent's.
    """
    status = Path("/proc/self/status")
    if status.exists():
        words = status.read_text(encoding="utf-8").split()
        return int(words[words.index("VmHWM:") + 1]) * 1024
    # macOS counts in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
