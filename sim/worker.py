"""Manners of a worker process: it ignores Ctrl-C, and it ends with its parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading


def obey_parent() -> None:
    """Leave interrupts to the parent, and end this process when the parent has died.

    A worker calls it first.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
