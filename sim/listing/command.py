"""`windfleet list`, `figures` and `faults`, on the terminal or as JSON."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from sim.errors import PASS
from sim.listing.arguments import RUNS, SUBJECTS
from sim.listing.runs import PastRun
from sim.report import numbers
from sim.report.headline import STYLE
from sim.report.plain_table import plain_table


def print_list(args: argparse.Namespace, console: Console) -> int:
    """Print scenarios, themes and runs, or one of them. Raises DirectoryError."""
    subjects = SUBJECTS if args.subject is None else (args.subject,)
    given = args.subject is not None or args.folder != RUNS
    found = {subject: _entries(subject, args.folder, given) for subject in subjects}
    if args.json:
        _print_json({subject: [asdict(each) for each in found[subject]] for subject in subjects})
        return PASS
    for number, subject in enumerate(subjects):
        console.print(Text("\n" * (number > 0) + subject, "bold"))
        if subject == "runs":
            _print_runs(found[subject], args.folder, console)
        else:
            _print_texts(((each.name, _sentence(each.text)) for each in found[subject]), console)
    return PASS


def print_figures(args: argparse.Namespace, console: Console) -> int:
    """Print the figures, or those with a word. Raises InvalidInput if there are none."""
    from sim.listing.figures import figures

    found = figures(args.word)
    if args.json:
        _print_json([{"name": name, **asdict(figure)} for name, figure in found.items()])
        return PASS
    table = plain_table("figure", "unit", "kind", "meaning")
    table.columns[-1].no_wrap = False
    for name, figure in sorted(found.items()):
        table.add_row(name, figure.unit or numbers.NOTHING, figure.kind, figure.description)
    console.print(table)
    example = "expect: [rows.lost == 0, freshness.p99 <= 20m]"
    console.print(Text(f"A scenario names them in `expect`, such as {example}", "dim"))
    return PASS


def print_faults(args: argparse.Namespace, console: Console) -> int:
    """Print the kinds of events and faults, or those with a word. Raises InvalidInput."""
    from sim.listing.faults import SECTIONS, faults

    found = faults(args.word)
    if args.json:
        _print_json([asdict(kind) for kind in found])
        return PASS
    for section, text in SECTIONS.items():
        kinds = [kind for kind in found if kind.section == section]
        if kinds:
            console.print(Text(section, "bold") + Text(f"  {text}", "dim"), soft_wrap=True)
            _print_texts(((kind.name, kind.text) for kind in kinds), console)
    if len(found) == 1:
        (kind,) = found
        console.print(Text(f"settings: {', '.join(kind.settings)}", "dim"), soft_wrap=True)
        console.print(f"{kind.section}:\n  {kind.example}", highlight=False, soft_wrap=True)
    else:
        console.print(Text("`windfleet faults NAME` shows the settings and an example", "dim"))
    return PASS


def _entries(subject: str, folder: Path, given: bool) -> list[Any]:
    """Return the entries of a subject. given: the user named it, so its folder must be there."""
    if subject == "scenarios":
        from sim.listing.scenarios import scenarios

        return list(scenarios())
    if subject == "themes":
        from sim.demo.themes import descriptions

        return list(descriptions())
    from sim.listing.runs import runs

    return list(runs(folder)) if given or folder.is_dir() else []


def _sentence(text: str) -> str:
    """Return the first sentence of a text; a colon may end it."""
    return re.split(r"(?<=[.])\s", text, maxsplit=1)[0]


def _print_texts(entries: Iterable[tuple[str, str]], console: Console) -> None:
    table = plain_table("", "")
    table.show_header = False
    table.columns[1].no_wrap = False
    for name, text in entries:
        table.add_row(name, text)
    console.print(table)


def _print_runs(found: list[PastRun], folder: Path, console: Console) -> None:
    if not found:
        console.print(Text(f"none in {folder}", "dim"))
        return
    table = plain_table("verdict", "run", "kind", "started", ">rows", ">time")
    table.columns[1].overflow = "fold"
    table.columns[1].no_wrap = False
    for run in found:
        verdict = run.verdict or "none"
        table.add_row(
            Text(verdict.upper(), STYLE.get(verdict, "yellow")),
            Text(run.folder) + Text(run.note and f" ({run.note})", "yellow"),
            run.kind,
            (run.started or "").replace("T", " ")[:16],
            numbers.count(run.rows),
            numbers.duration(run.seconds),
        )
    console.print(table)


def _print_json(data: object) -> None:
    print(json.dumps(data, indent=1, ensure_ascii=False))
