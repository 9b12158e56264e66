"""The arguments of `windfleet dashboard`. Light: every command line is parsed with them."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from sim.output_file import overwrite_argument
from sim.query.arguments import instant, of_lake, path


def arguments(parser: argparse.ArgumentParser, url: Callable[[str], str]) -> None:
    """Add the arguments to a parser. `url`: the type of an endpoint, as for other commands."""
    of_lake(parser, url)
    parser.add_argument(
        "--now",
        type=instant,
        metavar="TIME",
        help="clock of freshness and ranking, such as 2024-01-15T06:00:00Z "
        "(default: the lake's newest row)",
    )
    parser.add_argument(
        "--out",
        type=path,
        metavar="FILE",
        help="the page (default: dashboard.html in DIR, else beside the warehouse)",
    )
    overwrite_argument(parser, "a FILE that windfleet did not write")
