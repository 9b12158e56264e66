"""Reduction of a failing schedule to the smallest that still fails.

Shares and windows are first replaced by the numbered faults that fired. Then faults are dropped as
long as the rest still breaks an invariant. So of forty faults the one or two that matter are left.
Every trial is a whole run; TRIALS bounds their number.

Not tried: moving a fault to an earlier call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeVar

from sim.campaign.loader.line import LoadLine
from sim.campaign.loader.run import LoadOutcome
from sim.campaign.outcome import Outcome
from sim.campaign.schedule import Line

L = TypeVar("L", Line, LoadLine)
R = TypeVar("R", Outcome, LoadOutcome)

TRIALS: Final = 300


def shrink(run: Callable[[L], R], failing: R, line: L, numbered: L) -> tuple[L, R]:
    """Return the smallest failing line found, and its outcome.

    failing: the outcome of `line`. numbered: the line with numbers instead of shares and windows.
    """
    trials = TRIALS
    if (found := run(numbered)).broken:
        line, failing = numbered, found
    size = max(1, len(line.items) // 2)
    while size and trials > 0:
        dropped = False
        start = 0
        while start < len(line.items) and trials > 0:
            candidate = replace(line, items=line.items[:start] + line.items[start + size :])
            found = run(candidate)
            trials -= 1
            if found.broken:
                line, failing, dropped = candidate, found, True
            else:
                start += size
        size = size if dropped and size == 1 else size // 2
    return line, failing
