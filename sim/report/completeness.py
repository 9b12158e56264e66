"""The farms behind the map of completeness: their stages by hour, and their nodes with findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sim.report import findings
from sim.report.accounting import Band
from sim.report.findings import Node
from sim.report.numbers import count, moment
from sim.report.result import WRONGS, HourCompleteness, Result, Shard

HOURS_SHOWN: Final = 48
"""Faulty hours and stages of a farm on the page; all of them are in result.json."""


@dataclass(frozen=True)
class FaultyHour:
    """One stage of a farm in one hour: rows expected, in the lake, and the faults in words."""

    hour: str
    stage: str
    expected: int
    actual: int
    wrong: str


@dataclass(frozen=True)
class Farm:
    """One farm: its part of the run, hours with faults, and nodes with findings."""

    name: str
    shard: Shard | None
    expected: int
    hours: tuple[FaultyHour, ...]
    hidden: int
    nodes: tuple[Node, ...]


def farms(result: Result) -> list[Farm]:
    """Return the farms of the map, in order."""
    shards = {shard.farm: shard for shard in result.shards}
    cells: dict[str, list[HourCompleteness]] = {}
    for cell in result.completeness:
        cells.setdefault(cell.farm, []).append(cell)
    return [_farm(result, name, shards.get(name), cells[name]) for name in sorted(cells)]


def _farm(
    result: Result, name: str, shard: Shard | None, cells: Sequence[HourCompleteness]
) -> Farm:
    faulty = sorted(
        (cell for cell in cells if cell.wrong), key=lambda cell: (cell.hour, cell.stage)
    )
    return Farm(
        name,
        shard,
        sum(cell.expected for cell in cells if cell.stage == "ingestion"),
        tuple(_hour(cell) for cell in faulty[:HOURS_SHOWN]),
        max(len(faulty) - HOURS_SHOWN, 0),
        tuple(findings.of_farm(result.findings, name, result.errors)),
    )


def _hour(cell: HourCompleteness) -> FaultyHour:
    wrong = ", ".join(f"{count(value)} {kind}" for kind in WRONGS if (value := getattr(cell, kind)))
    return FaultyHour(moment(cell.hour), cell.stage, cell.expected, cell.actual, wrong)


def all_complete(bands: Sequence[Band]) -> str:
    """Return one sentence for a map on which every tile is complete; empty for any other."""
    if not any(band.expected for band in bands) or any(band.flawed for band in bands):
        return ""
    names = {farm for band in bands for farm, _ in band.rows}
    hours = sum(len(band.columns) for band in bands)
    noun = "day" if len(bands[0].title) == len("2024-01") else "hour"
    all_of = f"all {len(names):,} farms" if len(names) > 1 else f"farm {next(iter(names))}"
    spans = f"all {hours:,} {noun}s" if hours > 1 else f"the one {noun}"
    return f"Complete: {all_of} in {spans} of event time have 100 % of their rows and windows."
