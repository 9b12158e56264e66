"""Options of `--cluster`, for the commands that have it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sim.place_argument import stated

if TYPE_CHECKING:
    from sim.cluster.address import ClusterAddress

_SHARD: Final = {"shard": "the cluster runs all parts"}
_UNFIT: Final[dict[str, dict[str, str]]] = {
    "run": {
        **_SHARD,
        "keep": "each part ends its own store",
        "port": "each part has a store of its own",
        "save_lake": "lakes stay in the stores; name one with --endpoint-url",
    },
    "demo": {**_SHARD, "empty_lake": "a data set in parts is made in a folder"},
    "campaign": {**_SHARD, "line": "it repeats one schedule, which has no parts"},
    "verify": {
        **_SHARD,
        "out": "the records of the parts are not kept",
        "lake": "workers read DIR/lake, or a store; name it with --endpoint-url",
    },
}
"""Command -> option that does not fit, by its name in the arguments -> the reason."""
_ONLY: Final = ("parts", "worker_dir")
_OPTIONS: Final = {"line": "--replay"}


def arguments(
    parser: argparse.ArgumentParser, command: str, positive: Callable[[str], int]
) -> None:
    """Add the options of a command. positive: parses a whole number of 1 or more."""
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
    folder = {
        "run": "folder of the node files on each worker "
        "(default: runs/NAME-SEED.parts in its working directory)",
        "demo": "folder that all machines share, for the parts (default: DIR.parts)",
    }
    if command in folder:
        parser.add_argument(
            "--worker-dir", type=stated, metavar="DIR", help=f"with --cluster: {folder[command]}"
        )
    else:
        parser.add_argument(
            "--allow-remote",
            action="store_true",
            help="allow an S3, or a scheduler, that is not on this machine"
            if command == "verify"
            else "with --cluster: allow a scheduler that is not on this machine",
        )


def refusal(args: argparse.Namespace) -> str | None:
    """Return why the options of a command do not fit each other; None if they do."""
    unfit = _UNFIT.get(args.command)
    if unfit is None:
        return None
    if args.cluster is None:
        only = (*_ONLY, "allow_remote") if args.command == "campaign" else _ONLY
        alone = [name for name in only if getattr(args, name, None)]
        return f"{_option(alone[0])} goes with --cluster" if alone else None
    found = [f"{_option(name)} ({why})" for name, why in unfit.items() if getattr(args, name)]
    return f"--cluster does not go with {', '.join(found)}" if found else None


def _option(name: str) -> str:
    return _OPTIONS.get(name, "--" + name.replace("_", "-"))


def _address(text: str) -> ClusterAddress:
    from sim.cluster.address import cluster_address

    try:
        return cluster_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
