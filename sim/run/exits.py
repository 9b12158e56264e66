"""Exit codes, as the README lists them: a contract with scripts and CI."""

from __future__ import annotations

from typing import Final

PASS: Final = 0
INTERNAL: Final = 1
INVALID: Final = 2
ENVIRONMENT: Final = 3
THRESHOLD: Final = 4
LAKE_WRONG: Final = 5
UNKNOWN: Final = 6
GENERATOR: Final = 7
INTERRUPTED: Final = 130
MEANINGS: Final = {
    PASS: "pass",
    INTERNAL: "internal error",
    INVALID: "invalid scenario or arguments",
    ENVIRONMENT: "environment (no S3, port taken, disk full)",
    THRESHOLD: "a threshold failed",
    LAKE_WRONG: "the lake is wrong",
    UNKNOWN: "verdict unknown (or a fault that was certain to fire never did)",
    GENERATOR: "the load generator was the limit",
    INTERRUPTED: "interrupted",
}
