"""The folder: all files or none, nothing of another lost, the same bytes each time."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.catalog.locations import Parameters
from sim.catalog import folder
from sim.catalog.files import File, files
from sim.errors import ENVIRONMENT, INVALID, DirectoryError

FILES = files(Parameters())


def contents(place: Path) -> dict[str, bytes]:
    """Return path -> bytes of all files below a folder."""
    return {
        each.relative_to(place).as_posix(): each.read_bytes()
        for each in place.rglob("*")
        if each.is_file()
    }


EXPECTED = {file.path: file.text.encode() for file in FILES}


def test_all_files_and_nothing_beside_them(tmp_path: Path) -> None:
    folder.write(tmp_path / "a" / "b", FILES, overwrite=False)
    assert contents(tmp_path / "a" / "b") == EXPECTED
    assert [each.name for each in (tmp_path / "a").iterdir()] == ["b"]


def test_the_same_bytes_each_time() -> None:
    assert [file.text for file in files(Parameters())] == [file.text for file in FILES]
    assert all("\r" not in file.text and file.text.endswith("\n") for file in FILES)


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    folder.write(tmp_path, FILES, overwrite=False)
    assert contents(tmp_path) == EXPECTED


def test_an_earlier_catalogue_is_replaced_when_asked_for(tmp_path: Path) -> None:
    place = tmp_path / "out"
    old = [File("README.md", "", FILES[0].text, FILES[0].proof), FILES[-1]]
    folder.write(place, old, overwrite=False)
    before = contents(place)
    with pytest.raises(DirectoryError, match="--overwrite") as refused:
        folder.write(place, FILES, overwrite=False)
    assert refused.value.exit_code == INVALID
    assert contents(place) == before
    folder.write(place, FILES, overwrite=True)
    assert contents(place) == EXPECTED
    assert [each.name for each in tmp_path.iterdir()] == ["out"]


def a_file(place: Path) -> None:
    place.write_text("mine", encoding="utf-8")


def a_folder_of_another(place: Path) -> None:
    place.mkdir()
    (place / "README.md").write_text("mine", encoding="utf-8")


def a_state_of_terraform(place: Path) -> None:
    folder.write(place, FILES, overwrite=False)
    (place / "aws" / "terraform.tfstate").write_text("{}", encoding="utf-8")


def a_hidden_folder(place: Path) -> None:
    folder.write(place, FILES, overwrite=False)
    (place / "bundle" / ".databricks").mkdir()
    (place / "bundle" / ".databricks" / "x").write_text("", encoding="utf-8")


def a_link(place: Path) -> None:
    folder.write(place, FILES, overwrite=False)
    (place / "aws" / "more").symlink_to(place.parent)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    ("made", "named"),
    [
        (a_file, "is a file"),
        (a_folder_of_another, r"holds README\.md"),
        (a_state_of_terraform, r"aws/terraform\.tfstate"),
        (a_hidden_folder, r"bundle/\.databricks/x"),
        (a_link, "aws/more"),
    ],
)
def test_anything_else_is_refused_and_stays(
    tmp_path: Path, made: Callable[[Path], None], named: str, overwrite: bool
) -> None:
    place = tmp_path / "out"
    made(place)
    before = contents(tmp_path)
    with pytest.raises(DirectoryError, match=named) as refused:
        folder.write(place, FILES, overwrite)
    assert refused.value.exit_code == INVALID
    assert contents(tmp_path) == before


def test_the_working_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DirectoryError, match="working directory"):
        folder.write(Path(), FILES, overwrite=False)


@pytest.mark.parametrize("number", [0, 1, len(FILES) - 1])
def test_a_failure_leaves_the_folder_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    place = tmp_path / "out"
    folder.write(place, FILES, overwrite=False)
    before = contents(tmp_path)
    failing = FILES[number].path
    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if path.as_posix().endswith(failing):
            raise OSError(28, "No space left on device", str(path))
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DirectoryError, match="No space left") as refused:
        folder.write(place, FILES, overwrite=True)
    assert refused.value.exit_code == ENVIRONMENT
    assert contents(tmp_path) == before
    assert [each.name for each in tmp_path.iterdir()] == ["out"]


def test_a_rename_that_fails_brings_the_old_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "out"
    folder.write(place, FILES, overwrite=False)
    before = contents(tmp_path)
    rename = Path.rename

    def failing(path: Path, target: Path) -> Path:
        if path.suffix == ".new":
            raise OSError(16, os.strerror(16), str(path))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(DirectoryError, match="busy"):
        folder.write(place, FILES, overwrite=True)
    monkeypatch.undo()
    assert contents(tmp_path) == before
    assert [each.name for each in tmp_path.iterdir()] == ["out"]
