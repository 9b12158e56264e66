"""The figures that a scenario's `expect` can name, by a word of their name or description."""

from __future__ import annotations

import difflib
import re

from sim.errors import InvalidInput
from sim.measure.figures import FIGURES, Figure


def figures(word: str | None) -> dict[str, Figure]:
    """Return the figures with a word in their name, description or unit; None: all of them.

    Raises InvalidInput, with the nearest names, if there are none.
    """
    if word is None:
        return dict(FIGURES)
    wanted = word.casefold()
    found = {
        name: figure
        for name, figure in FIGURES.items()
        if wanted in name
        or wanted in figure.description.casefold()
        or wanted == figure.unit.casefold()
    }
    if not found:
        words = {part for name in FIGURES for part in re.split(r"[._]", name)}
        words |= {
            part for each in FIGURES.values() for part in re.findall(r"\w+", each.description)
        }
        near = difflib.get_close_matches(wanted, {*words, *FIGURES}, 3, 0.7)
        hint = f"; did you mean {' or '.join(sorted(near))}?" if near else ""
        raise InvalidInput(f"no figure has '{word}' in its name, unit or description{hint}")
    return found
