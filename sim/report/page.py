"""What every report page is rendered with: the templates in `templates/`, and numbers in words (`sim.report.numbers`).

Strict: a name that a page was not given is an error, not a gap in the page.
"""

from __future__ import annotations

from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.terminal import safe
from sim.errors import MEANINGS, PASS, UNKNOWN
from sim.report import numbers

_NAMES: Final = {"pass": "Pass", "fail": "Fail", "unknown": "Verdict unknown"}


def heading(verdict: str, exit_code: int) -> str:
    """Return the verdict, and the meaning of the exit code where that says more."""
    if exit_code in (PASS, UNKNOWN):
        return _NAMES[verdict]
    return f"{_NAMES[verdict]}: {MEANINGS[exit_code]}"


def environment() -> Environment:
    """A new one; a report adds the filters that it alone has."""
    made = Environment(
        loader=PackageLoader("sim.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: (
            safe(value) if type(value) is str else value
        ),  # markup of ours is of another type
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        count=numbers.count,
        decimal=numbers.decimal,
        duration=numbers.duration,
        size=numbers.size,
        moment=numbers.moment,
    )
    made.globals.update(heading=heading, split=numbers.split, figure=numbers.figure)
    return made
