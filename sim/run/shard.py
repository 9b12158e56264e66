"""One farm of a run, in a process of its own: simulate, store at the nodes, deliver, time after time, then drain.

SimPy owns the order of things. At every flush time the farm's samples so far are made and stored, and the nodes are
driven through the real pipeline into the real store; what that takes in wall time does not move the virtual clock. The
batches then travel the modelled uplink, which gives freshness.

A flush comes just after the first sample behind a boundary, because that row is what closes the batches (see
`pipeline.batch`). A store that fails is retried: by the client per request, at the next flush per node, and by
DRAIN_ATTEMPTS at the end. GIVE_UP_AFTER nodes in a row that cannot reach it end the shard: then it is gone, unless a
fault wants it so.

Faults of delivery (`sim.chaos.shard`): a crash takes every node's memory, and the flush begins again with new ones; what
was delivered but not yet reported when it struck is in the lake, but not in this shard's figures.
"""

from __future__ import annotations

import contextlib
import resource
import shutil
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import simpy

from pipeline.node import Delivered, EdgeNode, Failed, run
from pipeline.ports import ObjectStore, Unavailable
from pipeline.retry import Retrying
from pipeline.store import S3ObjectStore
from sim.chaos.faults import SECOND_WRITER, Crash, FaultPoint, fault_point
from sim.chaos.proxy import report_time
from sim.chaos.shard import NodeFiles, ShardFaults
from sim.errors import StoreGone
from sim.fleet.nodes import node_configs
from sim.model.clock import flush_samples
from sim.model.farm import FarmModel
from sim.model.recording.nodefile import NodeWriter
from sim.run.compact import Compacted, publish
from sim.run.operations import Recorder
from sim.run.task import ShardPlan, ShardResult
from sim.run.uplink import FarmUplink
from sim.store.folder import FolderStore

COMMIT_THREADS = 4
SECOND_THREADS = 2
LIVES = 1000  # of the process, per flush; faults strike a call a few times only, so this is not met
DRAIN_ATTEMPTS = 5
DRAIN_WAIT_S = 1.0  # doubles with every attempt
HURRY = 0.25  # of every wait between tries, where a fault proxy makes a run fail all the time
GIVE_UP_AFTER = 25
STRUCK_FILES = ".struck"  # node files under a fault of files, for the length of a flush
BLOCK_ROWS = 1_000_000
"""Rows of a farm that are made at once; bounds memory when flushes are far apart."""
_EVERYTHING_US = 2**63
"""Behind any time that a node can store."""


class Stopped(Exception):
    """The run was told to stop."""


Tell = Callable[[int, int], None]
"""Progress: rows simulated and rows delivered since the last call."""
Fired = Callable[[FaultPoint], None]
"""Told the way of each fault that struck."""


