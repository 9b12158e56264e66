"""Shell completion: bash itself completes commands, options, choices and files."""

from __future__ import annotations

import re
import shutil
import subprocess
from argparse import SUPPRESS, Action, ArgumentTypeError
from pathlib import Path

import pytest

from sim.arguments import program
from tests.support import runs

COMPLETE = """
{script}
COMP_WORDS=({words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
COMP_LINE="{line}" COMP_POINT=${{#COMP_LINE}}
$(complete -p windfleet | sed 's/.*-F \\([^ ]*\\).*/\\1/') windfleet "${{COMP_WORDS[COMP_CWORD]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture(scope="module")
def script() -> str:
    done = runs.inside("completion", "bash")
    assert (done.code, done.err) == (0, "")
    return done.out


def completed(script: str, words: list[str], folder: Path) -> list[str]:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash")
    quoted = " ".join(f"'{word}'" for word in words)
    text = COMPLETE.format(script=script, words=quoted, line=" ".join(words))
    done = subprocess.run(
        [bash, "--norc", "-c", text], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["windfleet", "che"], ["check"]),
        (["windfleet", "run", "--overw"], ["--overwrite"]),
        (["windfleet", "demo", "--theme", "st"], ["storm"]),
        (["windfleet", "store", "lo"], ["logs"]),
        (["windfleet", "check", "mi"], ["mine.yaml"]),
        (["windfleet", "run", "--out", "mi"], ["mine.yaml"]),
        (["windfleet", "compare", "mi"], ["mine.yaml"]),
        (["windfleet", "bench", "--from", "mi"], ["mine.yaml"]),
        (["windfleet", "run", "--workers", "mi"], []),
    ],
)
def test_bash_completes(script: str, words: list[str], expected: list[str], tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").touch()
    assert completed(script, words, tmp_path) == expected


def test_every_option_of_every_command_is_completed(script: str) -> None:
    for name, command in program().commands().items():
        pattern = rf"(?m)^_shtab_windfleet_{name}_option_strings=\((.*)\)$"
        (words,) = re.findall(pattern, script)
        shown = [a.option_strings for a in command._actions if a.help != SUPPRESS]
        assert {word for words in shown for word in words} <= set(words.split()), name


def test_every_path_of_every_command_is_completed(script: str) -> None:
    """All types of paths make a Path of a text, or a list of them."""
    for name, command in program().commands().items():
        for action in command._actions:
            if action.option_strings and action.help != SUPPRESS and _is_path(action):
                option = action.option_strings[-1].replace("-", "_")
                assert f"_shtab_windfleet_{name}_{option}_COMPGEN=" in script, (name, option)
        places = [a for a in command._actions if not a.option_strings and a.help != SUPPRESS]
        for number, action in enumerate(places):
            if _is_path(action):
                assert f"_shtab_windfleet_{name}_pos_{number}_COMPGEN=" in script, name


def _is_path(action: Action) -> bool:
    if not callable(action.type) or action.choices:
        return False
    try:
        return isinstance(action.type("quickstart"), Path)
    except (ArgumentTypeError, ValueError):
        return False


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_every_command_is_in_the_script(shell: str) -> None:
    out = runs.inside("completion", shell).out
    assert all(command in out for command in program().commands())
    own = {"bash": "\ncomplete -", "zsh": "#compdef ", "tcsh": "\ncomplete windfleet"}
    assert own[shell] in out
