"""Parts of a data set against the same data set made in one process."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Final

import pytest

from sim.cli import main
from sim.errors import INVALID, LAKE_WRONG, PASS
from tests.support import runs
from tests.support.part_records import common, edited

SMALL: Final = (
    *("--farms", "E,F", "--turbines", "5", "--workers", "1"),
    *("--set", "data_faults=[{kind: row.duplicate, rate: 50 per turbine-day}]"),
)
OWN_EVENTS: Final = (
    *("--start", "2024-07-01T00:30:00Z", "--sample-every", "1m", "--nodes", "--no-dashboard"),
    *("--set", "clock.duration=1h", "--set", "pipeline.flush_every=30m", "--set", "events=[]"),
)
"""An hour that lies in two hours of the lake, without the story."""
STORM: Final = ("--days", "2", "--sample-every", "30m", "--no-dashboard")
CASES: Final = {"turbine": (3, OWN_EVENTS), "farm": (2, STORM)}
"""Layout -> number of parts, and options."""


def demo(folder: Path, *options: object) -> tuple[int, str]:
    """Make a data set in this process. Return exit code and output."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(out):
        code = main(["demo", *SMALL, "--to", str(folder), *map(str, options)])
    return code, out.getvalue()


def parts_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("part-*"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Layout -> folder with a whole data set and its parts."""
    return {
        layout: make_all(tmp_path_factory.mktemp(layout), parts, "--layout", layout, *options)
        for layout, (parts, options) in CASES.items()
    }


def make_all(folder: Path, parts: int, *options: object) -> Path:
    """Make a data set in one process, and its parts."""
    code, text = demo(folder / "whole", *options)
    assert code == PASS, text
    for index in range(1, parts + 1):
        code, text = demo(folder / f"part-{index}", *options, "--shard", f"{index}/{parts}")
        assert code == PASS, text
        assert f" rows of part {index}/{parts} in " in text
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".windfleet-lock"
    }


def no_ranges(*files: object, **offsets: object) -> None:
    raise OSError(18, "Invalid cross-device link")


@pytest.mark.parametrize("layout", list(CASES))
def test_the_merged_data_set_is_that_of_one_process(
    made: dict[str, Path], layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Objects are copies, by the disk or by hand where it cannot: no edit reaches the other one."""
    folder, ranges = made[layout], layout == "turbine"
    if not ranges:
        monkeypatch.setattr("sim.merge.demo.os.copy_file_range", no_ranges)
    before = {part: files(part) for part in parts_of(folder)}
    merged = runs.inside("merge", *parts_of(folder)[::-1], "--out", folder / "merged")
    assert merged.code == PASS, merged.text
    found, want = files(folder / "merged"), files(folder / "whole")
    assert sorted(found) == sorted(want)
    assert [name for name in want if found[name] != want[name]] == []
    assert len([name for name in want if name.startswith("lake/")]) > 30
    assert {"README.md", "fleet.png", "assets.csv", "truth/faults-E.parquet"} <= want.keys()
    assert any(name.startswith("nodes/") for name in want) == ranges
    assert {part: files(part) for part in parts_of(folder)} == before
    assert not any(path.is_symlink() for path in (folder / "merged").rglob("*"))
    one = next((parts_of(folder)[0] / "lake").rglob("*.parquet"))
    place = folder / "merged" / one.relative_to(parts_of(folder)[0])
    assert not place.samefile(one)
    assert place.stat().st_nlink == 1
    assert " rows of 5 turbines of 2 farms in " in merged.out
    title = {"turbine": "# Wind farms and their weather", "farm": "# A winter storm"}[layout]
    assert want["README.md"].decode().startswith(title)


def test_a_part_has_its_turbines_and_nothing_of_the_whole(made: dict[str, Path]) -> None:
    for layout, names in (
        ("turbine", ["E-001"]),
        ("farm", ["F-001", "F-002", "F-003"]),
    ):
        part = parts_of(made[layout])[0]
        assert sorted(path.stem for path in part.glob("nodes/*/*.db")) == names
        assert {path.name for path in part.iterdir()} == {
            *("lake", "truth", "nodes", "scenario.yaml", "part.json", "objects.parquet"),
        }


def test_whole_farms_bound_the_number_of_parts(tmp_path: Path) -> None:
    code, text = demo(tmp_path / "x", "--layout", "farm", *STORM, "--shard", "1/3")
    assert code == INVALID
    assert "3 parts of 2 farms, which are kept whole" in text
    assert "ask for 2 or fewer" in text
    assert not (tmp_path / "x").exists()


def test_a_part_is_not_uploaded() -> None:
    refused = runs.inside("demo", "--to", "http://127.0.0.1:9", "--shard", "1/3")
    assert refused.code == INVALID
    assert "a part is made in a folder" in refused.text


def removed(pattern: str) -> Callable[[Path], None]:
    return lambda folder: next((folder / "part-2").glob(pattern)).unlink()


def damaged(pattern: str) -> Callable[[Path], None]:
    """Return a change of one bit of a file, whose size stays."""

    def flip(folder: Path) -> None:
        path = next((folder / "part-2").glob(pattern))
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)

    return flip


