"""What ended a command before it was done, as exit code and sentence: one table for all commands."""

from __future__ import annotations

import errno
import os
import traceback
from pathlib import Path
from typing import Final

from pipeline.lake import LakeError
from pipeline.settings import SettingsError
from pipeline.terminal import OutputError, cause, one_line
from sim import check
from sim.chaos.campaign import WorkerLost
from sim.load.errors import EngineError
from sim.model.nodefile import NodeFileError
from sim.run.exits import ENVIRONMENT, INTERNAL, INTERRUPTED
from sim.run.localstack import TargetError
from sim.run.task import StoreGone
from sim.run.workers import WorkerDied

FIXES: Final = {
    errno.EACCES: "use a place that this user may use, or change its permissions",
    errno.EPERM: "use a place that this user may use",
    errno.EROFS: "use a place that can be written",
    errno.ENOSPC: "free some space, or name another disk",
    errno.EDQUOT: "free some space, or name another disk",
    errno.ENAMETOOLONG: "use a shorter name",
    errno.ELOOP: "a symbolic link leads to itself; name the file itself",
    errno.ENOTDIR: "a file is where a directory must be; name another place",
    errno.EISDIR: "a directory is where a file must be; name another place",
    errno.ENOENT: "it was removed, or never there",
    errno.EMFILE: "raise the limit of open files: ulimit -n",
    errno.ENFILE: "raise the limit of open files: ulimit -n",
    errno.ENOLCK: "this file system has no locks; name another disk",
    errno.EOPNOTSUPP: "this file system lacks what is needed; name another disk",
}
"""What to do about the system's errors."""

SURROUNDINGS: Final = (
    TargetError
    | StoreGone
    | LakeError
    | SettingsError
    | check.LakeError
    | WorkerDied
    | WorkerLost
    | EngineError
    | TimeoutError
    | OutputError
)
"""Of the machine and the store: what they say is what a user needs."""


def ending(error: BaseException, out: Path | None = None) -> tuple[int, str]:
    """(exit code, sentence). `out`: the folder that a failing disk is meant to be of, where there is one."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, "interrupted"
    if isinstance(error, SURROUNDINGS):
        return ENVIRONMENT, str(error)
    if out is not None and isinstance(error, NodeFileError | OSError):
        return ENVIRONMENT, f"{_place(error, out)}: cannot be written: {reason(error)}"
    if isinstance(error, OSError):
        return ENVIRONMENT, f"{_place(error, None)}: {reason(error)}"
    if isinstance(error, MemoryError):
        return ENVIRONMENT, "out of memory; use fewer workers, or a smaller scenario"
    if os.environ.get("WINDFLEET_DEBUG"):
        traceback.print_exception(error)
    bug = "a bug in windfleet; WINDFLEET_DEBUG=1 shows the traceback"
    return INTERNAL, f"{type(error).__name__}: {error} ({bug})"


def _place(error: BaseException, out: Path | None) -> str:
    """The file that the error names, else the folder it is of."""
    names = [name for name in (getattr(error, "filename", None), out) if name is not None and name != ""]
    return one_line(os.fsdecode(names[0])) if names and not isinstance(names[0], int) else "a file or connection"


def reason(error: BaseException) -> str:
    """What the system says of an error, and the fix."""
    fix = FIXES.get(getattr(error, "errno", None) or 0)
    return cause(error) + (f"; {fix}" if fix else "")