class _Shard:
    def __init__(
        self,
        plan: ShardPlan,
        store: ObjectStore,
        tell: Tell,
        stopped: Callable[[], bool],
        fired: Fired,
        sleep: Callable[[float], None],
    ) -> None:
        self._plan, self._store, self._tell, self._stopped, self._fired = (
            plan,
            store,
            tell,
            stopped,
            fired,
        )
        self._sleep = sleep
        self._env = simpy.Environment()
        self._model = FarmModel(plan.farm, plan.clock, plan.seed, plan.data_faults, plan.events)
        settings = plan.pipeline
        self._configs = node_configs(
            plan.farm,
            plan.seed,
            settings.flush_every_s,
            settings.window_s,
            settings.allowed_lateness_s,
        )
        self._folder = plan.run_dir / "nodes"
        shutil.rmtree(
            self._folder / plan.farm.farm_id, ignore_errors=True
        )  # of a worker that was killed
        self._faults = ShardFaults(
            plan.seed, plan.farm.farm_id, plan.faults, lambda: self._env.now, fired
        )
        self._publish = publish if plan.compact else None
        self._out_of_reach = (
            0  # nodes in a row, over as many flushes as it takes: a farm may have one node only
        )
        self._begin_life()
        second = set(self._faults.second_writers([config.turbine_id for config in self._configs]))
        self._second = [node for node in self._fresh() if node.config.turbine_id in second]
        self._uplink = FarmUplink(
            self._env, plan.clock.start_us, plan.uplink.bandwidth_bit_per_s, plan.uplink.latency_s
        )
        self.result = ShardResult(
            plan.farm.farm_id,
            plan.farm.region,
            len(self._nodes),
            freshness_s=self._uplink.freshness_s,
        )

    def _fresh(self) -> list[EdgeNode]:
        folder = self._folder / self._plan.farm.farm_id
        return [EdgeNode(config, folder / f"{config.turbine_id}.db") for config in self._configs]

    def _begin_life(self) -> None:
        """A process that knows nothing: new nodes, and the store as they see it."""
        self._nodes = self._fresh()
        self._seen = self._faults.life(
            Compacted(self._store) if self._plan.compact else self._store
        )

    def run(self) -> None:
        self._check_stop()
        self._model.start(self._env)
        with (
            NodeWriter(self._folder, self._plan.farm, self._configs) as writer,
            ThreadPoolExecutor(COMMIT_THREADS) as pool,
        ):
            try:
                self._env.run(until=self._env.process(self._live(writer, pool)))
            finally:
                self._write_truth()

    def _live(
        self, writer: NodeWriter, pool: ThreadPoolExecutor
    ) -> Generator[simpy.Event, Any, None]:
        """The farm's life as one SimPy process; ends when the last batch has arrived."""
        clock = self._plan.clock
        made = 0
        arrivals: list[simpy.Process] = []
        every_us = self._plan.pipeline.flush_every_s * 1_000_000
        flushes = flush_samples(clock.start_us, clock.sample_us, clock.samples, every_us)
        for upto in [*flushes.tolist(), clock.samples]:
            while made < upto:
                last = min(upto, made + max(1, BLOCK_ROWS // len(self._nodes)))
                yield self._env.timeout(max(0.0, clock.seconds(last - 1) - self._env.now))
                self._simulate(writer, made, last)
                made = last
            if made < clock.samples and self.result.rows >= self._plan.resume_rows:
                arrivals += self._flush(pool)
        yield self._env.timeout(clock.seconds(clock.samples) - self._env.now)
        arrivals += self._drain(pool)
        yield self._env.all_of(arrivals)

    def _simulate(self, writer: NodeWriter, first: int, last: int) -> None:
        self._check_stop()
        begun = time.perf_counter()
        block = self._model.block(first, last)
        writer.write(block)
        rows = len(block.columns["id"])
        self.result.rows += rows
        self.result.simulate_s += time.perf_counter() - begun
        self._tell(rows, 0)

    def _flush(self, pool: ThreadPoolExecutor, until_us: int | None = None) -> list[simpy.Process]:
        begun = time.perf_counter()
        if self._plan.proxied and self._plan.store is not None:
            self._tell_time()
        delivered: list[Delivered] = []
        last = ""
        with self._files() as files, self._second_writer(files, until_us):
            for _ in range(LIVES):
                try:
                    self._deliver(pool, until_us, files, delivered)
                    break
                except Crash as crash:
                    self._begin_life()
                    last = str(crash)
            else:
                self.result.undelivered |= {
                    node.config.turbine_id: f"crashed at {last}" for node in self._nodes
                }
        self.result.pipeline_s += time.perf_counter() - begun
        delivered.sort(
            key=lambda d: (d.node.config.turbine_id, d.first_id)
        )  # the order of wall time is not ours
        return [self._uplink.send(d.bytes, d.event_us) for d in delivered]

    def _files(self) -> contextlib.AbstractContextManager[NodeFiles]:
        paths = [node.database for node in self._fresh()]
        return self._faults.files(
            paths, self._plan.run_dir / f"{STRUCK_FILES}-{self._plan.farm.farm_id}"
        )

    def _deliver(
        self,
        pool: ThreadPoolExecutor,
        until_us: int | None,
        files: NodeFiles,
        delivered: list[Delivered],
    ) -> None:
        """One life's try at it. Raises Crash, StoreGone, Stopped."""
        lasts = self._faults.keeps_out()
        nodes = files.give(self._switched_on())
        results = run(
            nodes, self._seen, self, pool, until_us, self._publish, lock_wait_s=0.0
        )  # locks last in our time
        with contextlib.closing(results):
            for result in results:
                self._check_stop()
                files.tell(result)
                if isinstance(result, Failed):
                    self.result.undelivered[result.node.config.turbine_id] = str(result.error)
                    gone = isinstance(result.error, Unavailable) and not lasts
                    self._out_of_reach = self._out_of_reach + 1 if gone else 0
                    if self._out_of_reach >= GIVE_UP_AFTER:
                        raise StoreGone(str(result.error))
                else:
                    self._out_of_reach = 0
                    self._count(result)
                    delivered.append(result)

    def _switched_on(self) -> list[EdgeNode]:
        """The nodes that are not off. One that was comes back without its memory, and with a backlog."""
        on: list[EdgeNode] = []
        for place, node in enumerate(self._nodes):
            if self._faults.offline(node.config.turbine_id):
                self._nodes[place] = EdgeNode(node.config, node.database)
            else:
                on.append(node)
        return on

    @contextlib.contextmanager
    def _second_writer(self, files: NodeFiles, until_us: int | None) -> Iterator[None]:
        """Another process that delivers for some of the nodes, side by side with ours, as long as the block lasts."""
        if not self._second:
            yield
            return

        def write() -> None:
            nodes, line = files.give(self._second), self._faults.line(self._store)
            with ThreadPoolExecutor(SECOND_THREADS) as pool:
                for result in run(nodes, line, self, pool, until_us, lock_wait_s=0.0):
                    if isinstance(result, Delivered):
                        self._fired(fault_point(SECOND_WRITER))

        thread = threading.Thread(target=write, name="second-writer")
        thread.start()
        try:
            yield
        finally:
            thread.join()

    def _drain(self, pool: ThreadPoolExecutor) -> list[simpy.Process]:
        arrivals: list[simpy.Process] = []
        for attempt in range(DRAIN_ATTEMPTS):
            self.result.undelivered.clear()
            arrivals += self._flush(pool, _EVERYTHING_US)
            stopped = [node for node in (*self._nodes, *self._second) if node.stopped]
            self.result.undelivered |= {n.config.turbine_id: str(n.stopped) for n in stopped}
            if all(
                turbine in {n.config.turbine_id for n in stopped}
                for turbine in self.result.undelivered
            ):
                break
            self._sleep(DRAIN_WAIT_S * 2**attempt)
        return arrivals

    def _tell_time(self) -> None:
        assert self._plan.store is not None
        try:
            report_time(self._plan.store.server.url, self._plan.farm.farm_id, self._env.now)
        except OSError as error:
            raise StoreGone(f"the fault proxy is gone: {error}") from error

    def _count(self, batch: Delivered) -> None:
        rows = len(batch.event_us)
        self.result.objects += batch.objects
        self.result.bytes += batch.bytes
        self.result.commits.append((time.time_ns(), rows))
        self._tell(0, rows)

    def _check_stop(self) -> None:
        if self._stopped():
            raise Stopped

    def now_us(self) -> int:
        """The pipeline's clock is the virtual one."""
        return self._plan.clock.start_us + round(self._env.now * 1e6)

    def _write_truth(self) -> None:
        folder = self._plan.run_dir / "truth"
        folder.mkdir(exist_ok=True)
        faults = self._model.truth()
        self.result.faults = faults.num_rows
        model, farm = self._model, self._plan.farm.farm_id
        tables = {
            "faults": faults,
            "states": model.states(),
            "operations": model.orders(),
            "wear": model.wear(),
        }
        for name, table in tables.items():
            with (folder / f"{name}-{farm}.parquet").open(
                "wb"
            ) as file:  # pyarrow may take a path for a URI
                pq.write_table(table, file)


def run_shard(
    plan: ShardPlan, tell: Tell, stopped: Callable[[], bool], fired: Fired
) -> ShardResult:
    """Run one farm, or as much of it as there is time for. Raises NodeFileError, OSError.

    A store that is gone ends it with `result.error` set. Operations and ground truth so far are written in any case.
    """
    recorder = Recorder(plan.run_dir, plan.farm.farm_id)
    begun = time.perf_counter()
    sleep = (lambda seconds: time.sleep(seconds * HURRY)) if plan.proxied else time.sleep
    bare = (
        FolderStore(plan.lake_dir) if plan.lake_dir else S3ObjectStore(plan.store, plan.timeout_s)
    )
    store = Retrying(bare, recorder.append, sleep=sleep)
    shard = _Shard(plan, store, tell, stopped, fired, sleep)
    try:
        shard.run()
    except Stopped:
        pass
    except StoreGone as error:
        shard.result.error = str(error)
    finally:
        recorder.close()
    shard.result.wall_s = time.perf_counter() - begun
    shard.result.memory_peak_bytes = _memory_peak_bytes()
    return shard.result


def _memory_peak_bytes() -> int:
    """The largest resident memory that this process had. On Linux getrusage would begin with the parent's."""
    status = Path("/proc/self/status")
    if status.exists():
        words = status.read_text(encoding="utf-8").split()
        return int(words[words.index("VmHWM:") + 1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS counts in bytes
