"""How a worker process behaves: Ctrl-C is for its parent to act on, and it does not outlive that parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading


def obey_parent() -> None:
    """Call it first in a worker: interrupts are left to the parent, and when the parent has died this process ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
