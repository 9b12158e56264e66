"""Who does what next in one client process: pure bookkeeping, no waiting in here.

Flushes of one node keep their order and never overlap: one that is due while the node's last is under way stands
aside, and is the next thing its user does. Reads do not wait for each other.
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


class Job(NamedTuple):
    """One request to be made. `intended`: ns since 1970; 0 in a closed phase, where it is the start."""

    number: int
    kind: int
    node: int
    intended: int


class OpenDesk:
    """The arrivals of one worker."""

    def __init__(self, arrivals: Arrivals, intended_ns: Ints, worker: int, workers: int) -> None:
        mine = arrivals.share(worker, workers)
        kinds, nodes = arrivals.kind[mine].tolist(), arrivals.node[mine].tolist()
        times = intended_ns[mine].tolist()
        self._jobs = [Job(*each) for each in zip(mine.tolist(), kinds, nodes, times, strict=True)]
        self._aside: dict[int, deque[Job]] = {}  # of nodes with a flush under way
        self._next = 0
        self.left = len(self._jobs)

    def coming(self) -> Job | None:
        """The next arrival that has not been due yet."""
        return self._jobs[self._next] if self._next < len(self._jobs) else None

    def due(self) -> Job | None:
        """`coming` is due: the job to be done, None when it stands aside."""
        job = self._jobs[self._next]
        self._next += 1
        if job.kind != FLUSH:
            return job
        if job.node in self._aside:
            self._aside[job.node].append(job)
            return None
        self._aside[job.node] = deque()
        return job

    def done(self, job: Job) -> Job | None:
        """The job has ended: what stood aside for it, if anything."""
        self.left -= 1
        if job.kind != FLUSH:
            return None
        if self._aside[job.node]:
            return self._aside[job.node].popleft()
        del self._aside[job.node]
        return None


class ClosedDesk:
    """As many requests as the users make: kinds by the mix, nodes in turn. Numbers count from `worker` by `workers`."""

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
        """The next request; None when it would be a flush and no node is free."""
        if not self._draws:
            draw = rng(self._seed, "load", *self._path, self._page).random(1024)
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
        if job.kind == FLUSH:
            self._idle.append(job.node)
