"""A worker's answer to the roll call: its machine, its versions, its store.

Dask imports this module on the workers and on the scheduler, so it imports little.
"""

from __future__ import annotations

import socket
from importlib.metadata import version
from typing import TypedDict

from sim.run.environment import program_versions
from sim.store import installation


class Presence(TypedDict):
    """One process of a cluster. cores: that it may use. localstack: it can start one."""

    host: str
    cores: int
    versions: dict[str, str]
    localstack: bool


def presence() -> Presence:
    """Return this process's answer."""
    import dask.system  # not here without the extra

    return Presence(
        host=socket.gethostname(),
        cores=dask.system.CPU_COUNT,
        versions={**program_versions(), "distributed": version("distributed")},
        localstack=installation.is_installed(),
    )
