"""Files with mode 0600, for people's names and for keys, such as node configurations."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

_MODE = 0o600


def write(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, in place of an existing one. Raise OSError."""
    with open_new(path) as file:
        file.write(content)


def open_new(path: Path) -> IO[bytes]:
    """Open a new, empty file for writing that only its owner can read, from its first byte on.

    Raises OSError.
    """
    path.unlink(missing_ok=True)  # a process that has the old file open keeps its content
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), "wb")
