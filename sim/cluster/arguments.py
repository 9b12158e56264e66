"""Options of `windfleet run --cluster`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sim.cluster.address import ClusterAddress

_ELSEWHERE: Final = {
    "shard": "the cluster runs all parts",
    "keep": "each part ends its own store",
    "port": "each part has a store of its own",
    "save_lake": "lakes stay in the stores; name one with --endpoint-url",
}
"""Option that does not fit -> the reason."""
_ONLY: Final = ("parts", "worker_dir")


def arguments(parser: argparse.ArgumentParser, positive: Callable[[str], int]) -> None:
    """Add the options. positive: parses a whole number of 1 or more."""
    parser.add_argument(
        "--cluster",
        type=_address,
        metavar="CLUSTER",
        help="run in parts on Dask: tcp://HOST:PORT of a scheduler, or local:N workers here",
    )
    parser.add_argument(
        "--parts",
        type=positive,
        metavar="N",
        help="with --cluster: number of parts (default: two per thread of its workers)",
    )
    parser.add_argument(
        "--worker-dir",
        metavar="DIR",
        help="with --cluster: folder of the node files on each worker "
        "(default: runs/NAME-SEED.parts in its working directory)",
    )


def refusal(args: argparse.Namespace) -> str | None:
    """Return why the options do not fit each other; None if they do."""
    if args.cluster is None:
        alone = [name for name in _ONLY if getattr(args, name) is not None]
        return f"{_option(alone[0])} goes with --cluster" if alone else None
    unfit = [f"{_option(name)} ({why})" for name, why in _ELSEWHERE.items() if getattr(args, name)]
    return f"--cluster does not go with {', '.join(unfit)}" if unfit else None


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _address(text: str) -> ClusterAddress:
    from sim.cluster.address import cluster_address

    try:
        return cluster_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
