"""The number of processes of an embedded LocalStack: one, up to one per bucket of the lake.

One Python process answers a limited number of requests, whatever the machine. Several share the
buckets behind one endpoint. See `localstack/processes.py`.
"""

from __future__ import annotations

import os
from typing import Final

from pipeline.buckets import BUCKETS
from sim.errors import StoreOptionError

MOST: Final = len(BUCKETS)
VARIABLE: Final = "WINDFLEET_STORE_PROCESSES"


def chosen(named: int | None) -> int:
    """Return the number of the command line, else of the environment, else 1.

    Raises StoreOptionError for a number that cannot be.
    """
    text = str(named) if named is not None else os.environ.get(VARIABLE) or "1"
    if text.isascii() and text.isdigit() and 1 <= int(text) <= MOST:
        return int(text)
    place = VARIABLE if named is None else "--store-processes"
    fix = f"give 1 to {MOST}, which is one per bucket"
    raise StoreOptionError(f"{place}={text} is no number of store processes: {fix}")


def placed(prefix: str, process: int) -> str:
    """Return a name of a bucket that belongs to one process. prefix: begins with `windfleet-`."""
    return f"{prefix}-process-{process}"


def named(processes: int) -> str:
    """Return the part of a store's description that names its processes; "" for one."""
    return f", {processes} processes" if processes > 1 else ""
