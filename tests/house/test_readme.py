"""README and guides against the program: their commands, options, scenarios and packages exist.

Not covered: its blocks and command lines (test_readme_runs.py); durations.
"""

from __future__ import annotations

import re

import pytest

from sim.arguments import parse
from tests.support.documents import TEXT
from tests.support.paths import ROOT

CALLS = sorted(
    set(
        re.findall(
            r"windfleet ([a-z]+)", "\n".join(re.findall(r"`[^`\n]+`|^windfleet .*", TEXT, re.M))
        )
    )
)
ROWS = dict(
    re.findall(r"^\| `windfleet ([a-z]+)[^|]*?` \| (.*) \|$", TEXT.replace(r"\|", "/"), re.M)
)
TREE = re.search(r"# Architecture\n.*?```text\n(.*?)```", TEXT, re.S)


def help_of(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as end:
        parse([command, "--help"])
    assert end.value.code == 0, f"there is no command {command}"
    return capsys.readouterr().out


@pytest.mark.parametrize("command", CALLS)
def test_every_command_exists_with_the_options_beside_it(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = help_of(command, capsys)
    for option in re.findall(r"--[a-z-]+", ROWS.get(command, "")):
        assert f"{option} " in shown, f"{command} has no {option}"


def test_every_command_is_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"])
    assert set(re.findall(r"^    ([a-z]+)\b", capsys.readouterr().out, re.M)) == set(ROWS)


def test_the_exit_codes_are_those_that_the_help_tells(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"])
    told = [
        " ".join(re.findall(r"Exit codes: [^.]*", text)[0].split())
        for text in (TEXT, capsys.readouterr().out)
    ]
    assert told[0] == told[1]


def test_every_scenario_is_in_the_list() -> None:
    named = set()
    for first, more in re.findall(r"^\| `([a-z-]+)\.yaml`((?:, `-[a-z]+`)*)", TEXT, re.M):
        stem = first.partition("-")[0]
        named |= {
            f"{first}.yaml",
            *(f"{stem}{tail}.yaml" for tail in re.findall(r"`(-[a-z]+)`", more)),
        }
    assert named == {path.name for path in (ROOT / "scenarios").glob("*.yaml")} - {"_base.yaml"}


def test_every_room_is_in_the_tree_and_every_name_there_is_a_room() -> None:
    assert TREE is not None
    words = set(re.findall(r"[a-z_]+", TREE[1]))
    for package in ("pipeline", "sim"):
        rooms = {
            path.stem
            for path in (ROOT / package).iterdir()
            if path.is_dir() or path.suffix == ".py"
        }
        rooms -= {"__init__", "__pycache__"}
        assert rooms <= words, (
            f"the tree of .docs/pages/architecture.md lacks {rooms - words} of {package}/"
        )
    for names in re.findall(r"^  ([a-z_, /]+?)/?(?:  |$)", TREE[1], re.M):
        for name in names.split(", "):
            assert list(ROOT.glob(f"*/{name.rstrip('/')}*")), f"there is no {name}"
