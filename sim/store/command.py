"""`windfleet store`: start, stop or look up the embedded LocalStack, and empty a store's lake."""

from __future__ import annotations

import argparse
import json
from collections import deque
from dataclasses import asdict
from pathlib import Path
from typing import Final

from rich.console import Console

from pipeline import lake
from pipeline.settings import settings
from pipeline.terminal import cause
from sim.errors import PASS, StoreOptionError, TargetError
from sim.store import installation, localstack, processes
from sim.store.gateway import chosen
from sim.store.server_record import Server
from sim.store.target import Options, endpoint_of

LOG_LINES: Final = 40


def store(args: argparse.Namespace, console: Console) -> int:
    """Do what `args.action` names. Raises TargetError and LakeError."""
    actions = {
        "install": _install,
        "up": _up,
        "down": _down,
        "status": _status,
        "empty": _empty,
        "logs": _logs,
    }
    if args.action != "empty" and (args.endpoint_url is not None or args.allow_remote):
        fix = "leave out --endpoint-url and --allow-remote, which go with `empty`"
        raise StoreOptionError(f"`store {args.action}` is about the store of `store up`; {fix}")
    actions[args.action](args)
    return PASS


def _install(args: argparse.Namespace) -> None:
    installation.require()
    print(f"{localstack.HOME}: LocalStack is installed")


def _up(args: argparse.Namespace) -> None:
    count = processes.chosen(args.store_processes)
    server = localstack.up(args.port, chosen(args.gateway), count)
    lake.ensure(settings(server.endpoint_url, own=True))
    print(f"up: {_described(server)}, six buckets in {lake.REGION}")
    print(f"use it with: export AWS_ENDPOINT_URL={server.endpoint_url}")


def _down(args: argparse.Namespace) -> None:
    gone = localstack.down()
    print(f"down: {gone.endpoint_url} (pid {gone.pid})" if gone else "no store was up")


def _status(args: argparse.Namespace) -> None:
    there = localstack.status()
    if args.json:
        print(json.dumps({"up": there is not None, **(asdict(there) if there else {})}, indent=1))
        return
    print(f"up: {_described(there)}, since {there.started}" if there else "down")


def _empty(args: argparse.Namespace) -> None:
    endpoint_url = endpoint_of(Options(args.endpoint_url, allow_remote=args.allow_remote))
    own = endpoint_url is None
    if endpoint_url is None:
        endpoint_url = _server().endpoint_url
    removed = lake.empty(settings(endpoint_url, own=own))
    print(f"{endpoint_url}: {removed:,} object{'s' * (removed != 1)} removed from the six buckets")


def _logs(args: argparse.Namespace) -> None:
    log = Path(_server().directory) / "server.log"
    try:
        with log.open(encoding="utf-8", errors="replace") as lines:
            last = deque(lines, LOG_LINES)
    except OSError as error:
        raise TargetError(f"{log}: cannot be read: {cause(error)}") from error
    print(f"the last lines of {log}:")
    print("".join(last), end="")


def _server() -> Server:
    """Return the server of `store up`. Raises TargetError if none is up."""
    there = localstack.status()
    if there is None:
        fix = "start one with: windfleet store up, or name a store with --endpoint-url URL"
        raise TargetError(f"no store is up; {fix}")
    return there


def _described(server: Server) -> str:
    several = processes.named(server.processes)
    return f"{server.endpoint_url} (pid {server.pid}, {server.gateway} gateway{several})"
