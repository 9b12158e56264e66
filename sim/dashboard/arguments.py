"""The arguments of `windfleet dashboard`. Light: every command line is parsed with them."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from sim.query.arguments import instant, path


def arguments(parser: argparse.ArgumentParser, url: Callable[[str], str]) -> None:
    """Add the arguments to a parser. `url`: the type of an endpoint, as for other commands."""
    lake = parser.add_mutually_exclusive_group()
    lake.add_argument(
        "run", type=path, nargs="?", metavar="DIR", help="run directory or data set with a lake"
    )
    lake.add_argument("--lake", type=path, metavar="DIR", help="a saved lake: <bucket>/<key>")
    lake.add_argument(
        "--endpoint-url",
        type=url,
        metavar="URL",
        help="S3 that holds the lake (default: AWS_ENDPOINT_URL, else the LocalStack that is up)",
    )
    parser.add_argument(
        "--warehouse",
        type=path,
        metavar="DIR",
        help="folder of the Delta tables (default: warehouse beside the lake)",
    )
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
