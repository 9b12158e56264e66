"""The words of a page: each with its definition on hover and focus, and in a glossary at its end.

Figures are defined in `sim.measure.figures`, other words here. A page's glossary has the words that
stand on it, and no others.
"""

from __future__ import annotations

import re

from markupsafe import Markup

from sim.measure.figures import FIGURES
from sim.report.terms import TERMS


class Glossary:
    """The words that one page has used so far."""

    def __init__(self) -> None:
        self._used: dict[str, str] = {}

    def term(self, name: str, label: str | None = None) -> Markup:
        """Return a word as a link to its definition; without one, as plain text."""
        shown = name if label is None else label
        text = definition(name)
        if text is None:
            return Markup.escape(shown)
        self._used[name] = text
        return Markup('<a class="term" href="#{}">{}</a>').format(_id(name), shown)

    def entries(self) -> list[tuple[str, str, str]]:
        """Return (id, word, definition) of the words used, in alphabetical order."""
        named = sorted(self._used.items(), key=lambda entry: entry[0].lower())
        return [(_id(name), name, text) for name, text in named]


def definition(name: str) -> str | None:
    """Return the definition of a figure or word; None if it has none."""
    if name in FIGURES:
        figure = FIGURES[name]
        text = figure.description[:1].upper() + figure.description[1:]
        return f"{text}. {figure.kind.capitalize()}."
    return TERMS.get(name)


def _id(name: str) -> str:
    return "term-" + re.sub(r"\W+", "-", name)
