"""Reduction of a failing schedule to the smallest that still fails.

Shares and windows are first replaced by the numbered faults that fired. Then faults are dropped as
long as the rest still breaks an invariant. So of forty faults the one or two that matter are left.
Every trial is a whole run; TRIALS bounds their number.

Not tried: moving a fault to an earlier call.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from sim.campaign.in_process_run import run_once
from sim.campaign.outcome import CleanRun, Outcome
from sim.campaign.schedule import Line, expanded
from sim.campaign.world import World

TRIALS: Final = 300


def shrink(world: World, clean: CleanRun, failing: Outcome, line: Line) -> tuple[Line, Outcome]:
    """Return the smallest failing line found, and its outcome. failing: the outcome of `line`."""
    trials = TRIALS
    numbered = expanded(line, failing.fired)
    if (found := run_once(world, clean, numbered)).broken:
        line, failing = numbered, found
    size = max(1, len(line.items) // 2)
    while size and trials > 0:
        dropped = False
        start = 0
        while start < len(line.items) and trials > 0:
            candidate = replace(line, items=line.items[:start] + line.items[start + size :])
            found = run_once(world, clean, candidate)
            trials -= 1
            if found.broken:
                line, failing, dropped = candidate, found, True
            else:
                start += size
        size = size if dropped and size == 1 else size // 2
    return line, failing
