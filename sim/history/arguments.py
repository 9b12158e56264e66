"""The arguments of `windfleet history`."""

from __future__ import annotations

import argparse

from sim.listing.arguments import RUNS
from sim.output_file import overwrite_argument
from sim.place_argument import place


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "folder",
        nargs="?",
        type=place,
        default=RUNS,
        metavar="DIR",
        help="folder of the runs (default: %(default)s)",
    )
    parser.add_argument(
        "--scenario", metavar="NAME", help="name in the runs (default: the one with most runs)"
    )
    parser.add_argument(
        "--figure",
        action="append",
        metavar="NAME",
        help="figure, or several by a pattern such as 'latency.*'; repeatable (default: speed, "
        "freshness, memory, time, cost)",
    )
    parser.add_argument(
        "--html", type=place, metavar="FILE", help="the page (default: DIR/history.html)"
    )
    overwrite_argument(parser, "a FILE that windfleet did not write")
    parser.add_argument("--json", action="store_true", help="print JSON")
