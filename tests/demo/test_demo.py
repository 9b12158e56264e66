"""`windfleet demo`: files of the folder, equal rows in both layouts, and the data of each story."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import sqlglot

from pipeline import lake
from pipeline.records import BUCKET_PREFIX, STAGES
from pipeline.store import S3ObjectStore
from sim.check import LakeReader
from sim.cli import main
from sim.demo import index, make, readings, realism, realism_charts, snippets, statistics, themes
from sim.demo.dataset import Dataset
from sim.demo.readme import labels
from sim.demo.story import story_of
from sim.errors import LAKE_WRONG, PASS
from sim.model.maintenance.orders import WEAR
from sim.model.wind.weather import Air, Weather
from sim.run.delivery import deliver
from sim.run.record import Record
from sim.scenario import load
from sim.store.s3_lake import s3_lake
from sim.verify.lake_layout import layout_of
from tests.support import lakesecrets
from tests.support.browser import Page
from tests.support.data_sets import SMALL, command, database, rows

NOT_FIXED = ("warehouse/", "verify", ".")
"""Delta's files, which have random names, the verdicts of other tests, and the lock."""


def test_personal_data_is_readable_by_the_owner_only(made: dict[str, Path]) -> None:
    for folder in made.values():
        secrets = lakesecrets.of_nodes(folder / "nodes")
        assert secrets
        assert lakesecrets.open_to_others(folder, secrets) == []


@pytest.mark.parametrize("layout", ["turbine", "farm"])
def test_the_views_of_the_readme_hold_the_lake_with_each_windows_last_revision(
    made: dict[str, Path], layout: str
) -> None:
    duck = database(made[layout])
    for view, stage, top in (
        *((s, s, "") for s in STAGES[:3]),
        ("quarantine", "validated", "_quarantine"),
    ):
        assert duck.sql(f"SELECT count(*) FROM {view}").fetchall() == [
            (rows(made[layout], stage, top).num_rows,)
        ]
    windows = rows(made[layout], "aggregated")
    last = windows.group_by(["turbine_id", "window_start"]).aggregate([("revision", "max")])
    assert last.num_rows < windows.num_rows
    assert duck.sql("SELECT count(*), sum(revision) FROM aggregated").fetchall() == [
        (last.num_rows, pc.sum(last.column("revision_max")).as_py())
    ]
    assert duck.sql("SELECT count(*) > 0 FROM labels WHERE kind = 'row.late'").fetchall() == [
        (True,)
    ]


def test_one_turbine_without_a_row_in_quarantine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "--to",
        str(tmp_path / "one"),
        "--set",
        "data_faults=[]",
        "--set",
        "events=[]",
        "--set",
        "seed=9",
    ]
    assert (
        main(
            [
                "demo",
                *words,
                "--farms",
                "E",
                "--turbines",
                "1",
                "--days",
                "1",
                "--sample-every",
                "1h",
            ]
        )
        == 0
    )
    assert not (tmp_path / "one" / "nodes").exists()
    shown = capsys.readouterr().out
    assert "24 rows of 1 turbine of 1 farm in " in shown
    none = "0 lost, 0 duplicated, 0 misplaced, 0 altered, 0 unexpected rows"
    assert "; judged row by row: pass\n" in shown
    assert f"the oracle counted 24 rows, 24 windows, 96 objects; {none}\n" in shown
    readme = (tmp_path / "one" / "README.md").read_text()
    assert "Simulated by windfleet: 1 turbine of 1 farm\n" in readme
    assert readme.startswith(
        "# Wind farms and their weather\n\nTheme storm without its story: it has no events."
    )
    assert "No row broke a rule" in readme
    assert database(tmp_path / "one").sql("SELECT count(*) FROM aggregated").fetchall() == [(24,)]


@pytest.mark.parametrize("theme", themes.names())
def test_the_queries_of_a_story_run(made: dict[str, Path], theme: str) -> None:
    told = themes.theme(theme)
    queries = re.findall(r"`(SELECT [^`]*)`", story_of(told, load(told.scenario).fleet))
    assert queries
    for query in queries:
        assert database(made["turbine"]).sql(query).columns


@pytest.mark.parametrize("stage", STAGES)
def test_both_layouts_hold_the_same_rows(made: dict[str, Path], stage: str) -> None:
    one, many = rows(made["farm"], stage), rows(made["turbine"], stage)
    assert one.num_rows > 100
    assert one.combine_chunks().equals(many.cast(one.schema).combine_chunks())


def test_quarantine_is_the_same_in_both_layouts(made: dict[str, Path]) -> None:
    one, many = (rows(made[layout], "validated", "_quarantine") for layout in ("farm", "turbine"))
    assert one.num_rows > 20
    assert one.equals(many.cast(one.schema))


