"""`windfleet doctor`: examine this machine, and name each problem with its fix."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from sim.doctor.checks import Finding, examine_machine
from sim.errors import ENVIRONMENT, PASS

_STYLE: Final = {"ok": "green", "warning": "yellow", "problem": "bold red"}
_WIDTH: Final = 16


def examine(args: argparse.Namespace, console: Console) -> int:
    """Print the findings as they come. Return 3 if one of them is a problem."""
    findings = []
    for finding in examine_machine(Path()):
        findings.append(finding)
        if not args.json:
            _print(finding, console)
    problems = sum(finding.status == "problem" for finding in findings)
    if args.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    elif problems:
        console.print(Text(f"{problems} problem{'s' * (problems != 1)}", "bold red"))
    else:
        console.print(Text("This machine can run windfleet.", "bold green"))
    return ENVIRONMENT if problems else PASS


def _print(finding: Finding, console: Console) -> None:
    line = Text(f"{finding.subject:<{_WIDTH}}", "dim")
    line += Text(f"{finding.status:<8} ", _STYLE[finding.status])
    console.print(line + Text(finding.text, "default"), soft_wrap=True)
    if finding.fix:
        console.print(Text(f"{'':<{_WIDTH}}{'':<9}{finding.fix}", "yellow"), soft_wrap=True)
