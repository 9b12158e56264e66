"""`windfleet campaign --resume DIR`."""

from __future__ import annotations

import argparse

from rich.console import Console

from sim.campaign.command import run_campaign
from sim.campaign.state import resumed


def resume(args: argparse.Namespace, console: Console) -> int:
    """Go on with an interrupted campaign. Return its exit code.

    Raises DirectoryError, ResumeError, ScenarioError.
    """
    return run_campaign(*resumed(args.resume, args.workers), console)
