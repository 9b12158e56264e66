"""Exit codes, as the README lists them: a contract with scripts and CI."""

from __future__ import annotations

from typing import Final

PASS: Final = 0
INTERNAL: Final = 1
INVALID: Final = 2  # scenario or arguments
ENVIRONMENT: Final = 3  # no S3, port taken, disk full
THRESHOLD: Final = 4
LAKE_WRONG: Final = 5
UNKNOWN: Final = 6  # nothing was confirmed
GENERATOR: Final = 7  # the load generator itself was the limit
INTERRUPTED: Final = 130


def own_fault(error: Exception) -> str:
    """What is said of an error that nobody foresaw."""
    return f"{type(error).__name__}: {error} (a bug in windfleet; WINDFLEET_DEBUG=1 shows the traceback)"
