"""CPU time and memory of a process and its descendants, sampled twice a second.

    with Usage() as usage: ...
    usage.peak_bytes, usage.samples

- Memory counts too much where processes share pages: each of them counts those pages.
- CPU time of a process after its last sample is missed.
- Linux also says how long threads were ready and waited for a core (`schedstat`). It shows on a
  shared machine that a run had work, and other programs had the cores. Elsewhere it is 0.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil

EVERY_S: Final = 0.5
LEFT_OUT: Final[set[int]] = set()
"""Process ids that are no part of the run, such as the server of its live page."""
_PROC: Final = Path("/proc")


@dataclass(frozen=True)
class Sample:
    """One sample. Seconds since the sample before, by process id.

    at_ns: wall time, ns since 1970. queued_s: of threads that were ready and waited for a core.
    """

    at_ns: int
    cpu_s: dict[int, float]
    queued_s: dict[int, float]


class Usage:
    """Sampler of this process and its descendants. Read it after the block."""

    def __init__(self, every_s: float = EVERY_S) -> None:
        self.peak_bytes = 0
        self.samples: list[Sample] = []
        self._every_s = every_s
        self._last: dict[int, tuple[float, float]] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="usage", daemon=True)

    def __enter__(self) -> Self:
        self._sample()  # counts from here
        self.samples.clear()
        self.begun_ns = time.time_ns()
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
        self._sample()

    def _watch(self) -> None:
        while not self._done.wait(self._every_s):
            self._sample()

    def _sample(self) -> None:
        cpu_s: dict[int, float] = {}
        queued_s: dict[int, float] = {}
        memory = 0
        for pid in _tree(os.getpid()):
            with contextlib.suppress(psutil.Error, OSError):
                process = psutil.Process(pid)
                memory += process.memory_info().rss
                times = process.cpu_times()
                now = times.user + times.system, _queued_s(pid)
                before = self._last.get(pid, (0.0, 0.0))
                # A thread that ended takes its share with it.
                cpu_s[pid], queued_s[pid] = (
                    max(0.0, new - old) for new, old in zip(now, before, strict=True)
                )
                self._last[pid] = now
        self.peak_bytes = max(self.peak_bytes, memory)
        self.samples.append(Sample(time.time_ns(), cpu_s, queued_s))


def _tree(root: int) -> Iterator[int]:
    """Yield the process and its descendants, without a look at any other process on Linux."""
    yield root
    tasks = _PROC / str(root) / "task"
    if (tasks / str(root) / "children").exists():
        with contextlib.suppress(OSError):
            for task in tasks.iterdir():
                with contextlib.suppress(OSError):
                    for child in (task / "children").read_text(encoding="ascii").split():
                        if int(child) not in LEFT_OUT:
                            yield from _tree(int(child))
        return
    with contextlib.suppress(psutil.Error):
        children = [child.pid for child in psutil.Process(root).children(recursive=True)]
        yield from (pid for pid in children if pid not in LEFT_OUT)


def _queued_s(pid: int) -> float:
    """Return the seconds in which living threads of the process waited for a core."""
    total = 0
    with contextlib.suppress(OSError):
        for task in (_PROC / str(pid) / "task").iterdir():
            with contextlib.suppress(OSError, IndexError):
                total += int((task / "schedstat").read_text(encoding="ascii").split()[1])
    return total / 1e9
