"""The run directory: new, or taken over from an earlier run.

- A run without results, because it found no store for example, is replaced at once.
- A run with results is replaced with `--overwrite` only. An interrupted one can be gone on with.
- Nothing else is ever removed, and nothing at all while another process works there.
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
from sim.report.write import (
    DASHBOARD_FILE,
    HTML_FILE,
    JUNIT_FILE,
    REQUESTS_FILE,
    RESOURCES_FILE,
    VERIFY_HTML,
    VERIFY_JSON,
    VERIFY_JUNIT,
)
from sim.resume_state import OUTCOMES, RESUME, way_on
from sim.whole_file import write_text

SCENARIO_FILE: Final = "scenario.yaml"
"""The resolved scenario. With MARK as its first line it shows that the directory is a run."""
MARK: Final = "# What a run of windfleet resolved its scenario to; the run is in this directory.\n"
"""A file of that name without this line is the user's own scenario, and is never removed."""
COMPACTED: Final = "# Its lake is compacted: an object has rows of a whole farm.\n"
"""Line after MARK where an object of the lake is not of one turbine."""
PARTS: Final = "parts"
"""Records of the parts of a run on a cluster (`sim.cluster`), a folder each."""
WORTH_KEEPING: Final = ("nodes", "lake", PARTS, CAMPAIGN_FILE, REQUESTS_FILE, OUTCOMES)
"""Results of a run. A run that made none of these is replaced without `--overwrite`."""
FOLDERS: Final = (
    *("nodes", "truth", "lake", "warehouse", PARTS),
    *(".operations", ".struck-*", ".load", RESUME),
)
"""Folders of a run. Those with a dot are work in progress; only a killed run leaves them."""
PART_FILE: Final = "part.json"
OBJECTS_FILE: Final = "objects.parquet"
"""The record of one part of a run (`sim.run.part_file`)."""
CAMPAIGN_PART_FILE: Final = "campaign-part.json"
"""The record of one part of a campaign (`sim.campaign.campaign_part`)."""
_WRITTEN: Final = (
    *(RESULT_FILE, HTML_FILE, JUNIT_FILE, OPERATIONS_FILE, REQUESTS_FILE, RESOURCES_FILE),
    *(PART_FILE, OBJECTS_FILE, CAMPAIGN_PART_FILE),
    *(VERIFY_JSON, VERIFY_HTML, VERIFY_JUNIT),
    *(DASHBOARD_FILE, CAMPAIGN_FILE, CAMPAIGN_PAGE),
)
"""Files of a run that its end writes."""
_UNFINISHED: Final = ("lake", "warehouse", ".struck-*")
"""Folders that an attempt makes anew."""
HEADROOM: Final = 1.2
"""Free space that a run needs, as a multiple of the bytes that its plan expects."""


@contextmanager
def made(
    path: Path,
    overwrite: bool,
    scenario_text: str,
    need_bytes: int,
    named_by: str = "--out DIR",
    compacted: bool = False,
) -> Iterator[None]:
    """Make `path` the directory of this run for the block, with the scenario in it.

    No other process can use it meanwhile. named_by: the option that names it, for messages.
    compacted: layout of its lake, which a later verdict reads there. Raises DirectoryError.
    """
    with ExitStack() as stack:
        try:
            if not (path / LOCK_FILE).exists():
                # Before the lock creates a file in it.
                _require_ours(path, named_by)
            path.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(path, named_by))
            _require_ours(path, named_by)
            _clear(path, overwrite, named_by)
            _require_space(path, need_bytes, named_by)
            write_text(path / SCENARIO_FILE, MARK + COMPACTED * compacted + scenario_text)
        except OSError as error:
            raise DirectoryError(
                f"{path}: cannot make the run directory: {reason(error)}", ENVIRONMENT
            ) from error
        yield


