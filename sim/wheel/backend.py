"""A PEP 517 backend: setuptools over a copy of the tree, in which `windfleet` holds everything.

In the repository the packages are `sim` and `pipeline`. An installed wheel must not take those two
names in other people's environments. So the wheel has `windfleet/sim` and `windfleet/pipeline`.
Every import statement is rewritten, and every text that is the name of a module of theirs. Beside
them is all that a run needs: scenarios, and the launcher and locks of LocalStack. `windfleet`
itself exports `sim.api`.

An editable install takes the tree as it is. Not covered: source distributions of the wheel's
layout; an sdist is the repository.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from setuptools import build_meta

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("sim", "pipeline")
BESIDE: Final = ("scenarios", "localstack")
"""Folders that a run reads, and that are no packages."""
_IMPORT: Final = re.compile(rf"(?m)^(\s*)(from|import) ({'|'.join(PACKAGES)})(?=[\s.])")
_NAME: Final = re.compile(rf"([\"'])((?:{'|'.join(PACKAGES)})(?:\.\w+)+)\1")
_LEFT_OUT: Final = shutil.ignore_patterns("__pycache__", "*.pyc", "build", "*.egg-info", "wheel")
_INIT: Final = '''\
"""windfleet: prove a wind-fleet data pipeline before the fleet exists. See `windfleet.sim.api`."""

from windfleet.sim.api import *  # noqa: F403
from windfleet.sim.api import __all__ as __all__
'''

build_editable = build_meta.build_editable
build_sdist = build_meta.build_sdist
get_requires_for_build_editable = build_meta.get_requires_for_build_editable
get_requires_for_build_sdist = build_meta.get_requires_for_build_sdist
get_requires_for_build_wheel = build_meta.get_requires_for_build_wheel
prepare_metadata_for_build_editable = build_meta.prepare_metadata_for_build_editable


def build_wheel(
    wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None
) -> str:
    """Build the wheel of the copied tree. Return its file name."""
    target = Path(wheel_directory).resolve()
    with tempfile.TemporaryDirectory(prefix="windfleet-wheel-") as folder:
        write_tree(Path(folder))
        with _inside(folder):
            return str(build_meta.build_wheel(str(target), config_settings, metadata_directory))


def write_tree(folder: Path) -> None:
    """Write the project whose only package is `windfleet`."""
    package = folder / "windfleet"
    package.mkdir()
    (package / "__init__.py").write_text(_INIT, encoding="utf-8")
    for name in (*PACKAGES, *BESIDE):
        shutil.copytree(ROOT / name, package / name, ignore=_LEFT_OUT)
    (package / "pipeline" / "pyproject.toml").unlink()
    for name in PACKAGES:
        for file in (package / name).rglob("*.py"):
            file.write_text(rewritten(file.read_text(encoding="utf-8")), encoding="utf-8")
    for name in ("README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    (folder / "pyproject.toml").write_text(
        _project((ROOT / "pyproject.toml").read_text(encoding="utf-8")), encoding="utf-8"
    )


def rewritten(text: str) -> str:
    """Return a module's text with its imports of `sim` and `pipeline` from below `windfleet`.

    Raises ValueError for `import sim.x`, which would bind another name than before, and for a name
    of a module that is put together.
    """
    if made := re.search(r"f[\"']sim\.", text):  # `pipeline.` also begins keys of a scenario
        raise ValueError(f"{made[0]!r}: write the whole name of the module, which is rewritten")
    if plain := re.search(rf"(?m)^\s*import ({'|'.join(PACKAGES)})\b", text):
        raise ValueError(f"{plain[0].strip()!r}: write `from {plain[1]} import ...`")
    return _NAME.sub(_module, _IMPORT.sub(r"\1\2 windfleet.\3", text))


def _module(text: re.Match[str]) -> str:
    """Return a quoted text, from below `windfleet` if it is the name of a module."""
    path = ROOT.joinpath(*text[2].split("."))
    is_module = path.is_dir() or path.with_suffix(".py").is_file()
    return f"{text[1]}windfleet.{text[2]}{text[1]}" if is_module else text[0]


def _project(text: str) -> str:
    """Return pyproject.toml for the copied tree."""
    for old, new in (
        ('build-backend = "backend"', 'build-backend = "setuptools.build_meta"'),
        ('backend-path = ["sim/wheel"]\n', ""),
        ('"sim.__main__:main"', '"windfleet.sim.__main__:main"'),
        ('include = ["sim*", "pipeline*"]', 'include = ["windfleet*"]'),
    ):
        if old not in text:
            raise ValueError(f"pyproject.toml has no {old!r}")
        text = text.replace(old, new)
    return re.sub(r'(?m)^"\*" = \[.*$', '"*" = ["*"]', text)


@contextmanager
def _inside(folder: str) -> Iterator[None]:
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
