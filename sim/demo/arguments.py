"""The arguments of `windfleet demo`. Light: the command line is parsed with it whatever the command."""

from __future__ import annotations

import argparse

from sim.demo import themes


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("--theme", choices=themes.names(), default=themes.DEFAULT, help="(default: %(default)s)")
    parser.add_argument("--to", metavar="DIR|URL", help="a folder (default: demo/THEME), or an S3 endpoint to fill too")
    parser.add_argument("--farms", metavar="A,B", help="only these farms")
    parser.add_argument("--turbines", metavar="N", help="so many, shared out over the farms (full: 1500)")
    parser.add_argument("--days", metavar="N", help="how long")
    parser.add_argument("--start", metavar="INSTANT", help="first sample, such as 2024-07-01T00:00:00Z")
    parser.add_argument("--sample-every", metavar="STEP", help="such as 1s, 1m, 10m")
    parser.add_argument("--seed", metavar="N", help="another fleet, another weather")
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="override one more value")
    parser.add_argument("--layout", choices=("turbine", "farm"), help="objects per turbine, or per farm (by size)")
    parser.add_argument("--nodes", action="store_true", help="keep the edge nodes' databases")
    parser.add_argument("--inspect", action="store_true", help="draw the realism page, realism.html")
    parser.add_argument("--allow-remote", action="store_true", help="allow an endpoint that is not on this machine")
    parser.add_argument("--empty-lake", action="store_true", help="first empty the endpoint's six buckets, if ours")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier data set in that folder")
