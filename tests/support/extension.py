"""Code of the page `.docs/pages/extend.md`, applied to windfleet and imported in its place.

    section("A channel")         the text below a heading
    apply(text, folder)          write its files, and apply its diffs to copies of theirs
    proved(["channel"], folder)  run functions of `extension_proofs` with these files imported

The proofs run in a process forked from the template: it imports nothing but windfleet's modules.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any

from tests.support import prefork
from tests.support.paths import ROOT

PAGE = ROOT / ".docs" / "pages" / "extend.md"
OTHERS = ("wind_speed", "power_output", "vibration_level")
"""Channels that must read as before when another is added."""
_ENTER = """
import json, sys
from pathlib import Path
from tests.support import extension
folder, *names = sys.argv[1:]
extension.enter(Path(folder))
from tests.support import extension_proofs
found = {name: getattr(extension_proofs, name)(Path(folder)) for name in names}
Path(folder, "proofs.json").write_text(json.dumps(found))
"""


def stored_in(database: Path, column: str) -> list[float]:
    """Return a column of a node's file."""
    with closing(sqlite3.connect(database)) as node:
        return [row[0] for row in node.execute(f"SELECT {column} FROM sensor_readings")]


def section(heading: str) -> str:
    """Return the page's text below a heading of the second level."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.M | re.S)
    assert found is not None, f"{PAGE} has no heading {heading!r}"
    return found[1]


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def changed(text: str) -> int:
    """Return the lines that the diffs of a text add or remove, and those of its files."""
    diffs = "".join(blocks(text, "diff")).splitlines()
    edits = [line for line in diffs if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    others = [*blocks(text, "yaml"), *blocks(text, "python")]
    return len(edits) + sum(len(block.splitlines()) - 1 for block in others)


def apply(text: str, folder: Path) -> None:
    """Apply the diffs of a text, as the page says. Files that are not there yet are copied."""
    diff = "".join(blocks(text, "diff"))
    for name in re.findall(r"^--- a/(.*)$", diff, re.M):
        if not (folder / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    if diff:
        done = subprocess.run(
            ["git", "apply", "--recount", "-"],
            cwd=folder,
            env={**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)},
            input=diff,
            text=True,
            capture_output=True,
        )
        assert done.returncode == 0, f"{PAGE}: {done.stderr}"
    for block in (*blocks(text, "yaml"), *blocks(text, "python")):
        first, _, rest = block.partition("\n")
        (folder / first.removeprefix("# ")).write_text(rest)


class _Overlay(MetaPathFinder):
    """Modules of windfleet that a folder has, in place of those of the checkout."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        place = name.replace(".", "/")
        package = self._folder / place / "__init__.py"
        if package.is_file():
            rest = [str(ROOT / place)]
            return spec_from_file_location(name, package, submodule_search_locations=rest)
        file = self._folder / f"{place}.py"
        return spec_from_file_location(name, file) if file.is_file() else None


def enter(folder: Path) -> None:
    """Forget windfleet's modules, and import from `folder` first. For a process of its own."""
    for name in [each for each in sys.modules if each.partition(".")[0] in ("sim", "pipeline")]:
        del sys.modules[name]
    sys.meta_path.insert(0, _Overlay(folder))


def proved(names: Sequence[str], folder: Path) -> dict[str, dict[str, Any]]:
    """Return what functions of `extension_proofs` find with the changed files of a folder."""
    log = folder / "proofs.log"
    with log.open("wb") as out:
        arguments = [str(folder), *names]
        child = prefork.fork(_ENTER, arguments, os.environ, out.fileno(), out.fileno())
    assert child.wait(600) == 0, log.read_text()
    found: dict[str, dict[str, Any]] = json.loads((folder / "proofs.json").read_text())
    return found
