"""From a load test's course to one Result: figures, expectations, verdict, exit code.

The order of precedence: what ended the test early (3, 130, ...); a generator that was the limit itself (7), as then no
figure is the store's; a threshold missed or a phase stopped early (4); a verdict that could not be reached (6).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from sim.errors import GENERATOR, PASS, THRESHOLD, UNKNOWN
from sim.load.phases import Course
from sim.measure import thresholds
from sim.measure.figures import FIGURES
from sim.measure.loadtest import LoadTest
from sim.report.result import Figure, Result, Run
from sim.run.environment import machine, versions
from sim.scenario import Scenario

Verdict = Literal["pass", "fail", "unknown"]
_JUDGED: Final = ("open", "closed")
"""Phases that are to run to their end; the tries of a search may break, that is what they are for."""


@dataclass
class Circumstances:
    """What the driver knows beside the course. `stopped_by`: exit code of what ended the test, None: its own end."""

    replay: str
    store: str = ""
    started: str | None = None
    total_s: float | None = None
    stopped_by: int | None = None
    errors: list[str] = field(default_factory=list)


def result(scenario: Scenario, course: Course, around: Circumstances) -> Result:
    """The test as one object. Nothing in here waits, reads or writes."""
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
            "store": around.store,
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
    """Verdict and exit code."""
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
    if (
        lost
        or unconfirmed
        or not test.complete
        or any(outcome.passed is None for outcome in outcomes)
    ):
        return "unknown", UNKNOWN
    return "pass", PASS


def _figure(name: str, value: float) -> Figure:
    known = FIGURES[name]
    return Figure(
        int(value) if known.kind == "counted" else round(float(value), 6), known.unit, known.kind
    )
