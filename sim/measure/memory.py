"""The largest resident memory of a process and its descendants together. Measured by sampling.

It counts too much where processes share pages: each of them counts those pages. Peaks between two
samples are missed.
"""

from __future__ import annotations

import contextlib
import threading
from types import TracebackType
from typing import Self

import psutil

EVERY_S = 0.5


class MemoryPeak:
    """Sampler: `with MemoryPeak() as memory: ...`, then read `memory.peak_bytes`."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        me = psutil.Process()
        while not self._done.wait(EVERY_S):
            family = [me]
            with contextlib.suppress(psutil.Error):
                family += me.children(recursive=True)
            total = 0
            for process in family:
                with contextlib.suppress(psutil.Error):
                    total += process.memory_info().rss
            self.peak_bytes = max(self.peak_bytes, total)
