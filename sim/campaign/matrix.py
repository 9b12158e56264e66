"""Faults and points that the runs of a campaign hit, with the runs that failed there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sim.chaos.faults import KINDS, FaultPoint, fault_points
from sim.report import numbers
from sim.report.campaign import MatrixCell
from sim.run.planned_faults import CERTAIN


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
            self.never[point] = _both(self.never.get(point, 1.0), never)
            if never is not None and never < CERTAIN:
                self.certain.add(point)

    def merge(self, other: Matrix) -> None:
        """Add the runs of another part."""
        self.meant |= other.meant
        self.certain |= other.certain
        for point, never in other.never.items():
            self.never[point] = _both(self.never.get(point, 1.0), never)
        self.fired.update(other.fired)
        self.failed.update(other.failed)

    def hit(self) -> Matrix:
        """Return the points that were hit: a part of the runs need not hit the others."""
        return Matrix(fired=self.fired, failed=self.failed)

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


def _both(one: float | None, other: float | None) -> float | None:
    """Return the chance of two independent events together, None if one of them is unknown."""
    return None if one is None or other is None else one * other


def _name(point: FaultPoint) -> str:
    kind, at = point
    return f"{kind} at {at}" if at else kind


def _odds(never: float | None) -> str:
    if never is None:
        return "a node makes such a call only after certain other faults"
    return f"a chance of {numbers.chance(never)}"
