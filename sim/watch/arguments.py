"""The arguments of `windfleet watch`, and `--serve` of `run` and `load`.

Imports little: the command line is parsed with it for every command.
"""

from __future__ import annotations

import argparse
from typing import Final

from sim.output_file import overwrite_argument
from sim.place_argument import place

ANY_PORT: Final = 0
"""A free port, chosen by the operating system."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `watch`."""
    parser.add_argument(
        "run",
        type=place,
        nargs="?",
        metavar="DIR",
        help="run directory; one that does not exist yet is waited for",
    )
    parser.add_argument(
        "--port",
        type=any_port,
        default=ANY_PORT,
        metavar="N",
        help="port on 127.0.0.1 (default: a free one, which is printed)",
    )
    parser.add_argument(
        "--grafana",
        type=place,
        metavar="FILE",
        help="write a Grafana dashboard over the metrics; without DIR, do nothing else",
    )
    overwrite_argument(parser, "a FILE that windfleet did not write")
    parser.add_argument("--socket", type=int, help=argparse.SUPPRESS)


def serve_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--serve`."""
    parser.add_argument(
        "--serve",
        type=_port_of_serve,
        nargs="?",
        const=ANY_PORT,
        metavar="PORT",
        help="show the run on a page of this machine while it runs, as `windfleet watch` does "
        "(default: a free port)",
    )


def refusal(args: argparse.Namespace) -> str | None:
    """Return why the arguments of a command do not fit each other; None if they do."""
    if args.command == "watch" and args.run is None and args.grafana is None:
        return "watch takes the DIR of a run, or --grafana FILE"
    if getattr(args, "serve", None) is not None and getattr(args, "cluster", None) is not None:
        return "--serve shows a run of this machine; leave it out with --cluster"
    if getattr(args, "serve", None) is not None and getattr(args, "worker", False):
        return "--serve belongs to the master; leave it out with --worker"
    return None


def any_port(text: str) -> int:
    """Return a TCP port, or 0 for a free one."""
    if not text.isdecimal() or int(text) > 65535:
        fix = "give one from 1 to 65535, or 0 for a free one"
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; {fix}")
    return int(text)


def _port_of_serve(text: str) -> int:
    """Return the port of `--serve`, which may have taken the SCENARIO after it for one."""
    try:
        return any_port(text)
    except argparse.ArgumentTypeError as error:
        if text.isdecimal():
            raise
        raise argparse.ArgumentTypeError(f"{error}; write SCENARIO before --serve") from None
