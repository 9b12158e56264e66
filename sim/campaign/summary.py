"""Sums over all runs of a campaign, and the figures, matrix and verdict made from them.

A failure of any run gives exit code 5. A fault that was certain to fire and never did, or an oracle
that could not judge, gives 6.
"""

from __future__ import annotations

import shlex
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from sim.campaign import plan
from sim.campaign.invariants import WrongRows
from sim.campaign.live_loads import LiveLoads, live_figures
from sim.campaign.live_runs import LiveRun
from sim.campaign.loader.totals import LoadTotals
from sim.campaign.outcome import Outcome
from sim.campaign.schedule import Line
from sim.chaos.faults import FOREIGN, KILL, KINDS, FaultPoint, fault_points
from sim.errors import LAKE_WRONG, PASS, UNKNOWN
from sim.report.campaign import CampaignFigure, CampaignResult, Failure, MatrixCell
from sim.run.planned_faults import CERTAIN, percent

FAILURES_KEPT: Final = 200
IN_PROCESS: Final = "in process, on a store in memory"
LIVE: Final = "whole runs, on LocalStack behind the fault proxy, with killed workers"
_SUMMED: Final = ("calls", "attempts", "acknowledged", "recovered", "committed", "objects", "puts")


@dataclass
class Matrix:
    """For each fault and point, the runs that it hit and those of them that failed.

    One matrix is for the in-process runs, another for the live ones.

    meant    points that the runs were meant to hit
    certain  points that were certain to be hit
    never    point -> chance that no run hits it, None if unknown
    """

    meant: set[FaultPoint] = field(default_factory=set)
    certain: set[FaultPoint] = field(default_factory=set)
    never: dict[FaultPoint, float | None] = field(default_factory=dict)
    fired: Counter[FaultPoint] = field(default_factory=Counter)
    failed: Counter[FaultPoint] = field(default_factory=Counter)

    def add(self, points: Iterable[FaultPoint], failed: bool) -> None:
        """Add a run. points: those that its faults hit."""
        points = set(points)
        self.fired.update(points)
        self.failed.update(points if failed else ())

    def add_meant(self, points: Mapping[FaultPoint, float | None]) -> None:
        """Add the plan of a run.

        points: point that it is meant to hit -> chance that it does not, None if unknown.
        """
        self.meant.update(points)
        for point, never in points.items():
            before = self.never.get(point, 1.0)
            self.never[point] = None if never is None or before is None else before * never
            if never is not None and never < CERTAIN:
                self.certain.add(point)

    def cells(self, world: str) -> list[MatrixCell]:
        """Return the cells of points that were meant or hit, in the order of the catalogue."""
        return [
            MatrixCell(world, *point, self.fired[point], self.failed[point], point in self.certain)
            for point in fault_points(KINDS)
            if point in self.meant or self.fired[point]
        ]

    def notes(self, world: str) -> list[str]:
        """Return one line for each point that was left to chance and not hit."""
        missed = self.meant - self.certain
        return [
            f"{_name(point)} fired in no run {world}: {_odds(self.never.get(point))}"
            for point in fault_points(KINDS)
            if point in missed and not self.fired[point]
        ]


