"""Machine and program versions of a run, for its result."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import psutil

from pipeline.records import PIPELINE_VERSION

PACKAGES: Final = ("windfleet", "numpy", "simpy", "pyarrow", "boto3", "faker")
"""Packages whose version can change a lake's bytes."""


def machine() -> str:
    """Return operating system, processor type, cores and memory, in words."""
    memory_gib = psutil.virtual_memory().total / 2**30
    system = f"{platform.system()} {platform.machine()}"
    return f"{system}, {psutil.cpu_count()} cores, {memory_gib:.0f} GiB"


def versions() -> dict[str, str]:
    """Return program -> version, for Python and PACKAGES."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def program_versions() -> dict[str, str]:
    """Return the versions that decide a lake's bytes: program -> version."""
    return {**versions(), "pipeline": str(PIPELINE_VERSION)}
