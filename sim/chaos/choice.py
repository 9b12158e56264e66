"""Which faults strike a call: a function of (seed, fault's number, the call, how often it was made), never of time.

The order in which calls of different nodes arrive does not matter, so a run can be repeated although its threads and
processes race. Every call heals: one fault strikes the same call (verb, bucket, key) at most STRIKES times, whatever
its share, so that a run with faults ends. `store.error` comes in bursts of two tries of a call. Windows are virtual
time, which is the farm's and is told by who knows it.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from sim import seeds
from sim.chaos.faults import KINDS, Fault, Struck
from sim.chaos.wire import Call

STRIKES: Final = 2


class Strike(NamedTuple):
    """A fault that is to strike a call; `how`: 0..1, for whatever the fault leaves open."""

    number: int
    fault: Fault
    how: float


class Chooser:
    """`faults`: each with its number in the scenario; only these can strike. Safe to share between threads."""

    def __init__(self, seed: int, faults: Sequence[tuple[int, Fault]]) -> None:
        self._seed = seed
        self._faults = faults
        self._lock = threading.Lock()
        self._asked: Counter[tuple[str | int, ...]] = Counter()
        self._hit: Counter[tuple[str | int, ...]] = Counter()
        self._left = {number: fault.count for number, fault in faults if fault.count is not None}
        self.struck = Struck()

    def choose(self, call: Call, now_s: float) -> Strike | None:
        """The first fault that strikes this call; None: let it be. It counts as fired, and against its limits."""
        with self._lock:
            for number, fault in self._faults:
                if not _concerns(fault, call, now_s):
                    continue
                place = (number, call.verb, call.bucket, call.key)
                self._asked[place] += 1
                lasts = KINDS[fault.kind].windowed
                if self._left.get(number, 1) <= 0 or (self._hit[place] >= STRIKES and not lasts):
                    continue
                time = (self._asked[place] + 1) // 2 if fault.kind == "store.error" else self._asked[place]
                path = ("chaos", number, call.turbine, call.verb, call.bucket, call.key, time)
                if chance(self._seed, *path) < fault.share:
                    self._count(fault, place, 1)
                    return Strike(number, fault, chance(self._seed, *path, "how"))
        return None

    def spare(self, strike: Strike, call: Call) -> None:
        """Take a strike back: there was nothing to strike."""
        with self._lock:
            self._count(strike.fault, (strike.number, call.verb, call.bucket, call.key), -1)

    def _count(self, fault: Fault, place: tuple[int, str, str, str], times: int) -> None:
        self._hit[place] += times
        self.struck.fired[fault.kind] += times
        if place[0] in self._left:
            self._left[place[0]] -= times


def _concerns(fault: Fault, call: Call, now_s: float) -> bool:
    kind = KINDS[fault.kind]
    points = {at.partition("-")[2] if fault.kind == "node.crash" else at for at in fault.at} or set(kind.points)
    return (
        call.point in points
        and (not fault.farms or call.farm in fault.farms)
        and (not fault.buckets or call.bucket in fault.buckets)
        and (call.verb == "put" or fault.kind not in _WRITES_ONLY)
        and (call.verb != "put" or fault.kind != "store.truncated-get")
        and (not kind.windowed or in_window(fault, now_s))
    )


_WRITES_ONLY: Final = frozenset(
    {
        *("store.ack-lost", "store.error-after", "store.late-commit", "store.corrupted-put"),
        *("store.conflict", "store.precondition", "bucket.refuses"),
    }
)


def in_window(fault: Fault, now_s: float) -> bool:
    """Whether a fault that lasts is on. Virtual seconds since the run's start."""
    return fault.from_s <= now_s < fault.from_s + fault.for_s


def chance(seed: int, *path: str | int) -> float:
    """A number in 0..1 of (seed, path)."""
    return seeds.number(seed, *path) / 2**64
