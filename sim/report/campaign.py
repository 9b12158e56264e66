"""What a campaign found: one result object, as campaign.json, as campaign.html, and in a few lines on the terminal.

Each world has a matrix: a row per kind of fault (crashes before and after an effect apart), a column per point of the
protocol. Green: fired, and every run came out right. Red: fired, and some did not. Grey: was certain to fire and never
did, so nothing is known. Dotted: left to chance, which did not bring it.
Not covered: rebuilding the page from campaign.json.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from sim.report import numbers, page
from sim.report.headline import headline
from sim.report.write import write_text

JSON_FILE: Final = "campaign.json"
HTML_FILE: Final = "campaign.html"
FAILURES_SHOWN: Final = 10


@dataclass(frozen=True)
class Cell:
    """One fault at one point ("" for faults of no certain point) in one world: runs that it struck, and how many of
    them failed. `certain`: whether chance could not keep it from striking."""

    world: str
    fault: str
    point: str
    runs: int
    failed: int
    certain: bool = True

    @property
    def state(self) -> str:
        if self.runs == 0:
            return "unknown" if self.certain else "chance"
        return "fail" if self.failed else "pass"


@dataclass(frozen=True)
class Failure:
    """One run that broke an invariant. `line` is its schedule, `replay` the command that repeats it and shrinks it."""

    line: str
    invariants: tuple[str, ...]
    detail: str
    replay: str


@dataclass(frozen=True)
class Figure:
    """kind: counted | measured (wall time) | modelled (virtual time). None: not determined."""

    value: float | int | None
    unit: str
    kind: str
    text: str


@dataclass
class CampaignResult:
    """All of a campaign. `kinds` counts strikes by kind, `broken` failed runs by invariant."""

    scenario: str
    seed: int
    replay: str
    verdict: str = "unknown"
    exit_code: int = 6
    sentence: str = ""
    figures: dict[str, Figure] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    broken: dict[str, int] = field(default_factory=dict)
    matrix: list[Cell] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    """What ended it before its end."""
    notes: list[str] = field(default_factory=list)
    """What chance did not bring, with the odds."""
    oracle: str = "unknown"
    digest: str = ""
    schema_version: int = 1

    def to_json(self) -> str:
        document = asdict(self)
        document["matrix"] = [asdict(cell) | {"state": cell.state} for cell in self.matrix]
        return json.dumps(document, indent=1) + "\n"


def write(result: CampaignResult, folder: Path) -> None:
    """campaign.json, then campaign.html. Raises OSError."""
    write_text(folder / JSON_FILE, result.to_json())
    write_text(folder / HTML_FILE, render(result))


def render(result: CampaignResult) -> str:
    """The page: one file, no script, opens offline."""
    points = list(dict.fromkeys(cell.point for cell in result.matrix if cell.point))
    worlds = dict.fromkeys(cell.world for cell in result.matrix)
    return (
        page.environment()
        .get_template("campaign.html.j2")
        .render(
            result=result,
            points=[*points, ""],
            rows={
                world: list(dict.fromkeys(c.fault for c in result.matrix if c.world == world))
                for world in worlds
            },
            cells={(cell.world, cell.fault, cell.point): cell for cell in result.matrix},
            failures=result.failures[:FAILURES_SHOWN],
        )
    )


def print_summary(console: Console, result: CampaignResult, folder: Path) -> None:
    """Verdict, figures, what never fired, and every failing run with the command that repeats it."""

    def say(text: str, style: str = "default") -> None:
        console.print(Text(text, style), soft_wrap=True)

    console.print()
    console.print(headline(result.verdict, result.sentence), soft_wrap=True)
    say(f"{result.scenario}, seed {result.seed}, exit code {result.exit_code}", "dim")
    for name, entry in result.figures.items():
        say(
            f"  {name:<26}{numbers.figure(entry.value, entry.unit):>16}  {entry.kind:<9} {entry.text}"
        )
    for error in result.errors:
        say(error, "red")
    say("faults fired: " + ", ".join(f"{kind} {count:,}" for kind, count in result.kinds.items()))
    if grey := [cell for cell in result.matrix if cell.state == "unknown"]:
        say("never fired: " + _names(grey), "yellow")
    for note in result.notes:
        say(f"note: {note}", "dim")
    if red := [cell for cell in result.matrix if cell.state == "fail"]:
        say("struck in failing runs: " + _names(red), "red")
    if result.broken:
        say(
            "broken: "
            + ", ".join(f"{name} in {count:,} runs" for name, count in result.broken.items()),
            "red",
        )
    for failure in result.failures[:FAILURES_SHOWN]:
        say(f"{', '.join(failure.invariants)}: {failure.detail}", "red")
        say(f"  replay: {failure.replay}")
    if len(result.failures) > FAILURES_SHOWN:
        say(
            f"and {len(result.failures) - FAILURES_SHOWN:,} more failing runs, all in {folder / JSON_FILE}"
        )
    say(
        f"lake digest without faults: {result.digest}, judged by the oracle: {result.oracle}", "dim"
    )
    say(f"report: {folder / HTML_FILE}", "bold")
    say(f"replay: {result.replay}", "dim")


def _names(cells: Sequence[Cell]) -> str:
    names = (f"{cell.fault} at {cell.point}" if cell.point else cell.fault for cell in cells)
    return ", ".join(dict.fromkeys(names))
