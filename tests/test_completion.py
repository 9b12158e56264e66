"""Shell completion: bash itself completes commands, options, choices and files."""

from __future__ import annotations

import shutil
import subprocess
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
    ],
)
def test_bash_completes(script: str, words: list[str], expected: list[str], tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").touch()
    assert completed(script, words, tmp_path) == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_every_command_is_in_the_script(shell: str) -> None:
    out = runs.inside("completion", shell).out
    assert all(command in out for command in program().commands())
