"""The arguments of `windfleet compare`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from sim.output_file import overwrite_argument
from sim.place_argument import place


def arguments(
    parser: argparse.ArgumentParser,
    directories: Callable[[str], list[Path]],
    share: Callable[[str], float],
) -> None:
    """Add the arguments. directories, share: parse values of the command line."""
    several = "run directory, a directory that holds runs (`run --repeat`), or several with commas"
    parser.add_argument("base", metavar="BASE", type=directories, help=several)
    parser.add_argument("new", metavar="NEW", type=directories, help=several)
    worse = (
        "most additional time that is no regression (default: 10%%); a rate is judged as time: "
        "half the rate is 100%% more; given here, runs whose speed cannot be compared are exit 6"
    )
    parser.add_argument("--limit", type=share, metavar="PERCENT", help=worse)
    parser.add_argument("--html", type=place, metavar="FILE", help="write a page, too")
    overwrite_argument(parser, "a FILE that windfleet did not write")
    forms = parser.add_mutually_exclusive_group()
    parser.set_defaults(form="text")
    for form, text in (
        ("json", "print JSON"),
        ("markdown", "print Markdown for a CI job's page or a pull request"),
    ):
        forms.add_argument(f"--{form}", action="store_const", const=form, dest="form", help=text)
