"""The run directory: made new, or taken over from an earlier run that came to nothing, or from any when told so.

Nothing else is ever removed.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from sim.measure.operations import OPERATIONS_FILE
from sim.report.campaign import HTML_FILE as CAMPAIGN_PAGE
from sim.report.campaign import JSON_FILE as CAMPAIGN_FILE
from sim.report.write import REQUESTS_FILE, RESOURCES_FILE
from sim.run.exits import ENVIRONMENT, INVALID

SCENARIO_FILE: Final = "scenario.yaml"
"""The resolved scenario: what ran, and, with MARK as its first line, what a directory is known by to be a run."""
MARK: Final = "# What a run of windfleet resolved its scenario to; the run is in this directory.\n"
"""People keep scenarios of their own under that name: a file without this line is theirs, and is never removed."""
WORTH_KEEPING: Final = ("nodes", "lake", CAMPAIGN_FILE, REQUESTS_FILE)
"""A run that made none of these came to nothing, for want of a store say, and stands in nobody's way."""
FOLDERS: Final = ("nodes", "truth", "lake", ".operations", ".struck-*", ".load")
"""What a run makes; those with a dot are work in progress, and left only by one that was killed."""
HEADROOM: Final = 1.2
"""Free space wanted, as a multiple of what the plan says the run will write."""


class DirectoryError(Exception):
    """The run directory cannot be used; the text names it and the fix, `code` is the exit code."""

    def __init__(self, text: str, code: int = INVALID) -> None:
        super().__init__(text)
        self.code = code


def make(path: Path, overwrite: bool, scenario_text: str, need_bytes: int, named_by: str = "--out DIR") -> None:
    """Make `path` with the scenario in it; `named_by`: the option that names it. Raises DirectoryError."""
    try:
        _clear(path, overwrite, named_by)
        path.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(path).free
        if free < need_bytes * HEADROOM:
            raise DirectoryError(
                f"{path}: the run will write about {need_bytes / 1e6:,.0f} MB and only {free / 1e6:,.0f} MB are free; "
                f"free some space, or name another disk with {named_by}",
                ENVIRONMENT,
            )
        (path / SCENARIO_FILE).write_text(MARK + scenario_text, encoding="utf-8")
    except OSError as error:
        raise DirectoryError(f"{path}: cannot make the run directory: {error.strerror}", ENVIRONMENT) from error


def _clear(path: Path, overwrite: bool, named_by: str) -> None:
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not path.is_dir() or not _is_run(path):
        raise DirectoryError(f"{path}: exists and is not a windfleet run; choose another directory with {named_by}")
    if not overwrite and any((path / name).exists() for name in WORTH_KEEPING):
        raise DirectoryError(f"{path}: holds an earlier run; replace it with --overwrite, or choose another {named_by}")
    for folder in (folder for name in FOLDERS for folder in path.glob(name) if folder.is_dir()):
        shutil.rmtree(folder)
    written = ("result.json", "report.html", "junit.xml", OPERATIONS_FILE, REQUESTS_FILE, RESOURCES_FILE)
    for name in (SCENARIO_FILE, *written, CAMPAIGN_FILE, CAMPAIGN_PAGE):
        (path / name).unlink(missing_ok=True)


def _is_run(path: Path) -> bool:
    try:
        with (path / SCENARIO_FILE).open("rb") as file:
            return file.read(len(MARK)) == MARK.encode()
    except (FileNotFoundError, IsADirectoryError):
        return False
