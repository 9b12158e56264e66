"""Errors of windfleet, and the exit codes of its commands with their meanings.

The exit code of an error is decided here. That of a verdict is decided in `sim.run.result`,
`sim.load.result`, `sim.campaign.summary`, `sim.verify.verdict_result`, `sim.compare.comparison` and
`sim.repeat.command`.

WindfleetError             code
├── InvalidInput              2   an argument or an input file
│   ├── ScenarioError
│   ├── FleetError
│   ├── ScheduleError
│   ├── PlanError
│   ├── CatalogError
│   ├── PartError
│   ├── ResumeError
│   └── ResultError
├── EnvironmentFailed         3   the machine, the store or another process
│   ├── TargetError
│   │   └── StoreOptionError  2
│   ├── NeedsError
│   ├── StoreGone
│   ├── WorkerDied
│   ├── WorkerLost
│   ├── NodeFileError
│   ├── ClusterError
│   └── EngineError
│       └── TargetGone
├── DirectoryError       2 or 3   each instance has its own
├── DemoError      2, 3, 5, 130   each instance has its own
├── QueryError        2, 3 or 5   each instance has its own
├── BenchError           2 or 5   each instance has its own
└── DashboardError       2 or 3   each instance has its own

`exit_code_and_message` gives their code to errors of `pipeline` and `sim.check`, which do not know
this module.
"""

from __future__ import annotations

import errno
import os
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sim.yamlfile import Problem

PASS: Final = 0
INTERNAL: Final = 1
INVALID: Final = 2
ENVIRONMENT: Final = 3
THRESHOLD: Final = 4
LAKE_WRONG: Final = 5
UNKNOWN: Final = 6
GENERATOR: Final = 7
INTERRUPTED: Final = 130
MEANINGS: Final = {
    PASS: "pass",
    INTERNAL: "internal error",
    INVALID: "invalid scenario or arguments",
    ENVIRONMENT: "environment (no S3, port taken, disk full)",
    THRESHOLD: "a threshold failed",
    LAKE_WRONG: "the lake is wrong",
    UNKNOWN: "verdict unknown (or a fault that was certain to fire never did)",
    GENERATOR: "the load generator was the limit",
    INTERRUPTED: "interrupted",
}
"""Exit code -> meaning, as in the README. Scripts and CI depend on the codes."""
EXIT_CODE_OF: Final = {"pass": PASS, "fail": LAKE_WRONG, "unknown": UNKNOWN}
"""Status of a verdict -> exit code."""


class WindfleetError(Exception):
    """An error that a command reports in one message."""

    exit_code: int = INTERNAL


class InvalidInput(WindfleetError):
    """An argument or an input file that cannot be used."""

    exit_code = INVALID


class ScenarioError(InvalidInput, ValueError):
    """A scenario that cannot run. `problems` lists every reason; `str()` puts each on a line."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = list(problems)


class FleetError(InvalidInput, ValueError):
    """A fleet that cannot be used. `problems` lists every reason; `str()` puts each on a line."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ScheduleError(InvalidInput, ValueError):
    """A line that is not a fault schedule. The text names the wrong word and the right form."""


class PlanError(InvalidInput):
    """A load test that cannot run as planned. The text names the setting and the fix."""


class CatalogError(InvalidInput):
    """A name that Databricks or AWS would refuse. The text names the option and the rule."""


class PartError(InvalidInput):
    """A part that a run does not have, or parts that do not fit. The text names the fix."""


class ResumeError(InvalidInput):
    """An interrupted run that cannot be gone on with here. The text names the fix."""


class ResultError(InvalidInput, ValueError):
    """A result.json that cannot be read. The text names the file and the field."""


class EnvironmentFailed(WindfleetError):
    """A failure of the machine, the store or another process."""

    exit_code = ENVIRONMENT


class TargetError(EnvironmentFailed):
    """A store that cannot be reached or must not be used. The text names the fix."""


class StoreOptionError(TargetError):
    """An environment variable of the store that is no value, as an option with it would be none."""

    exit_code = INVALID


class NeedsError(EnvironmentFailed):
    """A run that this machine cannot hold. The text gives both sizes and the fix."""


class StoreGone(EnvironmentFailed):
    """A store that stopped answering. The text is its last error."""


class WorkerDied(EnvironmentFailed):
    """A worker process of a run that ended without a result: killed, or out of memory."""


class WorkerLost(EnvironmentFailed):
    """A worker process of a campaign that ended without a result."""


class ClusterError(EnvironmentFailed):
    """A cluster that cannot be used, or a part that it could not run. The text names the fix."""


