"""Shards over worker processes: largest farm first, progress on the way, and an orderly end whatever happens.

Each worker has a pool, a queue and an event of its own, so that one that is killed takes nothing with it: not the work
of another, not a lock that others wait for. A worker that dies by itself ends the run; one that a fault of the scenario
kills (a real SIGKILL from here) is replaced, and its shard runs again from the start: the simulation is the
same again, its node files are written anew, and once they are as long as they were the lake goes on from the
checkpoints.

Workers are forked from a clean server process that has imported what they need, once (threads and sockets of this one
would not survive a fork); it keeps the environment that it was started in. They ignore Ctrl-C, which reaches the whole
process group: the parent alone decides, sets `stop`, and gives them STOP_WITHIN_S to write what they know before it
ends them. A worker whose parent has died ends itself.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from typing import TYPE_CHECKING, Any, Literal

from sim.chaos.faults import KILL, FaultPoint, InjectionCounts, fault_point
from sim.errors import StoreGone, WorkerDied
from sim.run.shard import run_shard
from sim.run.task import ShardPlan, ShardResult
from sim.worker import obey_parent

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue
    from multiprocessing.synchronize import Event

STOP_WITHIN_S = 20.0
POLL_S = 0.2
KILL_POLL_S = 0.005  # while there is a worker to be killed: the moment is told in rows, and passes


Message = (
    tuple[Literal["pid"], int]
    | tuple[Literal["rows"], int, int]
    | tuple[Literal["fault"], FaultPoint]
)
"""From a worker: its id as a shard begins; rows simulated and delivered; the way of a fault that struck."""
_shared: dict[
    str, Any
] = {}  # set in a worker when it starts: the queue and the event cannot travel with a task


def _start_worker(queue: SimpleQueue[Message], stop: Event) -> None:
    obey_parent()
    _shared.update(queue=queue, stop=stop)


def _work(plan: ShardPlan) -> ShardResult:
    put = _shared["queue"].put
    put(("pid", os.getpid()))
    return run_shard(
        plan,
        lambda made, delivered: put(("rows", made, delivered)),
        _shared["stop"].is_set,
        lambda way: put(("fault", way)),
    )


class _Worker:
    """One process and the shard it works on. `made`, `delivered`: rows of that shard so far."""

    def __init__(self, context: ForkServerContext) -> None:
        self._queue: SimpleQueue[Message] = context.SimpleQueue()
        self._stop = context.Event()
        self.pool = ProcessPoolExecutor(1, context, _start_worker, (self._queue, self._stop))
        self.killed = False
        self.made = self.delivered = 0
        self._pid: int | None = None

    def begin(self, plan: ShardPlan) -> None:
        self.plan, self.made, self.delivered, self._pid = plan, 0, 0, None
        self.future: Future[ShardResult] = self.pool.submit(_work, plan)

    def listen(self, struck: InjectionCounts) -> tuple[int, int]:
        """Take in what the worker said; rows simulated and delivered since the last time."""
        made, delivered = self.made, self.delivered
        while not self._queue.empty():
            match self._queue.get():
                case ("pid", pid):
                    self._pid = pid
                case ("rows", simulated, stored):
                    self.made, self.delivered = self.made + simulated, self.delivered + stored
                case ("fault", way):
                    struck.by_point[way] += 1
        return self.made - made, self.delivered - delivered

    def kill(self) -> None:
        """SIGKILL, now."""
        if self._pid is not None:
            os.kill(self._pid, signal.SIGKILL)
            self.killed = True

    def died_of_it(self) -> bool:
        """Whether the shard is over because the worker was killed; it may have been done before."""
        return self.killed and isinstance(self.future.exception(), BrokenProcessPool)

    def again(self) -> ShardPlan:
        """The shard anew, which goes on behind the rows that were made."""
        return replace(self.plan, resume_rows=max(self.plan.resume_rows, self.made))

    def tell_to_stop(self) -> None:
        if not self.killed:  # it may have held the event's lock
            self._stop.set()


def run_all(
    plans: Sequence[ShardPlan],
    workers: int,
    progress: Callable[[int, int], None],
    require_healthy: Callable[[], None],
    results: list[ShardResult],
    kills: Mapping[str, Sequence[int]],
    struck: InjectionCounts,
) -> None:
    """Run every shard and append its result to `results` as it comes.

    progress: called in this thread with rows simulated and delivered (negative when a shard begins again).
    require_healthy: called now and then; what it raises ends the run. kills: farm to the numbers of rows made at which
    its worker is killed. struck: counts the faults that shards tell of, and the kills. Raises what `require_healthy`
    raises, StoreGone, what a shard raised, WorkerDied or KeyboardInterrupt; whatever it raises, no worker is left and
    what the shards came to is in `results`.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([run_shard.__module__])
    heard = signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # which the server inherits: it, too, leaves Ctrl-C to us
    forkserver.ensure_running()
    signal.signal(signal.SIGINT, heard)
    waiting = sorted(
        plans, key=lambda plan: len(plan.farm.turbine_ids)
    )  # the largest is taken first, from the end
    left = {farm: list(rows) for farm, rows in kills.items()}
    crew = [_Worker(context) for _ in range(min(workers, len(plans)))]
    busy: list[_Worker] = []
    try:
        while waiting or busy:
            for worker in [worker for worker in crew if worker not in busy][: len(waiting)]:
                worker.begin(waiting.pop())
                busy.append(worker)
            poll_s = (
                KILL_POLL_S
                if any(left.get(worker.plan.farm.farm_id) for worker in busy)
                else POLL_S
            )
            wait([worker.future for worker in busy], poll_s, FIRST_COMPLETED)
            for worker in list(busy):
                if any(news := worker.listen(struck)):
                    progress(*news)
                if not worker.future.done():
                    due = left.get(worker.plan.farm.farm_id)
                    if due and worker.made >= due[0] and not worker.killed:
                        due.pop(0)
                        worker.kill()
                    continue
                busy.remove(worker)
                if worker.killed:
                    worker.pool.shutdown(wait=False)
                    crew[crew.index(worker)] = _Worker(context)
                if worker.died_of_it():
                    struck.by_point[fault_point(KILL)] += 1
                    progress(-worker.made, -worker.delivered)
                    waiting.append(worker.again())
                    continue
                results.append(worker.future.result())
                if results[-1].error is not None:
                    raise StoreGone(results[-1].error)
            require_healthy()
    except BrokenProcessPool as error:
        raise WorkerDied("a worker process died: it was killed, or ran out of memory") from error
    finally:
        _end(crew)
        done = [
            worker.future
            for worker in busy
            if worker.future.done() and not worker.future.cancelled()
        ]
        results += [future.result() for future in done if future.exception() is None]


def _end(crew: Sequence[_Worker]) -> None:
    """Let the workers finish writing, then make sure of it."""
    processes = multiprocessing.active_children()
    for worker in crew:
        worker.tell_to_stop()
        worker.pool.shutdown(wait=False, cancel_futures=True)
    give_up = time.monotonic() + STOP_WITHIN_S
    while any(process.is_alive() for process in processes) and time.monotonic() < give_up:
        for worker in crew:
            worker.listen(InjectionCounts())  # a full pipe would hold the workers up
        time.sleep(0.02)
    for process in processes:
        if process.is_alive():
            process.kill()
    for worker in crew:
        worker.pool.shutdown(wait=True)
