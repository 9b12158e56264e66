"""Shards over worker processes: largest farm first, progress on the way, and an orderly end whatever happens.

Workers are spawned, not forked (threads and sockets do not survive a fork). They ignore Ctrl-C, which reaches the whole
process group: the parent alone decides, sets `stop`, and gives them STOP_WITHIN_S to write what they know before it
ends them. A worker whose parent has died ends itself.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Event
from typing import Any

from sim.run.shard import ShardPlan, ShardResult, StoreGone, run_shard

STOP_WITHIN_S = 20.0
POLL_S = 0.2


class WorkerDied(Exception):
    """A worker process ended without a result: killed, or out of memory."""


_shared: dict[str, Any] = {}  # set in a worker when it starts: the queue and the event cannot travel with a task


def _start_worker(queue: SimpleQueue[tuple[int, int]], stop: Event) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _shared.update(queue=queue, stop=stop)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _work(plan: ShardPlan) -> ShardResult:
    return run_shard(plan, lambda made, delivered: _shared["queue"].put((made, delivered)), _shared["stop"].is_set)


def run_all(
    plans: Sequence[ShardPlan],
    workers: int,
    progress: Callable[[int, int], None],
    require_healthy: Callable[[], None],
    results: list[ShardResult],
) -> None:
    """Run every shard and append its result to `results` as it comes.

    progress: called in this thread with rows simulated and delivered. require_healthy: called now and
    then; what it raises ends the run. Raises that, StoreGone, what a shard raised, WorkerDied or KeyboardInterrupt;
    whatever it raises, no worker is left and what the shards came to is in `results`.
    """
    context = multiprocessing.get_context("spawn")
    queue: SimpleQueue[tuple[int, int]] = context.SimpleQueue()
    stop = context.Event()
    pool = ProcessPoolExecutor(min(workers, len(plans)), context, _start_worker, (queue, stop))
    pending: set[Future[ShardResult]] = set()
    try:
        largest_first = sorted(plans, key=lambda plan: -len(plan.farm.turbine_ids))
        pending |= {pool.submit(_work, plan) for plan in largest_first}
        while pending:
            done, _ = wait(pending, POLL_S, FIRST_COMPLETED)
            _drain(queue, progress)
            for future in done:
                pending.remove(future)
                results.append(future.result())
                if results[-1].error is not None:
                    raise StoreGone(results[-1].error)
            require_healthy()
    except BrokenProcessPool as error:
        raise WorkerDied("a worker process ended by itself: killed from outside, or out of memory") from error
    finally:
        stop.set()
        _end(pool, queue)
        results += [f.result() for f in pending if f.done() and not f.cancelled() and f.exception() is None]


def _drain(queue: SimpleQueue[tuple[int, int]], progress: Callable[[int, int], None]) -> None:
    made = delivered = 0
    while not queue.empty():
        a, b = queue.get()
        made, delivered = made + a, delivered + b
    if made or delivered:
        progress(made, delivered)


def _end(pool: ProcessPoolExecutor, queue: SimpleQueue[tuple[int, int]]) -> None:
    """Let the workers finish writing, then make sure of it."""
    processes = multiprocessing.active_children()
    pool.shutdown(wait=False, cancel_futures=True)
    give_up = time.monotonic() + STOP_WITHIN_S
    while any(process.is_alive() for process in processes) and time.monotonic() < give_up:
        _drain(queue, lambda made, delivered: None)  # a full pipe would hold the workers up
        time.sleep(0.02)
    for process in processes:
        if process.is_alive():
            process.kill()
    pool.shutdown(wait=True)
