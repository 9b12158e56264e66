"""All runs of a campaign summed up as they come, in both worlds; and the figures, matrix and verdict that follow.

A failure of any run is exit code 5. A planned way to strike that never fired, or an oracle that cannot tell, is 6.
"""

from __future__ import annotations

import shlex
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sim.campaign import plan as chaos
from sim.campaign.invariants import Fates
from sim.campaign.live_runs import Wired
from sim.campaign.outcome import Outcome
from sim.campaign.schedule import Line
from sim.chaos.faults import FOREIGN, KILL, KINDS, Cell, cells
from sim.errors import LAKE_WRONG, PASS, UNKNOWN
from sim.report import campaign as report
from sim.report.campaign import CampaignResult, Failure, Figure
from sim.run.planned_faults import CERTAIN, percent

FAILURES_KEPT: Final = 200
IN_PROCESS: Final = "in process, on a store in memory"
WIRED: Final = "whole runs, on LocalStack behind the fault proxy, with killed workers"
_SUMMED: Final = ("calls", "attempts", "acknowledged", "recovered", "committed", "objects", "puts")


@dataclass
class Matrix:
    """One world's matrix: runs that were struck in each way, and those of them that failed. `certain`: the ways that
    were certain to strike; `never`: of the others, the chance that none of the runs is struck so, None: unknown."""

    meant: set[Cell] = field(default_factory=set)
    certain: set[Cell] = field(default_factory=set)
    never: dict[Cell, float | None] = field(default_factory=dict)
    struck: Counter[Cell] = field(default_factory=Counter)
    failed: Counter[Cell] = field(default_factory=Counter)

    def add(self, ways: Iterable[Cell], failed: bool) -> None:
        ways = set(ways)
        self.struck.update(ways)
        self.failed.update(ways if failed else ())

    def mean(self, ways: Mapping[Cell, float | None]) -> None:
        """One more run. ways: those that it means to be struck in -> the chance that it is not, None: unknown."""
        self.meant.update(ways)
        for cell, never in ways.items():
            before = self.never.get(cell, 1.0)
            self.never[cell] = None if never is None or before is None else before * never
            if never is not None and never < CERTAIN:
                self.certain.add(cell)

    def cells(self, world: str) -> list[report.Cell]:
        """In the order of the catalogue; what was neither meant nor struck is no cell."""
        there = [cell for cell in cells(KINDS) if cell in self.meant or self.struck[cell]]
        return [
            report.Cell(world, *cell, self.struck[cell], self.failed[cell], cell in self.certain)
            for cell in there
        ]

    def notes(self, world: str) -> list[str]:
        """What chance did not bring, one line each."""
        unmet = [
            cell
            for cell in cells(KINDS)
            if cell in self.meant - self.certain and not self.struck[cell]
        ]
        return [
            f"{_name(cell)} struck in no run {world}: {_odds(self.never.get(cell))}"
            for cell in unmet
        ]


