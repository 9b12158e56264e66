"""The first line of every summary on the terminal: the verdict in its colour, and one sentence."""

from __future__ import annotations

from typing import Final

from rich.text import Text

_STYLE: Final = {"pass": "bold green", "fail": "bold red", "unknown": "bold yellow"}


def headline(verdict: str, sentence: str) -> Text:
    """`PASS  Every one of ...`"""
    return Text(f"{verdict.upper()}  ", _STYLE[verdict]) + Text(sentence, "default")
