"""The calls of a run of the loader, in their order, and the faults that hit them.

A call keeps its name in every run of the same world. So a fault at a number of the run without
faults hits the same call in a run with other faults, as long as that run makes the call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sim.campaign.loader.faults import KINDS
from sim.campaign.loader.line import LoadInjection, LoadLine
from sim.chaos.choice import chance


class CallName(NamedTuple):
    """One call of a run.

    round: number of arrived parts of the lake. attempt: load of that round, from 0.
    second: True for the loader that another's fault started. nth: from 1, of calls with this text.
    """

    round: int
    attempt: int
    second: bool
    text: str
    nth: int


class LoggedCall(NamedTuple):
    """A call, its point, and the kinds of fault that could hit it."""

    name: CallName
    point: str
    possible: frozenset[str]


class FiredFault(NamedTuple):
    """A fault that was injected. number: of the call in the run without faults, 0 for others."""

    kind: str
    point: str
    number: int
    call: CallName


@dataclass
class Calls:
    """Calls made, and faults injected. numbers: of the calls of the run without faults."""

    line: LoadLine
    numbers: Mapping[CallName, int]
    log: list[LoggedCall] = field(default_factory=list)
    fired: list[FiredFault] = field(default_factory=list)
    ended: bool = False
    """True once no fault may fire any more."""

    def choose(self, call: LoggedCall) -> str | None:
        """Record a call and return the fault that hits it, if any."""
        self.log.append(call)
        if self.ended:
            return None
        number = self.numbers.get(call.name, 0)
        for index, item in enumerate(self.line.items):
            if item.kind in call.possible and self._hits(index, item, number, call.name):
                self.fired.append(FiredFault(item.kind, call.point, number, call.name))
                return item.kind
        return None

    def _hits(self, index: int, item: LoadInjection, number: int, name: CallName) -> bool:
        if item.number:
            return item.number == number
        return chance(self.line.seed, "load", index, *map(str, name)) < item.share


def expanded(line: LoadLine, fired: list[FiredFault]) -> LoadLine:
    """Return a line with the numbers of the calls that were hit, instead of shares."""
    items = [LoadInjection(each.kind, each.number) for each in fired if each.number]
    return LoadLine(tuple(items), line.seed, line.attempts)


def applies(kind: str, call: LoggedCall) -> bool:
    """Return True if a kind can hit a call."""
    return kind in KINDS and kind in call.possible
