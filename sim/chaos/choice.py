"""The calls and nodes that a fault hits: a function of (seed, fault's number, call, repetition).

The wall clock plays no part. Nor does the order in which calls of different nodes arrive. So a run
can be repeated although its threads and processes race.

A run with faults ends, because a repeated call succeeds in the end. A fault without a window hits
the same call (verb, bucket, key) at most INJECTIONS_PER_CALL times, whatever its share. A fault
with a window ends with it. `store.error` comes in bursts of two tries of a call. Windows are
virtual time; each farm has its own, and the caller passes it.

This module chooses for all layers: the store's interface (`sim.campaign.schedule`), the wire
(`proxy`) and a run's own processes (`shard`).
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from sim import seeds
from sim.chaos.call import Call
from sim.chaos.faults import (
    KINDS,
    READ_POINTS,
    WRITES,
    Fault,
    FaultPoint,
    InjectionCounts,
    Point,
    fault_point,
)
from sim.chaos.operations import methods

INJECTIONS_PER_CALL: Final = 2


class FaultChoice:
    """One fault of a scenario or schedule, with its number there, and the calls that it hits."""

    def __init__(self, seed: int, number: int, fault: Fault) -> None:
        self.number, self.fault = number, fault
        self._seed, self._left = seed, fault.count
        # By (verb, bucket, key): times that the call was made, and times that the fault hit it.
        self._made: Counter[tuple[str, str, str]] = Counter()
        self._hit: Counter[tuple[str, str, str]] = Counter()

    def draw(self, call: Call, now_s: float) -> float | None:
        """Return 0..1 if the fault hits this call, None if not. A hit counts against its limits.

        The number decides the details that the fault leaves open, such as the byte to change.
        """
        fault, place = self.fault, (call.verb, call.bucket, call.key)
        if not _concerns(fault, call, now_s):
            return None
        self._made[place] += 1
        if self._left == 0 or (
            self._hit[place] >= INJECTIONS_PER_CALL and not KINDS[fault.kind].windowed
        ):
            return None
        # Both tries of a burst of store.error have the same turn, and so the same draw.
        turn = (self._made[place] + 1) // 2 if fault.kind == "store.error" else self._made[place]
        path = ("chaos", self.number, call.turbine, *place, turn)
        if fault.share < 1 and chance(self._seed, *path) >= fault.share:
            return None
        self._count(place, 1)
        return chance(self._seed, *path, "how")

    def take_back(self, call: Call) -> None:
        """Uncount an injection that changed nothing."""
        self._count((call.verb, call.bucket, call.key), -1)

    def _count(self, place: tuple[str, str, str], times: int) -> None:
        self._hit[place] += times
        if self._left is not None:
            self._left -= times


class Injection(NamedTuple):
    """A fault to inject into a call. draw: 0..1, decides the details that the fault leaves open."""

    choice: FaultChoice
    draw: float

    @property
    def fault(self) -> Fault:
        return self.choice.fault


Note = Callable[[FaultPoint, int], None]
"""Called with the point of a fault before it acts, and 1; with -1 if it changed nothing."""


class Chooser:
    """Choice among faults, each with its number in the scenario. Safe to share between threads."""

    def __init__(
        self,
        seed: int,
        faults: Sequence[tuple[int, Fault]],
        note: Note = lambda point, times: None,
    ) -> None:
        self._note = note
        self._choices = [FaultChoice(seed, number, fault) for number, fault in faults]
        self._lock = threading.Lock()
        self.injections = InjectionCounts()

    def choose(self, call: Call, now_s: float) -> Injection | None:
        """Return the first fault that hits this call, if any. It counts as fired."""
        with self._lock:
            for choice in self._choices:
                draw = choice.draw(call, now_s)
                if draw is not None:
                    self._count(choice.fault, call, 1)
                    return Injection(choice, draw)
        return None

    def take_back(self, injection: Injection, call: Call) -> None:
        """Uncount an injection that changed nothing."""
        with self._lock:
            injection.choice.take_back(call)
            self._count(injection.fault, call, -1)

    def _count(self, fault: Fault, call: Call, times: int) -> None:
        point = fault_point(fault.kind, call.point)
        self._note(point, times)
        self.injections.by_point[point] += times


def applies(kind: str, point: Point, verb: str) -> bool:
    """Return True if a kind can hit such a call at all. A kind without points can hit any.

    A kind of WRITES hits no read at these points (of an object that exists), and one of READ_POINTS
    no write.
    """
    points = KINDS[kind].points
    return point in (points or (point,)) and points != (READ_POINTS if verb == "put" else WRITES)


def _concerns(fault: Fault, call: Call, now_s: float) -> bool:
    """Return True if a call meets all conditions of a fault, apart from its share and its count."""
    return (
        (_names_request(fault, call) if fault.calls else _is_at(fault, call))
        and (not fault.farms or call.farm in fault.farms)
        and (not fault.buckets or call.bucket in fault.buckets)
        and (not fault.keys or any(fnmatchcase(call.key, pattern) for pattern in fault.keys))
        and (not KINDS[fault.kind].windowed or in_window(fault, now_s))
    )


def _names_request(fault: Fault, call: Call) -> bool:
    """Return True if a fault names this request by method or operation, whoever makes it."""
    return call.method in methods(KINDS[fault.kind]) and (
        call.method in fault.calls or call.operation in fault.calls
    )


def _is_at(fault: Fault, call: Call) -> bool:
    """Return True if a call is at one of the fault's points of a node's protocol."""
    return applies(fault.kind, call.point, call.verb) and (
        not fault.at or call.point in {_point(at) for at in fault.at}
    )


def _point(at: str) -> str:
    return at.removeprefix("before-").removeprefix("after-")


def comes_after(fault: Fault, point: Point, draw: float) -> bool:
    """Return True if a crash at a point comes after the call's effect.

    `at` decides; if it leaves the side open, half of the crashes do.
    """
    sides = {at.partition("-")[0] for at in fault.at if at in (f"before-{point}", f"after-{point}")}
    return sides == {"after"} or (len(sides) != 1 and draw < 0.5)


def in_window(fault: Fault, now_s: float) -> bool:
    """Return True if a windowed fault is on. now_s: virtual seconds since the run's start."""
    return fault.from_s <= now_s < fault.from_s + fault.for_s


def chosen(seed: int, number: int, fault: Fault, turbine: str) -> bool:
    """Return True if a fault of nodes hits this node, whatever other nodes and faults do."""
    return chance(seed, "chaos", number, "node", turbine) < fault.share


def chance(seed: int, *path: str | int) -> float:
    """Return a number in 0..1, a function of (seed, path)."""
    return seeds.number(seed, *path) / 2**64
