"""Text files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from sim.special_file import is_special, open_in_place


def write_text(path: Path, text: str) -> None:
    """Write a file that appears whole or not at all. Raises OSError.

    A link stays: its target is written. See `sim.special_file` for files that are never replaced.
    """
    if is_special(path):
        with open_in_place(path) as stream:
            stream.write(text.encode(errors="backslashreplace"))
        return
    path = Path(os.path.realpath(path))
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(
            handle, "w", encoding="utf-8", errors="backslashreplace", newline="\n"
        ) as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
