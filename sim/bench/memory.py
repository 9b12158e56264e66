"""The largest resident memory of a process so far. Linux keeps it; elsewhere it is today's."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil


def peak_bytes(pid: int) -> int:
    """Return the largest resident memory of a running process, in bytes."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return int(psutil.Process(pid).memory_info().rss)
