"""Faults of delivery that fired in any attempt at a run, each on disk before it acts.

One file, to which the workers and the fault proxy of the run's process append a line each:

    ["store.error", "data", 1]         kind of fault, point, times; -1 takes an injection back

A SIGKILL loses no line. A fault that a resumed run forgot would be missing from its result, and one
that was certain to fire would make the verdict unknown.

Not covered: a crash after a call took effect, when the SIGKILL comes between the two.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Final

from sim.chaos.faults import FaultPoint, InjectionCounts
from sim.resume_state import RESUME

FIRED: Final = f"{RESUME}/fired.jsonl"


def note(run_dir: Path, point: FaultPoint, times: int = 1) -> None:
    """Append a line. A full disk, or a run that nobody can resume, loses it."""
    with suppress(OSError):
        file = os.open(run_dir / FIRED, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(file, f"\n{json.dumps([*point, times])}\n".encode())  # after a line cut short
        finally:
            os.close(file)


def fired(run_dir: Path) -> InjectionCounts:
    """Return the faults that fired so far. Raises OSError."""
    counts: Counter[FaultPoint] = Counter()
    with suppress(FileNotFoundError):
        for line in (run_dir / FIRED).read_bytes().splitlines():
            with suppress(ValueError):  # a full disk cut it short
                row, point, times = json.loads(line)
                counts[row, point] += times
    return InjectionCounts(+counts)


def forget(run_dir: Path) -> None:
    """Remove the file. Raises OSError."""
    (run_dir / FIRED).unlink(missing_ok=True)
