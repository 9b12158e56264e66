"""Failures of a campaign's runs. Only the simplest are kept, whatever the order of the runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sim.report.campaign import Failure

FAILURES_KEPT: Final = 200
Ranked = tuple[int, Failure]
"""Number of faults in the schedule, and the failure."""


def keep(failures: list[Ranked], more: Iterable[Ranked]) -> None:
    """Add failures to a list, which stays short: others than the simplest may be left out."""
    failures += more
    if len(failures) > 2 * FAILURES_KEPT:
        failures[:] = simplest(failures)


def simplest(failures: Iterable[Ranked]) -> list[Ranked]:
    """Return those with the fewest faults, at most FAILURES_KEPT, in order."""
    ranked = sorted(failures, key=lambda each: (each[0], each[1].line, each[1].invariants))
    return ranked[:FAILURES_KEPT]