def test_late_rows_made_revisions(made: dict[str, Path]) -> None:
    """Needed by the comparison above, which otherwise never reads a node's own past."""
    assert max(rows(made["farm"], "aggregated").column("revision").to_pylist()) > 0


def test_the_compacted_layout_is_smaller_and_in_the_same_partitions(made: dict[str, Path]) -> None:
    folders, objects = {}, {}
    for layout in ("turbine", "farm"):
        refs = [
            ref
            for ref in LakeReader.folder(made[layout] / "lake").objects()
            if ref.key.endswith(".parquet")
        ]
        folders[layout] = {(ref.bucket, ref.key.rpartition("/")[0]) for ref in refs}
        objects[layout] = len(refs)
    assert folders["farm"] == folders["turbine"]
    # by little: two turbines a farm, and many late rows
    assert objects["farm"] < objects["turbine"]


def test_a_folder_of_objects_is_a_dataset_that_others_can_read(made: dict[str, Path]) -> None:
    root = made["farm"] / "lake" / (BUCKET_PREFIX + "enriched") / "enriched"
    table = ds.dataset(root, partitioning="hive").to_table(
        columns=["turbine_id", "hour", "region", "operator_ref"]
    )
    assert set(table.column("hour").to_pylist()) == set(range(24))
    assert set(table.column("region").to_pylist()) == {"eu-west-1"}


