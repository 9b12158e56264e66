"""Worker processes: all shards of a run, the largest first, with an orderly end.

- Each worker has a pool, a queue and an event of its own. A killed one takes no other's work with
  it, and no lock that others wait for.
- A worker that dies by itself ends the run. One that a fault kills (a real SIGKILL, sent from
  here) is replaced, and its shard runs again from the start. The simulation is the same, so
  the node files become the same. Delivery then continues from the checkpoints.
- Workers are forked from a clean server process, which imports their modules once: threads and
  sockets of this process would not survive a fork. The server keeps the environment it began with.
- Workers ignore Ctrl-C, which reaches the whole process group. The parent sets `stop`, and gives
  them STOP_WITHIN_S to write what they have before it kills them.
- A worker whose parent has died ends itself.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import replace
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from typing import TYPE_CHECKING, Any, Literal

from sim.chaos.faults import KILL, FaultPoint, InjectionCounts, fault_point
from sim.check.share import ShareVerdict
from sim.errors import StoreGone, WorkerDied
from sim.measure.timeline import Span
from sim.run import fired_log
from sim.run.activity import Activities
from sim.run.early import EarlyOracle, JudgeTask
from sim.run.record import ShardResult
from sim.run.shard import run_shard
from sim.run.shard_plan import ShardPlan
from sim.run.signals import delayed
from sim.worker import follow_parent, give_memory_back

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue
    from multiprocessing.synchronize import Event

STOP_WITHIN_S = 20.0
POLL_S = 0.2
KILL_POLL_S = 0.005
"""Shorter while a worker is to be killed: the moment is given in rows, and passes."""


Message = (
    tuple[Literal["pid"], int]
    | tuple[Literal["rows"], int, int]
    | tuple[Literal["fault"], FaultPoint]
    | tuple[Literal["spent"], Span]
)
"""From a worker: process id, rows made and delivered, an injected fault's point, or time spent."""
_shared: dict[str, Any] = {}
"""A worker's queue and event, set when it starts: they cannot be sent with a task."""


def _start_worker(queue: SimpleQueue[Message], stop: Event) -> None:
    follow_parent()
    _shared.update(queue=queue, stop=stop)


def _judge(task: JudgeTask) -> tuple[ShareVerdict, float]:
    """Judge a share. Return the verdict and the seconds that it took."""
    put = _shared["queue"].put
    put(("pid", os.getpid()))
    give_memory_back()
    begun = time.perf_counter()
    with Activities(lambda span: put(("spent", span))).during("judge"):
        verdict = task.run()
    return verdict, time.perf_counter() - begun


def _work(plan: ShardPlan) -> ShardResult:
    put = _shared["queue"].put
    put(("pid", os.getpid()))
    give_memory_back()
    return run_shard(
        plan,
        lambda made, delivered: put(("rows", made, delivered)),
        _shared["stop"].is_set,
        lambda point: put(("fault", point)),
        lambda span: put(("spent", span)),
    )


