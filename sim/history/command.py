"""`windfleet history DIR`: trend of a scenario's figures on the terminal, as JSON, as a page."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from itertools import groupby
from typing import Final

from rich.console import Console
from rich.text import Text

from pipeline.terminal import cause
from sim.console import SafeConsole
from sim.errors import ENVIRONMENT, PASS, DirectoryError
from sim.history.page import render
from sim.history.trend import Line, Trend, trend
from sim.output_file import page_of, require_replaceable
from sim.report import numbers
from sim.report.headline import STYLE
from sim.report.plain_table import plain_table
from sim.whole_file import write_text

HISTORY: Final = "history.html"
_STEPS: Final = "▁▂▃▄▅▆▇█"
_STEPS_SHOWN: Final = 16
_RUNS_SHOWN: Final = 30


def history(args: argparse.Namespace, console: Console) -> int:
    """Print the trend and write its page. Raises DirectoryError, InvalidInput."""
    found = trend(args.folder, args.scenario, args.figure)
    path = args.html or args.folder / HISTORY
    require_replaceable(path, page_of("history"), "--html FILE", args.overwrite)
    try:
        write_text(path, render(found))
    except OSError as error:
        text = f"{path}: cannot write the page: {cause(error)}; name another file with --html"
        raise DirectoryError(text, ENVIRONMENT) from error
    if args.json:
        print(json.dumps(found.as_json(), indent=1, ensure_ascii=False))
        console = SafeConsole(sys.stderr)
    else:
        print_trend(console, found)
    console.print(Text(f"page: {path}", "bold"), soft_wrap=True)
    return PASS


def print_trend(console: Console, found: Trend) -> None:
    """Print the figures, the runs, and the directories that were left out."""
    many = f"{len(found.runs):,} {found.kind}{'s' * (len(found.runs) != 1)}"
    console.print(Text(f"{found.scenario}: ", "bold") + Text(f"{many}, {found.verdicts}"))
    if found.lines:
        table = plain_table("figure", ">first", ">last", ">change", "trend")
        table.padding = (0, 1, 0, 0)
        table.columns[0].no_wrap = False
        table.columns[0].overflow = "fold"
        for line in found.lines:
            first, last = (numbers.in_table(line.known[place], line.unit) for place in (0, -1))
            table.add_row(line.name, first, last, change(line), steps(line.values))
        console.print(table)
    runs = plain_table("verdict", "run", "started", ">seed", "lake")
    runs.columns[1].no_wrap = False
    runs.columns[1].overflow = "fold"
    for run in found.runs[-_RUNS_SHOWN:]:
        verdict = run.verdict or "unknown"
        runs.add_row(
            Text(verdict.upper(), STYLE.get(verdict, "yellow")),
            run.folder,
            (run.started or numbers.NOTHING).replace("T", " ")[:16],
            str(run.seed),
            (run.digest or numbers.NOTHING)[:8],
        )
    console.print(runs)
    if (more := len(found.runs) - _RUNS_SHOWN) > 0:
        console.print(Text(f"{more:,} older runs are on the page", "dim"))
    for text in found.lakes:
        console.print(Text(text, "red"), soft_wrap=True)
    left = sorted(found.left_out, key=lambda each: each.reason)
    for reason, group in groupby(left, key=lambda each: each.reason):
        folders = ", ".join(each.folder for each in group)
        console.print(Text(f"left out: {folders}: {reason}", "dim"))


def change(line: Line) -> str:
    """Return the change from the first to the last run: `+12 %`."""
    if line.change is None:
        return numbers.NOTHING
    percent = 100 * (line.change - 1)
    return "0 %" if abs(percent) < 0.05 else f"{percent:+.{1 if abs(percent) < 10 else 0}f} %"


def steps(values: Sequence[float | None]) -> str:
    """Return the last values as a row of blocks, the lowest and the highest of all as its ends."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    scale = (len(_STEPS) - 1) / (high - low) if high > low else 0.0
    return "".join(
        " " if value is None else _STEPS[round((value - low) * scale)]
        for value in values[-_STEPS_SHOWN:]
    )
