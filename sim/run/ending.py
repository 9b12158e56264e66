"""What ended a command before it was done, as exit code and sentence: one table for all commands."""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from typing import Final

from pipeline.lake import LakeError
from pipeline.settings import SettingsError
from sim import check
from sim.chaos.campaign import WorkerLost
from sim.load.errors import EngineError
from sim.model.nodefile import NodeFileError
from sim.run.exits import ENVIRONMENT, INTERNAL, INTERRUPTED
from sim.run.localstack import TargetError
from sim.run.task import StoreGone
from sim.run.workers import WorkerDied

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
)
"""Of the machine and the store: what they say is what a user needs."""


def ending(error: BaseException, out: Path | None = None) -> tuple[int, str]:
    """(exit code, sentence). `out`: the folder that a failing disk is meant to be of, where there is one."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, "interrupted"
    if isinstance(error, SURROUNDINGS):
        return ENVIRONMENT, str(error)
    if out is not None and isinstance(error, NodeFileError | OSError):
        return ENVIRONMENT, f"{out}: cannot be written: {error}"
    if os.environ.get("WINDFLEET_DEBUG"):
        traceback.print_exception(error)
    bug = "a bug in windfleet; WINDFLEET_DEBUG=1 shows the traceback"
    return INTERNAL, f"{type(error).__name__}: {error} ({bug})"
