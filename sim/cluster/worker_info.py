"""A process of a cluster, as it describes itself: its machine, its versions, its store.

Dask imports this module on the workers and on the scheduler, so it imports little.
"""

from __future__ import annotations

import socket
from importlib.metadata import version
from typing import TypedDict

from sim.measure.environment import memory_bytes, program_versions
from sim.store import installation


class WorkerInfo(TypedDict):
    """One process of a cluster. localstack: it can start one. cores, memory_bytes: for its use."""

    host: str
    cores: int
    memory_bytes: int
    versions: dict[str, str]
    localstack: bool


def worker_info() -> WorkerInfo:
    """Return the description of this process."""
    import dask.system  # not here without the extra

    return WorkerInfo(
        host=socket.gethostname(),
        cores=dask.system.CPU_COUNT,
        memory_bytes=memory_bytes(),
        versions={**program_versions(), "distributed": version("distributed")},
        localstack=installation.is_installed(),
    )
