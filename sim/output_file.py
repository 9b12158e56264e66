"""Files that an option names: one that windfleet did not write is replaced with --overwrite only.

A file of windfleet has the mark of its command near its beginning. Imports little: the command line
is parsed with it for every command.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from sim.errors import INVALID, DirectoryError
from sim.special_file import is_special

_HEAD_BYTES: Final = 4096


def page_of(command: str) -> str:
    """Return the mark of a command's pages (`sim/report/templates/base.html.j2`)."""
    return f'<meta name="generator" content="windfleet {command}">'


def overwrite_argument(parser: argparse.ArgumentParser, text: str) -> None:
    """Add `--overwrite`. text: what it replaces."""
    parser.add_argument("--overwrite", action="store_true", help=f"replace {text}")


def require_replaceable(
    path: Path, mark: str | None, option: str, overwrite: bool | None = None
) -> None:
    """Raise DirectoryError for a file that is there, unless it may be replaced.

    mark: of a file that the same command wrote; None if the kind has none. option: names the file,
    in the message. overwrite: True allows any; None for a command without the option.

    An empty file holds nothing. A pipe or device is written to, and so is an open file of this
    process, such as /dev/stdout.
    """
    if overwrite or is_special(path) or not path.is_file() or not path.stat().st_size:
        return
    with path.open("rb") as file:
        if mark is not None and mark.encode() in file.read(_HEAD_BYTES):
            return
    others = "" if mark is None else " and was not written by this command"
    fix = f"name another with {option}" if option else "name another"
    fix = fix if overwrite is None else f"replace it with --overwrite, or {fix}"
    raise DirectoryError(f"{path}: is there{others}; {fix}", INVALID)
