"""The arguments of `windfleet list`, `figures` and `faults`.

Imports little: the command line is parsed with it for every command.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from sim.place_argument import place

SUBJECTS: Final = ("scenarios", "themes", "runs")
RUNS: Final = Path("runs")


def list_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `list`."""
    parser.add_argument(
        "subject", nargs="?", choices=SUBJECTS, help="what to list (default: all of them)"
    )
    parser.add_argument(
        "folder",
        nargs="?",
        type=place,
        default=RUNS,
        metavar="DIR",
        help="folder of the runs (default: %(default)s)",
    )
    _json_argument(parser)


def word_arguments(parser: argparse.ArgumentParser, text: str) -> None:
    """Add the arguments of `figures` or `faults`. text: help of the word."""
    parser.add_argument("word", nargs="?", metavar="WORD", help=text)
    _json_argument(parser)


def _json_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")
