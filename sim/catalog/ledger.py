"""The parity ledger on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from pipeline.catalog.ledger import OPTIONS


def print_ledger(console: Console) -> None:
    """Print each option with its effect on both engines and the test that proves it."""
    table = Table(box=None, header_style="bold")
    for title in ("option", "embedded", "spark", "test", "spark test"):
        table.add_column(title, overflow="fold")
    for option in OPTIONS:
        table.add_row(
            option.name,
            option.embedded or "refused",
            option.spark or "refused",
            *(test.removeprefix("tests/") for test in (option.test, option.spark_test)),
        )
    console.print(table)
