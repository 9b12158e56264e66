"""The option `--shard`, and the options that several parts in one command do not go with."""

from __future__ import annotations

import argparse
from typing import Final

from sim.argument_types import part

_ONE_DOCUMENT: Final = ("json", "markdown")


def shard_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option."""
    parser.add_argument(
        "--shard",
        type=part,
        metavar="I/N",
        help="run part I of N alone, for `merge`; I-J/N runs parts I to J one after the other, "
        "in directories of their own; `auto` or `auto/N` takes I from Bacalhau, Kubernetes, Slurm "
        "or AWS Batch",
    )


def refusal(args: argparse.Namespace) -> str | None:
    """Return why options do not fit several parts; None if they do."""
    shard = getattr(args, "shard", None)
    if not hasattr(shard, "parts"):
        return None
    found = ["--keep (each part ends its own store)"] if getattr(args, "keep", False) else []
    if (form := getattr(args, "form", "text")) in _ONE_DOCUMENT:
        found.append(f"--{form} (it prints one document; `windfleet merge` makes one result)")
    return f"--shard {shard} does not go with {', '.join(found)}" if found else None
