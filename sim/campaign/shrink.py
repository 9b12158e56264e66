"""From a failing schedule to the smallest that still fails: faults are dropped as long as any invariant breaks.

Shares and windows are spelled out first, as the strikes that fired, so that a run with forty faults ends as the one or
two that matter. Every trial is a whole run; TRIALS bounds them. Not covered: moving a strike to an earlier call.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from sim.campaign.outcome import Clean, Outcome
from sim.campaign.schedule import Line, expanded
from sim.campaign.world import World, run_once

TRIALS: Final = 300


def shrink(world: World, clean: Clean, failing: Outcome, line: Line) -> tuple[Line, Outcome]:
    """The smallest failing line found, and how it ends. `failing` is the outcome of `line`."""
    trials = TRIALS
    spelled = expanded(line, failing.fired)
    if (found := run_once(world, clean, spelled)).broken:
        line, failing = spelled, found
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
