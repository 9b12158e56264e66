"""The Jinja environment of every report page: the templates in `templates/`, and number filters.

It is strict: a name that a page did not receive is an error, not a gap in the page.
"""

from __future__ import annotations

import functools
from typing import Final

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from pipeline.terminal import safe
from sim.errors import MEANINGS, PASS, UNKNOWN
from sim.report import numbers

_NAMES: Final = {"pass": "Pass", "fail": "Fail", "unknown": "Verdict unknown"}


def heading(verdict: str, exit_code: int) -> str:
    """Return the verdict in words, with the exit code's meaning unless that repeats it."""
    if exit_code in (PASS, UNKNOWN):
        return _NAMES[verdict]
    return f"{_NAMES[verdict]}: {MEANINGS[exit_code]}"


@functools.cache
def environment(package: str = "sim.report") -> Environment:
    """Return the environment of the pages of a package. It keeps the templates it has compiled.

    Templates of `sim.report` are found from every package.
    """
    made = Environment(
        loader=ChoiceLoader(
            [PackageLoader(name) for name in dict.fromkeys([package, "sim.report"])]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        # only `str`: markup made by templates has another type
        finalize=lambda value: safe(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        count=numbers.count,
        decimal=numbers.decimal,
        decimal2=lambda value: numbers.NOTHING if value is None else f"{value:.2f}",
        duration=numbers.duration,
        size=numbers.size,
        moment=numbers.moment,
    )
    made.globals.update(heading=heading, split=numbers.split, figure=numbers.figure)
    return made