@contextmanager
def continued(path: Path) -> Iterator[None]:
    """Take over the directory of an interrupted run for the block, to go on with it.

    Results of the interrupted attempt are removed. Raises DirectoryError.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(path))
            require_resumable(path)
            for name in _WRITTEN:
                (path / name).unlink(missing_ok=True)
            for folder in (each for name in _UNFINISHED for each in path.glob(name)):
                shutil.rmtree(folder)
        except OSError as error:
            raise DirectoryError(
                f"{path}: cannot go on in the run directory: {reason(error)}", ENVIRONMENT
            ) from error
        yield


def require_resumable(path: Path, name: str = "") -> None:
    """Raise DirectoryError for a path that holds no interrupted run, and say what it holds.

    name: of the command's state, in RESUME; any, if empty.
    """
    if not path.is_dir() or not is_run(path):
        fix = "name the directory of an interrupted run; `windfleet list` shows them"
        raise DirectoryError(f"{path}: is not a windfleet run; {fix}")
    if name and (path / name).is_file():
        return
    if (way := way_on(path)) is not None:
        if not name:
            return
        raise DirectoryError(f"{path}: was made by another command; go on with `{way}`")
    if any((path / name).is_file() for name in (RESULT_FILE, CAMPAIGN_FILE)):
        fix = "nothing is left to do; run it again with --overwrite"
        raise DirectoryError(f"{path}: holds a run that is finished; {fix}")
    fix = "run it again with --overwrite"
    raise DirectoryError(f"{path}: holds nothing that --resume could go on with; {fix}")


def finish(path: Path) -> None:
    """Remove what only an interrupted run needs. Raises OSError."""
    shutil.rmtree(path / RESUME, ignore_errors=True)


@contextmanager
def locked(path: Path, named_by: str = "DIR") -> Iterator[None]:
    """Lock `path`, an existing directory, against other processes for the block.

    Raises DirectoryError, and OSError of the lock.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(owned(path))
        except Occupied as error:
            busy = f"another windfleet is at work here ({error})"
            fix = f"wait until it is done, end it, or choose another {named_by}"
            raise DirectoryError(f"{path}: {busy}; {fix}", ENVIRONMENT) from None
        yield


def _require_ours(path: Path, named_by: str) -> None:
    """Raise DirectoryError for a path that exists and is no run, OSError if it cannot be read."""
    if not path.exists() or (
        path.is_dir() and all(child.name == LOCK_FILE for child in path.iterdir())
    ):
        return
    if not path.is_dir() or not is_run(path):
        fix = f"choose another directory with {named_by}"
        raise DirectoryError(f"{path}: exists and is not a windfleet run; {fix}")


def _clear(path: Path, overwrite: bool, named_by: str) -> None:
    """Remove an earlier run. Its scenario, the mark of a run, stays until the new one."""
    kept = any((path / name).exists() for name in WORTH_KEEPING) or _is_kept_on_purpose(path)
    if kept and not overwrite:
        fix = f"replace it with --overwrite, or choose another {named_by}"
        if (way := way_on(path)) is not None:
            raise DirectoryError(f"{path}: holds an interrupted run; go on with `{way}`, {fix}")
        raise DirectoryError(f"{path}: holds an earlier run; {fix}")
    for folder in (folder for name in FOLDERS for folder in path.glob(name) if folder.is_dir()):
        shutil.rmtree(folder)
    for name in _WRITTEN:
        (path / name).unlink(missing_ok=True)


def _is_kept_on_purpose(path: Path) -> bool:
    """Return True for the result of an interrupted run, or of merged parts."""
    try:
        found = json.loads((path / RESULT_FILE).read_bytes())
        return bool(found["exit_code"] == INTERRUPTED or "parts" in found["environment"])
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _require_space(path: Path, need_bytes: int, named_by: str) -> None:
    free = shutil.disk_usage(path).free
    if free < need_bytes * HEADROOM:
        need = f"the run will write about {need_bytes / 1e6:,.0f} MB"
        fix = f"free some space, or name another disk with {named_by}"
        text = f"{path}: {need} and only {free / 1e6:,.0f} MB are free; {fix}"
        raise DirectoryError(text, ENVIRONMENT)


def run_set(path: Path) -> list[Path]:
    """Return the runs of a directory: itself if it has a result, else those right below it.

    Numbers are in their order (`1` to `10` of `run --repeat`). Empty if there is no run.
    """
    if (path / RESULT_FILE).exists() or not path.is_dir():
        return [path]
    below = [each for each in path.iterdir() if (each / RESULT_FILE).is_file()]
    return sorted(below, key=lambda each: (not each.name.isdigit(), len(each.name), each.name))


def is_run(path: Path) -> bool:
    """Return True for a directory that a run made."""
    return _begins_with(path, MARK)


def is_compacted(path: Path) -> bool:
    """Return True for the directory of a run that made a compacted lake."""
    return _begins_with(path, MARK + COMPACTED)


def _begins_with(path: Path, text: str) -> bool:
    try:
        with (path / SCENARIO_FILE).open("rb") as file:
            return file.read(len(text)) == text.encode()
    except (FileNotFoundError, IsADirectoryError):
        return False
