"""Locust's processes, forked from a template: for engines that run in the tests' own process."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from sim.load.locust_processes import LOCUSTFILE
from tests.support import prefork

LINES = "from locust.main import main; main()"


def start(arguments: Sequence[str], log: Path) -> prefork.Forked:
    """Start Locust as `sim.load.locust_processes` does."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    words = ["-f", str(LOCUSTFILE), "--loglevel", "WARNING", *arguments]
    with log.open("wb") as out:
        streams = out.fileno(), out.fileno()
        return prefork.fork(LINES, words, env, *streams, imports=prefork.OF_LOCUST)
