"""An argument parser that suggests the nearest command or option for one that does not exist."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from sim.place_argument import EMPTY

NEAR = 0.6
"""Smallest similarity of a suggestion, as `difflib` measures it."""


class SuggestingParser(argparse.ArgumentParser):
    """An `ArgumentParser` whose errors end with a suggestion. Its subparsers are of the same kind.

    allow_abbrev is False: a script that abbreviates an option would break with the next option.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_abbrev=False)

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        found, unknown = self.parse_known_args(args, namespace)
        if unknown:
            command = getattr(found, "command", None)
            options = self._options_of(command) if isinstance(command, str) else ()
            name = unknown[0].partition("=")[0]
            hint = nearest(name, options) if name.startswith("-") else ""
            if "" in unknown:
                self._command(command).error(f"an argument {EMPTY}")
            text = f"unrecognized arguments: {' '.join(unknown)}"
            self._command(command).error(f"{text}; did you mean {hint}?" if hint else text)
        return found

    def error(self, message: str) -> NoReturn:
        """Print usage and message to stderr, and exit with code 2."""
        wrong = re.match(r"argument .*?: invalid choice: '(.*?)' \(choose from (.*)\)", message)
        if wrong is not None:
            choices = [choice.strip(" '") for choice in wrong[2].split(",")]
            if hint := nearest(wrong[1], choices):
                message = f"{message}; did you mean {hint}?"
        self.print_usage(sys.stderr)
        self.exit(2, f"{self.prog}: error: {message}\n")

    def commands(self) -> dict[str, argparse.ArgumentParser]:
        """Return the subparsers by their commands."""
        return {
            name: parser
            for action in self._actions
            if isinstance(action, argparse._SubParsersAction)
            for name, parser in action.choices.items()
        }

    def _command(self, name: object) -> argparse.ArgumentParser:
        return self.commands().get(str(name), self)

    def _options_of(self, command: str) -> list[str]:
        return [
            option
            for action in self._command(command)._actions
            for option in action.option_strings
            if option.startswith("--")
        ]


def nearest(word: str, choices: Iterable[str]) -> str:
    """Return the choice that a word is most like, or `` if none is near."""
    import difflib

    found = difflib.get_close_matches(word, list(choices), 1, NEAR)
    return found[0] if found else ""
