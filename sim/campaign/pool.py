"""The worker processes of a campaign: runs of many schedules, in chunks."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import islice
from typing import Any, Final, TypeVar

import pyarrow as pa

from sim.campaign.in_process_run import run_clean, run_once
from sim.campaign.outcome import Outcome
from sim.campaign.schedule import Line
from sim.campaign.world import World
from sim.errors import WorkerLost
from sim.worker import follow_parent

CHUNK_RUNS: Final = 8
_worker: dict[str, Any] = {}
L = TypeVar("L")
R = TypeVar("R")


def pipeline_runs(world: World) -> Callable[[Line], Outcome]:
    """Return the run of one schedule of the pipeline, in a worker process."""
    return partial(run_once, world, run_clean(world))


def _start_worker(prepare: Callable[[], Callable[[Any], Any]]) -> None:
    follow_parent()
    use_one_thread()
    _worker["run"] = prepare()


def use_one_thread() -> None:
    """Give Arrow one thread per process. Tables here are small, and processes share the cores."""
    pa.set_cpu_count(1)


def _run_chunk(lines: Sequence[Any]) -> list[Any]:
    return [_worker["run"](line) for line in lines]


def run_lines(
    prepare: Callable[[], Callable[[L], R]],
    lines: Sequence[L],
    workers: int,
    progress: Callable[[int], None],
) -> Iterator[tuple[int, R]]:
    """Yield (index, outcome) of each line, in the order in which they finish.

    prepare: called once in each worker process, returns the run of one line. progress: called with
    the number of runs in each finished chunk. Raises WorkerLost.
    """
    context = multiprocessing.get_context("spawn")
    chunks = iter(
        [range(i, min(i + CHUNK_RUNS, len(lines))) for i in range(0, len(lines), CHUNK_RUNS)]
    )
    pool = ProcessPoolExecutor(workers, context, _start_worker, (prepare,))
    pending: dict[Future[list[R]], range] = {}
    try:
        while True:
            for chunk in islice(chunks, 2 * workers - len(pending)):
                pending[pool.submit(_run_chunk, [lines[i] for i in chunk])] = chunk
            if not pending:
                return
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                chunk = pending.pop(future)
                progress(len(chunk))
                yield from zip(chunk, future.result(), strict=True)
    except BrokenProcessPool as error:
        raise WorkerLost("a worker process died (out of memory?); use fewer --workers") from error
    finally:
        pool.shutdown(cancel_futures=True)
