"""The folder on disk: all files, or none.

The files are written beside the folder and renamed. A folder that holds anything else, such as the
state of Terraform, is never touched; an earlier folder of ours is replaced with `--overwrite` only.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from sim.catalog.files import File
from sim.catalog.readme import MARK
from sim.errors import ENVIRONMENT, DirectoryError, reason


def write(path: Path, files: Sequence[File], overwrite: bool) -> None:
    """Write the files. Raises DirectoryError, and then the folder is as it was."""
    try:
        target = Path(os.path.realpath(path))
        _require_ours(path, target, {file.path for file in files}, overwrite)
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, files)
    except OSError as error:
        raise DirectoryError(f"{path}: cannot be written: {reason(error)}", ENVIRONMENT) from error


def _require_ours(path: Path, target: Path, ours: set[str], overwrite: bool) -> None:
    other = "choose another folder"
    if not target.exists():
        return
    if not target.is_dir():
        raise DirectoryError(f"{path}: is a file; {other}")
    if target == Path.cwd():
        raise DirectoryError(f"{path}: is the working directory; name a folder in it")
    found = sorted(
        each.relative_to(target).as_posix() for each in target.rglob("*") if not _is_folder(each)
    )
    empty = sorted(each.name for each in target.iterdir())
    if not empty:
        return
    if not _is_marked(target / "README.md"):
        raise DirectoryError(f"{path}: holds {empty[0]}, and is no folder of this command; {other}")
    if foreign := [name for name in found if name not in ours]:
        kept = "it would be lost"
        raise DirectoryError(f"{path}: holds {foreign[0]}, which is not ours: {kept}; {other}")
    if not overwrite:
        raise DirectoryError(
            f"{path}: holds an earlier catalogue; replace it with --overwrite, or {other}"
        )


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_marked(readme: Path) -> bool:
    try:
        with readme.open("rb") as file:
            return file.read(len(MARK.encode())) == MARK.encode()
    except FileNotFoundError:
        return False


def _replace(target: Path, files: Sequence[File]) -> None:
    """Write beside the target, then rename. An earlier folder comes back if that fails."""
    fresh = target.parent / f".windfleet-{os.getpid()}.new"
    old = fresh.with_suffix(".old")
    try:
        for file in files:
            place = fresh / file.path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(file.text.encode())
        if target.exists():
            target.rename(old)
        try:
            fresh.rename(target)
        except BaseException:
            if old.exists():
                old.rename(target)
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
