"""The arguments of `windfleet campaign` that are its own.

Imports little: the command line is parsed with it for every command.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Final

SIZES: Final = {"runs": (2000, 100), "loads": (200, 20), "wired": (60, 2)}
"""Option -> its default, and its default with --quick."""


def arguments(parser: argparse.ArgumentParser, count: Callable[[str], int]) -> None:
    """Add the arguments to a parser. count: type of a whole number."""
    texts = {
        "runs": "random runs, after one per call and fault",
        "loads": "random runs of the loader, after one per call and fault; 0 for none at all",
        "wired": "complete runs on LocalStack, with workers killed",
    }
    parser.add_argument(
        "--quick",
        action="store_true",
        help="minutes instead of a quarter of an hour: each fault at the first and last call of "
        "each point, not at every call, and fewer random runs",
    )
    for option, text in texts.items():
        usual, quick = SIZES[option]
        parser.add_argument(
            f"--{option}",
            type=count,
            metavar="N",
            help=f"{text} (default: {usual}; with --quick: {quick})",
        )
    parser.add_argument(
        "--seed",
        type=count,
        metavar="N",
        help="seed of the random and the complete runs (default: the scenario's)",
    )
    one = "repeat one schedule, and shrink it if it fails"
    parser.add_argument("--replay", dest="line", metavar="LINE", help=one)
    parser.add_argument("--named", help=argparse.SUPPRESS)  # the scenario, in commands to repeat


def sizes(args: argparse.Namespace) -> dict[str, int]:
    """Return the number of runs of each kind: as given, else the default."""
    given = {option: getattr(args, option) for option in SIZES}
    return {
        option: SIZES[option][args.quick] if number is None else number
        for option, number in given.items()
    }
