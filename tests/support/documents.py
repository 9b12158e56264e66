"""The documents for people: the README and the guides of the docs site, and what they show.

A walk is a block of commands followed by a block of what they printed. `missing` compares a walk
with what a command prints today: numbers, sizes, durations and names of phases may differ, and
the tests' runs are smaller. A line `…` stands for lines left out, `…` at the end of a line for
its rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

from tests.support.paths import ROOT

README = ROOT / "README.md"
GUIDES = sorted((ROOT / ".docs" / "pages").glob("*.md"))
PROVED_ELSEWHERE = {"extend.md"}
"""Guides whose blocks have a test of their own (`tests/house/test_extend.py`)."""
DOCUMENTS = (README, *(path for path in GUIDES if path.name not in PROVED_ELSEWHERE))
TEXT = re.sub(r"\\\n\s*", "", "\n".join(path.read_text("utf-8") for path in DOCUMENTS))
"""All documents. A command that goes on after a backslash stands on one line."""
MASKS = (
    (r"\b\d+-[a-z]+\b", "#"),  # phases: 1-poisson
    (r"(?:-?\d[\d,.]*|–)(?: (?:d|h|min|s|ms|B|[KMG]iB)\b)?", "#"),
    (r"#(?:[ -]+#)+", "#"),
    (r"(?<=# )([a-z]+?)s\b", r"\1"),  # 1 row, 2 rows
    (r"\S+/(?=\w+\.html)", ""),
    (r"─+", "─"),
)


def blocks(language: str) -> list[str]:
    """The fenced blocks of all documents in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.M | re.S)


def walk(command: str) -> list[str]:
    """The lines that a document shows below the block which ends with a command."""
    pattern = rf"^{re.escape(command)}\n```\n\n```text\n(.*?)^```$"
    (shown,) = re.findall(pattern, TEXT, re.M | re.S)
    return [line for line in str(shown).splitlines() if line != "…"]


def missing(shown: list[str], printed: str) -> list[str]:
    """Return the lines of a walk that a command no longer prints, from the first of them on."""
    lines = (_masked(line) for line in printed.splitlines())
    wanted = [line for line, _ in groupby(_masked(line) for line in shown)]
    while wanted and _found(wanted[0], lines):
        del wanted[0]
    return wanted


def _found(wanted: str, lines: Iterator[str]) -> bool:
    """Read lines up to the one that is wanted. Return False if there is none."""
    start, cut, _ = wanted.partition("…")
    return any(line.startswith(start) if cut else line == start for line in lines)


def _masked(line: str) -> str:
    line = " ".join(line.split())
    for pattern, mask in MASKS:
        line = re.sub(pattern, mask, line)
    return line
