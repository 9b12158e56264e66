"""Schedules: the faults of one run as one line of text, and the calls of that run that they hit.

    attempts=1 down=0 seed=7 node.crash/after#37 store.error%0.05@data store.outage[600+300]

kind#n      the first call from the n-th on that the kind applies to; calls are numbered from 1
            through the whole run, and a call with a fault counts, too
kind%share  each call with that chance, a function of (seed, position in the line, call) and never
            of time (`sim.chaos.choice`)
[from+for]  a window, in virtual seconds
@points     only at these points
=names      only in these buckets (farm.uplink: only these farms)
*n          at most n times
/after      of node.crash: after the call's effect
attempts    tries per request
down        flushes that a crashed process misses
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from sim.chaos.call import Call
from sim.chaos.choice import FaultChoice, applies, chosen, comes_after, in_window
from sim.chaos.faults import CRASH, KINDS, NODE_INTERVALS, POINTS, SECOND_WRITER, UPLINK, Fault
from sim.errors import ScheduleError


@dataclass(frozen=True)
class PlannedInjection:
    """One fault at the first call from `number` on that it applies to.

    after: of node.crash, after the call's effect.
    """

    kind: str
    number: int
    after: bool = False


@dataclass(frozen=True)
class FiredFault:
    """A fault that fired at call `number`. point: "" for a fault of a node or its file."""

    kind: str
    after: bool
    number: int
    point: str


@dataclass(frozen=True)
class Line:
    """A whole schedule as data. `str()` and `parse` are inverses."""

    items: tuple[PlannedInjection | Fault, ...] = ()
    seed: int = 0
    attempts: int = 1
    down: int = 0

    def __str__(self) -> str:
        head = f"attempts={self.attempts} down={self.down} seed={self.seed}"
        return " ".join([head, *(_word(item) for item in self.items)])


@dataclass
class Schedule:
    """A line applied to a run: it counts calls, chooses faults and keeps those that fired.

    faults_ended: from now on no fault fires. A call gets at most one fault, the first of the line
    that hits it. Safe to share between threads.
    """

    line: Line
    calls: int = 0
    faults_ended: bool = False
    fired: list[FiredFault] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        if wire_only := [
            item.kind
            for item in self.line.items
            if isinstance(item, Fault) and (item.calls or item.keys)
        ]:
            raise ScheduleError(
                f"{wire_only[0]}: calls and keys select requests on the wire; a schedule has none"
            )
        self._spent: set[int] = set()
        self._item_of: dict[int, int] = {}  # number of a call -> index of the item that hit it
        self._choices = {
            index: FaultChoice(self.line.seed, index, item)
            for index, item in enumerate(self.line.items)
            if isinstance(item, Fault)
        }

    def may_fire(self, calls: tuple[int, int], times_s: tuple[float, ...]) -> bool:
        """Return True if a fault can fire at these times, or at calls from the first number on.

        calls: the first number and the one after the last.
        """
        return any(
            calls[0] <= item.number < calls[1]
            if isinstance(item, PlannedInjection)
            else not KINDS[item.kind].windowed or any(in_window(item, time_s) for time_s in times_s)
            for item in self.line.items
        )

    def choose(self, call: Call, now_s: float, nested: bool = False) -> FiredFault | None:
        """Count the call and return the fault that hits it, if any.

        nested: the call is a second writer's, which gets no second writer of its own.
        """
        with self._lock:
            self.calls += 1
            if self.faults_ended:
                return None
            for index, item in enumerate(self.line.items):
                if item.kind in NODE_INTERVALS or (nested and item.kind == SECOND_WRITER):
                    continue
                after = self._hit(index, item, call, now_s)
                if after is not None:
                    found = FiredFault(
                        item.kind, after and item.kind == CRASH, self.calls, call.point
                    )
                    self.fired.append(found)
                    self._item_of[self.calls] = index
                    return found
        return None

    def take_back(self, fired: FiredFault, call: Call) -> None:
        """Remove a fault that changed nothing. A numbered one waits for its next call."""
        with self._lock:
            self.fired.remove(fired)
            index = self._item_of[fired.number]
            self._spent.discard(index)
            if index in self._choices:
                self._choices[index].take_back(call)

    def node_fault(self, kinds: Sequence[str], turbine: str, now_s: float) -> str | None:
        """Return the first of these kinds that affects a node now. It counts as fired.

        kinds: of NODE_INTERVALS.
        """
        for kind in kinds if not self.faults_ended else ():
            for choice in self._choices.values():
                if choice.fault.kind != kind or not in_window(choice.fault, now_s):
                    continue
                if chosen(self.line.seed, choice.number, choice.fault, turbine):
                    self.fired.append(FiredFault(kind, False, self.calls, ""))
                    return kind
        return None

    def _hit(
        self, index: int, item: PlannedInjection | Fault, call: Call, now_s: float
    ) -> bool | None:
        """Return None if the item misses this call, else True for a crash after its effect."""
        if isinstance(item, Fault):
            draw = self._choices[index].draw(call, now_s)
            return None if draw is None else comes_after(item, call.point, draw)
        if (
            index in self._spent
            or self.calls < item.number
            or not applies(item.kind, call.point, call.verb)
        ):
            return None
        self._spent.add(index)
        return item.after


def _word(item: PlannedInjection | Fault) -> str:
    if isinstance(item, PlannedInjection):
        return f"{item.kind}{'/after' if item.after else ''}#{item.number}"
    window = f"[{item.from_s:.12g}+{item.for_s:.12g}]" if KINDS[item.kind].windowed else ""
    share = f"%{item.share!r}" if item.share != 1 or not window else ""
    at = f"@{','.join(item.at)}" if item.at else ""
    names = item.farms if item.kind == UPLINK else item.buckets
    return f"{item.kind}{window}{share}{at}{'=' + ','.join(names) if names else ''}" + (
        f"*{item.count}" if item.count is not None else ""
    )


_WORD = re.compile(
    r"(?P<kind>[a-z]+\.[a-z-]+)(?P<after>/after)?(?:#(?P<number>\d+))?"
    r"(?:\[(?P<from>[\d.]+)\+(?P<for>[\d.]+)\])?(?:%(?P<share>[\d.e-]+))?"
    r"(?:@(?P<at>[a-z,-]+))?(?:=(?P<names>[\w,]+))?(?:\*(?P<count>\d+))?"
)
_HEAD = re.compile(r"(attempts|down|seed)=(\d+)")


def parse(text: str) -> Line:
    """Return the schedule of a line of text. Raises ScheduleError."""
    head = {"attempts": 1, "down": 0, "seed": 0}
    items: list[PlannedInjection | Fault] = []
    for word in text.split():
        if setting := _HEAD.fullmatch(word):
            head[setting[1]] = int(setting[2])
        else:
            items.append(_item(word))
    if head["attempts"] < 1:
        raise ScheduleError("attempts=0: a request is tried at least once")
    return Line(tuple(items), head["seed"], head["attempts"], head["down"])


def _item(word: str) -> PlannedInjection | Fault:
    found = _WORD.fullmatch(word)
    if found is None or found["kind"] not in KINDS:
        raise ScheduleError(f"{word!r} is not a fault of a schedule; kinds are {', '.join(KINDS)}")
    if found["after"] and (found["kind"] != CRASH or not found["number"]):
        raise ScheduleError(
            f"{word!r}: /after is for {CRASH}#number; write @after-data for a share"
        )
    return _numbered(word, found) if found["number"] else _fault(word, found)


def _numbered(word: str, found: re.Match[str]) -> PlannedInjection:
    others = ("share", "from", "at", "names", "count")
    if found["kind"] in NODE_INTERVALS or any(found[name] for name in others):
        raise ScheduleError(
            f"{word!r}: a numbered fault hits one call; it has no window, share or place"
        )
    if int(found["number"]) < 1:
        raise ScheduleError(f"{word!r}: calls are numbered from 1")
    return PlannedInjection(found["kind"], int(found["number"]), found["after"] is not None)


def _fault(word: str, found: re.Match[str]) -> Fault:
    kind = found["kind"]
    windowed = KINDS[kind].windowed
    if windowed != (found["from"] is not None) or not (found["from"] or found["share"]):
        needs = "[from+for]" if windowed else "#number or %share"
        raise ScheduleError(f"{word!r}: {kind} needs {needs}")
    at = tuple(found["at"].split(",")) if found["at"] else ()
    if unknown := [
        name for name in at if name.removeprefix("before-").removeprefix("after-") not in POINTS
    ]:
        raise ScheduleError(f"{word!r}: no such point {unknown[0]}; points are {', '.join(POINTS)}")
    names = tuple(found["names"].split(",")) if found["names"] else ()
    try:
        share, begin, lasts = (
            float(found[name] or usual) for name, usual in (("share", 1), ("from", 0), ("for", 0))
        )
    except ValueError as error:
        raise ScheduleError(f"{word!r}: {str(error).rpartition(' ')[2]} is not a number") from error
    if not 0 < share <= 1:
        raise ScheduleError(f"{word!r}: a share is more than 0 and at most 1")
    return Fault(
        kind,
        at,
        share,
        begin,
        lasts,
        farms=names if kind == UPLINK else (),
        buckets=() if kind == UPLINK else names,
        count=int(found["count"]) if found["count"] else None,
    )


def expanded(line: Line, fired: Sequence[FiredFault]) -> Line:
    """Return a line with the calls that were hit, by number, instead of shares and windows."""
    kept = [item for item in line.items if item.kind in NODE_INTERVALS]
    numbered = [
        PlannedInjection(fault.kind, fault.number, fault.after)
        for fault in fired
        if fault.kind not in NODE_INTERVALS
    ]
    return Line((*kept, *numbered), line.seed, line.attempts, line.down)
