"""The nodes of one shard: driven at every flush through the real pipeline into the real store.

A store that fails is tried again on three levels: by the client per request, at the next flush per
node, and at the end by the drains of `sim.run.shard`. GIVE_UP_AFTER nodes in a row that cannot
reach it end the shard: the store is gone, unless a fault keeps nodes from it.

In a crash (`sim.chaos.shard`) every node loses its memory. The flush begins again with new nodes,
which continue from their checkpoints.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor

from pipeline.config import NodeConfig
from pipeline.node import Delivered, EdgeNode, Failed, NodeCommits, Publish, reports
from pipeline.ports import Clock, ObjectStore, Unavailable
from sim.chaos.faults import SECOND_WRITER, Crash, fault_point
from sim.chaos.shard import NodeFiles, ShardFaults
from sim.errors import StoreGone
from sim.node_under_test import run
from sim.run.activity import Activities
from sim.run.compact import Compacted, publish
from sim.run.record import ShardResult
from sim.run.shard_plan import ShardPlan
from sim.run.unreported import Unreported

SECOND_THREADS = 2
MOST_CRASHES = 1000
"""Most crashes of the process in one flush.

A fault hits one call a few times at most, so this number is never reached.
"""
GIVE_UP_AFTER = 25
FAULTY_FILES = ".struck"
"""Folder of the node files that have a fault, while a flush lasts."""


class FarmNodes:
    """Nodes of one shard, through all crashes and restarts of their process.

    pool: makes their store calls. activities: gets the time that they wait for it.
    result: batches, errors of nodes and time in the pipeline go in here.
    check: called with each result; its exception ends the flush.
    committed: called with the number of rows of each durable batch.
    durable: turbine -> last id that an earlier attempt delivered. Its batches count, and have no
        time of commit.
    """

    def __init__(
        self,
        plan: ShardPlan,
        configs: Sequence[NodeConfig],
        store: ObjectStore,
        faults: ShardFaults,
        clock: Clock,
        pool: Executor,
        activities: Activities,
        result: ShardResult,
        check: Callable[[], None],
        committed: Callable[[int], None],
        durable: Mapping[str, int] | None = None,
    ) -> None:
        self._plan, self._configs, self._store, self._faults = plan, configs, store, faults
        self._clock, self._result, self._check, self._committed = clock, result, check, committed
        self._pool, self._activities, self._durable = pool, activities, durable or {}
        self._flush_us: int | None = None
        self._delivered: list[Delivered] = []
        self._unreported = Unreported()
        self._publish: Publish = publish if plan.compact else self._unreported.publish
        # Counts over several flushes, since a farm may have a single node.
        self._out_of_reach = 0
        self._restart()
        second = set(faults.second_writers([config.turbine_id for config in configs]))
        self._second = [node for node in self._fresh() if node.config.turbine_id in second]

    def begin(self, until_us: int | None = None) -> None:
        """Begin a flush: read and encode everything, and leave the last commits under way.

        With faults none are left, since a fault belongs to one moment in virtual time.
        until_us: a drain, up to this time (us since 1970). Raises StoreGone, and of `check`.
        """
        begun = time.perf_counter()
        self._flush_us, self._delivered = self._clock.now_us(), []
        last = ""
        with self._files() as files, self._second_writer(files, until_us):
            for _ in range(MOST_CRASHES):
                try:
                    self._deliver(until_us, files)
                    break
                except Crash as crash:
                    self._restart()
                    last = str(crash)
            else:
                self._result.undelivered |= {
                    node.config.turbine_id: f"crashed at {last}" for node in self._nodes
                }
        self._result.pipeline_s += time.perf_counter() - begun

    def finish(self) -> list[Delivered]:
        """End the flush that was begun, if any. Return durable batches by turbine and first id.

        Raises StoreGone, and of `check`.
        """
        if self._flush_us is None:
            return []
        begun = time.perf_counter()
        self._take(reports(self._commits.rest()), lambda result: None)
        delivered = self._delivered
        for batch in self._unreported.settle(self._nodes, delivered, self._flush_us):
            self._count(batch)
            delivered.append(batch)
        # Their times are parts of the nodes' tables, which stay in memory as long as they do.
        self._flush_us, self._delivered = None, []
        self._result.pipeline_s += time.perf_counter() - begun
        # Batches end in the order of wall time, which differs from run to run.
        delivered.sort(key=lambda batch: (batch.node.config.turbine_id, batch.first_id))
        return delivered

    def stopped(self) -> dict[str, str]:
        """Return turbine -> error, of nodes for which another attempt cannot succeed."""
        nodes = (*self._nodes, *self._second)
        return {node.config.turbine_id: str(node.stopped) for node in nodes if node.stopped}

    def _fresh(self) -> list[EdgeNode]:
        folder = self._plan.run_dir / "nodes" / self._plan.part.farm.farm_id
        return [EdgeNode(config, folder / f"{config.turbine_id}.db") for config in self._configs]

    def _restart(self) -> None:
        """Start a process without memory: new nodes, and the store as they see it."""
        self._nodes, self._commits = self._fresh(), NodeCommits(self._pool)
        store = Compacted(self._store) if self._plan.compact else self._store
        self._seen = self._faults.new_process(store)

    def _files(self) -> contextlib.AbstractContextManager[NodeFiles]:
        paths = [node.database for node in self._fresh()]
        folder = self._plan.run_dir / f"{FAULTY_FILES}-{self._plan.part.name}"
        return self._faults.files(paths, folder)

    def _deliver(self, until_us: int | None, files: NodeFiles) -> None:
        """Flush once, until done or until a crash. Raises Crash, StoreGone, and of `check`."""
        # Locks of node files last in virtual time: no wait in wall time ends them.
        results = run(
            files.assign(self._switched_on()),
            self._seen,
            self._clock,
            self._commits,
            until_us,
            self._publish,
            lock_wait_s=0.0,
        )
        with contextlib.closing(results):
            self._take(results, files.count)
        if self._plan.faults:
            self._take(reports(self._commits.rest()), files.count)

    def _take(
        self,
        results: Iterator[Delivered | Failed],
        count_fault: Callable[[Delivered | Failed], None],
    ) -> None:
        """Count the results. Raises StoreGone, of the results, and of `check`."""
        kept_out = self._faults.keeps_out()
        for result in results:
            self._check()
            self._activities.waited(self._commits.waited_s)
            count_fault(result)
            if isinstance(result, Failed):
                self._result.undelivered[result.node.config.turbine_id] = str(result.error)
                gone = isinstance(result.error, Unavailable) and not kept_out
                self._out_of_reach = self._out_of_reach + 1 if gone else 0
                if self._out_of_reach >= GIVE_UP_AFTER:
                    raise StoreGone(str(result.error))
            else:
                self._out_of_reach = 0
                self._unreported.report(result)
                self._count(result)
                self._delivered.append(result)

    def _switched_on(self) -> list[EdgeNode]:
        """Return the nodes that are on. One that was off has lost its memory, and has a backlog."""
        on: list[EdgeNode] = []
        for place, node in enumerate(self._nodes):
            if self._faults.offline(node.config.turbine_id):
                self._nodes[place] = EdgeNode(node.config, node.database)
            else:
                on.append(node)
        return on

    @contextlib.contextmanager
    def _second_writer(self, files: NodeFiles, until_us: int | None) -> Iterator[None]:
        """Run a second writer (a thread) that delivers for some of the nodes, during the block."""
        if not self._second:
            yield
            return

        def write() -> None:
            nodes, line = files.assign(self._second), self._faults.uplink(self._store)
            with ThreadPoolExecutor(SECOND_THREADS) as pool:
                results = run(
                    nodes,
                    line,
                    self._clock,
                    pool,
                    until_us,
                    None if self._plan.compact else self._publish,
                    lock_wait_s=0.0,
                )
                for result in results:
                    if isinstance(result, Delivered):
                        self._faults.fired(fault_point(SECOND_WRITER))

        thread = threading.Thread(target=write, name="second-writer")
        thread.start()
        try:
            yield
        finally:
            thread.join()

    def _count(self, batch: Delivered) -> None:
        rows = len(batch.event_us)
        self._result.objects += batch.objects
        self._result.bytes += batch.bytes
        if batch.last_id > self._durable.get(batch.node.config.turbine_id, 0):
            self._result.commits.append((batch.at_ns, rows))
        self._committed(rows)
