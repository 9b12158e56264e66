"""`windfleet completion SHELL`: a script that completes commands, options and file names.

    windfleet completion bash > ~/.local/share/bash-completion/completions/windfleet
    windfleet completion zsh > ~/.zfunc/_windfleet

The script is made by shtab from the command line itself, so completing starts no Python.
"""

from __future__ import annotations

import argparse
from typing import Final

import shtab
from rich.console import Console

from sim.arguments import program
from sim.errors import PASS

_FILES: Final = ("BASE", "DIR", "DIR|URL", "FILE", "NEW", "SCENARIO")
"""Names of arguments that are paths. Their types are the commands' own."""


def completion(args: argparse.Namespace, console: Console) -> int:
    """Print the script for `args.shell`."""
    parser = program()
    for each in (parser, *parser.commands().values()):
        for action in each._actions:
            if action.metavar in _FILES:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(parser, args.shell))
    return PASS
