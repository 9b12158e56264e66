"""The option `--repeat` of `run` and `load`, and the options that it does not go with."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Final

_UNFIT: Final = {
    "shard": "a part is one of a run; repeat the whole run",
    "cluster": "repeat the command instead",
    "serve": "its page shows one run",
    "keep": "each run ends its own store",
    "master": "its client processes join one test",
    "worker": "it joins one test",
}
"""Option that does not fit -> the reason."""


def arguments(parser: argparse.ArgumentParser, positive: Callable[[str], int]) -> None:
    """Add the option. positive: parses a whole number of 1 or more."""
    parser.add_argument(
        "--repeat",
        type=positive,
        metavar="N",
        help="run N times, into DIR/1 to DIR/N (default: runs/NAME-SEED-repeat), and print the "
        "spread; `windfleet compare` takes DIR",
    )


def unrepeatable(args: argparse.Namespace) -> str | None:
    """Return why a command cannot be repeated with its other options; None if it can."""
    if getattr(args, "repeat", None) is None:
        return None
    found = [f"--{name} ({why})" for name, why in _UNFIT.items() if _given(args, name)]
    return f"--repeat does not go with {', '.join(found)}" if found else None


def _given(args: argparse.Namespace, name: str) -> bool:
    """Return True for an option of the command line; the port of --serve may be 0."""
    return getattr(args, name, None) is not None and getattr(args, name) is not False
