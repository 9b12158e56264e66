"""sim/report/uplot: the charting library as it was published, with its licence."""

from __future__ import annotations

import hashlib
import re

import pytest

from tests.support.paths import ROOT

FOLDER = ROOT / "sim" / "report" / "uplot"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
SUMS = dict(re.findall(r"^\| `([^`]+)` \| `([0-9a-f]{64})` \|$", README, re.M))


def test_every_file_is_listed() -> None:
    assert set(SUMS) == {path.name for path in FOLDER.iterdir()} - {"README.md"}
    assert "LICENSE" in SUMS


@pytest.mark.parametrize("name", SUMS)
def test_a_file_is_as_it_was_published(name: str) -> None:
    assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == SUMS[name]


def test_the_version_is_that_of_the_file() -> None:
    (version,) = re.findall(r"^# uPlot (\S+)$", README, re.M)
    assert f"(v{version})" in (FOLDER / "uPlot.iife.min.js").read_text(encoding="utf-8")[:200]


def test_every_file_of_the_pages_is_packaged() -> None:
    """By a pattern of package-data in pyproject.toml."""
    (patterns,) = re.findall(
        r'^"\*" = (\[.*\])$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.M
    )
    own = [*(ROOT / "sim" / "dashboard").glob("[a-z]*/"), ROOT / "sim" / "report" / "static"]
    for folder in (FOLDER, *own):
        for path in (each for each in folder.iterdir() if each.is_file()):
            assert f'"*{path.suffix}"' in patterns or f'"{path.name}"' in patterns, path
