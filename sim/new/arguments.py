"""The arguments of `windfleet new`.

Imports little: the command line is parsed with it for every command.
"""

from __future__ import annotations

import argparse
from typing import Final

from sim.output_file import overwrite_argument
from sim.place_argument import place

KINDS: Final = ("scenario", "load", "fleet")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to a parser."""
    parser.add_argument("file", type=place, metavar="FILE", help="YAML file to write, or its name")
    parser.add_argument(
        "--kind",
        choices=KINDS,
        default=KINDS[0],
        help="scenario for `run`, load test for `load`, or a fleet of your own "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--from",
        dest="origin",
        metavar="NAME",
        help="copy a scenario that `windfleet list` shows instead",
    )
    overwrite_argument(parser, "a file that is there")
