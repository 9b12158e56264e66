"""The help of each command: examples that the command line accepts, and every option once."""

from __future__ import annotations

import re
import shlex

import pytest

from sim.arguments import parse, program
from sim.help import EXAMPLES, GROUPS
from tests.support import runs

COMMANDS = program().commands()


def test_every_command_has_an_example_and_every_example_a_command() -> None:
    assert set(EXAMPLES) == set(COMMANDS)


@pytest.mark.parametrize("line", [line for lines in EXAMPLES.values() for line in lines])
def test_an_example_is_accepted_as_written(line: str) -> None:
    words = shlex.split(line)
    assert parse(words).command == words[0]
    assert f"  windfleet {line}\n" in runs.inside(words[0], "--help").out


def test_every_option_of_a_group_exists() -> None:
    known = {
        option
        for parser in COMMANDS.values()
        for action in parser._actions
        for option in action.option_strings
    }
    assert {name for names in GROUPS.values() for name in names} <= known


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_every_option_once(command: str) -> None:
    out = runs.inside(command, "--help").out
    body = out.partition("\n\n")[2]
    for action in COMMANDS[command]._actions:
        if action.option_strings and action.help != "==SUPPRESS==":
            long = action.option_strings[-1]
            assert len(re.findall(rf"^  (?:-\w, )?{long}\b", body, re.MULTILINE)) == 1, long


def test_the_options_of_run_are_in_groups() -> None:
    out = runs.inside("run", "--help").out
    heads = re.findall(r"^(\w[\w ]*):$", out, re.MULTILINE)
    assert heads == ["positional arguments", "options", *GROUPS, "examples"]
