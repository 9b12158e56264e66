"""Sums over all runs of a campaign, and the figures, matrix and verdict made from them.

A failure of any run gives exit code 5. A fault that was certain to fire and never did, or an oracle
that could not judge, gives 6.
"""

from __future__ import annotations

import shlex
import statistics
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Final

from sim.campaign import plan
from sim.campaign.failures import Ranked, keep, simplest
from sim.campaign.invariants import WrongRows
from sim.campaign.live_loads import LiveLoads, live_figures
from sim.campaign.live_runs import LiveRun
from sim.campaign.loader.totals import LoadTotals
from sim.campaign.matrix import Matrix
from sim.campaign.outcome import Outcome
from sim.campaign.schedule import Line
from sim.chaos.faults import FOREIGN, KILL
from sim.errors import LAKE_WRONG, PASS, UNKNOWN
from sim.report.campaign import CampaignFigure, CampaignResult, Failure

IN_PROCESS: Final = "in process, on a store in memory"
LIVE: Final = "whole runs, on LocalStack behind the fault proxy, with killed workers"
_SUMMED: Final = ("calls", "attempts", "acknowledged", "recovered", "committed", "objects", "puts")
_ADDED: Final = (
    *("single", "runs", "foreign", "failed", "repeated", "live", "live_failed", "requests"),
    *("unknown", "runs_s", "live_s", "recovery_s", "live_loads"),
)
_COUNTERS: Final = ("figures", "wrong_rows", "kinds", "live_kinds", "broken")


@dataclass
class Summary:
    """Sums over all runs.

    command: command line of the campaign, before `--replay`. run_command: that of a whole run,
    before its `--set` options. amplification: most puts per object of any run.
    without_fault: text of the broken invariant that ended the run without faults, so that no other
    run was made.
    """

    command: str
    run_command: str
    without_fault: str = ""
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
    failures: list[Ranked] = field(default_factory=list)
    """The simplest are reported first."""

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
            failure = Failure(" ".join(run.settings), names, run.broken[0].detail, replay)
            keep(self.failures, [(len(run.meant), failure)])

    def _fail(self, line: Line, outcome: Outcome) -> None:
        names = tuple(sorted({name for name, _ in outcome.broken}))
        self.broken.update(names)
        replay = f"{self.command} --replay '{line}'"
        failure = Failure(str(line), names, outcome.broken[0].detail, replay)
        keep(self.failures, [(len(line.items), failure)])

    def merge(self, other: Summary) -> None:
        """Add the runs of another part of the campaign."""
        for name in _ADDED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _COUNTERS:
            getattr(self, name).update(getattr(other, name))
        self.amplification = max(self.amplification, other.amplification)
        self.gateway = self.gateway or other.gateway
        self.without_fault = self.without_fault or other.without_fault
        self.matrix.merge(other.matrix)
        self.live_matrix.merge(other.live_matrix)
        self.loads.merge(other.loads)
        keep(self.failures, other.failures)

    def of_part(self) -> Summary:
        """Return the sums for the report of a part: all parts together hit each certain point."""
        loads = replace(self.loads, certain=set())
        return replace(
            self, matrix=self.matrix.hit(), live_matrix=self.live_matrix.hit(), loads=loads
        )

    def sum_up(self, result: CampaignResult) -> None:
        """Write everything into the result, except an error that ended the campaign early."""
        if self.without_fault:
            result.exit_code, result.broken = LAKE_WRONG, {"without any fault": 1}
            result.sentence = f"Even without any fault: {self.without_fault}"
            return
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
                [*simplest(self.failures), *simplest(loads.failures)],
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
                self.repeated,
                f"made twice; {differ:,} came out differently"
                if differ
                else "made twice, with the same result",
            ),
            "store.calls": _counted(
                self.figures["calls"], "calls to the store, those with a fault too"
            ),
            "faults.fired": _counted(self.kinds.total(), _of_kinds(len(self.kinds))),
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
            "time.runs": CampaignFigure(
                self.runs_s,
                "s",
                "measured",
                "time of these runs, added up",
            ),
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
                self.live_kinds.total(), f"fired, {_of_kinds(len(self.live_kinds))}"
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


def _of_kinds(number: int) -> str:
    return f"of {number} kind{'s' * (number != 1)}"


def _counted(value: float | None, text: str) -> CampaignFigure:
    return CampaignFigure(value, "", "counted", text)
