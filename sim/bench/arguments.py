"""The arguments of `windfleet bench`. Light: every command line is parsed with them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Final

from sim.output_file import overwrite_argument
from sim.query.arguments import path

ROWS: Final = (60, 600, 3600)
MOST_ROWS: Final = 3600
"""One flush an hour, a row a second."""
TURBINES: Final = 100
ROUNDS: Final = 3
OBJECTS: Final = 6000


def arguments(parser: argparse.ArgumentParser, count: Callable[[str], int]) -> None:
    """Add the arguments to a parser. `count`: the type of a number of 1 or more."""
    parser.add_argument(
        "--rows",
        type=_rows,
        nargs="+",
        default=list(ROWS),
        metavar="N",
        help=f"rows a batch, up to {MOST_ROWS:,} (default: {' '.join(map(str, ROWS))})",
    )
    parser.add_argument(
        "--turbines",
        type=count,
        default=TURBINES,
        metavar="N",
        help="turbines of one farm (default: %(default)s)",
    )
    parser.add_argument(
        "--rounds",
        type=count,
        default=ROUNDS,
        metavar="N",
        help="rounds of all parts; the least counts (default: %(default)s)",
    )
    parser.add_argument("--seed", type=count, default=7, metavar="N", help="seed of the rows")
    parser.add_argument(
        "--growth",
        action="store_true",
        help="then whole jobs of more turbines, more flushes, longer time: minutes",
    )
    parser.add_argument("--only", choices=("growth", "query"), help="measure this and nothing else")
    parser.add_argument(
        "--objects",
        type=count,
        default=OBJECTS,
        metavar="N",
        help="with --only query: objects of the lake (default: %(default)s)",
    )
    parser.add_argument("--json", type=path, metavar="FILE", help="write the raw rounds")
    overwrite_argument(parser, "a FILE that is no earlier run's")
    parser.add_argument(
        "--from",
        dest="source",
        type=path,
        metavar="FILE",
        help="show an earlier run's file; measure nothing",
    )
    parser.add_argument(
        "--compare", type=path, metavar="FILE", help="compare with an earlier run's file"
    )
    parser.add_argument("--markdown", action="store_true", help="print tables as Markdown")


def _rows(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= MOST_ROWS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of rows a batch; give one from 1 to {MOST_ROWS}"
        )
    return int(text)