class NodeFileError(EnvironmentFailed, OSError):
    """A node's file that cannot be written. The text names the file and the reason."""


class EngineError(EnvironmentFailed):
    """A load test ended early by its target, the machine or Locust. The text gives the reason."""


class TargetGone(EngineError):
    """A target that refuses connections, or whose process has ended."""


class DirectoryError(WindfleetError):
    """A run directory that cannot be used. The text names it and the fix."""

    def __init__(self, text: str, exit_code: int = INVALID) -> None:
        super().__init__(text)
        self.exit_code = exit_code


class DemoError(WindfleetError):
    """A data set that cannot be made. The text names the place and the fix."""

    def __init__(self, text: str, exit_code: int = ENVIRONMENT) -> None:
        super().__init__(text)
        self.exit_code = exit_code


class QueryError(WindfleetError):
    """A query or a load of its tables that cannot be done. The text names the place and the fix."""

    def __init__(self, text: str, exit_code: int = INVALID) -> None:
        super().__init__(text)
        self.exit_code = exit_code


class BenchError(WindfleetError):
    """A measurement that cannot be made, or whose lake is wrong. The text names the place."""

    def __init__(self, text: str, exit_code: int = INVALID) -> None:
        super().__init__(text)
        self.exit_code = exit_code


class DashboardError(WindfleetError):
    """A page that cannot be made. The text names the file and the fix."""

    def __init__(self, text: str, exit_code: int = INVALID) -> None:
        super().__init__(text)
        self.exit_code = exit_code


FIXES: Final = {
    errno.EACCES: "name a place that this user may access, or change its permissions",
    errno.EPERM: "name a place that this user may access",
    errno.EROFS: "name a place that can be written",
    errno.ENOSPC: "free some space, or name another disk",
    errno.EDQUOT: "free some space, or name another disk",
    errno.ENAMETOOLONG: "use a shorter name",
    errno.ELOOP: "a symbolic link leads to itself; name the file itself",
    errno.ENOTDIR: "a file is where a directory must be; name another place",
    errno.EISDIR: "a directory is where a file must be; name another place",
    errno.ENOENT: "it was removed, or it never existed",
    errno.EMFILE: "raise the limit of open files: ulimit -n",
    errno.ENFILE: "raise the limit of open files: ulimit -n",
    errno.ENOLCK: "this file system has no locks; name another disk",
    errno.EOPNOTSUPP: "this file system lacks a function that is needed; name another disk",
}
"""Error number of the operating system -> advice to the user."""


def exit_code_and_message(error: BaseException, out: Path | None = None) -> tuple[int, str]:
    """Return the exit code and the message for an error that ends a command.

    out: the folder being written. The message names it if an OSError names no file.
    """
    # Imported only after an error: they would slow down the start of every command.
    from pipeline.lake import LakeError
    from pipeline.settings import SettingsError
    from pipeline.terminal import OutputError
    from sim.check.read import lake as check_lake

    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, "interrupted"
    if out is not None and isinstance(error, OSError) and not isinstance(error, TimeoutError):
        return ENVIRONMENT, f"{_place(error, out)}: cannot be written: {reason(error)}"
    if isinstance(error, WindfleetError) and not isinstance(error, NodeFileError):
        return error.exit_code, str(error)
    if isinstance(
        error, LakeError | SettingsError | OutputError | check_lake.LakeError | TimeoutError
    ):
        return ENVIRONMENT, str(error)
    if isinstance(error, OSError):
        return ENVIRONMENT, f"{_place(error, None)}: {reason(error)}"
    if isinstance(error, MemoryError):
        return ENVIRONMENT, "out of memory; use fewer workers, or a smaller scenario"
    if os.environ.get("WINDFLEET_DEBUG"):
        traceback.print_exception(error)
    bug = "a bug in windfleet; WINDFLEET_DEBUG=1 shows the traceback"
    return INTERNAL, f"{type(error).__name__}: {error} ({bug})"


def reason(error: BaseException) -> str:
    """Return the operating system's text for an error, and the fix where there is one."""
    from pipeline.terminal import cause

    fix = FIXES.get(getattr(error, "errno", None) or 0)
    return cause(error) + (f"; {fix}" if fix else "")


def _place(error: BaseException, out: Path | None) -> str:
    """Return the file that the error names, else `out`."""
    from pipeline.terminal import one_line

    names = [
        name for name in (getattr(error, "filename", None), out) if name is not None and name != ""
    ]
    if not names or isinstance(names[0], int):
        return "a file or connection"
    return one_line(os.fsdecode(names[0]))
