"""What a run says on the terminal: progress while it runs, the summary at its end, and a plan.

On a terminal: a live line with rate and time left. Piped: plain lines, one every few seconds at most, without any
control character, so that a log stays readable. Not covered: prompts; nothing here reads input.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
)
from rich.table import Table
from rich.text import Text

from sim.chaos.faults import KILL, KINDS, Fault
from sim.measure.lifecycle import Outlook
from sim.measure.storage import PRICES_AS_OF
from sim.report import accounting, numbers, policies
from sim.report.headline import headline
from sim.report.html import TWO_FAULTS, sentence
from sim.report.result import Result
from sim.report.write import HTML_FILE
from sim.scenario.plan import REQUESTS_PER_S, Plan
from sim.units import format_duration

_PIPED_EVERY_S: Final = 5.0
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
_CONTROL: Final = {c: " " for c in (*range(32), *range(127, 160)) if c != 10}


class RunProgress:
    """A context manager over a run's phases. `advance` is cheap; call it as often as there is something to add."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: seconds, monotonic."""
        self._console = console
        self._clock = clock
        self._live = (
            _live(console) if console.is_terminal and not console.is_dumb_terminal else None
        )
        self._task: TaskID | None = None
        self._name = ""
        self._unit = ""
        self._total: int | None = None
        self._done = 0
        self._started = self._told = clock()

    def __enter__(self) -> RunProgress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(failed=kind is not None)

    def phase(self, name: str, total: int | None, unit: str) -> None:
        """Begin a phase, ending the one before. `total` None: how much there is to do is not known."""
        self._end_phase()
        self._name, self._total, self._unit, self._done = _plain(name), total, unit, 0
        self._started = self._told = self._clock()
        if self._live is not None:
            self._task = self._live.add_task(self._name, total=total, unit=unit)
        else:
            self._print(f"{self._name} ...")

    def follow(self, name: str, unit: str) -> Callable[[int, int], None]:
        """Return a function of (done, total) that begins the phase at its first call."""
        before: list[int] = []

        def update(done: int, total: int) -> None:
            if not before:
                self.phase(name, total, unit)
            self.advance(done - (before[-1] if before else 0))
            before[:] = [done]

        return update

    def advance(self, amount: int) -> None:
        """`amount` more of the phase's unit is done."""
        self._done += amount
        if self._live is not None and self._task is not None:
            self._live.advance(self._task, amount)
        elif self._clock() - self._told >= _PIPED_EVERY_S:
            self._told = self._clock()
            self._print(f"{self._name}: {self._state()}")

    def log(self, text: str) -> None:
        """One line that stays."""
        self._print(_plain(text))

    def close(self, failed: bool = False) -> None:
        """End the last phase and the live display; harmless when called twice."""
        self._end_phase(failed)
        if self._live is not None:
            self._live.stop()

    def _end_phase(self, failed: bool = False) -> None:
        if not self._name:
            return
        took_s = self._clock() - self._started
        ended = "stopped after" if failed else "done in"
        text = f"{self._name}: {ended} {numbers.duration(took_s)}"
        if self._done:
            text += f", {self._done:,} {self._unit}, {_rate(self._done, took_s)} {self._unit}/s"
        if self._live is not None and self._task is not None:
            self._live.remove_task(self._task)
            self._task = None
        self._print(text)
        self._name = ""

    def _state(self) -> str:
        took_s = self._clock() - self._started
        rate = f"{_rate(self._done, took_s)} {self._unit}/s"
        if not self._total:
            return f"{self._done:,} {self._unit}, {rate}"
        left = (
            f", {numbers.duration(took_s * (self._total - self._done) / self._done)} left"
            if self._done
            else ""
        )
        share = 100 * self._done // self._total
        return f"{self._done:,} of {self._total:,} {self._unit} ({share} %), {rate}{left}"

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class _Rate(ProgressColumn):
    """Amount, rate and time left of a task."""

    def render(self, task: Task) -> Text:
        unit = task.fields["unit"]
        amount = f"{task.completed:,.0f}" + (f"/{task.total:,.0f}" if task.total else "")
        speed = task.speed or task.finished_speed
        rate = f"  {speed:,.0f} {unit}/s" if speed else ""
        left = f"  {numbers.duration(task.time_remaining)} left" if task.time_remaining else ""
        return Text(f"{amount} {unit}{rate}{left}" if task.completed else "", style="cyan")


def _live(console: Console) -> Progress:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=28),
        _Rate(),
    )
    return Progress(*columns, console=console, speed_estimate_period=20.0, transient=True)


def print_summary(console: Console, result: Result, run_dir: Path) -> None:
    """Verdict, rows by stage, key figures, what failed, and where the report is."""
    console.print()
    console.print(headline(result.verdict, _plain(sentence(result))), soft_wrap=True)
    console.print(
        Text(f"{result.scenario}, seed {result.seed}, exit code {result.exit_code}", "dim")
    )
    for error in result.errors:
        console.print(Text(f"error: {_plain(error)}", "red"), soft_wrap=True)
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
        console.print(Text(f"note: {_plain(note)}", "yellow"), soft_wrap=True)
    for outcome in result.expectations:
        if (
            not outcome.passed and result.lake is not None
        ):  # without a lake that was judged the errors say it all
            value = (
                f"is {result.told(outcome)}"
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
    console.print(Text(f"replay: {_plain(result.run.replay)}", "dim"), soft_wrap=True)


def print_plan(console: Console, plan: Plan, risks: Sequence[str] = ()) -> None:
    """What a scenario amounts to: per bucket objects, bytes and PUTs; then rows, requests, time and cost.

    risks: of each fault of delivery, the odds that it strikes nothing.
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
        "other requests": f"{plan.reads:,} by the pipeline, {plan.verify_requests:,} by the verdict",
        "store time": f"{numbers.duration(plan.store_s)} at {REQUESTS_PER_S:,.0f} requests/s",
        "S3 cost": f"{numbers.figure(plan.cost_per_day, 'USD')} a day at list prices of {PRICES_AS_OF} (modelled)",
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
    """Print what the lifecycle policies do with a day of the load: transitions, removals, prices."""
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
    """A fault of delivery as a scenario asks for it: its kind, how much of it, when and where."""
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
    table = _table("fault of delivery", ">planned on", ">struck")
    red = {error.partition(" ")[0] for error in result.errors}
    for fault in result.faults:
        planned, struck = fault.words
        never = Text("never", "bold red" if fault.kind in red else "yellow")
        table.add_row(fault.kind, planned, Text(struck) if fault.fired else never)
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
            text + Text(_plain(f"{rows} {where} {finding.detail}").rstrip(), "default"),
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
    """A `>` before a column's name aligns it right."""
    table = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 1), header_style="dim")
    for name in columns:
        table.add_column(
            name.removeprefix(">"),
            justify="right" if name.startswith(">") else "left",
            no_wrap=True,
        )
    return table


def _rate(done: int, seconds: float) -> str:
    rate = done / max(seconds, 1e-9)
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def _plain(text: str) -> str:
    """Names from a lake may hold anything: control characters become spaces."""
    return text.translate(_CONTROL)
