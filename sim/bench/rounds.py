"""Rounds of parts in turn, and their cost: CPU time of this process and of the store."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Final, Protocol

import numpy as np

_NUMBERS: Final = 1_000_000


class Server(Protocol):
    """A store's process."""

    def cpu_seconds(self) -> float:
        """Return its CPU time so far."""


@dataclass(frozen=True)
class Cost:
    """Seconds: CPU time of this process, CPU time of the store, wall time."""

    cpu_s: float
    server_s: float = 0.0
    wall_s: float = 0.0

    @property
    def both_s(self) -> float:
        return self.cpu_s + self.server_s

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.cpu_s + other.cpu_s, self.server_s + other.server_s, self.wall_s + other.wall_s
        )


@dataclass
class Rounds:
    """The costs of the rounds of one part, in seconds, in the order of the rounds."""

    cpu_s: list[float] = field(default_factory=list)
    server_s: list[float] = field(default_factory=list)
    wall_s: list[float] = field(default_factory=list)

    def add(self, cost: Cost) -> None:
        self.cpu_s.append(cost.cpu_s)
        self.server_s.append(cost.server_s)
        self.wall_s.append(cost.wall_s)

    @property
    def least(self) -> Cost:
        """The least of each: other programs only add."""
        return Cost(min(self.cpu_s), min(self.server_s), min(self.wall_s))

    @property
    def middle_s(self) -> float:
        """Median of both CPU times together."""
        return median(a + b for a, b in zip(self.cpu_s, self.server_s, strict=True))


Work = Callable[[], object]


@dataclass(frozen=True)
class Part:
    """One part of the job. floor: the leanest code for it, if there is one.

    before: preparation of both, not measured.
    """

    name: str
    product: Work
    floor: Work | None = None
    before: Work | None = None


@contextmanager
def metered(server: Server | None = None) -> Iterator[list[Cost]]:
    """Measure a block. The list that it gets holds the cost afterwards."""
    found: list[Cost] = []
    served = server.cpu_seconds() if server else 0.0
    wall, cpu = time.perf_counter(), time.process_time()
    yield found
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    found.append(Cost(cpu, server.cpu_seconds() - served if server else 0.0, wall))


def run_once(work: Work, server: Server | None = None) -> Cost:
    """Return the cost of one call. Garbage of earlier calls is collected first."""
    gc.collect()
    with metered(server) as cost:
        work()
    return cost[0]


def interleaved(
    parts: Sequence[Part], number: int, server: Server | None
) -> tuple[list[float], dict[str, tuple[Rounds, Rounds | None]]]:
    """Run all parts `number` times, product and floor of each in turn.

    Return the CPU times of the fixed work, and (product, floor) by name.
    """
    fixed_s = []
    found: dict[str, tuple[Rounds, Rounds | None]] = {
        part.name: (Rounds(), Rounds() if part.floor else None) for part in parts
    }
    for _ in range(number):
        fixed_s.append(fixed_work())
        for part in parts:
            for work, rounds in zip((part.product, part.floor), found[part.name], strict=True):
                if work is not None and rounds is not None:
                    if part.before is not None:
                        part.before()
                    rounds.add(run_once(work, server))
    return fixed_s, found


def fixed_work() -> float:
    """Return the CPU seconds of the fixed work: sorting a million numbers."""
    numbers = np.random.default_rng(1).random(_NUMBERS)
    return run_once(lambda: np.sort(numbers)).cpu_s