@dataclass
class Summary:
    """Sums over all runs.

    command: command line of the campaign, before `--replay`. run_command: that of a whole run,
    before its `--set` options. amplification: most puts per object of any run.
    """

    command: str
    run_command: str
    single: int = 0
    runs: int = 0
    foreign: int = 0
    failed: int = 0
    repeated: int = 0
    live: int = 0
    live_failed: int = 0
    requests: int = 0
    unknown: list[str] = field(default_factory=list)
    runs_s: float = 0.0
    live_s: float = 0.0
    gateway: str = ""
    figures: Counter[str] = field(default_factory=Counter)
    wrong_rows: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    live_kinds: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    matrix: Matrix = field(
        default_factory=lambda: Matrix(set(plan.planned_points()), set(plan.planned_points()))
    )
    live_matrix: Matrix = field(default_factory=Matrix)
    recovery_s: list[float] = field(default_factory=list)
    amplification: float = 0.0
    live_loads: list[LiveLoads] = field(default_factory=list)
    loads: LoadTotals = field(default_factory=lambda: LoadTotals(""))
    failures: list[tuple[int, Failure]] = field(default_factory=list)
    """Failures with their number of faults. The simplest are reported first."""

    def add(self, line: Line, outcome: Outcome) -> None:
        """Add a run in process."""
        self.runs += 1
        self.foreign += any(fired.kind == FOREIGN for fired in outcome.fired)
        self.figures.update({name: getattr(outcome, name) for name in _SUMMED})
        self.wrong_rows.update(outcome.wrong_rows._asdict())
        self.kinds.update(fired.kind for fired in outcome.fired)
        self.matrix.add(plan.points_of(outcome), bool(outcome.broken))
        self.recovery_s += outcome.recovery_s
        self.amplification = max(
            self.amplification, outcome.puts / max(outcome.objects + outcome.committed, 1)
        )
        if outcome.broken:
            self.failed += 1
            self._fail(line, outcome)

    def add_repeated(self, line: Line, first: tuple[str, str], second: Outcome) -> None:
        """Add the second time of a repeated run. first: trace and digest of the first time."""
        self.repeated += 1
        if first != (second.trace, second.digest):
            self._fail(line, replace(second, broken=[plan.NOT_DETERMINISTIC]))

    def add_live(self, run: LiveRun) -> None:
        """Add a whole run."""
        self.live += 1
        self.foreign += bool(run.injections.by_kind[FOREIGN])
        self.requests += run.requests
        self.unknown += run.unknown
        self.wrong_rows.update(run.wrong_rows._asdict())
        self.live_kinds.update(run.injections.by_kind)
        if run.loads is not None:
            self.live_loads.append(run.loads)
        self.live_matrix.add_meant(run.meant)
        self.live_matrix.add(+run.injections.by_point, bool(run.broken))
        if run.broken:
            self.live_failed += 1
            names = tuple(sorted({name for name, _ in run.broken}))
            self.broken.update(names)
            replay = (
                f"{self.run_command} {shlex.join(f'--set={setting}' for setting in run.settings)}"
            )
            self._keep(
                len(run.meant), Failure(" ".join(run.settings), names, run.broken[0].detail, replay)
            )

    def _fail(self, line: Line, outcome: Outcome) -> None:
        names = tuple(sorted({name for name, _ in outcome.broken}))
        self.broken.update(names)
        replay = f"{self.command} --replay '{line}'"
        self._keep(len(line.items), Failure(str(line), names, outcome.broken[0].detail, replay))

    def _keep(self, faults: int, failure: Failure) -> None:
        if len(self.failures) < FAILURES_KEPT:
            self.failures.append((faults, failure))

    def sum_up(self, result: CampaignResult) -> None:
        """Write everything into the result, except an error that ended the campaign early."""
        loads = self.loads
        result.kinds = dict(sorted((self.kinds + loads.kinds + self.live_kinds).items()))
        result.broken = dict(sorted((self.broken + loads.broken).items()))
        result.matrix = [
            *self.matrix.cells(IN_PROCESS),
            *loads.cells(),
            *self.live_matrix.cells(LIVE),
        ]
        result.notes = self.matrix.notes("in process") + self.live_matrix.notes("on LocalStack")
        result.failures = [
            failure
            for _, failure in sorted(
                [*self.failures, *loads.failures[:FAILURES_KEPT]],
                key=lambda pair: (pair[0], pair[1].line),
            )
        ]
        result.figures = self._figures()
        result.gateway = self.gateway if self.live else ""
        result.exit_code, result.sentence = self._verdict(result)

    def _verdict(self, result: CampaignResult) -> tuple[int, str]:
        never_fired = sum(cell.state == "unknown" for cell in result.matrix)
        failed = self.failed + self.loads.failed + self.live_failed
        runs = self.runs + self.loads.runs + self.live
        if failed:
            return LAKE_WRONG, f"{failed:,} of {runs:,} runs broke an invariant."
        if differ := result.broken.get("not.deterministic", 0):
            repeated = self.repeated + self.loads.repeated
            return LAKE_WRONG, f"{differ:,} of {repeated:,} repeated runs came out differently."
        if result.oracle == "fail":
            return LAKE_WRONG, "The oracle fails the lake of the run without faults."
        none = f"No run of {runs:,} broke an invariant, but"
        if never_fired:
            missing = f"{never_fired} combinations of fault and point that were certain to fire"
            return UNKNOWN, f"{none} {missing} never did."
        if self.unknown:
            times = f"{len(self.unknown):,} times a run proved less than planned"
            return UNKNOWN, f"{none} {times}: {self.unknown[0]}."
        if result.oracle != "pass":
            return UNKNOWN, f"{none} the oracle could not judge."
        return PASS, self._pass_sentence(self.runs + self.live)

    def _pass_sentence(self, runs: int) -> str:
        live = (
            f", {self.live:,} of them on LocalStack with {self.live_kinds[KILL]:,} workers killed,"
            if self.live
            else ""
        )
        foreign = (
            f"; in {self.foreign:,} of them a node met foreign bytes, and only that node stopped"
            if self.foreign
            else ""
        )
        loads = (
            f" Each of {self.loads.runs:,} runs of the loader left each row of the lake in its "
            "table once."
            if self.loads.runs
            else ""
        )
        same = "left the same lake as the run without"
        return f"Each of {runs:,} runs with faults{live} {same}{foreign}.{loads}"

    def _figures(self) -> dict[str, CampaignFigure]:
        figures = {
            **self._run_figures(),
            **self._batch_figures(),
            **self._recovery_figures(),
            **self._time_figures(),
        }
        figures |= self.loads.figures() if self.loads.runs else {}
        return figures | self._live_figures() if self.live else figures

    def _run_figures(self) -> dict[str, CampaignFigure]:
        differ = self.broken["not.deterministic"]
        return {
            "runs": _counted(
                self.runs, f"{self.single:,} enumerated, {self.runs - self.single:,} random"
            ),
            "runs.failed": _counted(self.failed, "broke an invariant"),
            "runs.repeated": _counted(
                self.repeated, f"were made twice; {differ} came out differently"
            ),
            "store.calls": _counted(
                self.figures["calls"], "calls to the store, those with a fault too"
            ),
            "faults.fired": _counted(self.kinds.total(), f"of {len(self.kinds)} kinds"),
            "runs.foreign": _counted(
                self.foreign, "in which a node met foreign bytes under its key and had to stop"
            ),
        }

    def _batch_figures(self) -> dict[str, CampaignFigure]:
        sums, broken = self.figures, self.broken
        return {
            "batches.attempts": _counted(
                sums["attempts"], "batches handed to the store, every try counted"
            ),
            "batches.acknowledged": _counted(
                sums["acknowledged"], "reported as durable to the process"
            ),
            "batches.recovered": _counted(
                sums["recovered"], "durable, but not reported to any process"
            ),
            **{
                f"rows.{name}": _counted(self.wrong_rows[name], text)
                for name, text in _WRONG_ROWS.items()
            },
            "checkpoint.regressions": _counted(
                broken["checkpoint.regressed"] + broken["checkpoint.ahead"],
                "runs in which a checkpoint went back, or ahead of the data",
            ),
            "runs.stuck": _counted(
                broken["stuck"] + broken["stopped"],
                "did not drain after all faults had ended, or a node stopped for good",
            ),
        }

    def _recovery_figures(self) -> dict[str, CampaignFigure]:
        sums, n = self.figures, self.runs - self.single
        return {
            "recovery.p50": CampaignFigure(
                statistics.median(self.recovery_s) if self.recovery_s else None,
                "s",
                "modelled",
                "median time for which the lake lagged the run without faults",
            ),
            "recovery.max": CampaignFigure(
                max(self.recovery_s, default=None),
                "s",
                "modelled",
                "longest time for which the lake lagged",
            ),
            "writes.per_object": _counted(
                sums["puts"] / max(sums["objects"] + sums["committed"], 1), "puts per object"
            ),
            "writes.per_object.max": _counted(self.amplification, "the same in the worst run"),
            "failure.bound": _counted(
                3 / n if n and not self.broken else None,
                "upper bound of the chance that a random run fails, 95 % sure: 3/n",
            ),
        }

    def _time_figures(self) -> dict[str, CampaignFigure]:
        return {
            "time.runs": CampaignFigure(self.runs_s, "s", "measured", "wall time of these runs"),
            "throughput.runs_per_s": CampaignFigure(
                (self.runs + self.repeated) / max(self.runs_s, 1e-9),
                "runs/s",
                "measured",
                "all workers",
            ),
        }

    def _live_figures(self) -> dict[str, CampaignFigure]:
        return {
            "wired.runs": _counted(
                self.live,
                f"whole runs on LocalStack ({self.gateway} gateway) behind the fault proxy",
            ),
            "wired.failed": _counted(
                self.live_failed, "left another lake than without faults, or did not pass"
            ),
            "wired.killed": _counted(self.live_kinds[KILL], "workers killed by SIGKILL"),
            "wired.faults": _counted(
                self.live_kinds.total(), f"fired, of {len(self.live_kinds)} kinds"
            ),
            "wired.requests": _counted(self.requests, "requests of the nodes, every try counted"),
            **live_figures(self.live_loads),
            "time.wired": CampaignFigure(self.live_s, "s", "measured", "wall time of these runs"),
        }


_WRONG_ROWS: Final = dict(
    zip(
        WrongRows._fields,
        (
            "missing, against the run without faults",
            "in the lake more than once",
            "under a wrong hour",
        ),
        strict=True,
    )
)


def _counted(value: float | None, text: str) -> CampaignFigure:
    return CampaignFigure(value, "", "counted", text)


def _name(point: FaultPoint) -> str:
    kind, at = point
    return f"{kind} at {at}" if at else kind


def _odds(never: float | None) -> str:
    if never is None:
        return "a node makes such a call only after certain other faults"
    return f"a chance of {percent(never)}"
