"""The summary of a load test on the terminal: verdict, limit, phases, expectations not met."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from sim.measure.loadtest import LoadTest
from sim.report import numbers
from sim.report.headline import headline
from sim.report.load import phases
from sim.report.load.page import sentence
from sim.report.result import Result
from sim.report.write import HTML_FILE

_KEY_FIGURES: Final = (
    "load.achieved_per_s",
    "latency.flush.p50",
    "latency.flush.p95",
    "latency.flush.p99",
    "load.late.p99",
    "load.backlog.max",
    "load.sustainable_per_s",
    "load.peak_per_s",
    "load.saturation_users",
    "load.generator_per_s",
    "cpu.server_per_operation",
)


def print_load(console: Console, result: Result, run_dir: Path) -> None:
    """Print the summary. `result.load` must not be None."""
    test = result.load
    assert test is not None

    def line(text: str, style: str = "default") -> None:
        console.print(Text(text, style), soft_wrap=True)

    console.print()
    console.print(headline(result.verdict, sentence(result)), soft_wrap=True)
    line(f"{result.scenario}, seed {result.seed}, exit code {result.exit_code}", "dim")
    if store := result.environment.get("store"):
        line(f"store: {store}", "dim")
    for error in result.errors:
        line(f"error: {error}", "red")
    for note in test.notes:
        line(f"note: {note}", "dim")
    if test.sweep is not None:
        line(f"sweep: {test.sweep.said}")
    if test.phases:
        for number, phase in enumerate(_phases(test)):
            line(f"  {phase}", "default" if number else "dim")
    known = [
        (name, result.figures[name]) for name in _KEY_FIGURES if result.figure(name) is not None
    ]
    for name, entry in known:
        line(f"  {name:<26}{numbers.figure(entry.value, entry.unit):>18}")
    for outcome in result.expectations:
        if not outcome.passed:
            value = (
                f"is {result.value_text(outcome)}"
                if outcome.value is not None
                else "was not measured"
            )
            label, style = ("not met", "red") if outcome.passed is False else ("unknown", "yellow")
            line(f"{label}: {outcome.text} ({value})", style)
    report = run_dir / HTML_FILE
    line(f"report: {report}", "bold")
    line(f"open it with any browser: {report.resolve().as_uri()}", "dim")
    line(f"replay: {result.run.replay}", "dim")


def _phases(test: LoadTest) -> list[str]:
    """Return a heading and a line per phase, in columns."""
    lines = [
        (
            "phase",
            "offered/s",
            "achieved/s",
            "errors",
            "late p99",
            "backlog",
            "p95",
            "store",
            "client",
        )
    ]
    for row in phases.rows(test):
        phase, found = row.phase, row.phase.figures
        lines.append(
            (
                phase.name + (" (stopped)" if phase.stopped_early else ""),
                numbers.decimal(row.offered)
                if phase.users is None
                else f"{phase.users} user{'s' * (phase.users != 1)}",
                numbers.decimal(row.achieved),
                numbers.count(found.get("load.errors", 0.0) + found.get("load.not_made", 0.0)),
                numbers.duration(found.get("load.late.p99")),
                numbers.count(found.get("load.backlog.max")),
                numbers.duration(row.p95_s),
                _share(found.get("cpu.server")),
                _share(found.get("cpu.client")),
            )
        )
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return [
        "  ".join(
            text.ljust(width) if i == 0 else text.rjust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]


def _share(cores: float | None) -> str:
    return numbers.NOTHING if cores is None else f"{100 * cores:.0f} %"
