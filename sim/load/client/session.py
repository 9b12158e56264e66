"""One phase in one client process: users (greenlets) that make requests at their intended times.

In an open phase, a dispatcher waits for each arrival's intended time and queues its job. A free
user takes the job and runs it on a thread: a commit computes, and would delay every other greenlet
of the process. gevent's threadpool has as many threads as there are users. In a closed phase each
user takes its next job itself. `start` and `end` are measured on the thread, directly before and
after the work.

The session is over when all arrivals are done, or `drain_s` after the phase's end. Requests under
way then are `abandoned`. Only for Locust's processes: this module imports gevent.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

import gevent
import gevent.monkey
from gevent.event import Event
from gevent.queue import Queue

from pipeline.commit import Commit
from pipeline.retry import Retrying
from pipeline.store import S3ObjectStore
from sim.load.batches import Prepared
from sim.load.client import plan
from sim.load.client.dispatch import ClosedDispatch, Job, OpenDispatch
from sim.load.client.journal import Journal, OperationLog, Request, intended_ns
from sim.load.client.request import Client, Done
from sim.load.client.written_keys import KeyRecorder
from sim.load.phase import OUTCOMES
from sim.load_schedule import REQUEST_KINDS

LEAD_NS: Final = 300_000_000
"""Time from the start message to the schedule's 0. Every worker must have the message by then."""
SHORT_S: Final = 0.0005
"""The resolution of gevent's timer. Shorter waits are skipped."""
_RETRY_S: Final = 0.002
"""Wait of a user in a closed phase that found no free node."""
_POLL_S: Final = 0.02

Report = Callable[[str, float, int, str | None], None]
"""report(kind, latency in ms, bytes, error or None)"""


class Session:
    """The session of one of the plan's workers.

    over: set when the session has ended. ran_out: True when a node had no batch left.
    """

    def __init__(self, folder: Path, worker: int, report: Report) -> None:
        """Get ready to start. Raises OSError, StoreError, ValueError.

        report: called after each request, for Locust's own statistics.
        """
        self.plan = plan.read(folder)
        self._folder, self._worker, self._report = folder, worker, report
        store = S3ObjectStore(self.plan.store, self.plan.timeout_s, _dial)
        keys = KeyRecorder(store, folder, str(worker))
        log = OperationLog(folder, worker)
        recorded = Retrying(keys, log.append, attempts=1, now_ns=self.plan.now_ns)
        prepared = Prepared(self.plan.batches)
        self._client = Client(
            recorded, prepared, self.plan.seeded, self.plan.encode_inside, self.plan.repeat_batch
        )
        if not self.plan.repeat_batch:
            mine = [n for n in range(self.plan.seeded) if n % self.plan.workers == worker]
            self._client.recover(store, mine)
        self._journal = Journal(folder, worker)
        plan.pid_path(folder, worker).write_text(str(os.getpid()), encoding="utf-8")
        self._pool = gevent.get_hub().threadpool
        self._pool.maxsize = max(self.plan.users, 1)
        self._queue: Queue[Job | None] = Queue()
        self._busy = 0
        self.ran_out = False
        self.over = Event()

    def start(self, started_ns: int) -> None:
        """Start the schedule, whose 0 is at `started_ns`. Users may come before or after."""
        self._started, self._end = started_ns, started_ns + round(self.plan.duration_s * 1e9)
        if self.plan.arrivals is not None:
            times = intended_ns(self.plan.arrivals, started_ns)
            self._open: OpenDispatch | None = OpenDispatch(
                self.plan.arrivals, times, self._worker, self.plan.workers
            )
            gevent.spawn(self._dispatch, self._open)
        else:
            self._open = None
            self._closed = ClosedDispatch(
                self.plan.nodes,
                self.plan.mix,
                self.plan.seed,
                self.plan.name,
                self._worker,
                self.plan.workers,
            )
            for _ in range(self.plan.users):
                self._queue.put(None)  # one token per user
        gevent.spawn(self._end_when_finished)

    def work(self) -> None:
        """Run one user until the session is over."""
        while not self.over.is_set():
            job = self._queue.get()
            if job is None:
                self._work_closed()
            else:
                while job is not None and not self.over.is_set():
                    self._do(job)
                    job = self._open.done(job) if self._open is not None else None

    def _work_closed(self) -> None:
        gevent.sleep(max(0.0, (self._started - self.plan.now_ns()) / 1e9))
        while not self.over.is_set() and not self.ran_out and self.plan.now_ns() < self._end:
            job = self._closed.take()
            if job is None:
                gevent.sleep(_RETRY_S)
                continue
            try:
                self._do(job)
            finally:
                self._closed.done(job)

    def _dispatch(self, dispatch: OpenDispatch) -> None:
        while (coming := dispatch.peek()) is not None:
            wait_s = (coming.intended - self.plan.now_ns()) / 1e9
            if wait_s > SHORT_S:
                gevent.sleep(wait_s)
            elif (job := dispatch.take()) is not None:
                self._queue.put(job)

    def _end_when_finished(self) -> None:
        give_up = self._end + round(self.plan.drain_s * 1e9)
        while self.plan.now_ns() < give_up and not self._finished():
            gevent.sleep(_POLL_S)
        self.over.set()
        plan.over_path(self._folder, self._worker).touch()

    def _finished(self) -> bool:
        if self._open is not None:
            return self._open.left == 0
        return self._busy == 0 and (self.plan.now_ns() >= self._end or self.ran_out)

    def _do(self, job: Job) -> None:
        try:
            work = self._client.work_for(job.kind, job.node)
        except IndexError:
            self.ran_out = True
            plan.ran_out_path(self._folder).touch()
            return
        self._busy += 1
        try:
            intended, end, done = self._pool.apply(self._perform, (job, work))
        finally:
            self._busy -= 1
        error = None if done.outcome == 0 else f"{OUTCOMES[done.outcome]}: {done.error}"
        self._report(REQUEST_KINDS[job.kind], (end - intended) / 1e6, done.size, error)

    def _perform(self, job: Job, work: Commit | None) -> tuple[int, int, Done]:
        """Make the request, on a thread. Return its intended start, its end and its result.

        Any other error is a bug and goes to Locust.
        """
        start = self.plan.now_ns()
        intended = job.intended or start
        request = Request(job.number, job.kind, job.node, intended, start)
        self._journal.append(request)
        done = self._client.perform(job.kind, job.node, work)
        end = self.plan.now_ns()
        self._journal.append(
            request._replace(
                end=end,
                outcome=done.outcome,
                size=done.size,
                objects=done.objects,
                rows=done.rows,
            )
        )
        return intended, end, done


def _dial(address: tuple[str, int], timeout_s: float) -> socket.socket:
    """Connect with the operating system's own socket.

    gevent's socket would run an event loop in every thread of the pool.
    """
    own: type[socket.socket] = gevent.monkey.get_original("socket", "socket")
    resolve = gevent.monkey.get_original("socket", "getaddrinfo")
    family, kind, protocol, _, place = resolve(*address, type=socket.SOCK_STREAM)[0]
    sock = own(family, kind, protocol)
    sock.settimeout(timeout_s)
    try:
        sock.connect(place)
    except BaseException:
        sock.close()
        raise
    return sock
