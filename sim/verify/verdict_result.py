"""The result of `windfleet verify`: the verdict as verify.json, in the shape of result.json.

It has the oracle's figures and findings, and the comparison with the run's own result.json. It has
no expectations: the scenario expects them of the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, cast

from sim.check.verdict import Verdict
from sim.errors import ENVIRONMENT, EXIT_CODE_OF, ResultError
from sim.measure.environment import machine, versions
from sim.report.result import Difference, Figure, Recheck, Result, Run, read_result
from sim.scenario import Scenario
from sim.verify.judged import figure, judged

UNNAMED: Final = "unknown"
"""Scenario of a directory that has neither scenario.yaml nor result.json."""


@dataclass(frozen=True)
class Circumstances:
    """The circumstances of a verdict. lake: its place. notes: checks that could not be made."""

    run_dir: Path
    replay: str = ""
    started: str | None = None
    wall_s: float | None = None
    lake: str = ""
    workers: int = 1
    notes: tuple[str, ...] = ()


def exit_code(verdict: Verdict) -> int:
    """Return the exit code of a verdict."""
    if verdict.status == "unknown" and verdict.errors and not verdict.figures:
        return ENVIRONMENT
    return EXIT_CODE_OF[verdict.status]


def verdict_result(verdict: Verdict, scenario: Scenario | None, around: Circumstances) -> Result:
    """Return a verdict as a result. It reads the run's result.json, to compare with."""
    before = _result(around.run_dir)
    name, seed = UNNAMED, 0
    if scenario is not None:
        name, seed = scenario.name, scenario.seed
    elif before is not None:
        name, seed = before.scenario, before.seed
    return Result(
        scenario=name,
        seed=seed,
        verdict=cast("Literal['pass', 'fail', 'unknown']", verdict.status),
        exit_code=exit_code(verdict),
        run=_run(scenario, around),
        versions=versions(),
        environment={
            "machine": machine(),
            "lake": around.lake,
            "workers": str(around.workers),
        },
        figures=_figures(verdict, around.wall_s),
        recheck=_recheck(verdict, before, around.run_dir),
        errors=tuple(verdict.errors),
        notes=around.notes,
        **judged(verdict),
    )


def _run(scenario: Scenario | None, around: Circumstances) -> Run:
    if scenario is None:
        return Run(around.replay, around.started, around.wall_s)
    return Run(
        replay=around.replay,
        started=around.started,
        wall_s=around.wall_s,
        virtual_start=_iso(scenario.clock.start_us),
        virtual_end=_iso(scenario.clock.end_us),
        farms=len(scenario.fleet.farms),
        turbines=scenario.fleet.turbines,
    )


def _figures(verdict: Verdict, wall_s: float | None) -> dict[str, Figure]:
    values = dict(verdict.figures)
    if wall_s is not None:
        values["time.verify"] = wall_s
        if rows := values.get("rows.generated"):
            values["verify.rows_per_s"] = rows / wall_s
    return {name: figure(name, value) for name, value in values.items()}


def _result(run_dir: Path) -> Result | None:
    """Return the run's own result; None if there is none that can be read."""
    try:
        return read_result(run_dir)
    except ResultError:
        return None


def _recheck(verdict: Verdict, before: Result | None, run_dir: Path) -> Recheck:
    if before is None or before.lake is None or not before.lake.digest:
        return Recheck(str(run_dir))
    known = {name: value for name in verdict.figures if (value := before.figure(name)) is not None}
    now = {name: figure(name, verdict.figures[name]).value for name in known}
    differences = [
        Difference(name, value, now[name]) for name, value in known.items() if now[name] != value
    ]
    if before.lake.digest != verdict.digest:
        differences.append(Difference("lake digest", before.lake.digest, verdict.digest or None))
    return Recheck(str(run_dir), before.verdict, len(known) + 1, tuple(differences))


def _iso(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, UTC).isoformat().replace("+00:00", "Z")