def doubled(folder: Path) -> None:
    one = next((folder / "part-1" / "lake").rglob("*.parquet"))
    to = folder / "part-2" / one.relative_to(folder / "part-1")
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(b"else")


@pytest.mark.parametrize(
    ("change", "chosen", "names"),
    [
        (None, [1, 3], ["missing of 3 parts: 2", "--shard 2/3"]),
        (None, [1, 2, 2, 3, 4], ["part-4: is not a finished part"]),
        (edited(lambda raw: raw.update(seed=8)), [1, 2, 3], ["part-2: its seed is 8"]),
        (edited(lambda raw: raw.update(kind="run")), [1, 2, 3], ["its command is run", "is demo"]),
        (common("theme", "icing"), [1, 2, 3], ["its theme is icing, that of", "is storm"]),
        (common("layout", "farm"), [1, 2, 3], ["its layout is farm", "is turbine"]),
        (common("story", "else"), [1, 2, 3], ["its story is else"]),
        (common("--nodes", "not given"), [1, 2, 3], ["its --nodes is not given", "is given"]),
        (common("--inspect", "given"), [1, 2, 3], ["its --inspect is given"]),
        (removed("lake/*/*/*/*/*/*/*.parquet"), [1, 2, 3], [".parquet is gone; make part 2/3"]),
        (removed("truth/wear-*"), [1, 2, 3], ["part-2/truth/wear-", "is gone"]),
        (removed("nodes/*/*.db"), [1, 2, 3], ["part-2/nodes/", "is gone"]),
        (doubled, [1, 2, 3], [".parquet is no file of the part; make part 2/3"]),
        (damaged("lake/*/*/*/*/*/*/*.parquet"), [1, 2, 3], ["is not as the part made it"]),
        (damaged("nodes/*/*.db"), [1, 2, 3], ["part-2/nodes/", "is not as the part made it"]),
        (damaged("truth/states-*"), [1, 2, 3], ["part-2/truth/states-", "make part 2/3 again"]),
    ],
)
def test_parts_that_do_not_fit_are_refused_by_name(
    made: dict[str, Path],
    tmp_path: Path,
    change: Callable[[Path], None] | None,
    chosen: list[int],
    names: list[str],
) -> None:
    for part in parts_of(made["turbine"]):
        shutil.copytree(part, tmp_path / part.name)
    if change is not None:
        change(tmp_path)
    parts = [tmp_path / f"part-{index}" for index in chosen]
    refused = runs.inside("merge", *parts, "--out", tmp_path / "merged")
    assert refused.code == INVALID
    for name in names:
        assert name in refused.text


def test_a_defect_of_one_part_fails_the_whole(made: dict[str, Path], tmp_path: Path) -> None:
    for part in parts_of(made["turbine"]):
        shutil.copytree(part, tmp_path / part.name)
    edited(lambda raw: raw["judgement"]["missing"].append("E-002"))(tmp_path)
    refused = runs.inside("merge", *parts_of(tmp_path), "--out", tmp_path / "merged")
    assert refused.code == LAKE_WRONG
    assert "the oracle does not pass this lake: " in refused.text
    assert "E-002" in refused.text


def test_a_record_without_a_theme_is_refused(made: dict[str, Path], tmp_path: Path) -> None:
    for part in parts_of(made["farm"]):
        shutil.copytree(part, tmp_path / part.name)
        path = tmp_path / part.name / "part.json"
        path.write_text(path.read_text().replace('"theme"', '"topic"'))
    refused = runs.inside("merge", *parts_of(tmp_path), "--out", tmp_path / "merged")
    assert refused.code == INVALID
    assert "names no theme and layout; make it again" in refused.text


@pytest.mark.campaign
def test_the_pages_are_those_of_one_process(tmp_path: Path) -> None:
    make_all(tmp_path, 2, "--layout", "farm", "--inspect", *STORM[:-1])
    out = tmp_path / "again" / "whole"  # the page bears the folder's name
    assert runs.inside("merge", *parts_of(tmp_path), "--out", out).code == PASS
    found, want = files(out), files(tmp_path / "whole")
    for name in ("dashboard.html", "realism.html", "README.md"):
        assert found[name] == want[name]
    assert any(name.startswith("warehouse/") for name in found)
