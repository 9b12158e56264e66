"""Every figure of a comparison: exact ones, modelled ones, sets of runs, and all its forms."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from sim.compare import terminal
from sim.compare.command import compared
from sim.compare.comparison import DIGEST, Compared, Row
from sim.compare.markdown import markdown
from sim.compare.page import axis
from sim.console import SafeConsole
from sim.errors import INVALID, LAKE_WRONG, PASS, THRESHOLD, UNKNOWN
from sim.measure.operations import OPERATIONS_FILE, TIMED
from sim.measure.slowdown import LIMIT
from sim.report import html
from tests.support import runs
from tests.support.browser import Page
from tests.support.report_samples import operations
from tests.support.run_folders import folder, sample, with_digest


def pair(place: Path, short: bool = False, **changed: Any) -> Compared:
    """Compare the sample with a changed one."""
    base = folder(place / "base", sample(short=short), short=short)
    new = folder(place / "new", sample(short=short, **changed), short=short)
    return compared([base], [new], LIMIT)


def row(found: Compared, name: str) -> Row:
    (one,) = (each for each in found.rows if each.name == name)
    return one


def test_every_figure_of_both_sides_has_one_row(tmp_path: Path) -> None:
    found = pair(tmp_path)
    names = [each.name for each in found.rows]
    assert len(names) == len(set(names))
    assert set(names) == {*sample().figures, DIGEST}
    assert (found.verdict, found.exit_code) == ("none", PASS)


@pytest.mark.parametrize("short", [False, True])
def test_a_counted_difference_is_a_finding_at_any_length(tmp_path: Path, short: bool) -> None:
    found = pair(tmp_path, short, figures={"rows.quarantined": 901})
    one = row(found, "rows.quarantined")
    assert (one.state, one.change) == ("different", "+1")
    assert (found.verdict, found.exit_code) == ("different", LAKE_WRONG)
    assert found.sentences[0].startswith("rows.quarantined is 901, was 900. Scenario and seed")
    assert found.rows[0] == one


def test_another_lake_of_the_same_seed_is_a_finding(tmp_path: Path) -> None:
    found = pair(tmp_path, lake=with_digest("ab" * 32))
    assert row(found, DIGEST).state == "different"
    assert found.exit_code == LAKE_WRONG


def test_short_runs_are_judged_by_counts_and_lake(tmp_path: Path) -> None:
    found = pair(tmp_path, short=True)
    assert (found.verdict, found.exit_code) == ("none", PASS)
    assert not any(each.interval for each in found.rows)
    assert "Speed was not compared" in found.sentences[-1]
    assert "counts and modelled figures are the same" in found.sentences[0]


def test_a_page_says_which_estimate_its_values_are(tmp_path: Path) -> None:
    """The latencies of a comparison are not those of result.json."""
    places = [folder(tmp_path / name, sample()) for name in ("base", "new")]
    page = tmp_path / "compare.html"
    ended = runs.inside("compare", *places, "--html", page)
    for text in (ended.out, page.read_text(), markdown(compared(*([p] for p in places), LIMIT))):
        assert "geometric means over equal spans of each run" in " ".join(text.split())


def test_one_short_run_among_repeats_is_named_with_what_to_do(tmp_path: Path) -> None:
    base = folder(tmp_path / "base", sample())
    new = [folder(tmp_path / "new" / str(n), sample(short=n > 1), short=n > 1) for n in (1, 2, 3)]
    note = compared([base], new[:2], LIMIT).notes[-1]
    assert "not judged, throughput.rows_per_s, throughput.objects_per_s, latency.put.p50" in note
    assert f"{new[1]} is too short for 10 spans; 1 more run on either side (--repeat)" in note
    assert not any("not judged" in one for one in compared([base], new[:1], LIMIT).notes)


def test_a_limit_that_can_judge_no_speed_does_not_pass(tmp_path: Path) -> None:
    """As a gate in CI: it must not be green because the runs were too short."""
    short = [folder(tmp_path / name, sample(short=True), short=True) for name in ("a", "b")]
    ended = runs.inside("compare", *short, "--limit", "20%")
    assert ended.code == UNKNOWN
    assert "Not decided: the limit of 20 % could judge no speed." in ended.out
    assert "the runs are too short, or have no records; repeat each" in ended.out
    assert runs.inside("compare", *short).code == PASS
    long = [folder(tmp_path / name, sample()) for name in ("c", "d")]
    assert runs.inside("compare", *long, "--limit", "20%").code == PASS


def test_what_an_earlier_attempt_recorded_is_no_part_of_the_latency(tmp_path: Path) -> None:
    """The new side was resumed: its first attempt ended a day before, at a busy store."""
    places = [folder(tmp_path / name, sample()) for name in ("base", "new")]
    path = places[1] / OPERATIONS_FILE
    own = pq.read_table(path)
    own = own.append_column(TIMED, pa.array([True] * own.num_rows))
    moved = dict(zip(own.column_names, own.columns, strict=True))
    day = pa.scalar(86_400_000_000_000, pa.duration("ns"))
    for name in ("intended_start", "start", "end"):
        moved[name] = pc.subtract(moved[name], day)
    moved["intended_start"] = pc.subtract(moved["intended_start"], day)
    earlier = pa.table(moved | {TIMED: pa.array([False] * own.num_rows)})
    with path.open("wb") as file:
        pq.write_table(pa.concat_tables([earlier, own]), file)
    found = compared([places[0]], [places[1]], LIMIT)
    one = row(found, "latency.put.p50")
    assert (one.change, one.interval) == ("unchanged", "95 % interval")
    assert found.exit_code == PASS
    report = runs.inside("report", places[1])
    assert report.code == PASS
    page = (places[1] / "report.html").read_text()
    assert page == html.render(sample(), operations())


def test_without_a_lake_or_speed_nothing_is_known(tmp_path: Path) -> None:
    found = pair(tmp_path, short=True, lake=None)
    assert row(found, DIGEST).note == f"the lake of {tmp_path / 'new'} was not judged to the end"
    assert (found.verdict, found.exit_code) == ("unknown", UNKNOWN)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"seed": 8}, "the seeds differ"),
        ({"lake": with_digest("")}, "was not judged to the end"),
    ],
)
def test_counts_that_may_differ_are_not_comparable(
    changed: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    found = pair(tmp_path, figures={"rows.generated": 1.0}, **changed)
    one = row(found, "rows.generated")
    assert one.state == "not comparable"
    assert reason in one.note
    assert found.verdict == "none"  # of speed


def test_another_scenario_of_the_same_name_is_named(tmp_path: Path) -> None:
    base = folder(tmp_path / "a", sample(), "a: 1\n")
    new = folder(tmp_path / "b", sample(figures={"rows.generated": 1}), "a: 2\n")
    found = compared([base], [new], LIMIT)
    assert row(found, "rows.generated").note == "the runs have another scenario.yaml"
    assert row(found, "rows.lost").state == "same"


@pytest.mark.parametrize(
    ("value", "state"), [(903.4, "same"), (950.0, "none"), (1200.0, "regression"), (1.0, "none")]
)
def test_a_modelled_figure_has_no_noise(value: float, state: str, tmp_path: Path) -> None:
    found = pair(tmp_path, figures={"freshness.p99": value})
    assert row(found, "freshness.p99").state == state
    assert found.exit_code == (THRESHOLD if state == "regression" else PASS)


def test_a_slower_run_is_named_with_its_interval(tmp_path: Path) -> None:
    found = pair(tmp_path, slower=1.4)
    one = row(found, "throughput.rows_per_s")
    assert (one.state, one.change, one.interval) == ("regression", "29 % less", "95 % interval")
    named = "throughput.rows_per_s is 29 % less, which is 40 % more time (95 % interval 1.40 to "
    assert named in found.sentences[0]
    assert "10 % more time is allowed" in found.sentences[0]
    assert "The 4 of them hold together with 95 %, so each is one of 98.75 %" in found.correction


@pytest.mark.parametrize(
    ("unit", "base", "new", "ratio", "change", "in_time"),
    [
        ("rows/s", 17_835, 10_332, 1.726, "42 % less", "73 % more time"),
        ("rows/s", 10_332, 17_835, 0.579, "73 % more", "42 % less time"),
        ("rows/s", 22_218, 13_216, None, "41 % less", ""),
        ("s", 0.1, 0.14, 1.4, "40 % more", ""),
        ("requests/s", 40.0, 0.0, float("inf"), "no rate any more", ""),
    ],
)
def test_a_change_is_that_of_the_value_shown(
    unit: str, base: float, new: float, ratio: float | None, change: str, in_time: str
) -> None:
    """Judged or not: two rates that fall alike must not look different."""
    one = Row("a", unit, "measured", base, new, "changed", ratio)
    assert (one.change, one.in_time) == (change, in_time)


def test_one_measured_figure_alone_decides_nothing(tmp_path: Path) -> None:
    found = pair(tmp_path, figures={"memory.peak": 9e9})
    one = row(found, "memory.peak")
    assert (one.state, one.note) == ("changed", "one value per run: no interval")
    assert found.exit_code == PASS


def test_a_figure_of_one_side_is_named(tmp_path: Path) -> None:
    base, fewer = sample(), sample()
    figures = {name: each for name, each in fewer.figures.items() if name != "rows.lost"}
    sides = [
        [folder(tmp_path / name, result)]
        for name, result in (("a", base), ("b", dataclasses.replace(fewer, figures=figures)))
    ]
    found = compared(*sides, LIMIT)
    assert row(found, "rows.lost").note == "not determined in NEW"


def series(place: Path, name: str, values: list[float], short: bool = True) -> Path:
    """Write a folder of short runs with a throughput each."""
    for number, value in enumerate(values, 1):
        made = sample(short=short, figures={"throughput.rows_per_s": value, "memory.peak": value})
        folder(place / name / str(number), made, short=short)
    return place / name


@pytest.mark.parametrize(
    ("new", "state", "code"),
    [
        ([990.0, 1000.0, 1015.0], "none", PASS),
        ([660.0, 650.0, 640.0], "regression", THRESHOLD),
        ([1000.0, 700.0, 1300.0], "unclear", UNKNOWN),
    ],
)
def test_repeats_of_short_runs_show_their_speed(
    new: list[float], state: str, code: int, tmp_path: Path
) -> None:
    """A folder that holds runs is the set of them; the spread between runs makes the interval."""
    base = series(tmp_path, "base", [1000.0, 1010.0, 990.0])
    found = compared([base], [series(tmp_path, "new", new)], LIMIT)
    assert len(found.base) == len(found.new) == 3
    one = row(found, "throughput.rows_per_s")
    assert (one.state, found.exit_code) == (state, code)
    assert re.search("95 % interval .* by itself", row(found, "memory.peak").note)


def test_runs_of_one_side_that_differ_are_a_finding(tmp_path: Path) -> None:
    base = series(tmp_path, "base", [1.0, 2.0])
    folder(tmp_path / "base" / "3", sample(short=True, lake=with_digest("ab" * 32)), short=True)
    found = compared([base], [base / "1"], LIMIT)
    assert row(found, DIGEST).state == "different"
    assert row(found, DIGEST).note == "the runs of BASE differ from each other"


def test_a_run_compared_with_itself_is_said(tmp_path: Path) -> None:
    base = folder(tmp_path / "a", sample())
    assert f"{base} is on both sides" in compared([base], [base], LIMIT).notes[0]
    other = Path(shutil.copytree(base, tmp_path / "copy"))
    assert f"{other} is a copy of {base}" in compared([base], [other], LIMIT).notes[0]
    new = folder(tmp_path / "b", sample(slower=1.01))
    assert not any("itself" in note for note in compared([base], [new], LIMIT).notes)


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = runs.inside("compare", tmp_path / "empty", tmp_path / "empty")
    assert done.code == INVALID
    assert done.said_once("holds no run")


def test_the_terminal_shows_all_within_80_columns(tmp_path: Path) -> None:
    base = folder(tmp_path / "a", sample())
    new = folder(tmp_path / "b", sample(slower=1.4, figures={"rows.lost": 1, "memory.peak": 9e9}))
    done = runs.inside("compare", base, new, COLUMNS="80")
    assert done.code == LAKE_WRONG
    assert done.out.startswith("DIFFERENT  rows.lost is 1, was 0.")
    text = " ".join(done.out.split())
    missing = [name for name in sample().figures if name not in text.replace(" ", "")]
    assert not [name for name in missing if name not in text]
    speed = re.search(r"throughput.rows_per_s +([0-9,]+) +([0-9,]+) +29 % less +1.40 to ", done.out)
    assert speed, done.out
    before, after = (float(one.replace(",", "")) for one in speed.groups())
    assert round(before / after, 3) == 1.4, "the change is that of the two figures beside it"
    assert "interval: 95 % interval of the ratio of times, new to base (of a rate: base to" in text
    assert "too rough" not in text  # no star is shown, so none is explained
    place = len(str(tmp_path))
    assert max(map(len, done.out.splitlines())) <= max(80, place + 30)


def test_a_star_is_explained_where_one_is_shown() -> None:
    one = Row("a", "s", "measured", 1.0, 1.1, "unclear", 1.1, 0.9, 1.3, "95 % interval")
    rough = dataclasses.replace(one, counts=False, in_family=True)
    for rows, stars in (((one,), False), ((rough,), True)):
        found = Compared("x", ("a",), ("b",), LIMIT, rows)
        console = SafeConsole()
        with console.capture() as text:
            terminal.print_compared(console, found)
        assert ("unclear*" in text.get()) is stars
        assert ("* too rough to decide the verdict" in text.get()) is stars


def test_json_and_markdown_hold_the_same(tmp_path: Path) -> None:
    base = folder(tmp_path / "a", sample())
    new = folder(tmp_path / "b", sample(slower=1.4))
    done = runs.inside("compare", base, new, "--json", "--html", tmp_path / "page.html")
    found = json.loads(done.out)
    assert (done.code, found["verdict"], found["exit_code"]) == (THRESHOLD, "regression", 4)
    assert {each["name"] for each in found["figures"]} == {*sample().figures, DIGEST}
    assert str(tmp_path / "page.html") in done.err
    page = markdown(compared([base], [new], LIMIT))
    assert page.startswith("## ❌ windfleet compare: regression\n")
    assert all(f"`{each['name']}`" in page for each in found["figures"])
    assert page.count("\n|---|") == 2
    assert runs.inside("compare", base, new, "--markdown").out == page


def test_the_axis_holds_every_interval() -> None:
    one = Row("a", "", "measured", 1, 1, "none", 1.0, 0.5, 4.0, "95 % interval")
    wild = dataclasses.replace(one, name="b", ratio=float("inf"), low=0.0, high=float("inf"))
    found = axis([one, wild], LIMIT)
    assert 0 < found.bars["a"].left < found.equal < found.limit < found.bars["a"].right < 100
    assert (found.bars["b"].left, found.bars["b"].right) == (0.0, 100.0)


def test_the_page_fits_and_shows_the_verdict(tmp_path: Path, tab: Page) -> None:
    base = folder(tmp_path / "a", sample())
    new = folder(tmp_path / "b", sample(slower=1.4, figures={"rows.lost": 1}))
    page = tmp_path / "page.html"
    assert runs.inside("compare", base, new, "--html", page).code == LAKE_WRONG
    for width, dark in ((390, False), (1400, True)):
        tab.open(page, width=width, dark=dark)
        assert tab.errors == []
        assert tab.value("document.documentElement.scrollWidth") <= width
    assert tab.texts("h1") == ["Different"]
    rows = tab.value("document.querySelectorAll('tbody tr').length")
    assert rows == len(sample().figures) + 1
    dots = tab.value("document.querySelectorAll('.forest .at').length")
    assert dots == 4
