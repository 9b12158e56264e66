"""The option `--resume` of `windfleet run` and `windfleet campaign`."""

from __future__ import annotations

import argparse
from typing import Final

from sim.place_argument import place

_FREE: Final = ("workers", "allow_remote", "form")
"""Options that an attempt may have otherwise than the one before."""
_NO_SCENARIO: Final = (
    "{} needs a SCENARIO, such as `windfleet {}`; `windfleet list` shows those that are here"
)
_SUCH_AS: Final = {"run": "run quickstart", "campaign": "campaign campaign --quick"}
_NAMES: Final = {"scenario": "SCENARIO", "line": "--replay"}


def resume_argument(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the option. what: the kind of work to go on with."""
    text = f"go on with the interrupted {what} in DIR, with its scenario and options"
    parser.add_argument("--resume", type=place, metavar="DIR", help=text)


def refusal(args: argparse.Namespace, parser: argparse.ArgumentParser) -> str | None:
    """Return why arguments do not fit `--resume`, or lack a scenario; None if they are fine."""
    if args.command not in ("run", "campaign"):
        return None
    if args.resume is None:
        return None if args.scenario else _NO_SCENARIO.format(args.command, _SUCH_AS[args.command])
    plain = vars(parser.parse_args([args.command, "--resume", str(args.resume)]))
    given = [
        _NAMES.get(name, "--" + name.replace("_", "-"))
        for name, value in vars(args).items()
        if name not in _FREE and value != plain[name]
    ]
    if not given:
        return None
    kept = "--resume goes on with the scenario and the options in DIR"
    return f"{kept}; leave out {', '.join(given)}, or begin anew without --resume"
