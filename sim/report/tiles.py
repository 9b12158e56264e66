"""The figures of a page: tiles at its head, and all of them in groups at its end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from sim.measure.figures import FIGURES
from sim.report import numbers
from sim.report.outcomes import Shown
from sim.report.result import Figure, Result


@dataclass(frozen=True)
class FigureTile:
    """One figure at the head of a page. note: the limit that it missed."""

    name: str
    label: str
    number: str
    unit: str
    kind: str = ""
    failed: bool = False
    note: str = ""


@dataclass(frozen=True)
class FigureRow:
    """One figure of the list of all figures."""

    name: str
    text: str
    kind: str
    description: str


def tiles(
    result: Result, headlines: Sequence[tuple[str, str]], expected: Iterable[Shown], most: int
) -> list[FigureTile]:
    """Return tiles: figures that missed a limit first, then those of `headlines` that are known.

    headlines: (name, label). A figure that missed its limit keeps its label.
    """
    labels = dict(headlines)
    failed = {each.figure: each for each in expected if each.passed is False}
    names = dict.fromkeys([*failed, *labels])
    known = [name for name in names if _means(result, name)]
    return [_tile(name, labels.get(name, name), result.figures[name], failed) for name in known][
        : max(most, len(failed))
    ]


def _tile(name: str, label: str, figure: Figure, failed: dict[str, Shown]) -> FigureTile:
    value, unit = figure.value, figure.unit
    percent = {"": "%", "cores": "% of a core"}.get(unit) if figure.kind != "counted" else None
    if percent and value is not None and name.startswith(("errors", "cpu")):
        value, unit = round(100 * value, 1), percent
    number, shown_unit = numbers.split(value, unit)
    missed = failed.get(name)
    note = missed.limit if missed else ""
    return FigureTile(name, label, number, shown_unit, figure.kind, missed is not None, note)


def _means(result: Result, name: str) -> bool:
    """Return True for a figure that says something.

    A run that was cut short has zeros where nothing was measured.
    """
    value = result.figure(name)
    if value is None:
        return False
    return bool(value) or result.verdict != "unknown" or result.figures[name].kind == "counted"


def groups(result: Result) -> list[tuple[str, list[FigureRow]]]:
    """Return all figures that say something, by the first part of their names."""
    rows = [
        FigureRow(name, numbers.figure(entry.value, entry.unit), entry.kind, _description(name))
        for name, entry in sorted(result.figures.items())
        if _means(result, name)
    ]
    return [
        (prefix, list(each))
        for prefix, each in groupby(rows, key=lambda row: row.name.partition(".")[0])
    ]


def _description(name: str) -> str:
    return FIGURES[name].description if name in FIGURES else ""
