"""The faults of one run of the loader as one line of text.

    load attempts=1 seed=7 loader.kill#37 store.error%0.05

kind#n      at call n of the run without faults, if this run makes it, too
kind%share  each call of the kind's points with that chance, a function of (seed, position in the
            line, call)
attempts    tries per request
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from sim.campaign.loader.faults import KINDS
from sim.errors import ScheduleError

HEAD: Final = "load"


@dataclass(frozen=True)
class LoadInjection:
    """A fault at call `number` of the run without faults, or with a chance of `share`."""

    kind: str
    number: int = 0
    share: float = 0.0

    def __str__(self) -> str:
        return f"{self.kind}#{self.number}" if self.number else f"{self.kind}%{self.share!r}"


@dataclass(frozen=True)
class LoadLine:
    """A whole schedule as data. `str()` and `parse` are inverses."""

    items: tuple[LoadInjection, ...] = ()
    seed: int = 0
    attempts: int = 1

    def __str__(self) -> str:
        head = f"{HEAD} attempts={self.attempts} seed={self.seed}"
        return " ".join([head, *map(str, self.items)])


_WORD: Final = re.compile(r"([a-z]+\.[a-z-]+)(?:#(\d+)|%([\d.e-]+))")
_SETTING: Final = re.compile(r"(attempts|seed)=(\d+)")


def is_load(text: str) -> bool:
    """Return True for a line of a loader's run."""
    return text.split()[:1] == [HEAD]


def parse(text: str) -> LoadLine:
    """Return the schedule of a line of text. Raises ScheduleError."""
    head = {"attempts": 1, "seed": 0}
    items = []
    for word in text.split()[1:]:
        if setting := _SETTING.fullmatch(word):
            head[setting[1]] = int(setting[2])
        else:
            items.append(_item(word))
    if head["attempts"] < 1:
        raise ScheduleError("attempts=0: a request is tried at least once")
    return LoadLine(tuple(items), head["seed"], head["attempts"])


def _item(word: str) -> LoadInjection:
    found = _WORD.fullmatch(word)
    if found is None or found[1] not in KINDS:
        raise ScheduleError(
            f"{word!r} is not a fault of the loader, kind#number or kind%share; "
            f"kinds are {', '.join(KINDS)}"
        )
    if found[2]:
        if int(found[2]) < 1:
            raise ScheduleError(f"{word!r}: calls are numbered from 1")
        return LoadInjection(found[1], int(found[2]))
    try:
        share = float(found[3])
    except ValueError as error:
        raise ScheduleError(f"{word!r}: {found[3]} is not a number") from error
    if not 0 < share <= 1:
        raise ScheduleError(f"{word!r}: a share is more than 0 and at most 1")
    return LoadInjection(found[1], share=share)
