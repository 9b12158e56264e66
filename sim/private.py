"""Files for their owner alone: node configurations, and whatever else holds people's names or keys."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

_MODE = 0o600


def write(path: Path, content: bytes) -> None:
    """Write a file that nobody else may read, also where one that everybody may is there. Raises OSError."""
    with open_new(path) as file:
        file.write(content)


def open_new(path: Path) -> IO[bytes]:
    """An empty file to write to, that nobody else may read from its first byte on. Raises OSError."""
    path.unlink(missing_ok=True)  # one that is open elsewhere keeps what it had
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), "wb")
