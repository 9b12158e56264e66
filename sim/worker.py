"""A worker process: it ignores Ctrl-C, ends when its parent has ended, and gives memory back."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import multiprocessing
import os
import signal
import threading

from sim import garbage


def follow_parent() -> None:
    """Ignore Ctrl-C, and end this process as soon as its parent has died.

    A worker calls it first.
    """
    garbage.search_rarely()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def give_memory_back() -> None:
    """Return free memory to the system, between two tasks. Allocators keep it otherwise."""
    gc.collect()  # a shard that has ended is a cycle, and searches are rare (`garbage`)
    with contextlib.suppress(ImportError):
        import pyarrow

        pyarrow.default_memory_pool().release_unused()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # of glibc only
