"""`windfleet compare BASE NEW`: read both sets, compare, print, write."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from pipeline.terminal import cause
from sim.compare import figures, speed
from sim.compare.comparison import Compared, Row, ordered
from sim.compare.notes import notes
from sim.compare.speed import Side
from sim.console import SafeConsole
from sim.errors import ENVIRONMENT, DirectoryError, ResultError
from sim.measure.slowdown import LIMIT, Comparison
from sim.output_file import page_of, require_replaceable
from sim.report.result import read_result
from sim.run_directory import run_set
from sim.whole_file import write_text


def compare(args: argparse.Namespace, console: Console) -> int:
    """Compare two sets of runs. Return the exit code. Raises ResultError, DirectoryError."""
    if args.html is not None:
        require_replaceable(args.html, page_of("compare"), "--html FILE", args.overwrite)
    given = args.limit is not None
    found = compared(args.base, args.new, args.limit if given else LIMIT, is_gate=given)
    if args.html is not None:
        _write_page(found, args.html)
    if args.form == "json":
        print(json.dumps(found.as_json(), indent=1, ensure_ascii=False, allow_nan=False))
    elif args.form == "markdown":
        from sim.compare.markdown import markdown

        print(markdown(found), end="")
    else:
        from sim.compare.terminal import print_compared

        print_compared(console, found)
    if args.html is not None:
        said = console if args.form == "text" else SafeConsole(sys.stderr)
        said.print(f"report: {args.html}", highlight=False, soft_wrap=True)
    return found.exit_code


def compared(
    base: Sequence[Path], new: Sequence[Path], limit: float, is_gate: bool = False
) -> Compared:
    """Compare run directories, or directories that hold runs. is_gate: see `Compared`.

    Raises ResultError for a directory without a run, and for runs that cannot be compared.
    """
    sides = [_side(base), _side(new)]
    path, first = sides[0][0]
    for other, result in [pair for side in sides for pair in side]:
        if figures.named(result) != figures.named(first):
            raise ResultError(
                f"{other}: is a {figures.named(result)}, and {path} a {figures.named(first)}; "
                "compare runs of the same scenario"
            )
    judged = speed.compared(sides, limit)
    rows = [_row(one) for one in judged]
    rows += figures.rows(sides, limit, {row.name for row in rows})
    return Compared(
        scenario=first.scenario,
        base=tuple(str(path) for path, _ in sides[0]),
        new=tuple(str(path) for path, _ in sides[1]),
        limit=limit,
        rows=ordered(rows),
        notes=(*notes(sides), *speed.without_interval(sides, {one.name for one in judged})),
        is_gate=is_gate,
    )


def _side(paths: Sequence[Path]) -> Side:
    """Return the runs of one side with their results."""
    found = []
    for path in paths:
        runs = run_set(path)
        if not runs:
            raise ResultError(f"{path}: holds no run; name a run directory, or one that holds runs")
        found += [(run, read_result(run)) for run in runs]
    return found


def _row(one: Comparison) -> Row:
    by_search = one.name == speed.SEARCHED
    return Row(
        name=one.name,
        unit=one.unit,
        kind="measured",
        base=one.base,
        new=one.new,
        state="unclear" if one.verdict == "unknown" else one.verdict,
        ratio=one.slowdown,
        low=one.low,
        high=one.high,
        interval="bracket of the searches" if by_search else "95 % interval",
        counts=one.counts,
        in_family=not by_search,
    )


def _write_page(found: Compared, path: Path) -> None:
    from sim.compare.page import render

    try:
        write_text(path, render(found))
    except OSError as error:
        text = f"{path}: cannot write the report: {cause(error)}; name another file with --html"
        raise DirectoryError(text, ENVIRONMENT) from error
