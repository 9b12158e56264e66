"""Past runs of this machine: their size, time and memory, for the plan of the next one.

They are kept in `past-runs.json` beside the state of LocalStack, the newest KEPT of them. The file
is a help only: one that is missing, or cannot be read or written, is no error.
"""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from sim.whole_file import write_text

FILE: Final = "past-runs.json"
KEPT: Final = 100
ALIKE: Final = 2.0
"""Largest ratio of the rows per batch of two runs of a kind. Time per row depends on them."""


@dataclass(frozen=True)
class PastRun:
    """One run that came to its verdict. Wall seconds, bytes.

    store: kind of store. rows_per_batch: mean over the run. scenario: its name, "" in old records.
    """

    started: str
    store: str
    workers: int
    rows: int
    rows_per_batch: float
    seconds: float
    memory_bytes: int
    scenario: str = ""

    @property
    def is_sound(self) -> bool:
        """True if every number is one, and finite and positive where it divides."""
        numbers = (self.workers, self.rows, self.rows_per_batch, self.seconds)
        return isinstance(self.started, str) and all(
            isinstance(number, int | float) and 0 < number < math.inf for number in numbers
        )


def remember(folder: Path, run: PastRun) -> None:
    """Add a run. Two runs that end at once may lose one of them."""
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        runs = [*past_runs(folder), run][-KEPT:]
        write_text(folder / FILE, json.dumps([asdict(each) for each in runs], indent=1) + "\n")


def past_runs(folder: Path) -> list[PastRun]:
    """Return the past runs, the newest last."""
    try:
        raw = json.loads((folder / FILE).read_bytes())
        return [run for each in raw if (run := PastRun(**each)).is_sound]
    except (OSError, ValueError, TypeError, RecursionError):
        return []


def of_kind(
    runs: list[PastRun], store: str, workers: int, rows_per_batch: float, scenario: str = ""
) -> PastRun | None:
    """Return the newest run like the next one: same store and workers, batches of a like size.

    One of the same scenario comes before all others: faults and delays make another one slower.
    """
    alike = [
        run
        for run in reversed(runs)
        if run.store == store
        and run.workers == workers
        and abs(math.log(run.rows_per_batch / rows_per_batch)) <= math.log(ALIKE)
    ]
    own = (run for run in alike if scenario and run.scenario == scenario)
    return next(own, next(iter(alike), None))
