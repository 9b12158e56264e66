"""Sums over all runs of the loader, and the figures and matrix made from them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from sim.campaign.failures import Ranked, keep
from sim.campaign.loader import plan
from sim.campaign.loader.line import LoadLine
from sim.campaign.loader.run import LoadOutcome
from sim.campaign.loader.tables import WrongRows
from sim.report.campaign import CampaignFigure, Failure, MatrixCell

LOADS: Final = "loads into Delta tables, from a store in memory"
NOT_DETERMINISTIC: Final = "not.deterministic"
WITHOUT_FAULT: Final = "load without any fault"
_ADDED: Final = ("single", "runs", "failed", "repeated", "wall_s")
_COUNTERS: Final = ("sums", "kinds", "broken", "fired", "failed_at")
_TEXTS: Final = {
    "lost": "rows of the lake that are in no table",
    "duplicated": "rows that are in their table more than once",
    "altered": "rows with another value than in their object",
}


@dataclass
class LoadTotals:
    """Sums over all runs of the loader.

    command: command line of the campaign, before `--replay`. struck: calls that were hit by each
    kind that applies. certain: points that the enumerated runs are certain to hit.
    """

    command: str
    certain: set[tuple[str, str]] = field(default_factory=set)
    struck: int = 0
    single: int = 0
    runs: int = 0
    failed: int = 0
    repeated: int = 0
    wall_s: float = 0.0
    sums: Counter[str] = field(default_factory=Counter)
    wrong_rows: WrongRows = field(default_factory=WrongRows)
    kinds: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    failures: list[Ranked] = field(default_factory=list)
    fired: Counter[tuple[str, str]] = field(default_factory=Counter)
    failed_at: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, line: LoadLine, outcome: LoadOutcome) -> None:
        """Add a run."""
        self.runs += 1
        self.sums.update({name: getattr(outcome, name) for name in ("loads", "killed", "seconds")})
        self.wrong_rows = self.wrong_rows.plus(outcome.wrong_rows)
        self.kinds.update(each.kind for each in outcome.fired)
        points = plan.points_of(outcome)
        self.fired.update(points)
        if outcome.broken:
            self.failed += 1
            self.failed_at.update(points)
            names = tuple(sorted({each.invariant for each in outcome.broken}))
            self._fail(line, names, outcome.broken[0].detail)

    def add_repeated(self, line: LoadLine, first_trace: str, second: LoadOutcome) -> None:
        """Add the second time of a repeated run."""
        self.repeated += 1
        if first_trace != second.trace:
            self._fail(line, (NOT_DETERMINISTIC,), "the repeated run of the loader came out else")

    def _fail(self, line: LoadLine, names: tuple[str, ...], detail: str) -> None:
        self.broken.update(names)
        replay = f"{self.command} --replay '{line}'"
        keep(self.failures, [(len(line.items), Failure(str(line), names, detail, replay))])

    def fail_without_fault(self, detail: str) -> None:
        """Add the failed run without faults, the only one then. It is the same in every part."""
        self.failed = self.runs = 1
        self.broken.update([WITHOUT_FAULT])
        replay = f"{self.command} --replay load"
        self.failures = [(0, Failure("load", (WITHOUT_FAULT,), detail, replay))]

    def merge(self, other: LoadTotals) -> None:
        """Add the runs of another part of the campaign."""
        if self.broken[WITHOUT_FAULT]:
            return
        for name in _ADDED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _COUNTERS:
            getattr(self, name).update(getattr(other, name))
        self.wrong_rows = self.wrong_rows.plus(other.wrong_rows)
        self.certain |= other.certain
        self.struck = max(self.struck, other.struck)
        keep(self.failures, other.failures)

    def cells(self) -> list[MatrixCell]:
        """Return the cells of points that were certain to be hit, or were hit."""
        return [
            MatrixCell(LOADS, *at, self.fired[at], self.failed_at[at], at in self.certain)
            for at in plan.planned_points()
            if at in self.certain or self.fired[at]
        ]

    def figures(self) -> dict[str, CampaignFigure]:
        differ, random = self.broken[NOT_DETERMINISTIC], self.runs - self.single
        bound = 3 / random if random and not self.broken else None
        return {
            "loads.runs": _counted(
                self.runs, f"runs of the loader: {self.single:,} enumerated, {random:,} random"
            ),
            "loads.failed": _counted(self.failed, "broke an invariant"),
            "loads.repeated": _counted(
                self.repeated, f"were made twice; {differ} came out differently"
            ),
            "loads.struck": _counted(self.struck, "calls of the loader that single faults hit"),
            "loads.made": _counted(self.sums["loads"], "loads in these runs, every try counted"),
            "loads.killed": _counted(self.sums["killed"], "loads that were killed"),
            "loads.second": _counted(
                self.sums["seconds"], "loads that began while another one worked"
            ),
            "loads.faults": _counted(self.kinds.total(), f"fired, of {len(self.kinds)} kinds"),
            **{
                f"loads.rows.{name}": _counted(count, _TEXTS[name])
                for name, count in self.wrong_rows._asdict().items()
            },
            "loads.bound": _counted(
                bound, "upper bound of the chance that a random run fails, 95 % sure: 3/n"
            ),
            "time.loads": CampaignFigure(self.wall_s, "s", "measured", "wall time of these runs"),
        }


def _counted(value: float | None, text: str) -> CampaignFigure:
    return CampaignFigure(value, "", "counted", text)
