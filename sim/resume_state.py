"""State that an interrupted run or campaign leaves in its directory, for `--resume`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Final

RESUME: Final = ".resume"
"""State of an interrupted run or campaign, for `--resume`. One that comes to its end removes it."""
RUN_STATE: Final = f"{RESUME}/run.json"
CAMPAIGN_STATE: Final = f"{RESUME}/campaign.json"
OUTCOMES: Final = f"{RESUME}/outcomes.txt"
"""Outcomes of a campaign so far."""


def way_on(path: Path) -> str | None:
    """Return the command that goes on with the interrupted run in a directory, if there is one."""
    for command, name in (("run", RUN_STATE), ("campaign", CAMPAIGN_STATE)):
        if (path / name).is_file():
            return f"windfleet {command} --resume {shlex.quote(str(path))}"
    return None
