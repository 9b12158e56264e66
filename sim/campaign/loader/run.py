"""One run of the loader: loads under faults while objects arrive, then a plain load.

In each round some objects arrive, and a loader loads until it succeeds, TRIES times at most. After
all rounds the faults end. The next load must then succeed, and leave exactly the rows of the lake
in each table; the load after that must find nothing new.

The invariants of a run, by name:

    load.lost          a row of the lake is in no table, or is not there after a load that
                       succeeded and had listed its object
    load.duplicated    a row is in its table more than once, at any time
    load.altered       a row has another value than in its object
    load.stuck         the load after all faults fails
    load.again         the load after that loads something
    load.gave-up       a load fails although its client had tries left
    load.raised        an exception that is no message for the user
    load.deadlock      two loaders wait for each other

Not covered: kills inside a system call, and real processes; see
`sim.campaign.live_loads`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from sim.campaign.invariants import BrokenInvariant
from sim.campaign.loader.calls import Calls, FiredFault
from sim.campaign.loader.faults import ERROR
from sim.campaign.loader.file_changes import watched
from sim.campaign.loader.line import LoadLine
from sim.campaign.loader.loader import WAIT_S, Loader
from sim.campaign.loader.tables import Tables, WrongRows
from sim.campaign.loader.world import LoaderWorld

_MEMORY: Final = Path("/dev/shm")
TRIES: Final = 3
"""Most loads of a round: the first, and those after a failure."""


@dataclass
class LoadOutcome:
    """The outcome of one run. trace: hash of its calls, faults and messages."""

    line: str
    fired: list[FiredFault] = field(default_factory=list)
    broken: list[BrokenInvariant] = field(default_factory=list)
    calls: int = 0
    loads: int = 0
    killed: int = 0
    refused: int = 0
    seconds: int = 0
    wrong_rows: WrongRows = field(default_factory=WrongRows)
    trace: str = ""


class CleanLoadBroken(Exception):
    """The run without faults breaks an invariant. The text names the first few."""


class LoadRun:
    """The state of one run. folder: holds nothing but its warehouse."""

    def __init__(self, world: LoaderWorld, line: LoadLine, folder: Path) -> None:
        self.world, self.calls = world, Calls(line, world.numbers)
        self.warehouse = folder / "warehouse"
        self.outcome = LoadOutcome(str(line))
        self._tables = Tables(self.warehouse)
        self._second: tuple[Loader, threading.Thread] | None = None
        self._loader_of: dict[int, Loader] = {}
        self._messages: list[str] = []

    def make(self, before_round: Callable[[int], None] = lambda round_: None) -> LoadOutcome:
        """Make the run. before_round: called with the number of each round."""
        for round_ in self._begin():
            before_round(round_)
            for attempt in range(TRIES):
                if self._load(round_, attempt).loaded is not None:
                    break
        self.calls.ended = True
        self._end(len(self.world.lakes) - 1)
        found = self.outcome
        found.fired, found.calls = self.calls.fired, len(self.calls.log)
        found.broken = sorted(set(found.broken), key=found.broken.index)
        calls = [(call.name, sorted(call.possible)) for call in self.calls.log]
        messages = [text.replace(str(self.warehouse), "") for text in self._messages]
        trace = repr((calls, found.fired, messages))
        found.trace = hashlib.blake2b(trace.encode(), digest_size=16).hexdigest()
        return found

    def _begin(self) -> range:
        """Return the rounds in which a fault can fire, the warehouse before them in place."""
        items, log = self.calls.line.items, self.world.log
        rounds = [log[item.number - 1].name.round for item in items if 0 < item.number <= len(log)]
        if not rounds or len(rounds) < len(items):
            return range(len(self.world.lakes))
        if first := min(rounds):
            shutil.copytree(self.world.kept(first), self.warehouse)
        return range(first, max(rounds) + 1)

    def _load(self, round_: int, attempt: int) -> Loader:
        """Load once, and let a loader that has waited load then."""
        lake = (self.world.lakes[round_], self.world.before(round_))

        def new(second: bool, start_second: Callable[[], None] | None) -> Loader:
            place = (round_, attempt, second)
            tables = self.world.tables
            return Loader(self.calls, place, self.warehouse, lake, tables, start_second)

        def start_second() -> None:
            second = new(True, None)
            self._second = (second, self._start(second))

        loader = new(False, start_second)
        self._loader_of[threading.get_ident()] = loader
        with watched(str(self.warehouse), self._change, self._lock):
            loader.run()
            second, self._second = self._second, None
            if second is not None:
                second[0].may_go_on.set()
                second[1].join(WAIT_S)
                if second[1].is_alive():
                    self._broke("load.deadlock", "a second loader waits for ever")
                    second[0].killed = True
        for each in (loader, *(second[:1] if second else ())):
            self._note(each, round_)
        return loader

    def _start(self, second: Loader) -> threading.Thread:
        """Start the second loader; return when it has ended, or waits for the lock."""
        ended = threading.Event()

        def work() -> None:
            self._loader_of[threading.get_ident()] = second
            try:
                second.run()
            finally:
                del self._loader_of[threading.get_ident()]
                ended.set()
                second.blocked.set()

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        second.blocked.wait(WAIT_S)
        if ended.is_set():
            thread.join()
        self.outcome.seconds += 1
        return thread

    def _change(self, verb: str, path: str) -> None:
        if (loader := self._loader_of.get(threading.get_ident())) is not None:
            loader.change(verb, path)

    def _lock(self, file: int, operation: int) -> None:
        if (loader := self._loader_of.get(threading.get_ident())) is not None:
            loader.lock(file, operation)

    def _note(self, loader: Loader, round_: int) -> None:
        found = self.outcome
        found.loads += 1
        found.killed += loader.killed
        found.refused += bool(loader.refused)
        self._messages.append(f"{loader.loaded} {loader.refused} {loader.killed}")
        if loader.raised:
            self._broke("load.raised", loader.raised)
        if loader.refused and self._has_tries_left():
            self._broke("load.gave-up", loader.refused)
        shown = loader.store.shown if loader.loaded is not None else ()
        wrong = self._tables.wrong_so_far(self.world.rows(round_), shown)
        self._count(wrong, f"in round {round_ + 1}")

    def _has_tries_left(self) -> bool:
        """Return True if the faults of this line cannot end a load."""
        items = self.calls.line.items
        return (
            len(items) == 1
            and items[0].kind == ERROR
            and bool(items[0].number)
            and self.calls.line.attempts > 1
        )

    def _end(self, round_: int) -> None:
        first = self._load(round_, TRIES)
        if first.loaded is None:
            self._broke("load.stuck", first.refused or first.raised or "killed")
        elif (again := self._load(round_, TRIES + 1).loaded) is not None and again.objects:
            self._broke("load.again", f"{again.objects} objects were loaded again")
        self._count(self._tables.wrong_rows(self.world.rows(round_)), "after the plain load")

    def _count(self, wrong: WrongRows, when: str) -> None:
        for name, count in zip(wrong._fields, wrong, strict=True):
            if count:
                self._broke(f"load.{name}", f"{count} rows {when}")
        self.outcome.wrong_rows = WrongRows(*map(max, self.outcome.wrong_rows, wrong))

    def _broke(self, name: str, detail: str) -> None:
        self.outcome.broken.append(BrokenInvariant(name, detail))


def _scratch() -> str | None:
    """Return a folder in memory if there is one: a modelled kill needs no durable disk."""
    return str(_MEMORY) if os.access(_MEMORY, os.W_OK | os.X_OK) else None


def run_once(world: LoaderWorld, line: LoadLine) -> LoadOutcome:
    """Make one run under a schedule."""
    with TemporaryDirectory(
        prefix="windfleet-", dir=_scratch(), ignore_cleanup_errors=True
    ) as folder:
        return LoadRun(world, line, Path(folder)).make()


def run_clean(world: LoaderWorld) -> LoadOutcome:
    """Make the run without faults, and keep its calls and warehouses in the world.

    Raises CleanLoadBroken.
    """
    with TemporaryDirectory(prefix="windfleet-", dir=_scratch()) as folder:
        run = LoadRun(world, LoadLine(), Path(folder))

        def keep(round_: int) -> None:
            if round_:
                shutil.copytree(run.warehouse, world.kept(round_))

        outcome = run.make(keep)
    if outcome.broken:
        raise CleanLoadBroken("; ".join(f"{name}: {detail}" for name, detail in outcome.broken[:5]))
    world.remember([call for call in run.calls.log if call.name.attempt < TRIES])
    return outcome
