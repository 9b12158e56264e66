"""Parts of a data set against the same data set made in one process."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from sim.errors import INVALID, LAKE_WRONG, PASS
from tests.support import runs

SMALL: Final = (
    *("--farms", "E,F", "--turbines", "5", "--start", "2024-07-01T00:30:00Z"),
    *("--sample-every", "1m", "--set", "clock.duration=1h", "--workers", "1"),
    *("--set", "pipeline.flush_every=30m"),
    *("--set", "data_faults=[{kind: row.duplicate, rate: 50 per turbine-day}]"),
)
"""Two farms for an hour that lies in two hours of the lake."""
OWN_EVENTS: Final = ("--set", "events=[]", "--nodes", "--no-dashboard")
QUIET: Final = ("--theme", "quiet-month", "--inspect", "--no-dashboard")
CASES: Final = {"turbine": (3, OWN_EVENTS), "farm": (2, QUIET)}
"""Layout -> number of parts, and options."""


def demo(folder: Path, *options: object) -> runs.Ended:
    return runs.inside("demo", *SMALL, "--to", folder, *options)


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
    whole = demo(folder / "whole", *options)
    assert whole.code == PASS, whole.text
    for index in range(1, parts + 1):
        ended = demo(folder / f"part-{index}", *options, "--shard", f"{index}/{parts}")
        assert ended.code == PASS, ended.text
        assert f" rows of part {index}/{parts} in " in ended.out
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".windfleet-lock"
    }


@pytest.mark.parametrize("layout", list(CASES))
def test_the_merged_data_set_is_that_of_one_process(made: dict[str, Path], layout: str) -> None:
    folder = made[layout]
    before = {part: files(part) for part in parts_of(folder)}
    merged = runs.inside("merge", *parts_of(folder)[::-1], "--out", folder / "merged")
    assert merged.code == PASS, merged.text
    found, want = files(folder / "merged"), files(folder / "whole")
    assert sorted(found) == sorted(want)
    assert [name for name in want if found[name] != want[name]] == []
    assert len([name for name in want if name.startswith("lake/")]) > 30
    assert {"README.md", "fleet.png", "assets.csv", "truth/faults-E.parquet"} <= want.keys()
    assert any(name.startswith("nodes/") for name in want) == (layout == "turbine")
    assert {part: files(part) for part in parts_of(folder)} == before
    texts = (merged.out.splitlines()[-2], runs.inside("demo", "--help").out)
    assert "rows of 5 turbines of 2 farms" in texts[0]


def test_objects_are_hard_links_where_they_can_be(
    made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made["farm"]
    one = next((parts_of(folder)[0] / "lake").rglob("*.parquet"))
    place = one.relative_to(parts_of(folder)[0])
    assert runs.inside("merge", *parts_of(folder), "--out", tmp_path / "linked").code == PASS
    assert (tmp_path / "linked" / place).samefile(one)

    def refused(*names: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("sim.merge.demo.os.link", refused)
    assert runs.inside("merge", *parts_of(folder), "--out", tmp_path / "copied").code == PASS
    assert not (tmp_path / "copied" / place).samefile(one)
    assert files(tmp_path / "copied") == files(folder / "whole")


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
    refused = demo(tmp_path / "x", "--layout", "farm", *QUIET, "--shard", "1/3")
    assert refused.code == INVALID
    assert "3 parts of 2 farms, which are kept whole" in refused.text
    assert "ask for 2 or fewer" in refused.text
    assert not (tmp_path / "x").exists()


def test_a_part_is_not_uploaded() -> None:
    refused = runs.inside("demo", "--to", "http://127.0.0.1:9", "--shard", "1/3")
    assert refused.code == INVALID
    assert "a part is made in a folder" in refused.text


def edited(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / "part-2" / "part.json"
        raw = json.loads(path.read_text())
        change(raw)
        path.write_text(json.dumps(raw))

    return edit


def common(name: str, value: str) -> Callable[[Path], None]:
    return edited(lambda raw: raw["common"].update({name: value}))


def removed(pattern: str) -> Callable[[Path], None]:
    return lambda folder: next((folder / "part-2").glob(pattern)).unlink()


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
        (doubled, [1, 2, 3], [".parquet: is in several parts"]),
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
    assert "the oracle does not pass this lake: 1 x node.missing" in refused.text


def test_a_record_without_a_theme_is_refused(made: dict[str, Path], tmp_path: Path) -> None:
    for part in parts_of(made["farm"]):
        shutil.copytree(part, tmp_path / part.name)
        path = tmp_path / part.name / "part.json"
        path.write_text(path.read_text().replace('"theme"', '"topic"'))
    refused = runs.inside("merge", *parts_of(tmp_path), "--out", tmp_path / "merged")
    assert refused.code == INVALID
    assert "names no theme and layout; make it again" in refused.text


@pytest.mark.campaign
def test_the_page_over_the_views_is_that_of_one_process(tmp_path: Path) -> None:
    make_all(tmp_path, 2, "--layout", "farm", "--theme", "quiet-month")
    assert runs.inside("merge", *parts_of(tmp_path), "--out", tmp_path / "merged").code == PASS
    found, want = files(tmp_path / "merged"), files(tmp_path / "whole")
    assert found["dashboard.html"] == want["dashboard.html"]
    assert found["README.md"] == want["README.md"]
    assert any(name.startswith("warehouse/") for name in found)
