"""The Result of a load test: figures, expectations, verdict, exit code.

The first of these that applies decides the exit code:

1. the error or interruption that ended the test early (3, 130, ...);
2. a generator that was the limit itself (7), because no figure is then the store's;
3. a threshold that is not met, or a phase that stopped early (4);
4. a verdict that could not be reached (6).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from sim.errors import GENERATOR, PASS, THRESHOLD, UNKNOWN
from sim.load.phases import Course
from sim.measure import thresholds
from sim.measure.environment import machine, versions
from sim.measure.figures import FIGURES
from sim.measure.loadtest import LoadTest
from sim.report.result import Figure, Result, Run
from sim.scenario import Scenario

Verdict = Literal["pass", "fail", "unknown"]
_JUDGED: Final = ("open", "closed")
"""Phases that must run to their end. The tries of a search may stop early, to find the limit."""


@dataclass
class Circumstances:
    """Facts about the test that its phases do not have. stopped_by: exit code of an early end."""

    replay: str
    store: Mapping[str, str] = field(default_factory=dict)
    started: str | None = None
    total_s: float | None = None
    stopped_by: int | None = None
    errors: list[str] = field(default_factory=list)


def result(scenario: Scenario, course: Course, around: Circumstances) -> Result:
    """Return the test as one object. Reads and writes no file."""
    values = {name: value for name, value in course.figures().items() if math.isfinite(value)}
    if around.total_s is not None:
        values["time.total"] = around.total_s
    outcomes = thresholds.evaluate(scenario.expect, values)
    test = course.test()
    verdict, code = decide(test, outcomes, around.stopped_by)
    return Result(
        scenario=scenario.name,
        seed=scenario.seed,
        verdict=verdict,
        exit_code=code,
        run=Run(
            replay=around.replay,
            started=around.started,
            wall_s=around.total_s,
            farms=len(scenario.fleet.farms),
            turbines=scenario.fleet.turbines,
        ),
        versions=versions(),
        environment={
            "machine": machine(),
            **around.store,
        },
        figures={name: _figure(name, value) for name, value in values.items()},
        lake=None,
        expectations=tuple(outcomes),
        load=test,
        errors=tuple(around.errors),
    )


def decide(
    test: LoadTest, outcomes: Sequence[thresholds.Outcome], stopped_by: int | None = None
) -> tuple[Verdict, int]:
    """Return the verdict and the exit code."""
    if stopped_by is not None:
        return "unknown", stopped_by
    if not any(phase.figures.get("load.achieved_per_s") for phase in test.phases):
        return "unknown", UNKNOWN
    if test.limit is not None and test.limit.what == "generator":
        return "unknown", GENERATOR
    stopped = any(phase.stopped_early for phase in test.phases if phase.kind in _JUDGED)
    if stopped or any(outcome.passed is False for outcome in outcomes):
        return "fail", THRESHOLD
    lost = any(phase.lost_workers for phase in test.phases)
    unconfirmed = test.search is not None and test.search.sustainable is None
    unmeasured = any(outcome.passed is None for outcome in outcomes)
    if lost or unconfirmed or unmeasured or not test.complete:
        return "unknown", UNKNOWN
    return "pass", PASS


def _figure(name: str, value: float) -> Figure:
    known = FIGURES[name]
    return Figure(known.number(value), known.unit, known.kind)
