"""Which store call is struck by which fault: one schedule is one run's bad luck, and one line of text repeats it.

    attempts=1 down=0 seed=7 node.crash/after#37 store.error%0.05@data store.outage[600+300] bucket.refuses[0+9]

`kind#n` strikes the first call from the n-th on that the kind applies to (calls are numbered from 1 through the whole
run, faults count as calls). `kind%share` strikes each call with that chance, decided by (seed, place in the line, the
call) and never by time. `[from+for]` is a window of virtual seconds, `@` names points, `=` buckets (for farm.uplink:
farms), `*n` is the most it may strike. `/after` is for node.crash: the effect is there. `attempts` is how often a
request is tried, `down` for how many flushes a crashed process stays away.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sim import seeds
from sim.chaos.faults import KINDS, POINTS, Fault, Point

CRASH: Final = "node.crash"
SECOND_WRITER: Final = "node.second-writer"
OFFLINE: Final = "node.offline"
UPLINK: Final = "farm.uplink"
_EVERYWHERE: Final = (SECOND_WRITER, UPLINK)


class ScheduleError(ValueError):
    """A line that is no schedule; the text names the word and what was expected."""


@dataclass(frozen=True)
class Strike:
    """One fault at the first call from `number` on that it applies to. `after` is for node.crash."""

    kind: str
    number: int
    after: bool = False


@dataclass(frozen=True)
class Call:
    """One store call of a node, as the schedule sees it. `stage` is the bucket's name without prefix."""

    farm: str
    point: Point
    verb: str
    stage: str
    key: str
    now_s: float


@dataclass(frozen=True)
class Fired:
    """A fault that struck call `number`, at a point of it ("" for a node that was off)."""

    kind: str
    after: bool
    number: int
    point: str


@dataclass(frozen=True)
class Line:
    """A whole schedule as data; `str()` and `parse` are each other's inverse."""

    items: tuple[Strike | Fault, ...] = ()
    seed: int = 0
    attempts: int = 1
    down: int = 0

    def __str__(self) -> str:
        head = f"attempts={self.attempts} down={self.down} seed={self.seed}"
        return " ".join([head, *(_word(item) for item in self.items)])


@dataclass
class Schedule:
    """A line at work: counts calls, says which is struck, and keeps what fired. Safe to share between threads.

    `healed` ends all faults. A call is struck at most once; of several faults the first of the line.
    """

    line: Line
    calls: int = 0
    healed: bool = False
    fired: list[Fired] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._spent: set[int] = set()
        self._times: Counter[int] = Counter()
        self._seen: Counter[tuple[str, str, str, str]] = Counter()

    def ask(self, call: Call, nested: bool = False) -> Fired | None:
        """Count the call; what strikes it, if anything. `nested`: it is a second writer's, which brings no third."""
        with self._lock:
            self.calls += 1
            place = (call.farm, call.verb, call.stage, call.key)
            self._seen[place] += 1
            if self.healed:
                return None
            for index, item in enumerate(self.line.items):
                if item.kind == OFFLINE or (nested and item.kind == SECOND_WRITER):
                    continue
                if self._hits(index, item, call, self._seen[place]):
                    after = item.after if isinstance(item, Strike) else self._half(index, call)
                    found = Fired(item.kind, after and item.kind == CRASH, self.calls, call.point)
                    self.fired.append(found)
                    return found
        return None

    def offline(self, turbine: str, now_s: float) -> bool:
        """Whether a node is off at this time."""
        for index, item in enumerate(self.line.items):
            if self.healed or not isinstance(item, Fault) or item.kind != OFFLINE or not _lasts(item, now_s):
                continue
            if self._chance(index, turbine) < item.share:
                self.fired.append(Fired(OFFLINE, False, self.calls, ""))
                return True
        return False

    def _hits(self, index: int, item: Strike | Fault, call: Call, occurrence: int) -> bool:
        if item.kind not in _EVERYWHERE and call.point not in KINDS[item.kind].points:
            return False
        if isinstance(item, Strike):
            if index in self._spent or self.calls < item.number:
                return False
            self._spent.add(index)
            return True
        if KINDS[item.kind].windowed and not _lasts(item, call.now_s):
            return False
        if (item.farms and call.farm not in item.farms) or (item.buckets and call.stage not in item.buckets):
            return False
        if not _at(item, call.point) or (item.count is not None and self._times[index] >= item.count):
            return False
        if item.share < 1 and self._chance(index, call.farm, call.verb, call.stage, call.key, occurrence) >= item.share:
            return False
        self._times[index] += 1
        return True

    def _half(self, index: int, call: Call) -> bool:
        """Whether a crash by share comes after the effect: what `at` says, else every second one."""
        item = self.line.items[index]
        assert isinstance(item, Fault)
        sides = {name.partition("-")[0] for name in item.at if name.endswith(f"-{call.point}")}
        return sides == {"after"} or (len(sides) != 1 and self._chance(index, "after", self.calls) < 0.5)

    def _chance(self, *path: str | int) -> float:
        return seeds.number(self.line.seed, "fault", *path) / 2**64


