"""Files that workers must see: the same file under the same path, by its sha256.

Parts of a data set are made in a folder that all machines share, and node files are judged where
they are. A path alone shows neither: another machine may have another file there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def digest(path: str) -> str | None:
    """Return the sha256 of a file, None if it cannot be read."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return None


def digests(paths: Sequence[str]) -> list[str | None]:
    """Return the sha256 of each file, on a worker."""
    return [digest(path) for path in paths]


def seen_by(client: Any, paths: Sequence[str]) -> dict[str, list[str | None]]:
    """Return address of each worker -> sha256 of each file there."""
    found = client.run(digests, list(paths), on_error="return")
    nothing: list[str | None] = [None] * len(paths)
    return {
        address: answer if isinstance(answer, list) else nothing
        for address, answer in found.items()
    }
