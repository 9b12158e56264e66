"""The phases of a load test as rows, for page and terminal.

A level of the sweep counts from where it is steady. Its row has the numbers of the sweep, so that
no table contradicts another.
"""

from __future__ import annotations

from dataclasses import dataclass

from sim.measure.loadtest import Level, LoadTest, PhaseSummary


@dataclass(frozen=True)
class PhaseRow:
    """One phase. p95_s: of flushes; of a level, of all its requests. Absent figures are None."""

    phase: PhaseSummary
    offered: float | None
    achieved: float | None
    p95_s: float | None

    def figure(self, name: str) -> float | None:
        return self.phase.figures.get(name)


def rows(test: LoadTest) -> list[PhaseRow]:
    """Return a row per phase, in the order in which they ran."""
    levels = {level.users: level for level in test.sweep.levels} if test.sweep else {}
    return [_row(phase, levels) for phase in test.phases]


def _row(phase: PhaseSummary, levels: dict[int, Level]) -> PhaseRow:
    found = phase.figures
    if phase.kind == "closed" and phase.users in levels:
        level = levels[phase.users]
        return PhaseRow(phase, None, level.throughput, level.p95_s)
    offered = found.get("load.offered_per_s") if phase.users is None else None
    return PhaseRow(
        phase, offered, found.get("load.achieved_per_s"), found.get("latency.flush.p95")
    )
