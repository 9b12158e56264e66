"""A verdict on the terminal: its sentence, findings in groups, stages, and the comparison.

`windfleet verify` prints it; so do parts of a verdict, and `windfleet merge` of such parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from pipeline.terminal import one_line
from sim.report import accounting, numbers
from sim.report.findings import Group, groups, short_key
from sim.report.headline import headline
from sim.report.html import sentence
from sim.report.progress import printable
from sim.report.result import Finding, Result
from sim.report.terminal import print_sentence, stages_table
from sim.report.verify_page import recheck_value
from sim.report.write import VERIFY_HTML, VERIFY_JSON, VERIFY_JUNIT

_SHOWN: Final = 20
"""Findings that are printed in full. Kinds share them, so that a frequent one hides no other."""


def print_verdict(console: Console, result: Result) -> None:
    """Print verdict, errors, findings, rows by stage, digest."""
    console.print()
    print_sentence(console, headline(result.verdict, printable(sentence(result))))
    seed = f"{printable(result.scenario)}, seed {result.seed}, exit code {result.exit_code}"
    console.print(Text(seed, "dim"), soft_wrap=True)
    for error in result.errors:
        print_sentence(console, Text(f"error: {one_line(error)}", "red"))
    found = groups(result.findings, result.errors)
    for group in found:
        _print_group(console, result, group, max(_SHOWN // len(found), 1))
    if stages := accounting.by_stage(result):
        console.print(stages_table(result, stages))
    digest = result.lake.digest if result.lake else ""
    console.print(Text(f"lake digest: {digest or 'not determined'}"), soft_wrap=True)


def print_verified(console: Console, result: Result, folder: Path) -> None:
    """Print the verdict, its comparison with the run's own result, and the paths of the files."""
    print_verdict(console, result)
    if result.recheck is not None and (text := result.recheck.sentence):
        differ = bool(result.recheck.differences)
        console.print(Text(text, "yellow" if differ else "default"), soft_wrap=True)
        for each in result.recheck.differences:
            before, now = (recheck_value(each, value) for value in (each.before, each.now))
            console.print(f"  {each.name}: {before} in result.json, now {now}", soft_wrap=True)
    for note in result.notes:
        print_sentence(console, Text(f"note: {printable(note)}", "yellow"))
    report = folder / VERIFY_HTML
    console.print(Text(f"report: {printable(str(report))}", "bold"), soft_wrap=True)
    console.print(
        Text(f"open it with any browser: {report.resolve().as_uri()}", "dim"), soft_wrap=True
    )
    beside = f"beside it: {VERIFY_JSON}, and {VERIFY_JUNIT} for build servers"
    console.print(Text(beside, "dim"), soft_wrap=True)
    console.print(Text(f"replay: {printable(result.run.replay)}", "dim"), soft_wrap=True)


def _print_group(console: Console, result: Result, group: Group, most: int) -> None:
    """Print one kind: its number of findings, and the first of them."""
    number = result.finding_counts.get(group.kind, len(group.findings))
    parts = [f"{number:,} finding{'s' * (number != 1)}"]
    if group.rows and number == len(group.findings):
        parts.append(f"{group.rows:,} row{'s' * (group.rows != 1)}")
    if group.farms:
        parts.append(f"farm{'s' * (',' in group.farms)} {group.farms}")
    if group.stages:
        parts.append(f"in {group.stages}")
    kind, rest = Text(group.kind, "bold red"), one_line(", ".join(parts))
    console.print(kind + Text(f": {rest}", "default"), soft_wrap=True)
    for finding in group.findings[:most]:
        console.print(Text(f"  {one_line(' '.join(_words(finding)))}"), soft_wrap=True)
    if (more := number - min(len(group.findings), most)) > 0:
        console.print(Text(f"  and {more:,} more", "dim"))


def _words(finding: Finding) -> Iterator[str]:
    """Yield the place of a finding, its rows, its text and its key."""
    if where := finding.turbine or (finding.farm and f"farm {finding.farm}"):
        yield where
    if finding.stage:
        yield finding.stage
    if finding.rows:
        yield f"{numbers.count(finding.rows)} row{'s' * (finding.rows != 1)}"
    if finding.detail:
        yield finding.detail
    if finding.key:
        yield short_key(finding)
