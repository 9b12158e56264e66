"""Expectations as the pages and the terminal show them: the figure, its value, and the limit."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sim.measure import thresholds
from sim.measure.thresholds import Outcome
from sim.report import numbers
from sim.report.result import Result

_LIMITS: Final = {
    "<=": "allowed {}",
    "<": "allowed below {}",
    ">=": "at least {} expected",
    ">": "more than {} expected",
    "==": "must be {}",
    "!=": "must not be {}",
}
_NAMED: Final = 3
"""Failed expectations that a verdict names."""


@dataclass(frozen=True)
class Shown:
    """One expectation. condition: its text behind the name. value, limit: texts with unit."""

    figure: str
    condition: str
    value: str
    limit: str
    passed: bool | None

    @property
    def reason(self) -> str:
        """Return `freshness.p99 is 29 min 24 s, allowed 20 min`."""
        if self.passed is None:
            return f"{self.figure} could not be determined"
        return f"{self.figure} is {self.value}, {self.limit}"


def shown(result: Result) -> list[Shown]:
    """Return the expectations of a result: failed ones first, then unknown, then met."""
    rank = {False: 0, None: 1, True: 2}
    return sorted(
        (_shown(result, outcome) for outcome in result.expectations),
        key=lambda each: rank[each.passed],
    )


def _shown(result: Result, outcome: Outcome) -> Shown:
    found = re.match(r"[\w.]*", outcome.text.strip())
    name = found[0] if found else ""
    try:
        wanted = thresholds.parse(outcome.text)
        limit = _LIMITS[wanted.op].format(numbers.figure(wanted.value, wanted.unit))
    except ValueError:  # a figure of another version of windfleet
        limit = f"expected {outcome.text}"
    return Shown(
        name,
        outcome.text.strip()[len(name) :],
        result.value_text(outcome),
        limit,
        outcome.passed,
    )


def reasons(each: Iterable[Shown]) -> str:
    """Return the failed expectations as one sentence; empty without any."""
    failed = [one.reason for one in each if one.passed is False]
    if not failed:
        return ""
    more = len(failed) - _NAMED
    rest = f"; {more} more expectation{'s' * (more > 1)} not met" if more > 0 else ""
    return f"{'; '.join(failed[:_NAMED])}{rest}."
