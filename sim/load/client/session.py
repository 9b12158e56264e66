"""One phase in one client process: users (greenlets) that make requests at their intended times, all of it noted.

A dispatcher waits for each arrival's intended time and puts it in line; a free user takes it, and does it on a thread
of its own: a commit computes and would hold up every other greenlet of the process, so gevent's threadpool is as large
as the users. `start` and `end` are taken on that thread, right around the work. In a closed phase users help
themselves.

The session is over when all arrivals are done, or `drain_s` behind the phase's end; what is under way then is
`abandoned`. Only for the locust subprocess: imports gevent.
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
from sim.load.client.dispatch import ClosedDesk, Job, OpenDesk
from sim.load.client.journal import Journal, OperationLog, intended_ns
from sim.load.client.request import Client, Done
from sim.load.client.written_keys import Noting
from sim.load.phase import OUTCOMES
from sim.load_schedule import REQUEST_KINDS

LEAD_NS: Final = 300_000_000
"""Between the word to start and the schedule's 0: every worker must have heard it by then."""
SHORT_S: Final = 0.0005  # of a wait: gevent's timer is no finer
_RETRY_S: Final = 0.002  # of a closed user that found no free node

Tell = Callable[[str, float, int, str | None], None]
"""Told of each request: kind, latency in ms, bytes, error or None."""


class Session:
    """`worker` of the plan's workers. `tell` feeds Locust's own statistics."""

    def __init__(self, folder: Path, worker: int, tell: Tell) -> None:
        """Raises OSError, StoreError, ValueError."""
        self.plan = plan.read(folder)
        self._folder, self._worker, self._tell = folder, worker, tell
        store = S3ObjectStore(self.plan.store, self.plan.timeout_s, _dial)
        noting = Noting(store, folder, str(worker))
        log = OperationLog(folder, worker)
        recorded = Retrying(noting, log.append, attempts=1, now_ns=self.plan.now_ns)
        prepared = Prepared(self.plan.batches)
        self._client = Client(
            recorded, prepared, self.plan.seeded, self.plan.encode_inside, self.plan.again
        )
        if not self.plan.again:
            self._client.ready(
                store, [n for n in range(self.plan.seeded) if n % self.plan.workers == worker]
            )
        self._journal = Journal(folder, worker)
        plan.pid_path(folder, worker).write_text(str(os.getpid()), encoding="utf-8")
        self._pool = gevent.get_hub().threadpool
        self._pool.maxsize = max(self.plan.users, 1)
        self._line: Queue[Job | None] = Queue()
        self._busy = 0
        self.ran_out = False
        self.over = Event()

    def start(self, started_ns: int) -> None:
        """The schedule's 0 is at `started_ns`. Users may come before or after."""
        self._started, self._end = started_ns, started_ns + round(self.plan.duration_s * 1e9)
        if self.plan.arrivals is not None:
            times = intended_ns(self.plan.arrivals, started_ns)
            self._open: OpenDesk | None = OpenDesk(
                self.plan.arrivals, times, self._worker, self.plan.workers
            )
            gevent.spawn(self._dispatch, self._open)
        else:
            self._open = None
            self._closed = ClosedDesk(
                self.plan.nodes,
                self.plan.mix,
                self.plan.seed,
                self.plan.name,
                self._worker,
                self.plan.workers,
            )
            for _ in range(self.plan.users):
                self._line.put(None)  # a token a user
        gevent.spawn(self._watch)

    def work(self) -> None:
        """What a user does until the session is over."""
        while not self.over.is_set():
            job = self._line.get()
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

    def _dispatch(self, desk: OpenDesk) -> None:
        while (coming := desk.coming()) is not None:
            wait_s = (coming.intended - self.plan.now_ns()) / 1e9
            if wait_s > SHORT_S:
                gevent.sleep(wait_s)
            elif (job := desk.due()) is not None:
                self._line.put(job)

    def _watch(self) -> None:
        give_up = self._end + round(self.plan.drain_s * 1e9)
        while self.plan.now_ns() < give_up and not self._finished():
            gevent.sleep(0.02)
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
        self._tell(REQUEST_KINDS[job.kind], (end - intended) / 1e6, done.size, error)

    def _perform(self, job: Job, work: Commit | None) -> tuple[int, int, Done]:
        """On a thread. An error of windfleet itself is noted as such and ends up with Locust."""
        start = self.plan.now_ns()
        intended = job.intended or start
        self._journal.note(job.number, job.kind, job.node, intended, start)
        done = self._client.perform(job.kind, job.node, work)
        end = self.plan.now_ns()
        self._journal.note(
            job.number,
            job.kind,
            job.node,
            intended,
            start,
            end,
            done.outcome,
            done.size,
            done.objects,
            done.rows,
        )
        return intended, end, done


def _dial(address: tuple[str, int], timeout_s: float) -> socket.socket:
    """Connect by the operating system's own socket: gevent's would run an event loop in every thread of the pool."""
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
