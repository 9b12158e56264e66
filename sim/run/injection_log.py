"""Numbers of injected faults so far, on disk while a run lasts: for `windfleet watch`.

Faults of the nodes are counted in the run's own process, those of the wire in its proxy. Once a
second at most, and only after a change, one line goes to a file in the folder of the operations:

    {"at_ns": 1705276800000000000, "by_kind": {"node.crash": 3, "put.lost_answer": 41}}

Not covered: the result, which has the numbers from memory (`sim.run.record.Record`).
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from sim.chaos.faults import InjectionCounts

PARTS: Final = ".operations"
"""Folder of the records of a run that is still at work."""
INJECTIONS_FILE: Final = "injections.jsonl"
EVERY_S: Final = 1.0


class InjectionLog:
    """The file. clock: seconds, monotonic."""

    def __init__(self, run_dir: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = run_dir / PARTS / INJECTIONS_FILE
        self._clock = clock
        self._noted: Counter[str] = Counter()
        self._next_s = clock()

    def note(self, *counts: InjectionCounts) -> None:
        """Append the sums by kind, unless the last line is younger than EVERY_S or the same.

        A full disk loses the line, and not the run.
        """
        if self._clock() < self._next_s:
            return
        self._next_s = self._clock() + EVERY_S
        total = InjectionCounts()
        for each in counts:
            # The proxy's threads count meanwhile. A copy is one step of the interpreter.
            total.by_point.update(dict(each.by_point))
        if total.by_kind == self._noted:
            return
        self._noted = total.by_kind
        line = json.dumps({"at_ns": time.time_ns(), "by_kind": dict(sorted(self._noted.items()))})
        with suppress(OSError):
            self._path.parent.mkdir(exist_ok=True)
            with self._path.open("ab") as file:
                file.write(f"{line}\n".encode())
