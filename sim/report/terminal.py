"""The summary on the terminal at the end of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sim.report import accounting, numbers
from sim.report.headline import headline
from sim.report.html import DETECTABLE, REPEATED, TWO_FAULTS, sentence, some_undetectable
from sim.report.plain_table import plain_table
from sim.report.progress import printable
from sim.report.result import Result
from sim.report.write import HTML_FILE

_FINDINGS_SHOWN: Final = 10
_KEY_FIGURES: Final = (
    "throughput.rows_per_s",
    "throughput.objects_per_s",
    "store.put_ceiling_per_s",
    "latency.put.p99",
    "freshness.p99",
    "memory.peak",
    "cost.per_day",
    "time.total",
)


def print_summary(console: Console, result: Result, run_dir: Path) -> None:
    """Print verdict, rows by stage, key figures, failures, and the path of the report."""
    console.print()
    print_sentence(console, headline(result.verdict, printable(sentence(result))))
    console.print(
        Text(
            f"{result.scenario}, seed {result.seed}"
            f"{f', {result.run.part}' if result.run.part else ''}, exit code {result.exit_code}",
            "dim",
        )
    )
    if store := result.environment.get("store"):
        print_sentence(console, Text(f"store: {printable(store)}", "dim"))
    for error in result.errors:
        print_sentence(console, Text(f"error: {printable(error)}", "red"))
    stages = accounting.by_stage(result)
    if stages:
        console.print(stages_table(result, stages))
    shown = [
        (name, result.figures[name]) for name in _KEY_FIGURES if result.figure(name) is not None
    ]
    if shown:
        table = plain_table("figure", ">value", "kind")
        for name, figure in shown:
            table.add_row(name, numbers.figure(figure.value, figure.unit), figure.kind)
        console.print(table)
    if result.truth:
        console.print(_truth(result))
        print_sentence(console, Text(TWO_FAULTS, "dim"))
        if some_undetectable(result):
            print_sentence(console, Text(DETECTABLE, "dim"))
    if result.faults:
        console.print(_delivery(result))
        if any(fault.hit_retries for fault in result.faults):
            print_sentence(console, Text(REPEATED, "dim"))
    for note in result.notes:
        print_sentence(console, Text(f"note: {printable(note)}", "yellow"))
    for outcome in result.expectations:
        # if no lake was judged, the errors above explain it
        if not outcome.passed and result.lake is not None:
            value = (
                f"is {result.value_text(outcome)}"
                if outcome.value is not None
                else "could not be determined"
            )
            label, style = ("not met", "red") if outcome.passed is False else ("unknown", "yellow")
            console.print(Text(f"{label}: {outcome.text} ({value})", style))
    _print_findings(console, result)
    report = run_dir / HTML_FILE
    if result.run.part is not None:
        _print_part(console, report)
        return
    console.print(Text(f"report: {report}", "bold"), soft_wrap=True)
    console.print(
        Text(f"open it with any browser: {report.resolve().as_uri()}", "dim"), soft_wrap=True
    )
    console.print(Text(f"replay: {printable(result.run.replay)}", "dim"), soft_wrap=True)


def _print_part(console: Console, report: Path) -> None:
    """Print what a part of a run is for: it has no page of its own, unless it is asked for."""
    merge = "`windfleet merge` makes the report of all parts"
    console.print(Text(f"part: {report.parent}; {merge}", "bold"), soft_wrap=True)


def print_sentence(console: Console, text: Text) -> None:
    """Print a sentence: by words on a terminal, in one line in a pipe."""
    console.print(text, soft_wrap=not console.is_terminal)


def stages_table(result: Result, stages: list[accounting.StageRow]) -> Table:
    """Return rows by stage: expected, in the lake, wrong."""
    table = plain_table("stage", ">expected", ">in the lake")
    table.add_column("wrong")
    table.add_row("generated", numbers.count(result.figure("rows.generated")))
    for stage in stages:
        kinds = ", ".join(f"{value:,} {kind}" for kind, value in stage.wrong.items() if value)
        judged = (
            Text("none", "green") if stage.expected is not None else Text("not judged", "yellow")
        )
        name = f"{stage.stage} (windows)" if stage.unit == "windows" else stage.stage
        wrong = Text(kinds, "bold red") if kinds else judged
        table.add_row(name, numbers.count(stage.expected), numbers.count(stage.actual), wrong)
    return table


def _truth(result: Result) -> Table:
    scored = any(fault.detectable is not None for fault in result.truth)
    middle = (">found", ">delay") if scored else (">quarantined",)
    table = plain_table(
        "fault in the data", ">injected", ">rows", *middle, "quarantined" if scored else "by rule"
    )
    table.columns[-1].no_wrap = False
    for fault in result.truth:
        rules = ", ".join(
            f"{rule} {numbers.count(rows)}" for rule, rows in fault.quarantined_by_rule.items()
        )
        cells = [numbers.count(sum(fault.quarantined_by_rule.values()))]
        if scored:
            found = (
                f"{numbers.count(fault.found)} of {fault.detectable:,}"
                if fault.detectable
                else numbers.NOTHING
            )
            cells = [found, numbers.duration(fault.delay_s)]
        table.add_row(
            fault.kind, numbers.count(fault.injected), numbers.count(fault.rows), *cells, rules
        )
    return table


def _delivery(result: Result) -> Table:
    table = plain_table("fault of delivery", ">planned", ">injected")
    red = {error.partition(" ")[0] for error in result.errors}
    for fault in result.faults:
        planned, injected = fault.words
        never = Text("never", "bold red" if fault.kind in red else "yellow")
        table.add_row(fault.kind, planned, Text(injected) if fault.fired else never)
    return table


def _print_findings(console: Console, result: Result) -> None:
    for finding in result.findings[:_FINDINGS_SHOWN]:
        where = " ".join(
            part for part in (finding.stage, finding.turbine or finding.farm, finding.key) if part
        )
        rows = (
            f" ({finding.rows:,} row{'s' * (finding.rows != 1)})"
            if finding.rows is not None
            else ""
        )
        text = Text(f"{finding.kind}", "bold red")
        console.print(
            text + Text(printable(f"{rows} {where} {finding.detail}").rstrip(), "default"),
            soft_wrap=True,
        )
    if len(result.findings) > _FINDINGS_SHOWN:
        console.print(
            Text(
                f"and {len(result.findings) - _FINDINGS_SHOWN:,} more findings, all in the report",
                "dim",
            )
        )
