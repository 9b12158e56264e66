"""Machine and program versions of a run, for its result."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from pipeline.records import PIPELINE_VERSION

PACKAGES: Final = ("windfleet", "numpy", "simpy", "pyarrow", "boto3", "faker")
"""Packages whose version can change a lake's bytes."""


def machine() -> str:
    """Return operating system, processor type, cores and memory, in words."""
    import psutil  # `plan` needs the memory only

    memory_gib = psutil.virtual_memory().total / 2**30
    system = f"{platform.system()} {platform.machine()}"
    return f"{system}, {psutil.cpu_count()} cores, {memory_gib:.0f} GiB"


def memory_bytes() -> int:
    """Return the memory that this process may use: of the machine, or of its container."""
    found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, ValueError):
        found = min(found, int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return found


def versions() -> dict[str, str]:
    """Return program -> version, for Python and PACKAGES."""
    return {
        "python": platform.python_version(),
        **{package: _version(package) for package in PACKAGES},
    }


@functools.cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def program_versions() -> dict[str, str]:
    """Return the versions that decide a lake's bytes: program -> version."""
    return {**versions(), "pipeline": str(PIPELINE_VERSION)}
