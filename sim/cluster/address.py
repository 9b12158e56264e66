"""The place of a cluster, as `--cluster` names it: `tcp://HOST:PORT` or `local:N`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pipeline import endpoint

_LOCAL: Final = re.compile(r"local:([1-9][0-9]{0,3})")
_EXAMPLES: Final = "write tcp://HOST:PORT, the address of a Dask scheduler, or local:4"


@dataclass(frozen=True)
class ClusterAddress:
    """A scheduler that is up, or workers to start on this machine.

    scheduler: `tcp://HOST:PORT`; None: `workers` local ones. loopback: nothing leaves this machine
    on the way to the scheduler.
    """

    scheduler: str | None
    workers: int = 0
    loopback: bool = True

    def __str__(self) -> str:
        return self.scheduler or f"local:{self.workers}"


def cluster_address(text: str) -> ClusterAddress:
    """Parse a value of `--cluster`. Raises ValueError."""
    if (local := _LOCAL.fullmatch(text)) is not None:
        return ClusterAddress(None, int(local[1]))
    scheme, _, place = text.partition("://")
    if scheme.lower() != "tcp" or not re.search(r":[0-9]+$", place):
        raise ValueError(f"{text!r} is no cluster; {_EXAMPLES}")
    try:
        found = endpoint.parse(f"http://{place}")
    except ValueError:
        raise ValueError(f"{text!r} has no plain host and port; {_EXAMPLES}") from None
    return ClusterAddress(f"tcp://{found.netloc}", loopback=found.loopback)


def host_of(worker: str) -> str:
    """Return the host of a worker's address, such as tcp://10.0.0.7:4711."""
    return worker.partition("://")[2].rpartition(":")[0].strip("[]")