@dataclass
class Tally:
    """All runs. `command`: that of the campaign, up to --replay; `run_command`: of a whole run, up to its settings."""

    command: str
    run_command: str
    single: int = 0
    runs: int = 0
    foreign: int = 0
    failed: int = 0
    again: int = 0
    wired: int = 0
    wired_failed: int = 0
    requests: int = 0
    unknown: list[str] = field(default_factory=list)
    runs_s: float = 0.0
    wired_s: float = 0.0
    figures: Counter[str] = field(default_factory=Counter)
    fates: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    wired_kinds: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    matrix: Matrix = field(
        default_factory=lambda: Matrix(set(chaos.planned_cells()), set(chaos.planned_cells()))
    )
    wired_matrix: Matrix = field(default_factory=Matrix)
    recovery_s: list[float] = field(default_factory=list)
    amplification: float = 0.0
    failures: list[tuple[int, Failure]] = field(default_factory=list)
    """With how many faults it has: the simplest are told first."""

    def add(self, line: Line, outcome: Outcome) -> None:
        self.runs += 1
        self.foreign += any(fired.kind == FOREIGN for fired in outcome.fired)
        self.figures.update({name: getattr(outcome, name) for name in _SUMMED})
        self.fates.update(outcome.fates._asdict())
        self.kinds.update(fired.kind for fired in outcome.fired)
        self.matrix.add(chaos.cells_of(outcome), bool(outcome.broken))
        self.recovery_s += outcome.recovery_s
        self.amplification = max(
            self.amplification, outcome.puts / max(outcome.objects + outcome.committed, 1)
        )
        if outcome.broken:
            self.failed += 1
            self._fail(line, outcome)

    def add_again(self, line: Line, first: tuple[str, str], second: Outcome) -> None:
        """A run that was made twice. `first`: its trace and digest."""
        self.again += 1
        if first != (second.trace, second.digest):
            self._fail(line, replace(second, broken=[chaos.NOT_DETERMINISTIC]))

    def add_wired(self, run: Wired) -> None:
        self.wired += 1
        self.foreign += bool(run.struck.fired[FOREIGN])
        self.requests += run.requests
        self.unknown += run.unknown
        self.fates.update(run.fates._asdict())
        self.wired_kinds.update(run.struck.fired)
        self.wired_matrix.mean(run.meant)
        self.wired_matrix.add(+run.struck.cells, bool(run.broken))
        if run.broken:
            self.wired_failed += 1
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
        """Everything but what ended the campaign early, into the result."""
        result.kinds = dict(sorted((self.kinds + self.wired_kinds).items()))
        result.broken = dict(sorted(self.broken.items()))
        result.matrix = self.matrix.cells(IN_PROCESS) + self.wired_matrix.cells(WIRED)
        result.notes = self.matrix.notes("in process") + self.wired_matrix.notes("on LocalStack")
        result.failures = [
            failure
            for _, failure in sorted(self.failures, key=lambda pair: (pair[0], pair[1].line))
        ]
        result.figures = self._figures()
        result.exit_code, result.sentence = self._verdict(result)

    def _verdict(self, result: CampaignResult) -> tuple[int, str]:
        grey = sum(cell.state == "unknown" for cell in result.matrix)
        failed, runs = self.failed + self.wired_failed, self.runs + self.wired
        if failed:
            return LAKE_WRONG, f"{failed:,} of {runs:,} runs broke an invariant."
        if differ := self.broken["not.deterministic"]:
            return LAKE_WRONG, f"{differ:,} of {self.again:,} repeated runs came out differently."
        if result.oracle == "fail":
            return LAKE_WRONG, "The oracle finds the lake wrong, without any fault."
        none = f"No run of {runs:,} broke an invariant, but"
        if grey:
            return (
                UNKNOWN,
                f"{none} {grey} combinations of fault and point that were certain to fire never did.",
            )
        if self.unknown:
            return (
                UNKNOWN,
                f"{none} {len(self.unknown):,} times one did not show what it should: {self.unknown[0]}.",
            )
        if result.oracle != "pass":
            return UNKNOWN, f"{none} the oracle could not judge."
        killed = self.wired_kinds[KILL]
        real = (
            f", {self.wired:,} of them on LocalStack with {killed:,} workers killed,"
            if self.wired
            else ""
        )
        but = (
            f"; in {self.foreign:,} of them a node met foreign bytes, and it alone stopped there"
            if self.foreign
            else ""
        )
        return (
            PASS,
            f"Each of {runs:,} runs with faults{real} left the very lake of the run without{but}.",
        )

    def _figures(self) -> dict[str, Figure]:
        def counted(value: float | None, text: str) -> Figure:
            return Figure(value, "", "counted", text)

        n, sums, broken = self.runs - self.single, self.figures, self.broken
        regressions = broken["checkpoint.regressed"] + broken["checkpoint.ahead"]
        figures = {
            "runs": counted(self.runs, f"{self.single:,} enumerated, {n:,} at random"),
            "runs.failed": counted(self.failed, "broke an invariant"),
            "runs.repeated": counted(
                self.again, f"made twice; {broken['not.deterministic']} came out differently"
            ),
            "store.calls": counted(sums["calls"], "calls to the store, struck ones too"),
            "faults.fired": counted(self.kinds.total(), f"of {len(self.kinds)} kinds"),
            "runs.foreign": counted(
                self.foreign, "in which a node met foreign bytes under its key, and had to stop"
            ),
            "batches.attempts": counted(
                sums["attempts"], "batches handed to the store, every try counted"
            ),
            "batches.acknowledged": counted(
                sums["acknowledged"], "reported durable to the process"
            ),
            "batches.recovered": counted(
                sums["recovered"], "durable although no process was told so"
            ),
            **{f"rows.{fate}": counted(self.fates[fate], text) for fate, text in _FATES.items()},
            "checkpoint.regressions": counted(
                regressions, "runs in which a checkpoint went back, or ahead of the data"
            ),
            "runs.stuck": counted(
                broken["stuck"] + broken["stopped"], "did not drain after healing, or gave up"
            ),
            "recovery.p50": Figure(
                _median(self.recovery_s),
                "s",
                "modelled",
                "behind the run without faults, per spell",
            ),
            "recovery.max": Figure(
                max(self.recovery_s, default=None), "s", "modelled", "the longest such spell"
            ),
            "writes.per_object": counted(
                sums["puts"] / max(sums["objects"] + sums["committed"], 1), "puts per object"
            ),
            "writes.per_object.max": counted(self.amplification, "the same in the worst run"),
            "failure.bound": counted(
                3 / n if n and not broken else None, "95 % bound per random run, 3/n"
            ),
            "time.runs": Figure(self.runs_s, "s", "measured", "wall time of these runs"),
            "throughput.runs_per_s": Figure(
                (self.runs + self.again) / max(self.runs_s, 1e-9),
                "runs/s",
                "measured",
                "all workers",
            ),
        }
        if self.wired:
            figures |= {
                "wired.runs": counted(
                    self.wired, "whole runs on LocalStack behind the fault proxy"
                ),
                "wired.failed": counted(
                    self.wired_failed, "another lake than without faults, or not passed"
                ),
                "wired.killed": counted(self.wired_kinds[KILL], "workers ended by SIGKILL"),
                "wired.faults": counted(
                    self.wired_kinds.total(), f"fired, of {len(self.wired_kinds)} kinds"
                ),
                "wired.requests": counted(
                    self.requests, "requests of the nodes, every try counted"
                ),
                "time.wired": Figure(self.wired_s, "s", "measured", "wall time of these runs"),
            }
        return figures


_FATES: Final = dict(
    zip(
        Fates._fields,
        (
            "against the run without faults",
            "in the lake more than once",
            "under another hour than they belong to",
        ),
        strict=True,
    )
)


def _name(cell: Cell) -> str:
    kind, point = cell
    return f"{kind} at {point}" if point else kind


def _odds(never: float | None) -> str:
    if never is None:
        return "whether a node makes such a call depends on what else befalls it"
    return f"a chance of {percent(never)}"


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None
