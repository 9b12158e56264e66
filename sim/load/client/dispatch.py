"""The order of requests in one client process. Bookkeeping only: nothing here waits.

Flushes of one node keep their order and never overlap. A flush that is due while another of its
node is under way is queued, and becomes the next request of the same user. Reads never wait for
each other.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

import numpy as np

from sim.arrays import Ints
from sim.load.arrivals import Mix
from sim.load.phase import Arrivals
from sim.load_schedule import REQUEST_KINDS
from sim.seeds import rng

FLUSH: Final = REQUEST_KINDS.index("flush")
_DRAWS: Final = 1024
"""Random numbers drawn at a time."""


class Job(NamedTuple):
    """One request to make.

    intended: ns since 1970. 0 in a closed phase, where the intended start is the start.
    """

    number: int
    kind: int
    node: int
    intended: int


class OpenDispatch:
    """The arrivals of one worker. left: the number of jobs that have not ended."""

    def __init__(self, arrivals: Arrivals, intended_ns: Ints, worker: int, workers: int) -> None:
        mine = arrivals.share(worker, workers)
        kinds, nodes = arrivals.kind[mine].tolist(), arrivals.node[mine].tolist()
        times = intended_ns[mine].tolist()
        self._jobs = [Job(*each) for each in zip(mine.tolist(), kinds, nodes, times, strict=True)]
        self._queues: dict[int, deque[Job]] = {}  # only of nodes with a flush under way
        self._next = 0
        self.left = len(self._jobs)

    def peek(self) -> Job | None:
        """Return the next arrival, without taking it. None after the last."""
        return self._jobs[self._next] if self._next < len(self._jobs) else None

    def take(self) -> Job | None:
        """Take the next arrival. None if it is queued until its node's flush has ended."""
        job = self._jobs[self._next]
        self._next += 1
        if job.kind != FLUSH:
            return job
        if job.node in self._queues:
            self._queues[job.node].append(job)
            return None
        self._queues[job.node] = deque()
        return job

    def done(self, job: Job) -> Job | None:
        """Mark a job as ended. Return the flush that was queued until then, if any."""
        self.left -= 1
        if job.kind != FLUSH:
            return None
        if self._queues[job.node]:
            return self._queues[job.node].popleft()
        del self._queues[job.node]
        return None


class ClosedDispatch:
    """The jobs of one worker in a closed phase: as many as its users can make.

    Kinds follow the mix, nodes take turns. Job numbers are worker, worker + workers, and so on.
    """

    def __init__(
        self, nodes: int, mix: Mix, seed: int, name: str, worker: int, workers: int
    ) -> None:
        self._idle = deque(node for node in range(nodes) if node % workers == worker)
        self._kinds = [REQUEST_KINDS.index(kind) for kind, _ in mix]
        self._edges = np.cumsum([weight for _, weight in mix]) / sum(weight for _, weight in mix)
        self._path = (name, "mix", worker)
        self._seed, self._number, self._step = seed, worker, workers
        self._draws: deque[int] = deque()
        self._page = 0
        self._reader = worker

    def take(self) -> Job | None:
        """Return the next job. None if it is a flush and no node is free."""
        if not self._draws:
            draw = rng(self._seed, "load", *self._path, self._page).random(_DRAWS)
            self._draws.extend(np.searchsorted(self._edges, draw, side="right").tolist())
            self._page += 1
        kind = self._kinds[min(self._draws[0], len(self._kinds) - 1)]
        if kind == FLUSH and not self._idle:
            return None
        self._draws.popleft()
        if kind == FLUSH:
            node = self._idle.popleft()
        else:
            node, self._reader = self._reader, self._reader + self._step
        job = Job(self._number, kind, node, 0)
        self._number += self._step
        return job

    def done(self, job: Job) -> None:
        """Mark a job as ended. A flush frees its node."""
        if job.kind == FLUSH:
            self._idle.append(job.node)