class _Worker:
    """One process and its present shard, or the share of the lake that it judges.

    made, delivered: rows of that shard so far.
    """

    def __init__(self, context: ForkServerContext) -> None:
        self._queue: SimpleQueue[Message] = context.SimpleQueue()
        self._stop = context.Event()
        self.pool = ProcessPoolExecutor(1, context, _start_worker, (self._queue, self._stop))
        self.killed = False
        self.task: JudgeTask | None = None
        self.made = self.delivered = 0
        self._pid: int | None = None

    def begin(self, plan: ShardPlan) -> None:
        self.plan, self.made, self.delivered, self._pid = plan, 0, 0, None
        self.task = None
        with delayed():
            # A process whose start is cut short prints a traceback: nobody waits for it.
            self.future: Future[ShardResult] = self.pool.submit(_work, plan)

    def judge(self, task: JudgeTask) -> None:
        self.task, self._pid = task, None
        with delayed():
            self.verdict = self.pool.submit(_judge, task)

    @property
    def awaited(self) -> Future[Any]:
        return self.future if self.task is None else self.verdict

    def listen(self, injections: InjectionCounts, spans: list[Span]) -> tuple[int, int]:
        """Read the worker's messages. Return rows simulated and delivered since the last time."""
        made, delivered = self.made, self.delivered
        while not self._queue.empty():
            match self._queue.get():
                case ("pid", pid):
                    self._pid = pid
                case ("rows", simulated, stored):
                    self.made, self.delivered = self.made + simulated, self.delivered + stored
                case ("fault", point):
                    injections.by_point[point] += 1
                case ("spent", span):
                    spans.append(span)
        return self.made - made, self.delivered - delivered

    def kill(self) -> None:
        """Send SIGKILL now."""
        if self._pid is not None:
            os.kill(self._pid, signal.SIGKILL)
            self.killed = True

    def kill_if_due(self) -> None:
        rows = self.plan.kill_rows if self.task is None else ()
        if rows and self.made >= rows[0] and not self.killed and self._pid is not None:
            self._note_kill(1)  # before it acts: this process may die, too
            self.kill()

    def take_back_kill(self) -> None:
        """Note that the shard had ended before it was killed."""
        self._note_kill(-1)

    def _note_kill(self, times: int) -> None:
        fired_log.note(self.plan.run_dir, fault_point(KILL), times, self.plan.part.name)

    def ended_by_kill(self) -> bool:
        """Return True if the kill ended the shard. The shard may have ended before it."""
        return self.killed and isinstance(self.future.exception(), BrokenProcessPool)

    def resumed_plan(self) -> ShardPlan:
        """Return the plan for the rest of the shard: no flush before the rows that were made."""
        resume_rows = max(self.plan.resume_rows, self.made)
        return replace(self.plan, resume_rows=resume_rows, kill_rows=self.plan.kill_rows[1:])

    def request_stop(self) -> None:
        # A killed worker may have held the event's lock.
        if not self.killed:
            self._stop.set()


class _WorkerPool:
    """The workers of a run, and the shards that wait for one of them.

    With an oracle there is one worker more. It judges shards that are done while the others
    deliver, and fills the time in which they wait for the store.
    """

    def __init__(
        self,
        plans: Sequence[ShardPlan],
        processes: int,
        results: list[ShardResult],
        injections: InjectionCounts,
        oracle: EarlyOracle | None,
    ) -> None:
        self._context = _context()
        # Taken from the end: the largest first.
        self._waiting = sorted(plans, key=lambda plan: plan.part.turbines)
        self._at_once = min(processes, len(plans))
        self._results, self._injections, self._oracle = results, injections, oracle
        self.workers = [_Worker(self._context) for _ in range(self._at_once + (oracle is not None))]
        self.busy: list[_Worker] = []

    @property
    def shards_left(self) -> bool:
        """True while a shard is delivered, or waits for it."""
        return bool(self._waiting) or any(worker.task is None for worker in self.busy)

    @property
    def poll_s(self) -> float:
        """Seconds to wait for an end, at most."""
        due = any(worker.task is None and worker.plan.kill_rows for worker in self.busy)
        return KILL_POLL_S if due else POLL_S

    def give_work(self) -> None:
        """Give every free worker a shard to deliver, or a share to judge, if there is one."""
        for worker in [each for each in self.workers if each not in self.busy]:
            if self._waiting and sum(each.task is None for each in self.busy) < self._at_once:
                worker.begin(self._waiting.pop())
            elif self._oracle is not None and (task := self._oracle.next()) is not None:
                worker.judge(task)
            else:
                return
            self.busy.append(worker)

    def take(self, worker: _Worker) -> tuple[int, int]:
        """Take what a worker has done. Return rows that must be made and delivered again.

        Raises StoreGone, and the exception of a shard or of its process.
        """
        self.busy.remove(worker)
        if worker.task is not None:
            self._take_verdict(worker)
            return 0, 0
        if worker.killed:
            self._replace(worker)
            if worker.ended_by_kill():
                self._injections.by_point[fault_point(KILL)] += 1
                self._waiting.append(worker.resumed_plan())
                return worker.made, worker.delivered
            worker.take_back_kill()
        self._results.append(worker.future.result())
        if (error := self._results[-1].error) is not None:
            raise StoreGone(error)
        if self._oracle is not None:
            self._oracle.add(self._results[-1])
        return 0, 0

    def _take_verdict(self, worker: _Worker) -> None:
        if isinstance(worker.verdict.exception(), BrokenProcessPool):
            # Its share is judged at the end, in a process of its own.
            self._replace(worker)
        elif self._oracle is not None and worker.task is not None:
            self._oracle.end(worker.task, *worker.verdict.result())
            worker.task = None

    def _replace(self, worker: _Worker) -> None:
        """Put a worker in the place of one whose process has died."""
        worker.pool.shutdown(wait=False)
        self.workers[self.workers.index(worker)] = _Worker(self._context)

    def end(self) -> None:
        """End all workers, and keep the results of shards that were done."""
        _end(self.workers)
        for worker in [each for each in self.busy if each.task is None]:
            future = worker.future
            if future.done() and not future.cancelled() and future.exception() is None:
                self._results.append(future.result())
                if worker.killed:
                    worker.take_back_kill()


