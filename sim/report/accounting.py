"""The rows of a run by stage, and the map of completeness by hour and farm.

Both are sums over the oracle's completeness per farm, hour and stage. HTML and terminal reports
share them.

Not covered: the comparison with the lake, which the oracle has made.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sim.report.numbers import count, percent
from sim.report.result import WRONGS, HourCompleteness, Result

ORDER: Final = ("ingestion", "quarantine", "validated", "enriched", "aggregated")
_HOURLY_DAYS: Final = 14  # in a map of more days, a tile is a day instead of an hour


@dataclass(frozen=True)
class StageRow:
    """One stage: rows (windows in `aggregated`) expected, found and wrong.

    None: not judged.
    """

    stage: str
    expected: int | None
    actual: int | None
    wrong: dict[str, int | None]
    complete: str

    @property
    def unit(self) -> str:
        return "windows" if self.stage == "aggregated" else "rows"

    @property
    def flawless(self) -> bool:
        return self.expected is not None and not any(self.wrong.values())


def by_stage(result: Result) -> list[StageRow]:
    """Return one row per stage, in the order of the pipeline.

    A stage that was not judged has only the number of rows seen in the lake. If the whole lake was
    judged, a stage without counts is 0 of 0.
    """
    in_lake = result.lake.rows_by_stage if result.lake else {}
    cells: dict[str, list[HourCompleteness]] = defaultdict(list)
    for cell in result.completeness:
        cells[cell.stage].append(cell)
    everything_read = bool(cells) and result.lake is not None and result.lake.digest != ""
    return [
        _stage_row(
            stage, cells[stage], in_lake.get(stage), everything_read and not in_lake.get(stage)
        )
        for stage in _ordered({*cells, *in_lake})
    ]


def _stage_row(
    stage: str, cells: list[HourCompleteness], in_lake: int | None, nothing: bool = False
) -> StageRow:
    """Return the row of a stage.

    nothing: True if empty `cells` mean that no row was expected and none found.
    """
    if not cells and not nothing:
        return StageRow(stage, None, in_lake, dict.fromkeys(WRONGS), percent(0, 0))
    expected = sum(cell.expected for cell in cells)
    wrong: dict[str, int | None] = {
        kind: sum(getattr(cell, kind) for cell in cells) for kind in WRONGS
    }
    lost = wrong["lost"] or 0
    return StageRow(
        stage,
        expected,
        sum(cell.actual for cell in cells),
        wrong,
        percent(expected - lost, expected),
    )


def _ordered(stages: Iterable[str]) -> list[str]:
    return sorted(stages, key=lambda s: (ORDER.index(s) if s in ORDER else len(ORDER), s))


@dataclass(frozen=True)
class Tile:
    """One tile of the map.

    state: complete | lost | wrong | none. share: percent. detail: the counts in words.
    """

    state: str
    share: str
    detail: str
    expected: int


@dataclass(frozen=True)
class Band:
    """One day of hours, or one month of days.

    A title, column headings, and for each farm a tile per column.
    """

    title: str
    columns: list[str]
    rows: list[tuple[str, list[Tile]]]

    @property
    def flawed(self) -> int:
        return sum(tile.state in ("lost", "wrong") for _, tiles in self.rows for tile in tiles)

    @property
    def expected(self) -> int:
        return sum(tile.expected for _, tiles in self.rows for tile in tiles)


def foremost(everything: list[Band], limit: int) -> list[Band]:
    """Return at most `limit` bands, in time order.

    Those with the most flawed tiles are chosen first; among equals, those with the most rows.
    """
    chosen = sorted(everything, key=lambda band: (-band.flawed, -band.expected, band.title))[:limit]
    return sorted(chosen, key=lambda band: band.title)


def bands(cells: Iterable[HourCompleteness]) -> list[Band]:
    """Return the map, cut into bands that fit a page.

    A band is a day of hours; or, if the map spans more than two weeks, a month of days.
    """
    everything = list(cells)
    hours = {cell.hour: datetime.fromisoformat(cell.hour) for cell in everything}
    hourly = len({at.date() for at in hours.values()}) <= _HOURLY_DAYS
    title, column = ("%Y-%m-%d", "%H h") if hourly else ("%Y-%m", "%d")
    grid: dict[str, dict[tuple[str, str], list[HourCompleteness]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for cell in everything:
        at = hours[cell.hour]
        grid[at.strftime(title)][cell.farm, at.strftime(column)].append(cell)
    farms = sorted({cell.farm for cell in everything})
    made = []
    for name in sorted(grid):
        columns = sorted({at for _, at in grid[name]})
        rows = [(farm, [_tile(grid[name].get((farm, at), [])) for at in columns]) for farm in farms]
        made.append(Band(name, columns, rows))
    return made


def _tile(cells: list[HourCompleteness]) -> Tile:
    expected = sum(cell.expected for cell in cells)
    wrong = {kind: sum(getattr(cell, kind) for cell in cells) for kind in WRONGS}
    if expected == 0 and not any(wrong.values()):
        return Tile("none", "", "nothing expected", 0)
    stages = [
        _stage_row(stage, [c for c in cells if c.stage == stage], None)
        for stage in {c.stage for c in cells}
    ]
    worst = min((s for s in stages if s.expected), key=_share_found, default=None)
    share = worst.complete.removesuffix(" %") if worst else "–"
    state = "lost" if wrong["lost"] else "wrong" if any(wrong.values()) else "complete"
    faults = [f"{count(value)} {kind}" for kind, value in wrong.items() if value]
    wrong_in = sorted(s.stage for s in stages if not s.flawless and s.expected is not None)
    detail = (
        f"{', '.join(faults)} in {', '.join(_ordered(wrong_in))}"
        if faults
        else f"all {count(expected)} present"
    )
    return Tile(state, share, detail, expected)


def _share_found(row: StageRow) -> float:
    expected = row.expected or 0
    return (expected - (row.wrong["lost"] or 0)) / expected