def _lasts(item: Fault, now_s: float) -> bool:
    return item.from_s <= now_s < item.from_s + item.for_s


def _at(item: Fault, point: Point) -> bool:
    return not item.at or any(name in (point, f"before-{point}", f"after-{point}") for name in item.at)


def _word(item: Strike | Fault) -> str:
    if isinstance(item, Strike):
        return f"{item.kind}{'/after' if item.after else ''}#{item.number}"
    window = f"[{item.from_s:.12g}+{item.for_s:.12g}]" if KINDS[item.kind].windowed else ""
    share = f"%{item.share!r}" if item.share != 1 or not window else ""
    at = f"@{','.join(item.at)}" if item.at else ""
    names = item.farms if item.kind == UPLINK else item.buckets
    return f"{item.kind}{window}{share}{at}{'=' + ','.join(names) if names else ''}" + (
        f"*{item.count}" if item.count is not None else ""
    )


_WORD = re.compile(
    r"(?P<kind>[a-z]+\.[a-z-]+)(?P<after>/after)?(?:#(?P<number>\d+))?(?:\[(?P<from>[\d.]+)\+(?P<for>[\d.]+)\])?"
    r"(?:%(?P<share>[\d.e-]+))?(?:@(?P<at>[a-z,-]+))?(?:=(?P<names>[\w,]+))?(?:\*(?P<count>\d+))?"
)
_HEAD = re.compile(r"(attempts|down|seed)=(\d+)")


def parse(text: str) -> Line:
    """The schedule that a line of text says. Raises ScheduleError."""
    head = {"attempts": 1, "down": 0, "seed": 0}
    items: list[Strike | Fault] = []
    for word in text.split():
        if setting := _HEAD.fullmatch(word):
            head[setting[1]] = int(setting[2])
        else:
            items.append(_item(word))
    if head["attempts"] < 1:
        raise ScheduleError("attempts=0: a request is tried once at least")
    return Line(tuple(items), head["seed"], head["attempts"], head["down"])


def _item(word: str) -> Strike | Fault:
    found = _WORD.fullmatch(word)
    if found is None or found["kind"] not in KINDS:
        raise ScheduleError(f"{word!r} is no fault of a schedule; kinds are {', '.join(KINDS)}")
    kind = found["kind"]
    if found["number"]:
        if kind == OFFLINE or found["share"] or found["from"]:
            raise ScheduleError(f"{word!r}: a numbered fault strikes one call, it has no window and no share")
        return Strike(kind, int(found["number"]), found["after"] is not None)
    if KINDS[kind].windowed != (found["from"] is not None) or not (found["from"] or found["share"]):
        raise ScheduleError(f"{word!r}: {kind} wants {'[from+for]' if KINDS[kind].windowed else '#number or %share'}")
    at = tuple(found["at"].split(",")) if found["at"] else ()
    if unknown := [name for name in at if name.removeprefix("before-").removeprefix("after-") not in POINTS]:
        raise ScheduleError(f"{word!r}: no such point {unknown[0]}; points are {', '.join(POINTS)}")
    names = tuple(found["names"].split(",")) if found["names"] else ()
    window = (float(found["from"]), float(found["for"])) if found["from"] else (0.0, 0.0)
    return Fault(
        kind,
        at,
        float(found["share"] or 1),
        *window,
        farms=names if kind == UPLINK else (),
        buckets=() if kind == UPLINK else names,
        count=int(found["count"]) if found["count"] else None,
    )


def expanded(line: Line, fired: Sequence[Fired]) -> Line:
    """The same bad luck with every share and window of calls spelled out as the strikes that fired."""
    kept = [item for item in line.items if item.kind == OFFLINE]
    strikes = [Strike(f.kind, f.number, f.after) for f in fired if f.kind != OFFLINE]
    return Line((*kept, *strikes), line.seed, line.attempts, line.down)
