"""The arguments of `windfleet catalog`. Light: every command line is parsed with them."""

from __future__ import annotations

import argparse
from pathlib import Path

from sim.place_argument import place

OPTIONS = (
    ("catalog", "NAME", "catalogue of Unity Catalog (default: windfleet)"),
    ("schema", "NAME", "schema in it (default: turbines)"),
    ("bucket-prefix", "PREFIX", "beginning of the six buckets' names (default: that of the nodes)"),
    ("role", "ROLE", "IAM role of Unity Catalog, name or ARN (default: windfleet-unity-catalog)"),
    ("account-id", "ID", "AWS account (default: that of the role's ARN, else a placeholder)"),
    ("region", "REGION", "AWS region of the buckets (default: us-west-2)"),
    ("external-id", "ID", "external ID of the storage credential (default: a placeholder)"),
    ("readers", "NAME", "group or user that may query (default: account users; '' for none)"),
    ("engineers", "NAME", "group or user that may run the pipeline (default: the owner only)"),
    ("managed-location", "URL", "storage of the catalogue (default: that of the metastore)"),
)
"""Option, its value and help. The names are those of `pipeline.catalog.locations.Parameters`."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to a parser."""
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument(
        "dir", type=_folder, nargs="?", metavar="DIR", help="folder to write: sql/, bundle/, aws/"
    )
    target.add_argument(
        "--ledger",
        action="store_true",
        help="options of Auto Loader and read_files: effect here, effect on Spark, test",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an earlier catalogue in that folder"
    )
    for name, value, text in OPTIONS:
        parser.add_argument(f"--{name}", metavar=value, help=text)


def _folder(text: str) -> Path:
    """Return a folder of the command line. Refuses a URL, and an empty text."""
    if "://" in text:
        raise argparse.ArgumentTypeError(f"{text!r} is a URL; name a folder of this machine")
    return place(text)
