"""Which faults strike a call or a node: a function of (seed, fault's number, the call, how often it was made).

Never of time on the wall, and the order in which calls of different nodes arrive does not matter, so a run can be
repeated although its threads and processes race. Every call heals: one fault strikes the same call (verb, bucket, key)
at most STRIKES times, whatever its share, so that a run with faults ends. `store.error` comes in bursts of two tries of
a call. Windows are virtual time, which is the farm's and is told by who knows it.

All worlds decide here: at the seam (`schedule`), on the wire (`proxy`) and in a run's own processes (`sim.chaos.shard`).
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from sim import seeds
from sim.chaos.call import Call
from sim.chaos.faults import FOREIGN, KINDS, Fault, Point, Struck, cell
from sim.chaos.operations import methods

STRIKES: Final = 2
_WRITES_ONLY: Final = frozenset(
    {
        *("store.ack-lost", "store.error-after", "store.late-commit", "store.corrupted-put"),
        *("store.conflict", "store.precondition", "bucket.refuses", FOREIGN),
    }
)


class Share:
    """One fault of a scenario or schedule, with its number there, over all the calls that it may strike."""

    def __init__(self, seed: int, number: int, fault: Fault) -> None:
        self.number, self.fault = number, fault
        self._seed, self._left = seed, fault.count
        self._asked: Counter[tuple[str, str, str]] = Counter()
        self._hit: Counter[tuple[str, str, str]] = Counter()

    def strikes(self, call: Call, now_s: float) -> float | None:
        """None: it lets the call be. Else 0..1, for what the fault leaves open; it counts against its limits."""
        fault, place = self.fault, (call.verb, call.bucket, call.key)
        if not _concerns(fault, call, now_s):
            return None
        self._asked[place] += 1
        if self._left == 0 or (self._hit[place] >= STRIKES and not KINDS[fault.kind].windowed):
            return None
        time = (self._asked[place] + 1) // 2 if fault.kind == "store.error" else self._asked[place]
        path = ("chaos", self.number, call.turbine, *place, time)
        if fault.share < 1 and chance(self._seed, *path) >= fault.share:
            return None
        self._count(place, 1)
        return chance(self._seed, *path, "how")

    def spare(self, call: Call) -> None:
        """Take a strike back: there was nothing to strike."""
        self._count((call.verb, call.bucket, call.key), -1)

    def _count(self, place: tuple[str, str, str], times: int) -> None:
        self._hit[place] += times
        if self._left is not None:
            self._left -= times


class Strike(NamedTuple):
    """A fault that is to strike a call; `how`: 0..1, for whatever the fault leaves open."""

    share: Share
    how: float

    @property
    def fault(self) -> Fault:
        return self.share.fault


class Chooser:
    """`faults`: each with its number in the scenario; only these can strike. Safe to share between threads."""

    def __init__(self, seed: int, faults: Sequence[tuple[int, Fault]]) -> None:
        self._shares = [Share(seed, number, fault) for number, fault in faults]
        self._lock = threading.Lock()
        self.struck = Struck()

    def choose(self, call: Call, now_s: float) -> Strike | None:
        """The first fault that strikes this call; None: let it be. It counts as fired, and against its limits."""
        with self._lock:
            for share in self._shares:
                how = share.strikes(call, now_s)
                if how is not None:
                    self.struck.cells[cell(share.fault.kind, call.point)] += 1
                    return Strike(share, how)
        return None

    def spare(self, strike: Strike, call: Call) -> None:
        """Take a strike back: there was nothing to strike."""
        with self._lock:
            strike.share.spare(call)
            self.struck.cells[cell(strike.fault.kind, call.point)] -= 1


def applies(kind: str, point: Point, verb: str) -> bool:
    """Whether a kind can strike such a call at all. One without points of its own strikes any."""
    return (
        point in (KINDS[kind].points or (point,))
        and (verb == "put" or kind not in _WRITES_ONLY)
        and (verb != "put" or kind != "store.truncated-get")
    )


def _concerns(fault: Fault, call: Call, now_s: float) -> bool:
    return (
        (_is_called(fault, call) if fault.calls else _is_at(fault, call))
        and (not fault.farms or call.farm in fault.farms)
        and (not fault.buckets or call.bucket in fault.buckets)
        and (not fault.keys or any(fnmatchcase(call.key, pattern) for pattern in fault.keys))
        and (not KINDS[fault.kind].windowed or in_window(fault, now_s))
    )


def _is_called(fault: Fault, call: Call) -> bool:
    """Whether a fault calls for requests like this one, whoever makes it."""
    return call.method in methods(KINDS[fault.kind]) and (
        call.method in fault.calls or call.operation in fault.calls
    )


def _is_at(fault: Fault, call: Call) -> bool:
    """Whether a call is at a point of a node's protocol where a fault strikes."""
    return applies(fault.kind, call.point, call.verb) and (
        not fault.at or call.point in {_point(at) for at in fault.at}
    )


def _point(at: str) -> str:
    return at.removeprefix("before-").removeprefix("after-")


def comes_after(fault: Fault, point: Point, how: float) -> bool:
    """Whether a crash at a point comes behind the effect: what `at` says, else every second one."""
    sides = {at.partition("-")[0] for at in fault.at if at in (f"before-{point}", f"after-{point}")}
    return sides == {"after"} or (len(sides) != 1 and how < 0.5)


def in_window(fault: Fault, now_s: float) -> bool:
    """Whether a fault that lasts is on. Virtual seconds since the run's start."""
    return fault.from_s <= now_s < fault.from_s + fault.for_s


def chosen(seed: int, number: int, fault: Fault, turbine: str) -> bool:
    """Whether a fault of nodes is this node's: a share of all nodes, the same whatever else there is."""
    return chance(seed, "chaos", number, "node", turbine) < fault.share


def chance(seed: int, *path: str | int) -> float:
    """A number in 0..1 of (seed, path)."""
    return seeds.number(seed, *path) / 2**64