def test_the_folder_holds_the_documented_files(made: dict[str, Path]) -> None:
    folder = made["turbine"]
    readme = (folder / "README.md").read_text()
    for kind, count, files in labels(folder / "truth"):
        assert f"| {kind} | {count:,} | `{files}` |" in readme
    for name in ("fleet.png", "farm-E.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
        assert f"({name})" in readme
    assert len(list(folder.glob("nodes/*/*.db"))) == 4
    assets = pq.read_table(folder / "assets.parquet")
    assert assets.column("turbine_id").to_pylist() == ["E-001", "E-002", "F-001", "F-002"]
    injected = {kind for kind, _, files in labels(folder / "truth") if files.startswith("faults")}
    assert {"row.late", "row.duplicate", "sensor.dropout", "row.poisoned"} <= injected
    assert 'data-chart="power-0"' in (folder / "realism.html").read_text()
    for each in made.values():
        readme = (each / "README.md").read_text()
        assert re.search(r": pass: 591 rows, 95 windows, [0-9]+ objects; 0 lost", readme)
        assert re.search(r"^Digest `[0-9a-f]{64}`\.$", readme, re.MULTILINE)


def test_the_dashboard_is_made_and_linked_unless_it_is_left_out(made: dict[str, Path]) -> None:
    readme = (made["farm"] / "README.md").read_text()
    assert "[dashboard.html](dashboard.html)" in readme
    assert (
        "<title>farm – windfleet dashboard</title>" in (made["farm"] / "dashboard.html").read_text()
    )
    assert (made["farm"] / "warehouse" / "warehouse.json").is_file()
    without = (made["turbine"] / "README.md").read_text()
    assert "dashboard" not in without.replace(" --no-dashboard\n", "\n")
    assert not list(made["turbine"].glob("dashboard*"))


def test_wear_is_a_label_as_faults_are(tmp_path: Path) -> None:
    worn = [
        {"turbine_id": "E-007", "kind": kind}
        for kind in ("machine.ice", "machine.main_bearing", "machine.ice")
    ]
    pq.write_table(pa.Table.from_pylist(worn, schema=WEAR), tmp_path / "wear-E.parquet")
    assert labels(tmp_path) == [
        ("machine.ice", 2, "wear-*.parquet"),
        ("machine.main_bearing", 1, "wear-*.parquet"),
    ]


@pytest.mark.parametrize("layout", ["turbine", "farm"])
def test_the_oracle_judges_it_again(made: dict[str, Path], layout: str) -> None:
    assert layout_of(made[layout]) is (layout == "farm")
    assert main(["verify", str(made[layout])]) == 0


def test_parts_of_a_verdict_do_not_cut_the_farms_of_a_compacted_lake(
    made: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [tmp_path / f"part-{index}" for index in (1, 2)]
    for number, part in enumerate(parts, start=1):
        words = ["verify", str(made["farm"]), "--shard", f"{number}/2", "--out", str(part)]
        assert main([*words, "--workers", "1"]) == PASS
    capsys.readouterr()
    assert main(["merge", *map(str, parts)]) == PASS
    (digest,) = re.findall(r"Digest `(\w+)`", (made["farm"] / "README.md").read_text())
    assert digest in capsys.readouterr().out


def test_a_compacted_lake_with_a_defect_is_not_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A demo that loses an object of its lake ends with exit code 5."""

    def lossy(*given: Any, run_dir: Path, **named: Any) -> None:
        deliver(*given, run_dir=run_dir, **named)
        next(run_dir.glob("lake/expanso-databricks-enriched/**/E-compact-*.parquet")).unlink()

    monkeypatch.setattr(make, "deliver", lossy)
    words = ["--to", str(tmp_path / "bad"), "--no-dashboard", *SMALL]
    assert main(["demo", *words]) == LAKE_WRONG


@pytest.mark.parametrize("layout", ["turbine", "farm"])
def test_the_same_command_makes_the_same_bytes(
    made: dict[str, Path], tmp_path: Path, layout: str
) -> None:
    """Pages too, with one worker and with two."""
    assert main([*command(layout, tmp_path / layout), "--workers", "1"]) == PASS

    def digests(folder: Path) -> dict[str, str]:
        return {
            name: hashlib.sha256(file.read_bytes()).hexdigest()
            for file in folder.rglob("*")
            if file.is_file() and not (name := str(file.relative_to(folder))).startswith(NOT_FIXED)
        }

    want = digests(made[layout])
    pages = {"index.html", "realism.html", "README.md"}
    assert pages | ({"dashboard.html"} if layout == "farm" else set()) < want.keys()
    assert digests(tmp_path / layout) == want


@pytest.mark.parametrize("theme", themes.names())
def test_the_rows_of_a_storys_queries_have_one_order(theme: str) -> None:
    """Every key of a group orders its rows: those of equal times would else change places."""
    told = themes.theme(theme)
    for query in snippets.queries(story_of(told, load(told.scenario).fleet)):
        parsed = sqlglot.parse_one(query, read="duckdb")
        keys = {each.sql() for each in parsed.args["group"].expressions}
        assert keys <= {each.this.sql() for each in parsed.args["order"].expressions}


def test_one_thread_answers_the_queries_of_a_page(made: dict[str, Path]) -> None:
    told = replace(themes.theme("storm"), story="`SELECT current_setting('threads') AS n`")
    scenario = load(made["farm"] / "scenario.yaml")
    (found,) = index.answers(Dataset(scenario, told, made["farm"], "farm", Record([])))
    assert found.rows == [["1"]]


def test_upload_fills_the_buckets_of_an_endpoint(
    clean_lake: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    small = [
        "--farms",
        "E",
        "--turbines",
        "1",
        "--days",
        "1",
        "--layout",
        "farm",
        "--set",
        "data_faults=[]",
        "--no-dashboard",
    ]
    assert main(["demo", "--to", clean_lake, *small]) == 0
    here = LakeReader.folder(tmp_path / "demo" / themes.DEFAULT / "lake")
    there = s3_lake(clean_lake)
    assert there.objects() == here.objects()
    shown = capsys.readouterr().out
    count = len(here.objects())
    assert f"the six buckets at {clean_lake} were filled: {count:,} objects" in shown
    readme = (tmp_path / "demo" / themes.DEFAULT / "README.md").read_text()
    for text in (shown.replace("\n  ", "\n"), readme):
        assert f"aws --endpoint-url {clean_lake} s3 ls" in text
        assert snippets.duckdb_over_s3(clean_lake) in text
    assert list(there.read(there.objects())) == list(here.read(here.objects()))


@pytest.mark.parametrize("name", themes.names())
def test_every_theme_is_a_scenario_with_a_story(name: str) -> None:
    theme = themes.theme(name)
    scenario = load(theme.scenario)
    assert scenario.name == f"demo-{name}"
    assert theme.title
    story = story_of(theme, scenario.fleet)
    assert "How to find it" in story
    for event in scenario.events:  # the story names each of them
        for word in (*event.turbines, *(f"**{farm}**" for farm in event.farms)):
            assert word in story


def weather(theme: str, farms: str, hours: np.ndarray) -> list[Air]:
    """Air at each farm, at hours of a theme."""
    scenario = load(themes.theme(theme).scenario)
    times = scenario.clock.start_us + np.rint(hours * 3.6e9).astype(np.int64)
    return [
        Weather(farm, scenario.seed, scenario.events, scenario.clock.start_us).at(times)
        for farm in scenario.fleet.farms
        if farm.farm_id in farms
    ]


def test_the_wind_blows_while_ice_takes_the_power() -> None:
    """At every farm of the story, ice meets enough wind to take power, and thaws in the end."""
    for air in weather("icing", "CD", np.arange(20.0, 56.0, 0.5)):
        assert air.speed.min() > 6.0
    for air in weather("icing", "CD", np.arange(64.0, 95.0, 0.5)):
        assert air.temperature.mean() > 1.0
        assert air.speed.mean() > 6.0


def test_the_storm_passes_cut_out_where_the_story_says_and_nowhere_else() -> None:
    for air in weather("storm", "EF", np.arange(0.0, 96.0, 0.5)):
        assert air.speed.max() > 26.0
        assert air.speed[-48:].max() < 25.0
    for air in weather("storm", "ABCDGH", np.arange(0.0, 96.0, 0.5)):
        assert air.speed.max() < 20.0


def test_a_store_that_cannot_take_the_copy_is_reported_before_anything_is_made(
    tmp_path: Path,
    localstack: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--to", "http://127.0.0.1:9"]) == 3
    assert "No S3 answers" in capsys.readouterr().err
    lake.ensure(localstack)
    lake.empty(localstack)
    S3ObjectStore(localstack).create("expanso-databricks-validated", "validated/theirs", b"dear")
    try:
        assert main(["demo", "--to", localstack]) == 3
        assert (
            "already holds objects (expanso-databricks-validated/validated/theirs)"
            in capsys.readouterr().err
        )
    finally:
        lake.remove(localstack, [("expanso-databricks-validated", "validated/theirs")])
    assert list(tmp_path.iterdir()) == []


def test_the_realism_page_fits_and_says_what_one_should_see(
    made: dict[str, Path], tab: Page
) -> None:
    folder = made["turbine"]
    farms = readings.read(load(folder / "scenario.yaml"), folder / "nodes")
    for width, dark in ((390, False), (1400, True)):
        tab.open(folder / "realism.html", width=width, dark=dark)
        assert tab.errors == []
        assert tab.value("document.documentElement.scrollWidth") <= width
    pictures = [make(farms) for make in realism_charts.PICTURES]
    assert len(tab.texts(".see")) == len(pictures)
    charts = sum(len(picture.charts) for picture in pictures)
    assert len(tab.texts("[data-chart] canvas")) == charts
    rows = tab.value(
        "Array.from(document.querySelectorAll('#key tbody tr'), (row) =>"
        " Array.from(row.querySelectorAll('td'), (each) => each.firstChild.textContent.trim()))"
    )
    assert rows == [[each.text for each in realism.key_figures(farm)] for farm in farms]
    assert "– 93 to 98 %" in tab.texts("#key td")[5]  # two days are too short to compare


def test_a_value_is_compared_with_its_published_range() -> None:
    assert [
        realism._in_range("k", value, 1.5, 2.6, "", 2, whole).state
        for value, whole in ((1.5, True), (2.7, True), (1.4, True), (2.0, False))
    ] == ["pass", "outside", "outside", "short"]


def test_weibull_of_a_weibull() -> None:
    k, scale = statistics.weibull(9.0 * np.random.default_rng(1).weibull(2.1, 200_000))
    assert (k, scale) == (pytest.approx(2.1, rel=0.02), pytest.approx(9.0, rel=0.01))


def test_spectrum_has_its_variance_and_its_slope() -> None:
    white = np.random.default_rng(2).standard_normal(1 << 16)
    frequency, energy = statistics.spectrum(white, 2.0)
    density = energy / frequency
    assert np.median(density) == pytest.approx(2 * 2.0, rel=0.1)  # one-sided: 2 variance step
    frequency, energy = statistics.spectrum(np.cumsum(white), 2.0)
    inner = (frequency > 1e-3) & (frequency < 3e-2)
    slope = np.polyfit(np.log(frequency[inner]), np.log(energy[inner]), 1)[0]
    assert slope == pytest.approx(-1.0, abs=0.15)  # f S of a random walk


def test_autocorrelation_of_a_known_memory_with_a_gap() -> None:
    draw = np.random.default_rng(3).standard_normal(100_000)
    series = np.zeros_like(draw)
    for i in range(1, len(draw)):
        series[i] = 0.9 * series[i - 1] + draw[i]
    series[500:520] = np.nan
    found = statistics.autocorrelation(series, 20)
    assert found[0] == 1.0
    assert found[10] == pytest.approx(0.9**10, abs=0.03)


def test_rose_bins_and_pairs() -> None:
    share = statistics.rose(
        np.array([5.0, 5.0, 9.0]), np.array([359.0, 1.0, 90.0]), np.array([0.0, 6.0, 60.0]), 4
    )
    assert share[0, 0] == pytest.approx(2 / 3)
    assert share[1, 1] == pytest.approx(1 / 3)
    middle, mean, deviation = statistics.binned(
        np.array([1.1, 1.2, 1.3, 5.0]), np.array([2.0, 4.0, 6.0, 9.0]), np.array([1.0, 2.0, 6.0])
    )
    assert (middle.tolist(), mean.tolist()) == ([1.5], [4.0])
    assert deviation[0] == pytest.approx(np.std([2, 4, 6]))
    series = np.random.default_rng(4).standard_normal((3, 1000))
    series[1] = series[0]
    far, found = statistics.pair_correlation(series, np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 9.0]]))
    assert far.tolist() == pytest.approx([5.0, 9.0, np.hypot(3, 5)])
    assert found[0] == pytest.approx(1.0)
    assert abs(found[1]) < 0.1
