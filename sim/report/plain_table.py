"""The tables of the terminal: without lines, with a dim head."""

from __future__ import annotations

from rich import box
from rich.table import Table


def plain_table(*columns: str) -> Table:
    """Return a table. A `>` before the name of a column aligns it right."""
    table = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 1), header_style="dim")
    for name in columns:
        table.add_column(
            name.removeprefix(">"),
            justify="right" if name.startswith(">") else "left",
            no_wrap=True,
        )
    return table
