"""Faults of delivery that fired in any attempt at a run, each on disk before it acts.

One file, to which the workers and the fault proxy of the run's process append a line each:

    ["store.error", "data", 1, ""]     kind of fault, point, times; -1 takes an injection back
    ["worker.kill", "", 1, "A"]        and the shard, which another attempt does not kill again

A SIGKILL loses no line. A fault that a resumed run forgot would be missing from its result, and one
that was certain to fire would make the verdict unknown.

Not covered: a crash after a call took effect, when the SIGKILL comes between the two.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from sim.chaos.faults import KILL, FaultPoint, InjectionCounts
from sim.resume_state import RESUME

FIRED: Final = f"{RESUME}/fired.jsonl"


def note(run_dir: Path, point: FaultPoint, times: int = 1, shard: str = "") -> None:
    """Append a line. A full disk, or a run that nobody can resume, loses it."""
    with suppress(OSError):
        file = os.open(run_dir / FIRED, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            # A full disk may have cut the line before it short.
            os.write(file, f"\n{json.dumps([*point, times, shard])}\n".encode())
        finally:
            os.close(file)


def fired(run_dir: Path) -> InjectionCounts:
    """Return the faults that fired so far. Raises OSError."""
    counts: Counter[FaultPoint] = Counter()
    for row, point, times, _ in _lines(run_dir):
        counts[row, point] += times
    return InjectionCounts(+counts)


def kills(run_dir: Path) -> Counter[str]:
    """Count the kills of each shard so far. Raises OSError."""
    counts: Counter[str] = Counter()
    for row, _, times, shard in _lines(run_dir):
        counts[shard] += times * (row == KILL)
    return +counts


def _lines(run_dir: Path) -> Iterator[tuple[str, str, int, str]]:
    with suppress(FileNotFoundError):
        for line in (run_dir / FIRED).read_bytes().splitlines():
            with suppress(ValueError):  # a full disk cut it short
                row, point, times, shard = json.loads(line)
                yield row, point, times, shard


def forget(run_dir: Path) -> None:
    """Remove the file. Raises OSError."""
    (run_dir / FIRED).unlink(missing_ok=True)
