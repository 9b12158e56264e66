"""The program of a cluster on this machine: a scheduler and N workers, on 127.0.0.1.

    python -P -m sim.cluster.server N

It prints the scheduler's address, and serves until its standard input ends. It runs as a process of
its own: Ctrl-C in the terminal does not reach it, and its parent's environment is not its own
(`sim.cluster.local`).
"""

from __future__ import annotations

import logging
import sys
import tempfile
from typing import Any, Final

from sim.cluster.library import distributed

HOST: Final = "127.0.0.1"
SETTINGS: Final[dict[str, Any]] = {
    # Without routes: each process has an HTTP server, which then has no pages.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    # A part takes minutes, and waits better for a free worker than behind another part.
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.worker.profile.enabled": False,
    "distributed.diagnostics.nvml": False,
    "distributed.nanny.pre-spawn-environ": {},
}


def main() -> None:
    """Serve until standard input ends."""
    with tempfile.TemporaryDirectory(prefix="windfleet-cluster-") as folder:
        _serve(int(sys.argv[1]), folder)


def _serve(workers: int, folder: str) -> None:
    library = distributed(SETTINGS | {"temporary-directory": folder})
    with (
        library.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host=HOST,
            protocol="tcp://",
            scheduler_port=0,
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": f"{HOST}:0"},
            worker_dashboard_address=None,
            silence_logs=logging.CRITICAL,
            # The work is done in processes of its own.
            memory_limit=0,
        ) as cluster,
    ):
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
