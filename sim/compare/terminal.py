"""A comparison on the terminal: verdict, tables of changed figures, all others by name."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sim.compare.comparison import Compared, Row, value_text
from sim.report import numbers
from sim.report.plain_table import plain_table

STYLE: Final = {
    "different": "bold red",
    "regression": "bold red",
    "unclear": "yellow",
    "unknown": "bold yellow",
    "none": "green",
}
TITLES: Final = {
    "different": "DIFFERENT",
    "regression": "REGRESSION",
    "none": "NO REGRESSION",
    "unknown": "UNKNOWN",
}
WORDS: Final = {"none": "ok", "changed": "not judged"}
"""States whose words in a table are others."""


def print_compared(console: Console, compared: Compared) -> None:
    """Print the verdict, every figure, and notes."""
    title = Text(f"{TITLES[compared.verdict]}  ", STYLE[compared.verdict])
    sentences = compared.sentences
    console.print(title + Text(sentences[0] if sentences else "", "default"))
    for sentence in sentences[1:]:
        console.print(Text(sentence))
    sides = f"base {set_name(compared.base)}; new {set_name(compared.new)}"
    limit = f"limit: {100 * compared.limit:g} % more time"
    console.print(Text(f"{compared.scenario}: {sides}; {limit}", "dim"))
    judged = [row for row in compared.rows if row.interval]
    if judged:
        _print_judged(console, judged, compared)
    rest = [row for row in compared.rows if not row.interval]
    shown = [row for row in rest if row.state not in ("same", "not comparable")]
    if shown:
        _print_changed(console, shown)
    if same := [row for row in rest if row.state == "same"]:
        words = ", ".join(f"{row.name} {value_text(row.base, row.unit)}" for row in same)
        console.print(Text(f"the same ({len(same):,}): ", "bold") + Text(words, "default"))
    left = sorted((row for row in rest if row.state == "not comparable"), key=lambda row: row.note)
    for note, rows in groupby(left, key=lambda row: row.note):
        names = [row.name for row in rows]
        head = Text(f"not comparable ({len(names):,}), {note}: ", "yellow")
        console.print(head + Text(", ".join(names), "default"))
    for note in compared.notes:
        console.print(Text(f"note: {note}", "dim"))


def set_name(paths: Sequence[str]) -> str:
    """Return a set of runs in words: the directory, or the number of runs and their folder."""
    if len(paths) == 1:
        return paths[0]
    folders = {path.rpartition("/")[0] for path in paths}
    place = folders.pop() if len(folders) == 1 else ""
    return f"{len(paths)} runs in {place}" if place else f"{len(paths)} runs"


def _table(*columns: str) -> Table:
    """Return a table that fits 80 columns: little room between columns, long names folded."""
    table = plain_table(*columns)
    table.padding = (0, 1, 0, 0)
    table.columns[0].no_wrap = False
    table.columns[0].overflow = "fold"
    return table


def _print_judged(console: Console, rows: Sequence[Row], compared: Compared) -> None:
    table = _table("speed", ">base", ">new", "change", "interval", "")
    uncounted = False
    for row in rows:
        aside = not row.counts and row.state == "unclear"
        uncounted = uncounted or aside
        bracket = "†" if not row.in_family else ""
        table.add_row(
            row.name,
            value_text(row.base, row.unit),
            value_text(row.new, row.unit),
            row.change,
            row.range + bracket,
            Text(WORDS.get(row.state, row.state) + "*" * aside, STYLE[row.state]),
        )
    console.print(table)
    if compared.correction:
        console.print(Text(f"interval: {compared.correction}", "dim"))
    if not all(row.in_family for row in rows):
        console.print(Text("† from the brackets of the searches, not a 95 % interval", "dim"))
    if uncounted:
        star = "* too rough to decide the verdict; a regression would still be reported"
        console.print(Text(star, "dim"))


def _print_changed(console: Console, rows: Sequence[Row]) -> None:
    table = _table("figure", ">base", ">new", ">change", "")
    for row in rows:
        table.add_row(
            row.name,
            value_text(row.base, row.unit),
            value_text(row.new, row.unit),
            row.change or numbers.NOTHING,
            Text(WORDS.get(row.state, row.state), STYLE.get(row.state, "dim")),
        )
    console.print(table)
    notes = dict.fromkeys(row.note for row in rows if row.state == "changed" and row.note)
    for note in notes:
        names = [row.name for row in rows if row.note == note and row.state == "changed"]
        if len(names) == 1 or "interval" not in note:
            console.print(Text(f"not judged, {', '.join(names)}: {note}", "dim"))
        else:
            console.print(Text(f"not judged, {len(names)} figures: {note}", "dim"))