def run_shards(
    plans: Sequence[ShardPlan],
    processes: int,
    progress: Callable[[int, int], None],
    require_healthy: Callable[[], None],
    results: list[ShardResult],
    injections: InjectionCounts,
    spans: list[Span],
    oracle: EarlyOracle | None = None,
) -> None:
    """Run every shard. Append its result to `results` as soon as it has one.

    processes: most workers that deliver at a time.
    progress: called in this thread with rows simulated and delivered. Both are negative when a
        shard begins again.
    require_healthy: called regularly. Its exception ends the run.
    injections: counts injected faults of the shards, and kills.
    spans: gets the time that the workers spend with each activity.
    oracle: judges shards that are done; None if nothing is judged before the end.

    Raises StoreGone, WorkerDied, KeyboardInterrupt, and the exceptions of a shard or of
    `require_healthy`. After any of them no worker is left, and `results` has the result of every
    shard that ended.
    """
    pool = _WorkerPool(plans, processes, results, injections, oracle)
    try:
        pool.give_work()
        while pool.busy:
            if oracle is not None and not pool.shards_left:
                oracle.report()
            wait([worker.awaited for worker in pool.busy], pool.poll_s, FIRST_COMPLETED)
            for worker in list(pool.busy):
                if any(news := worker.listen(injections, spans)):
                    progress(*news)
                if not worker.awaited.done():
                    worker.kill_if_due()
                elif any(lost := pool.take(worker)):
                    progress(-lost[0], -lost[1])
            require_healthy()
            pool.give_work()
        if oracle is not None:
            oracle.report()
    except BrokenProcessPool as error:
        raise WorkerDied("a worker process died: it was killed, or ran out of memory") from error
    finally:
        pool.end()


def start_server() -> None:
    """Start the server process that workers are forked from, which then imports their modules.

    It takes two seconds beside the caller, who may start a store meanwhile.
    """
    _context()


def _context() -> ForkServerContext:
    """Start the server process, if it does not run yet. Like the workers it ignores Ctrl-C."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, before)
    return context


def _end(workers: Sequence[_Worker]) -> None:
    """Let the workers finish writing. Kill those that take longer than STOP_WITHIN_S."""
    processes = multiprocessing.active_children()
    for worker in workers:
        worker.request_stop()
        worker.pool.shutdown(wait=False, cancel_futures=True)
    give_up = time.monotonic() + STOP_WITHIN_S
    while any(process.is_alive() for process in processes) and time.monotonic() < give_up:
        # A full pipe would block the workers.
        for worker in workers:
            worker.listen(InjectionCounts(), [])
            if worker.task is not None and not worker.killed:
                with suppress(ProcessLookupError):
                    worker.kill()  # an early verdict is not worth a wait
        time.sleep(0.02)
    for process in processes:
        if process.is_alive():
            process.kill()
    for worker in workers:
        worker.pool.shutdown(wait=True)
