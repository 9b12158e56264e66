"""The terminal output of a run: the summary at its end, and the plan before it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sim.chaos.faults import KILL, KINDS, Fault
from sim.measure.lifecycle import Outlook
from sim.measure.storage import PRICES_AS_OF
from sim.report import accounting, numbers, policies
from sim.report.headline import headline
from sim.report.html import TWO_FAULTS, sentence
from sim.report.progress import printable
from sim.report.result import Result
from sim.report.write import HTML_FILE
from sim.scenario.plan import REQUESTS_PER_S, Plan
from sim.units import format_duration

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
    console.print(headline(result.verdict, printable(sentence(result))), soft_wrap=True)
    console.print(
        Text(
            f"{result.scenario}, seed {result.seed}"
            f"{f', {result.run.part}' if result.run.part else ''}, exit code {result.exit_code}",
            "dim",
        )
    )
    if store := result.environment.get("store"):
        console.print(Text(f"store: {printable(store)}", "dim"), soft_wrap=True)
    for error in result.errors:
        console.print(Text(f"error: {printable(error)}", "red"), soft_wrap=True)
    stages = accounting.by_stage(result)
    if stages:
        console.print(_stages(result, stages))
    shown = [
        (name, result.figures[name]) for name in _KEY_FIGURES if result.figure(name) is not None
    ]
    if shown:
        table = _table("figure", ">value", "kind")
        for name, figure in shown:
            table.add_row(name, numbers.figure(figure.value, figure.unit), figure.kind)
        console.print(table)
    if result.truth:
        console.print(_truth(result))
        console.print(Text(TWO_FAULTS, "dim"), soft_wrap=True)
    if result.faults:
        console.print(_delivery(result))
    for note in result.notes:
        console.print(Text(f"note: {printable(note)}", "yellow"), soft_wrap=True)
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
    console.print(Text(f"report: {report}", "bold"), soft_wrap=True)
    console.print(
        Text(f"open it with any browser: {report.resolve().as_uri()}", "dim"), soft_wrap=True
    )
    console.print(Text(f"replay: {printable(result.run.replay)}", "dim"), soft_wrap=True)


def print_plan(console: Console, plan: Plan, risks: Sequence[str] = ()) -> None:
    """Print the plan of a scenario: objects, bytes and PUTs per bucket, then the totals.

    risks: for each fault of delivery, the odds that it is never injected.
    """
    table = _table("bucket", ">objects", ">size, about", ">PUT requests")
    for stage, objects in plan.objects.items():
        table.add_row(
            stage, f"{objects:,}", numbers.size(plan.lake_bytes[stage]), f"{plan.writes[stage]:,}"
        )
    totals = (plan.objects, plan.lake_bytes, plan.writes)
    objects, size, writes = (sum(by_stage.values()) for by_stage in totals)
    table.add_section()
    table.add_row("all", f"{objects:,}", numbers.size(size), f"{writes:,}")
    console.print(table)
    lines = {
        "fleet": f"{_many(plan.turbines, 'turbine')} in {_many(plan.farms, 'farm')}",
        "rows": f"{plan.rows:,} in {plan.batches:,} batches, {plan.windows:,} windows",
        "node databases": f"{numbers.size(plan.node_bytes)} (about)",
        "other requests": f"{plan.reads:,} of the pipeline, "
        f"{plan.verify_requests:,} of the verdict",
        "store time": f"{numbers.duration(plan.store_s)} at {REQUESTS_PER_S:,.0f} requests/s",
        "S3 cost": f"{numbers.figure(plan.cost_per_day, 'USD')} a day at list prices of "
        f"{PRICES_AS_OF} (modelled)",
    }
    faults = ", ".join(f"{kind} {numbers.decimal(count)}" for kind, count in plan.faults.items())
    lines |= {"data faults": f"{faults} (expected)"} if faults else {}
    odds = [f" ({risk})" if risk else "" for risk in risks] or [""] * len(plan.delivery)
    faults_of = zip(plan.delivery, odds, strict=True)
    delivery = [
        ("faults" * (i == 0), _planned_fault(fault) + risk)
        for i, (fault, risk) in enumerate(faults_of)
    ]
    for name, text in [*lines.items(), *delivery]:
        console.print(Text(f"{name:<15}", "dim") + Text(text, "default"), soft_wrap=True)
    _print_policies(console, plan.outlook)


def _print_policies(console: Console, outlook: Outlook) -> None:
    """Print the effect of the lifecycle policies on a day of the load."""
    table = _table("bucket", ">objects a day", ">mean size", "moved by lifecycle policies")
    table.columns[-1].no_wrap = False
    for row in policies.summary(outlook):
        table.add_row(*row)
    console.print(table)
    lines = [("expiry" * (i == 0), text) for i, text in enumerate(policies.removals(outlook))]
    lines += [("S3 storage" * (i == 0), text) for i, text in enumerate(policies.prices(outlook))]
    for name, text in lines:
        console.print(Text(f"{name:<15}", "dim") + Text(text, "default"), soft_wrap=True)


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


def _planned_fault(fault: Fault) -> str:
    """Return a fault of delivery in words: its kind, its share or number, its time and place."""
    begin, end = (
        format_duration(round(s * 1e6)) for s in (fault.from_s, fault.from_s + fault.for_s)
    )
    kind = KINDS[fault.kind]
    parts = (
        fault.kind,
        f"{100 * fault.share:.3g} % of {'calls' if kind.points else 'nodes'}"
        if fault.share < 1
        else "",
        f"{fault.count} {'times' if fault.kind == KILL else 'at most'}"
        if fault.count is not None
        else "",
        f"{begin} to {end}" if kind.windowed else "",
        f"at {' '.join(fault.at)}" if fault.at else "",
        f"of {' '.join(fault.calls)}" if fault.calls else "",
        f"bucket {' '.join(fault.buckets)}" if fault.buckets else "",
        f"key {' '.join(fault.keys)}" if fault.keys else "",
        f"farm {' '.join(fault.farms)}" if fault.farms else "",
    )
    return ", ".join(part for part in parts if part)


def _stages(result: Result, stages: list[accounting.StageRow]) -> Table:
    table = _table("stage", ">expected", ">in the lake")
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
    table = _table(
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
    table = _table("fault of delivery", ">planned", ">injected")
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


def _table(*columns: str) -> Table:
    """Return a table. A `>` before the name of a column aligns it right."""
    table = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 1), header_style="dim")
    for name in columns:
        table.add_column(
            name.removeprefix(">"),
            justify="right" if name.startswith(">") else "left",
            no_wrap=True,
        )
    return table
