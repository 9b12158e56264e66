"""The first line of every summary on the terminal: the verdict in colour, and one sentence."""

from __future__ import annotations

from typing import Final

from rich.text import Text

STYLE: Final = {"pass": "bold green", "fail": "bold red", "unknown": "bold yellow"}
"""Verdict -> its colour."""


def headline(verdict: str, sentence: str) -> Text:
    """Return `PASS  Every one of ...`, with the verdict in colour."""
    return Text(f"{verdict.upper()}  ", STYLE[verdict]) + Text(sentence, "default")
