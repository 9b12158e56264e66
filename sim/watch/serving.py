"""`--serve` of `run` and `load`: `windfleet watch` in a process of its own, while the run lasts.

The listening socket is made here, so that a port that is taken ends the command at once, and the
URL is known before the process has started. The process ends with this one, also by SIGKILL.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.text import Text

from sim.cluster import child
from sim.measure import usage
from sim.watch.server import listening, url_of


def serving(
    port: int | None, folder: Path, run: Callable[[Console], int]
) -> Callable[[Console], int]:
    """Return `run` with its page served meanwhile. port: 0 for a free one; None: no page."""
    if port is None:
        return run

    def served(console: Console) -> int:
        with listening(port) as listener:
            console.print(Text(f"live page: {url_of(listener)}"), soft_wrap=True)
            process = child.start(
                ["watch", str(folder), "--socket", str(listener.fileno())],
                os.environ | child.safe_path(),
                subprocess.DEVNULL,
                pass_fds=(listener.fileno(),),
            )
        # No part of the run: neither its memory nor its CPU time.
        usage.LEFT_OUT.add(process.pid)
        try:
            return run(console)
        finally:
            child.stop(process)
            usage.LEFT_OUT.discard(process.pid)

    return served
