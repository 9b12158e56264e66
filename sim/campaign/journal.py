"""The outcomes of a campaign so far: a line each, appended as they come, for `--resume`.

    .resume/campaign.json    the settings of the campaign
    .resume/outcomes.txt     [kind, number, schedule, outcome] of each run that was made

A run is a function of the campaign's settings and its number, so it need not be made again. The
schedule is compared: a number that has another one by now is made again. A campaign that comes to
its end removes both files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from pydantic import TypeAdapter

from sim.campaign.pool import run_lines
from sim.resume_state import OUTCOMES

L = TypeVar("L")
R = TypeVar("R")


class Journal(Generic[R]):
    """Outcomes of one kind of run."""

    def __init__(self, out: Path, kind: type[R]) -> None:
        """out: directory of the campaign."""
        self._path, self._kind = out / OUTCOMES, kind

    @cached_property
    def _adapter(self) -> TypeAdapter[R]:
        return TypeAdapter(self._kind)

    def outcomes(self, schedules: Sequence[str]) -> dict[int, R]:
        """Return number -> outcome of the runs that were made. Raises OSError.

        schedules: of all runs, by their numbers. A last line that was cut short is passed over.
        """
        found: dict[int, R] = {}
        name = self._kind.__name__
        for line in self._path.read_bytes().splitlines() if self._path.exists() else ():
            try:
                kind, number, schedule, plain = json.loads(line)
                if kind == name and number < len(schedules) and schedules[number] == schedule:
                    found[number] = self._adapter.validate_python(_typed(plain))
            except ValueError:
                continue
        return found

    def add(self, number: int, schedule: str, outcome: R) -> None:
        """Append the outcome of a run. Raises OSError."""
        plain = _plain(self._adapter.dump_python(outcome))
        entry = json.dumps([self._kind.__name__, number, schedule, plain])
        self._path.parent.mkdir(exist_ok=True)
        # A line that was cut short by a kill ends here.
        with self._path.open("ab") as file:
            file.write(f"\n{entry}\n".encode())


def run_rest(
    journal: Journal[R],
    prepare: Callable[[], Callable[[L], R]],
    lines: Sequence[L],
    workers: int,
    progress: Callable[[int], None],
) -> Iterator[tuple[int, R]]:
    """Yield (index, outcome) of each line: those made before, then the others as they finish.

    See `pool.run_lines`. Raises WorkerLost, OSError.
    """
    schedules = [str(line) for line in lines]
    made = journal.outcomes(schedules)
    progress(len(made))
    yield from made.items()
    left = [index for index in range(len(lines)) if index not in made]
    for nth, outcome in run_lines(prepare, [lines[i] for i in left], workers, progress):
        journal.add(left[nth], schedules[left[nth]], outcome)
        yield left[nth], outcome


_BY_POINT: Final = (("meant",), ("injections", "by_point"))
"""Mappings with a fault and its point as key. JSON holds them as lists of [fault, point, value]."""


def _plain(outcome: dict[str, Any]) -> dict[str, Any]:
    for where, name in _by_point(outcome):
        where[name] = [[*point, value] for point, value in where[name].items()]
    return outcome


def _typed(outcome: dict[str, Any]) -> dict[str, Any]:
    for where, name in _by_point(outcome):
        where[name] = {(fault, point): value for fault, point, value in where[name]}
    return outcome


def _by_point(outcome: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each dict with such a mapping, and the mapping's name in it."""
    for *parents, name in _BY_POINT:
        where = outcome
        for parent in parents:
            where = where.get(parent, {})
        if name in where:
            yield where, name
