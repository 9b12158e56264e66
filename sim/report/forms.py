"""The end of a run on stdout, in the form that a script asks for: JSON, Markdown, or one line.

With `--json` and `--markdown` everything else goes to stderr, so that stdout is one document. With
`--quiet` there is nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Literal

from rich.console import Console
from rich.text import Text

from sim.console import SafeConsole
from sim.report import accounting, numbers
from sim.report.headline import headline
from sim.report.html import HEADLINES, sentence
from sim.report.result import RESULT_FILE, Result, read_result
from sim.report.write import HTML_FILE, VERIFY_HTML, VERIFY_JSON

RUN_FILES: Final = (RESULT_FILE, HTML_FILE)
VERIFY_FILES: Final = (VERIFY_JSON, VERIFY_HTML)
Form = Literal["text", "json", "markdown", "quiet"]
_FINDINGS_SHOWN: Final = 10
_MARKS: Final = {"pass": "✅", "fail": "❌", "unknown": "⚠️"}


def in_form(
    form: Form, folder: Path, run: Callable[[Console], int], files: tuple[str, str] = RUN_FILES
) -> int:
    """Make a run, print its result in a form, and return its exit code.

    folder: run directory. files: names of result and page in it. A run that ends without a result
    prints its error only.
    """
    json_file, page = files
    if form == "text":
        return run(SafeConsole())
    code = run(SafeConsole(sys.stderr, quiet=form == "quiet"))
    if form == "json":
        print((folder / json_file).read_text(encoding="utf-8"), end="")
    elif form == "markdown":
        print(markdown(read_result(folder / json_file), folder / page), end="")
    else:
        print_line(read_result(folder / json_file), folder / page, SafeConsole())
    return code


def print_line(result: Result, page: Path | None, console: Console) -> None:
    """Print the verdict in one line, the errors, and the conditions that were not met."""
    console.print(headline(result.verdict, sentence(result)), soft_wrap=True)
    for error in result.errors:
        console.print(Text(f"error: {error}", "red"), soft_wrap=True)
    if result.exit_code and page is not None:
        console.print(Text(f"report: {page}"), soft_wrap=True)


def markdown(result: Result, page: Path) -> str:
    """Return a summary for the page of a CI job: verdict, failures, figures, rows by stage."""
    title = f"{_MARKS[result.verdict]} windfleet {result.verdict}: {result.scenario}"
    lines = [f"## {_cell(title)}, seed {result.seed}", "", _cell(sentence(result)), ""]
    lines += [f"- error: {_cell(error)}" for error in result.errors]
    lines += [f"- {text}" for text in _missed(result)]
    for finding in result.findings[:_FINDINGS_SHOWN]:
        where = (finding.stage, finding.turbine or finding.farm, finding.detail)
        lines.append(f"- {finding.kind} {_cell(' '.join(filter(None, where)))}")
    known = max(len(result.findings), sum(result.finding_counts.values()))
    if (more := known - min(len(result.findings), _FINDINGS_SHOWN)) > 0:
        lines.append(f"- and {more:,} more findings, all in {page.name}")
    lines += ["", "| figure | value | kind |", "|---|---:|---|"]
    for name, text in _headlines(result):
        figure = result.figures.get(name)
        if figure is not None and figure.value is not None:
            value = numbers.figure(figure.value, figure.unit)
            lines.append(f"| {text} | {value} | {figure.kind} |")
    if stages := accounting.by_stage(result):
        lines += ["", "| stage | expected | in the lake | wrong |", "|---|---:|---:|---|"]
        for stage in stages:
            wrong = ", ".join(f"{value:,} {kind}" for kind, value in stage.wrong.items() if value)
            cells = (numbers.count(stage.expected), numbers.count(stage.actual), wrong or "none")
            lines.append(f"| {stage.stage} | {' | '.join(cells)} |")
    if result.recheck is not None and result.recheck.sentence:
        lines += ["", _cell(result.recheck.sentence)]
    digest = f"digest `{result.lake.digest[:16]}`; " if result.lake else ""
    lines += ["", f"{digest}report: `{page}`; replay: `{result.run.replay}`", ""]
    return "\n".join(lines)


def _headlines(result: Result) -> Sequence[tuple[str, str]]:
    """Return the figures that a reader wants first, with their texts."""
    if result.load is None:
        return HEADLINES
    from sim.report.load.page import HEADLINES as OF_LOAD  # it draws

    return OF_LOAD


def _missed(result: Result) -> list[str]:
    """Return a line for each condition that was not met, or not decided."""
    words = {False: "not met", None: "not decided"}
    return [
        f"{words[outcome.passed]}: `{outcome.text}`, is {result.value_text(outcome)}"
        for outcome in result.expectations
        if outcome.passed is not True
    ]


def _cell(text: str) -> str:
    """Return a text as one line that Markdown shows as it is."""
    plain = " ".join(text.split())
    for mark in "\\`*_[]<>|":
        plain = plain.replace(mark, f"\\{mark}")
    return plain
