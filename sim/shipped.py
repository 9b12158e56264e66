"""The scenarios that come with windfleet, found by their names.

Light: the command line looks a name up for every command that takes a scenario.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[1] / "scenarios"


def names() -> list[str]:
    """Return the names of the shipped scenarios, sorted."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml") if not file.stem.startswith("_"))


def scenario_file(typed: str) -> Path:
    """Return the file that a user means: as typed, with `.yaml` added, or a shipped scenario.

    Returns the path as typed if there is none. The loader's error then has `nearest`.
    """
    path = Path(typed)
    if path.is_file():
        return path
    with_suffix = path.with_name(f"{path.name}.yaml") if path.name else path
    if with_suffix.is_file():
        return with_suffix
    shipped = FOLDER / f"{typed.removesuffix('.yaml')}.yaml"
    if typed == path.name and not typed.startswith("_") and shipped.is_file():
        here = Path.cwd()
        return shipped.relative_to(here) if shipped.is_relative_to(here) else shipped
    return path


def nearest(path: Path) -> str | None:
    """Return the name or path of a scenario that a wrong one may stand for; None if none is near.

    path: of a file that does not exist.
    """
    if path.parent.is_dir():
        beside = {file.name: str(file) for file in path.parent.glob("*.yaml")}
        beside |= {Path(name).stem: beside[name] for name in beside}
        if found := difflib.get_close_matches(path.name, beside, 1, 0.7):
            return beside[found[0]]
    found = difflib.get_close_matches(path.name.removesuffix(".yaml"), names(), 1, 0.7)
    return found[0] if found else None
