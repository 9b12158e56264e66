"""A cluster on this machine for the time of a run: `--cluster local:N`.

Its processes see no variable of Dask (`DASK_*`), and listen on 127.0.0.1 only.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sim.cluster.child import safe_path
from sim.errors import ClusterError

READY_WITHIN_S: Final = 120.0
STOP_WITHIN_S: Final = 15.0
_PREFIX: Final = "DASK_"


@contextmanager
def local_cluster(workers: int) -> Iterator[str]:
    """Run a scheduler and workers for the block; the value is the scheduler's address.

    Raises ClusterError.
    """
    environment = {k: v for k, v in os.environ.items() if not k.upper().startswith(_PREFIX)}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "sim.cluster.server", str(workers)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment | safe_path(),
        start_new_session=True,
    )
    try:
        yield _address(process)
    finally:
        _stop(process)


def _address(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdout, selectors.EVENT_READ)
        line = process.stdout.readline() if ready.select(READY_WITHIN_S) else b""
    if not line.startswith(b"tcp://"):
        ended = f"it ended with {process.poll()}" if process.poll() is not None else "not ready"
        raise ClusterError(
            f"the workers of --cluster local cannot be started ({ended}); ask for fewer"
        )
    return line.decode().strip()


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the cluster. Its workers, and the parts in them, end with it."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    try:
        process.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
