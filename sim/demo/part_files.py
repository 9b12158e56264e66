"""The files of a part of a data set, by their sha256: what `windfleet merge` takes over from it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from pipeline.terminal import cause
from sim.errors import PartError

FOLDERS: Final = ("lake", "truth", "nodes")


def digests(folder: Path) -> dict[str, str]:
    """Return the sha256 of each file of a part, by its path in the folder. Raises OSError."""
    return {name: _digest(folder / name) for name in _names(folder)}


def require_unchanged(folder: Path, files: Mapping[str, str], part: str) -> None:
    """Raise PartError for a part that lost, changed or got a file. part: its number, in words."""
    again = f"make part {part} again"
    there = set(_names(folder))
    if gone := sorted(files.keys() - there):
        many = f" and {len(gone) - 1:,} more files are" if gone[1:] else " is"
        raise PartError(f"{folder / gone[0]}{many} gone; {again}")
    if new := sorted(there - files.keys()):
        raise PartError(f"{folder / new[0]} is no file of the part; {again}")
    for name, sha256 in files.items():
        try:
            found = _digest(folder / name)
        except OSError as error:
            raise PartError(f"{folder / name}: cannot be read: {cause(error)}") from error
        if found != sha256:
            raise PartError(f"{folder / name} is not as the part made it; {again}")


def _names(folder: Path) -> Iterator[str]:
    for top in FOLDERS:
        for path in sorted((folder / top).rglob("*")):
            if path.is_file():
                yield str(path.relative_to(folder))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
