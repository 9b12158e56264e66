"""A comparison as Markdown: for the page of a CI job, or a comment at a pull request."""

from __future__ import annotations

from typing import Final

from sim.compare.comparison import Compared, Row, value_text
from sim.compare.terminal import TITLES, WORDS, set_name
from sim.report.numbers import NOTHING

_MARKS: Final = {"different": "❌", "regression": "❌", "unknown": "⚠️", "none": "✅"}


def markdown(compared: Compared) -> str:
    """Return a heading with the verdict, a table of what changed, and the rest folded."""
    title = f"{_MARKS[compared.verdict]} windfleet compare: {TITLES[compared.verdict].lower()}"
    lines = [f"## {title}", ""]
    lines += [_plain(sentence) for sentence in compared.sentences]
    lines += [
        "",
        f"Base: {_plain(set_name(compared.base))}. New: {_plain(set_name(compared.new))}.",
    ]
    changed = [row for row in compared.rows if row.state not in ("same", "not comparable")]
    if changed:
        lines += ["", *_table(changed)]
    if compared.correction:
        lines += ["", f"Interval: {_plain(compared.correction)}"]
    rest = [row for row in compared.rows if row.state in ("same", "not comparable")]
    if rest:
        summary = f"{len(rest):,} figures that are the same, or cannot be compared"
        lines += ["", f"<details><summary>{summary}</summary>", "", *_table(rest), "", "</details>"]
    lines += ["", *(f"- {_plain(note)}" for note in compared.notes), ""]
    return "\n".join(lines)


def _table(rows: list[Row]) -> list[str]:
    lines = [
        "| figure | base | new | change | interval | outcome |",
        "|---|---:|---:|---:|---|---|",
    ]
    for row in rows:
        values = (value_text(row.base, row.unit), value_text(row.new, row.unit), row.change)
        kind = f" ({row.interval})" if row.interval and not row.in_family else ""
        outcome = ": ".join(text for text in (WORDS.get(row.state, row.state), row.note) if text)
        cells = (f"`{row.name}`", *values, row.range and row.range + kind, outcome)
        lines.append(f"| {' | '.join(_plain(cell) or NOTHING for cell in cells)} |")
    return lines


def _plain(text: str) -> str:
    """Return a text on one line, without marks that would end a cell or begin HTML."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "\\<")
