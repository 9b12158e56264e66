"""The arguments of `windfleet demo`.

Imports little: the command line is parsed with it for every command.
"""

from __future__ import annotations

import argparse

from sim.demo import themes
from sim.place_argument import stated

LAYOUT = "farm"
"""Layout without `--layout`."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to a parser."""
    parser.add_argument(
        "--theme",
        choices=themes.names(),
        default=themes.DEFAULT,
        help="story (default: %(default)s)",
    )
    parser.add_argument(
        "--list", action="store_true", help="list the themes with their size and time"
    )
    parser.add_argument(
        "--to",
        type=stated,
        metavar="DIR|URL",
        help="folder (default: demo/THEME), or S3 endpoint that gets a copy",
    )
    parser.add_argument("--farms", metavar="A,B", help="only these farms")
    parser.add_argument(
        "--turbines",
        metavar="N",
        help="number of turbines, shared over the farms (whole fleet: 1500)",
    )
    parser.add_argument("--days", metavar="N", help="length in days, or as 36h")
    parser.add_argument(
        "--start",
        metavar="TIME",
        help="time of the first sample, for example 2024-07-01 or 2024-07-01T06:00:00Z",
    )
    parser.add_argument(
        "--sample-every",
        metavar="STEP",
        help="time between samples, for example 1s, 10m or 1h; moves a window that it exceeds",
    )
    parser.add_argument("--seed", metavar="N", help="seed of fleet and weather")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="override a value; repeatable; PATH=null removes a key, so that its default applies",
    )
    parser.add_argument(
        "--layout",
        choices=("farm", "turbine"),
        default=LAYOUT,
        help="one object per stage, hour and farm, or per turbine, which takes several times as "
        "long (default: %(default)s)",
    )
    parser.add_argument(
        "--export",
        action="append",
        default=[],
        choices=("openoa", "flasc"),
        help="also write readings and assets as OpenOA or FLASC names them; repeatable",
    )
    parser.add_argument("--nodes", action="store_true", help="keep the edge nodes' databases")
    parser.add_argument(
        "--inspect", action="store_true", help="draw the realism page, realism.html"
    )
    parser.add_argument(
        "--no-dashboard",
        action="store_true",
        help="leave out the page over the views, dashboard.html, and its tables",
    )
    parser.add_argument(
        "--allow-remote", action="store_true", help="allow an endpoint that is not on this machine"
    )
    parser.add_argument(
        "--empty-lake",
        action="store_true",
        help="first empty the six expanso-databricks-* buckets, if windfleet made them",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an earlier data set in that folder"
    )
