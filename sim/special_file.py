"""Pipes, devices, and names of open files of this process, such as /dev/stdout.

They are written in place, never replaced. /dev/stdout may stand for a regular file, to which the
shell redirects: to replace or truncate that one would lose what others write to it.

A pipe or device that a name on disk stands for is not read: it may never begin, or never end.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from pathlib import Path
from typing import BinaryIO, Final

_OPEN_FILE: Final = re.compile(
    r"/dev/(?P<name>stdin|stdout|stderr)|/(?:dev|proc/self)/fd/(?P<number>\d+)"
)
_NUMBERS: Final = {"stdin": 0, "stdout": 1, "stderr": 2}


def is_special(path: Path) -> bool:
    """Return True for a pipe, a device, or the name of an open file of this process."""
    return _number_of(path) is not None or (path.exists() and not path.is_file())


def open_in_place(path: Path) -> BinaryIO:
    """Open such a file for writing, an open file where it stands. Raises OSError."""
    if (number := _number_of(path)) is None:
        return path.open("wb")
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return os.fdopen(os.dup(number), "wb")


def open_to_read(path: Path) -> BinaryIO:
    """Open a regular file, or an open file of this process. Raises OSError, also for any other."""
    if _number_of(path) is None and not stat.S_ISREG(mode := path.stat().st_mode):
        if stat.S_ISDIR(mode):
            return path.open("rb")  # raises the system's own error
        raise OSError("it is a pipe or a device; name a regular file")
    return path.open("rb")


def _number_of(path: Path) -> int | None:
    """Return the number of an open file of this process; None for any other path."""
    match = _OPEN_FILE.fullmatch(os.path.abspath(path))
    if match is None:
        return None
    return _NUMBERS[match["name"]] if match["name"] else int(match["number"])
