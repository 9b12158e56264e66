"""Scenarios by name: what a user types, and the file that is meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.shipped import FOLDER, names, nearest, scenario_file
from tests.support import runs


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory without scenarios."""
    monkeypatch.chdir(tmp_path)


def test_each_shipped_scenario_is_found_by_name_from_anywhere() -> None:
    assert {"quickstart", "small", "fleet-day", "load-knee"} <= set(names())
    assert not any(name.startswith("_") for name in names())
    for name in names():
        assert scenario_file(name) == scenario_file(f"{name}.yaml") == FOLDER / f"{name}.yaml"


def test_a_file_of_the_user_comes_before_a_shipped_scenario(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text("name: mine\n")
    assert scenario_file("small") == scenario_file("small.yaml") == Path("small.yaml")
    (tmp_path / "quickstart").mkdir()
    assert scenario_file("quickstart") == FOLDER / "quickstart.yaml"


def test_a_path_is_never_taken_for_a_name() -> None:
    for typed in ("./quickstart", "nosuch/quickstart", "_base", "", ".", "/"):
        assert scenario_file(typed) == Path(typed)


@pytest.mark.parametrize(
    ("typed", "end"),
    [
        ("quickstrat", "did you mean 'quickstart'?"),
        ("scenarios/smal", "did you mean 'small'?"),
        ("mine.yml", "did you mean 'mine.yaml'?"),
        ("zzzz", "`windfleet list` shows the scenarios that come with windfleet"),
        ("folder/zzzz.yaml", "No such file or directory"),
    ],
)
def test_a_missing_scenario_is_2_with_the_nearest(typed: str, end: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine\n")
    done = runs.inside("check", typed)
    assert (done.code, done.out) == (2, "")
    assert done.err.endswith(f"{end}\n"), done.err
    assert nearest(Path("zzzz")) is None


def test_a_missing_parent_names_no_shipped_scenario(tmp_path: Path) -> None:
    (tmp_path / "child.yaml").write_text("extends: quickstar.yaml\nname: child\n")
    done = runs.inside("check", "child.yaml")
    assert done.code == 2
    assert "there is no file quickstar.yaml; the path counts from this file's folder" in done.err
