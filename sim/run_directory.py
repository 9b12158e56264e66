"""The run directory: made new, or taken over from an earlier run that came to nothing, or from any when told so.

Nothing else is ever removed, and nothing at all while another process is at work there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from sim.errors import ENVIRONMENT, INTERRUPTED, DirectoryError, reason
from sim.folder_lock import LOCK_FILE, Occupied, owned
from sim.measure.operations import OPERATIONS_FILE
from sim.report.campaign import HTML_FILE as CAMPAIGN_PAGE
from sim.report.campaign import JSON_FILE as CAMPAIGN_FILE
from sim.report.result import RESULT_FILE
from sim.report.write import HTML_FILE, JUNIT_FILE, REQUESTS_FILE, RESOURCES_FILE, write_text

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


@contextmanager
def made(
    path: Path, overwrite: bool, scenario_text: str, need_bytes: int, named_by: str = "--out DIR"
) -> Iterator[None]:
    """`path` as a directory of this run alone until the run is over, with the scenario in it; `named_by`: the option
    that names it. Raises DirectoryError."""
    with ExitStack() as stack:
        try:
            if not (path / LOCK_FILE).exists():
                _require_ours(path, named_by)  # before the lock's file is put there
            path.mkdir(parents=True, exist_ok=True)
            stack.enter_context(alone(path, named_by))
            _require_ours(path, named_by)
            _clear(path, overwrite, named_by)
            _require_space(path, need_bytes, named_by)
            write_text(path / SCENARIO_FILE, MARK + scenario_text)
        except OSError as error:
            raise DirectoryError(
                f"{path}: cannot make the run directory: {reason(error)}", ENVIRONMENT
            ) from error
        yield


@contextmanager
def alone(path: Path, named_by: str = "DIR") -> Iterator[None]:
    """The only process at work in `path`, an existing directory. Raises DirectoryError, and OSError of the lock."""
    with ExitStack() as stack:
        try:
            stack.enter_context(owned(path))
        except Occupied as error:
            busy = f"another windfleet is at work here ({error})"
            fix = f"wait until it is done, end it, or choose another {named_by}"
            raise DirectoryError(f"{path}: {busy}; {fix}", ENVIRONMENT) from None
        yield


def _require_ours(path: Path, named_by: str) -> None:
    """Refuse what is there and no run's. Raises DirectoryError, and OSError where one cannot look."""
    if not path.exists() or (
        path.is_dir() and all(child.name == LOCK_FILE for child in path.iterdir())
    ):
        return
    if not path.is_dir() or not is_run(path):
        raise DirectoryError(
            f"{path}: exists and is not a windfleet run; choose another directory with {named_by}"
        )


def _clear(path: Path, overwrite: bool, named_by: str) -> None:
    """Remove an earlier run, all but its scenario: that is what the directory is known by until there is a new one."""
    if not overwrite and (
        any((path / name).exists() for name in WORTH_KEEPING) or _was_interrupted(path)
    ):
        raise DirectoryError(
            f"{path}: holds an earlier run; replace it with --overwrite, or choose another {named_by}"
        )
    for folder in (folder for name in FOLDERS for folder in path.glob(name) if folder.is_dir()):
        shutil.rmtree(folder)
    written = (RESULT_FILE, HTML_FILE, JUNIT_FILE, OPERATIONS_FILE, REQUESTS_FILE, RESOURCES_FILE)
    for name in (*written, CAMPAIGN_FILE, CAMPAIGN_PAGE):
        (path / name).unlink(missing_ok=True)


def _was_interrupted(path: Path) -> bool:
    """True if a result says so: what there is of that run was kept on purpose."""
    try:
        return bool(json.loads((path / RESULT_FILE).read_bytes())["exit_code"] == INTERRUPTED)
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _require_space(path: Path, need_bytes: int, named_by: str) -> None:
    free = shutil.disk_usage(path).free
    if free < need_bytes * HEADROOM:
        raise DirectoryError(
            f"{path}: the run will write about {need_bytes / 1e6:,.0f} MB and only {free / 1e6:,.0f} MB are free; "
            f"free some space, or name another disk with {named_by}",
            ENVIRONMENT,
        )


def is_run(path: Path) -> bool:
    """True for a directory that a run made."""
    try:
        with (path / SCENARIO_FILE).open("rb") as file:
            return file.read(len(MARK)) == MARK.encode()
    except (FileNotFoundError, IsADirectoryError):
        return False
