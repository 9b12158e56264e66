"""One load with faults: the real loader, which may be killed, or wait for another load.

A kill is `Crash`, which nothing may catch. From then on every call and every change of a file
raises it again, so that no block of clean-up code leaves a trace, as after SIGKILL. The lock is
released by the harness, as the kernel would.

A second loader runs in a thread of its own while the first stands still. It goes on until it ends,
or until it has to wait for the lock; then the first goes on. So the order of all calls follows from
the schedule.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from pipeline.catalog.tables import Table
from sim.campaign.inline_executor import Inline
from sim.campaign.loader.calls import CallName, Calls, LoggedCall
from sim.campaign.loader.faults import (
    DISK_FULL,
    FILE,
    KILL,
    SECOND,
    STEPS,
    TORN,
    possible,
)
from sim.campaign.loader.read_store import Objects, ReadStore, reader
from sim.chaos.faults import Crash
from sim.chaos.file_faults import disk_full
from sim.check import LakeError
from sim.errors import QueryError
from sim.query.loader import Loaded, LoadOptions, load
from sim.query.warehouse import Warehouse

OPTIONS: Final = LoadOptions(batch_objects=2, few_files=3)
ROOM_BYTES: Final = 20
"""Bytes that fit onto a full disk: enough for a part of a line."""
WAIT_S = 60.0
"""Most seconds for which a loader waits for another one of this run; longer is a deadlock."""


class Loader:
    """One load. `loaded` is None unless it succeeded; `refused` is the text of its error.

    start_second: starts another loader, None for the second one itself.
    """

    def __init__(
        self,
        calls: Calls,
        place: tuple[int, int, bool],
        folder: Path,
        lake: tuple[Objects, Objects],
        tables: Sequence[Table],
        start_second: Callable[[], None] | None,
    ) -> None:
        """place: round, attempt and second of `CallName`. lake: objects now, and before."""
        self.loaded: Loaded | None = None
        self.refused = self.raised = ""
        self.killed = self.second_waits = False
        self.blocked, self.may_go_on = threading.Event(), threading.Event()
        self.store = ReadStore(*lake, calls.line.seed, self.call)
        self._calls, self._place, self._folder = calls, place, folder
        self._tables, self._start_second = tables, start_second
        self._times: Counter[str] = Counter()
        self._stack = contextlib.ExitStack()
        self._lock: tuple[int, int, int] | None = None
        self._own_change = False

    def run(self) -> None:
        """Load once. Nothing escapes but an interrupt."""
        warehouse = Warehouse(self._folder, reader(self.store, self._calls.line.attempts))
        try:
            with self._stack:
                self.loaded = load(
                    warehouse, OPTIONS, self._tables, self._step, lambda threads: Inline()
                )
        except Crash:
            self.killed = True
            self._release_lock()
        except (QueryError, LakeError) as error:
            self.refused = str(error)
        except Exception as error:
            self.raised = f"{type(error).__name__}: {error}"

    def call(self, point: str, text: str, kinds: frozenset[str]) -> str | None:
        """Record a call and return its fault; a kill, a full disk and a second loader happen."""
        if self.killed:
            raise Crash(text)
        if self.blocked.is_set() and not self.may_go_on.wait(WAIT_S):
            raise AssertionError("a loader has the lock while the other one still works")
        self._times[text] += 1
        if self.second_waits or self._start_second is None:
            kinds -= {SECOND}
        name = CallName(*self._place, text, self._times[text])
        fault = self._calls.choose(LoggedCall(name, point, kinds))
        if fault == KILL:
            self._die(text)
        if fault == DISK_FULL:
            self._stack.enter_context(_full_disk(self._size_of(text) + ROOM_BYTES))
        if fault == SECOND and self._start_second is not None:
            self.second_waits = True
            self._start_second()
        return fault

    def change(self, verb: str, path: str) -> None:
        """Record a change of a file, see `file_changes`."""
        if not self._own_change:
            self.call(FILE, f"{verb} {path}", possible(FILE))

    def lock(self, file: int, operation: int) -> None:
        """Note the lock, and report that this loader will wait for it."""
        if not operation & fcntl.LOCK_EX or operation & fcntl.LOCK_NB:
            return
        found = os.fstat(file)
        self._lock = (file, found.st_dev, found.st_ino)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if self._start_second is not None:  # nobody is left who could release it
                raise AssertionError("a loader that has ended still has the lock") from error
            self.blocked.set()

    def _size_of(self, text: str) -> int:
        """Return the size of the file that a change names, 0 if it is new."""
        path = self._folder / text.partition(" ")[2]
        return path.stat().st_size if path.is_file() else 0

    def _step(self, name: str) -> None:
        word, table = name.partition(" ")[0], name.rpartition(" ")[2]
        if self.killed:
            raise Crash(name)
        if word in STEPS and self.call(word, name, possible(word)) == TORN:
            self._tear(word, self._folder / table)
            self._die(name)

    def _tear(self, word: str, table: Path) -> None:
        """Leave the table as a process does that dies before its entry is in Delta's log."""
        self._own_change = True
        log = table / "_delta_log"
        if word == "create":
            log.mkdir(parents=True)
        else:
            entry = max(log.glob("*.json"))  # its files stay, as orphans
            entry.rename(entry.with_name(f"{entry.name}#1"))
        self._own_change = False

    def _die(self, text: str) -> None:
        self.killed = True
        raise Crash(text)

    def _release_lock(self) -> None:
        """Close the lock's file if the loader could not: a kernel does, when a process ends."""
        if self._lock is None:
            return
        file, *identity = self._lock
        with contextlib.suppress(OSError):
            found = os.fstat(file)
            if [found.st_dev, found.st_ino] == identity:
                os.close(file)


@contextlib.contextmanager
def _full_disk(room: int) -> Iterator[None]:
    """Let no file grow beyond `room` bytes, and keep delta-rs from reports of its panics."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        with disk_full(room):
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
