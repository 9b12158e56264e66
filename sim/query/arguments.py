"""The arguments of `windfleet query`. Light: every command line is parsed with them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sim.output_file import overwrite_argument
from sim.place_argument import place

ENGINES: Final = ("embedded", "spark")
FORMATS: Final = ("table", "csv", "json", "parquet")


def of_lake(parser: argparse.ArgumentParser, url: Callable[[str], str]) -> None:
    """Add the arguments that name a lake and its tables. `url`: the type of an endpoint."""
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
        "--allow-remote", action="store_true", help="allow an S3 that is not on this machine"
    )
    parser.add_argument(
        "--warehouse",
        type=path,
        metavar="DIR",
        help="folder of the Delta tables (default: warehouse beside the lake)",
    )


def arguments(parser: argparse.ArgumentParser, url: Callable[[str], str]) -> None:
    """Add the arguments to a parser. `url`: the type of an endpoint, as for other commands."""
    parser.add_argument("sql", metavar="SQL", help="Databricks SQL, or a file of it (*.sql)")
    of_lake(parser, url)
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default=ENGINES[0],
        help="embedded: DuckDB over Delta tables; spark: Spark Declarative Pipelines, after "
        "make spark (default: embedded)",
    )
    parser.add_argument(
        "--now",
        type=instant,
        metavar="TIME",
        help="clock of current_date() and current_timestamp(), such as 2024-01-15T06:00:00Z; "
        "a time without a zone is UTC (default: this machine's clock)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="bind a free name of the SQL, such as threshold_value=7.5",
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="option of Auto Loader, such as schemaEvolutionMode=rescue; "
        "all: windfleet catalog --ledger",
    )
    parser.add_argument(
        "--format", choices=FORMATS, default=FORMATS[0], help="form of the rows (default: table)"
    )
    parser.add_argument("--out", type=path, metavar="FILE", help="write the rows to a file")
    overwrite_argument(parser, "a FILE that is there")
    parser.add_argument(
        "--follow",
        action="store_true",
        help="keep loading, and answer again after each load, until interrupted",
    )


def path(text: str) -> Path:
    """Return a path of the command line. Refuses a URL, and an empty text."""
    if "://" in text:
        raise argparse.ArgumentTypeError(
            f"{text!r} is a URL; write a path (a lake in S3: --endpoint-url URL)"
        )
    return place(text)


def instant(text: str) -> datetime:
    """Return a time of the command line, in UTC."""
    try:
        instant = datetime.fromisoformat(text)
        return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # OverflowError: in UTC it is before year 1 or after 9999
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time such as 2024-01-15T06:00:00Z"
        ) from None
