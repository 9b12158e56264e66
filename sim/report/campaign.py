"""The result of a campaign: campaign.json, campaign.html, and a summary on the terminal.

Each world has a matrix: a row per kind of fault (crashes before and after an effect are separate
rows), a column per step of the protocol.

    green    injected, and every run passed
    red      injected, and some runs failed
    grey     certain to be injected, but never was: nothing is known
    dotted   left to chance, and never injected

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

from sim.report import numbers
from sim.report.headline import headline
from sim.whole_file import write_text

JSON_FILE: Final = "campaign.json"
HTML_FILE: Final = "campaign.html"
FAILURES_SHOWN: Final = 10


@dataclass(frozen=True)
class MatrixCell:
    """One fault at one step of the protocol ("" for faults that have no fixed step), in one world.

    runs: runs in which it was injected. failed: failed runs among them.
    certain: at least one run was certain to inject it.
    """

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
    """One run that broke an invariant.

    line: its schedule. replay: the command that repeats it and shrinks the schedule.
    """

    line: str
    invariants: tuple[str, ...]
    detail: str
    replay: str


@dataclass(frozen=True)
class CampaignFigure:
    """One figure of a campaign.

    kind: counted | measured (wall time) | modelled (virtual time). value None: not determined.
    """

    value: float | int | None
    unit: str
    kind: str
    text: str


@dataclass
class CampaignResult:
    """All results of a campaign.

    kinds: injections by kind of fault. broken: failed runs by invariant.
    errors: reasons why it ended early. notes: faults that chance did not inject, with the odds.
    gateway: of the LocalStack of whole runs; "" without any.
    """

    scenario: str
    seed: int
    replay: str
    verdict: str = "unknown"
    exit_code: int = 6
    sentence: str = ""
    figures: dict[str, CampaignFigure] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    broken: dict[str, int] = field(default_factory=dict)
    matrix: list[MatrixCell] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    oracle: str = "unknown"
    digest: str = ""
    gateway: str = ""
    schema_version: int = 1

    def to_json(self) -> str:
        document = asdict(self)
        document["matrix"] = [asdict(cell) | {"state": cell.state} for cell in self.matrix]
        return json.dumps(document, indent=1) + "\n"


def write(result: CampaignResult, folder: Path) -> None:
    """Write campaign.json, then campaign.html. Raises OSError."""
    write_text(folder / JSON_FILE, result.to_json())
    write_text(folder / HTML_FILE, render(result))


def render(result: CampaignResult) -> str:
    """Return the page: one file, which opens offline."""
    from sim.report import page  # a run imports this module, and draws nothing of it

    worlds = dict.fromkeys(cell.world for cell in result.matrix)
    cells = {(cell.world, cell.fault, cell.point): cell for cell in result.matrix}
    return page.render(
        "campaign.html.j2",
        result=result,
        reasons=reasons(result),
        points={
            world: [
                *dict.fromkeys(c.point for c in result.matrix if c.world == world and c.point),
                *([""] if any(c.world == world and not c.point for c in result.matrix) else []),
            ]
            for world in worlds
        },
        rows={
            world: list(dict.fromkeys(c.fault for c in result.matrix if c.world == world))
            for world in worlds
        },
        cells=cells,
        unreached=not_reached(result),
        figures=_known(result),
        failures=result.failures[:FAILURES_SHOWN],
    )


def reasons(result: CampaignResult) -> list[str]:
    """Return the sentences of the verdict, each thing said once."""
    said = result.sentence.lower()
    return [result.sentence, *(text for text in result.errors if text.lower() not in said)]


def not_reached(result: CampaignResult) -> list[MatrixCell]:
    """Return the cells that a campaign did not come to, because it ended early."""
    return [cell for cell in result.matrix if cell.state == "unknown"] if result.errors else []


def _known(result: CampaignResult) -> dict[str, CampaignFigure]:
    return {name: entry for name, entry in result.figures.items() if entry.value is not None}


def print_summary(console: Console, result: CampaignResult, folder: Path) -> None:
    """Print verdict, figures, faults that never fired, and failed runs with replay commands."""

    def line(text: str, style: str = "default") -> None:
        console.print(Text(text, style), soft_wrap=True)

    console.print()
    console.print(headline(result.verdict, result.sentence), soft_wrap=True)
    line(f"{result.scenario}, seed {result.seed}, exit code {result.exit_code}", "dim")
    for name, entry in _known(result).items():
        line(
            f"  {name:<26}{numbers.figure(entry.value, entry.unit):>16}  {entry.kind:<9} "
            f"{entry.text}"
        )
    for text in reasons(result)[1:]:
        line(text, "red")
    line("faults fired: " + ", ".join(f"{kind} {count:,}" for kind, count in result.kinds.items()))
    if unreached := not_reached(result):
        line(f"not reached: {len(unreached):,} of {len(result.matrix):,} fault points", "yellow")
    elif grey := [cell for cell in result.matrix if cell.state == "unknown"]:
        line("never fired: " + _names(grey), "yellow")
    for note in result.notes:
        line(f"note: {note}", "dim")
    if red := [cell for cell in result.matrix if cell.state == "fail"]:
        line("injected in failed runs: " + _names(red), "red")
    if result.broken:
        line(
            "broken: "
            + ", ".join(f"{name} in {count:,} runs" for name, count in result.broken.items()),
            "red",
        )
    for failure in result.failures[:FAILURES_SHOWN]:
        line(f"{', '.join(failure.invariants)}: {failure.detail}", "red")
        line(f"  replay: {failure.replay}")
    if len(result.failures) > FAILURES_SHOWN:
        line(
            f"and {len(result.failures) - FAILURES_SHOWN:,} more failed runs, all in "
            f"{folder / JSON_FILE}"
        )
    line(
        f"lake digest without faults: {result.digest}; verdict of the oracle: {result.oracle}",
        "dim",
    )
    line(f"report: {folder / HTML_FILE}", "bold")
    line(f"replay: {result.replay}", "dim")


def _names(cells: Sequence[MatrixCell]) -> str:
    names = (f"{cell.fault} at {cell.point}" if cell.point else cell.fault for cell in cells)
    return ", ".join(dict.fromkeys(names))
