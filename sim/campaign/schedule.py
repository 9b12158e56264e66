"""Which store call is struck by which fault: one schedule is one run's bad luck, and one line of text repeats it.

    attempts=1 down=0 seed=7 node.crash/after#37 store.error%0.05@data store.outage[600+300] bucket.refuses[0+9]

`kind#n` strikes the first call from the n-th on that the kind applies to (calls are numbered from 1 through the whole
run, faults count as calls). `kind%share` strikes each call with that chance, as `choice` decides it: by (seed, place in
the line, the call) and never by time. `[from+for]` is a window of virtual seconds, `@` names points, `=` buckets (for
farm.uplink: farms), `*n` is the most it may strike. `/after` is for node.crash: the effect is there. `attempts` is how
often a request is tried, `down` for how many flushes a crashed process stays away.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from sim.chaos.call import Call
from sim.chaos.choice import Share, applies, chosen, comes_after, in_window
from sim.chaos.faults import CRASH, KINDS, POINTS, SECOND_WRITER, SPELLS, UPLINK, Fault
from sim.errors import ScheduleError


@dataclass(frozen=True)
class Strike:
    """One fault at the first call from `number` on that it applies to. `after` is for node.crash."""

    kind: str
    number: int
    after: bool = False


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
        if wired := [
            item.kind
            for item in self.line.items
            if isinstance(item, Fault) and (item.calls or item.keys)
        ]:
            raise ScheduleError(
                f"{wired[0]}: calls and keys are told apart on the wire only; leave them out here"
            )
        self._spent: set[int] = set()
        self._by: dict[int, int] = {}  # number of a struck call -> which item of the line struck it
        self._shares = {
            index: Share(self.line.seed, index, item)
            for index, item in enumerate(self.line.items)
            if isinstance(item, Fault)
        }

    def may_strike(self, calls: tuple[int, int], times_s: tuple[float, ...]) -> bool:
        """Whether anything can strike at these times, or a call numbered from the first up to before the second."""
        return any(
            calls[0] <= item.number < calls[1]
            if isinstance(item, Strike)
            else not KINDS[item.kind].windowed or any(in_window(item, time_s) for time_s in times_s)
            for item in self.line.items
        )

    def ask(self, call: Call, now_s: float, nested: bool = False) -> Fired | None:
        """Count the call; what strikes it, if anything. `nested`: it is a second writer's, which brings no third."""
        with self._lock:
            self.calls += 1
            if self.healed:
                return None
            for index, item in enumerate(self.line.items):
                if item.kind in SPELLS or (nested and item.kind == SECOND_WRITER):
                    continue
                after = self._hits(index, item, call, now_s)
                if after is not None:
                    found = Fired(item.kind, after and item.kind == CRASH, self.calls, call.point)
                    self.fired.append(found)
                    self._by[self.calls] = index
                    return found
        return None

    def spare(self, fired: Fired, call: Call) -> None:
        """Take a strike back: there was nothing to strike. A numbered one waits for the next call that it could."""
        with self._lock:
            self.fired.remove(fired)
            index = self._by[fired.number]
            self._spent.discard(index)
            if index in self._shares:
                self._shares[index].spare(call)

    def spell(self, kinds: Sequence[str], turbine: str, now_s: float) -> str | None:
        """The first of these kinds of spells in which a node is at this time. It counts as fired."""
        for kind in kinds if not self.healed else ():
            for share in self._shares.values():
                if share.fault.kind != kind or not in_window(share.fault, now_s):
                    continue
                if chosen(self.line.seed, share.number, share.fault, turbine):
                    self.fired.append(Fired(kind, False, self.calls, ""))
                    return kind
        return None

    def _hits(self, index: int, item: Strike | Fault, call: Call, now_s: float) -> bool | None:
        """None: not this call; else whether a crash comes behind its effect."""
        if isinstance(item, Fault):
            how = self._shares[index].strikes(call, now_s)
            return None if how is None else comes_after(item, call.point, how)
        if (
            index in self._spent
            or self.calls < item.number
            or not applies(item.kind, call.point, call.verb)
        ):
            return None
        self._spent.add(index)
        return item.after


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
        raise ScheduleError(f"{word!r} is not a fault of a schedule; kinds are {', '.join(KINDS)}")
    kind = found["kind"]
    if found["after"] and (kind != CRASH or not found["number"]):
        raise ScheduleError(
            f"{word!r}: /after is for {CRASH}#number; write @after-data for a share"
        )
    if found["number"]:
        if kind in SPELLS or any(found[name] for name in ("share", "from", "at", "names", "count")):
            raise ScheduleError(
                f"{word!r}: a numbered fault strikes one call, it has no window, share or place"
            )
        if int(found["number"]) < 1:
            raise ScheduleError(f"{word!r}: calls are numbered from 1")
        return Strike(kind, int(found["number"]), found["after"] is not None)
    if KINDS[kind].windowed != (found["from"] is not None) or not (found["from"] or found["share"]):
        raise ScheduleError(
            f"{word!r}: {kind} needs {'[from+for]' if KINDS[kind].windowed else '#number or %share'}"
        )
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
        raise ScheduleError(f"{word!r}: a share is more than 0, and 1 at most")
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


def expanded(line: Line, fired: Sequence[Fired]) -> Line:
    """The same bad luck with every share and window of calls spelled out as the strikes that fired."""
    kept = [item for item in line.items if item.kind in SPELLS]
    strikes = [Strike(f.kind, f.number, f.after) for f in fired if f.kind not in SPELLS]
    return Line((*kept, *strikes), line.seed, line.attempts, line.down)
