"""`windfleet history`: the runs of one scenario by their start, and why others are left out."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from sim.errors import ENVIRONMENT, INVALID, PASS, InvalidInput
from sim.history import page as history_page
from sim.history.command import steps
from sim.history.trend import trend
from sim.report.result import Result
from tests.support import runs
from tests.support.browser import Page
from tests.support.run_folders import folder, sample, with_digest


def on(day: int, speed: float = 1000.0, **fields: object) -> Result:
    """Return a run that started on a day."""
    result = sample(figures={"throughput.rows_per_s": speed}, **fields)
    started = f"2026-11-{day:02d}T10:00:00+00:00"
    return dataclasses.replace(result, run=dataclasses.replace(result.run, started=started))


@pytest.fixture
def past(tmp_path: Path) -> Path:
    """Runs out of order, two of them in a folder of repeats, and what is none."""
    place = tmp_path / "runs"
    folder(place / "b", on(3, 900.0, verdict="fail", exit_code=4))
    folder(place / "a", on(5, 1200.0))
    folder(place / "small-repeat" / "1", on(1))
    folder(place / "small-repeat" / "2", on(2, 1100.0))
    folder(place / "other", on(4, scenario="other"))
    folder(place / "broken", on(6))
    (place / "broken" / "result.json").write_text("{")
    part = on(7)
    part = dataclasses.replace(part, run=dataclasses.replace(part.run, part="part 1 of 3"))
    folder(place / "part", part)
    (place / "campaign").mkdir()
    campaign = {"schema_version": 1, "verdict": "pass", "scenario": "quickstart", "seed": 7}
    (place / "campaign" / "campaign.json").write_text(json.dumps(campaign))
    (place / "notes").mkdir()
    return place


def test_runs_are_in_the_order_of_their_start(past: Path) -> None:
    found = trend(past, None, None)
    assert (found.scenario, found.kind, found.verdicts) == ("quickstart", "run", "3 pass, 1 fail")
    assert [Path(run.folder).name for run in found.runs] == ["1", "2", "b", "a"]
    (line,) = (line for line in found.lines if line.name == "throughput.rows_per_s")
    assert line.values == (1000.0, 1100.0, 900.0, 1200.0)
    assert line.change == pytest.approx(1.2)


def test_what_is_left_out_has_its_reason(past: Path) -> None:
    found = {Path(each.folder).name: each.reason for each in trend(past, None, None).left_out}
    assert found.keys() == {"other", "broken", "part", "campaign"}
    assert found["other"] == "is a run of other"
    assert found["part"] == "is part 1 of 3 of a run"
    assert found["campaign"] == "is a campaign"
    assert "result.json cannot be read" in found["broken"]


def test_a_scenario_and_figures_can_be_chosen(past: Path) -> None:
    found = trend(past, "other", ["freshness.*", "rows.lost"])
    assert len(found.runs) == 1
    assert [line.name for line in found.lines] == [
        *("freshness.p50", "freshness.p95", "freshness.p99"),
        "rows.lost",
    ]


@pytest.mark.parametrize(
    ("scenario", "figures", "words"),
    [
        ("nosuch", None, "holds no run of nosuch; there are runs of other, quickstart"),
        (None, ["freshnes.p99"], "did you mean freshness.p99"),
        (None, ["zzz*"], "windfleet figures"),
    ],
)
def test_what_does_not_exist_is_refused(
    past: Path, scenario: str | None, figures: list[str] | None, words: str
) -> None:
    with pytest.raises(InvalidInput, match=words.replace("*", r"\*")):
        trend(past, scenario, figures)


def test_another_lake_of_the_same_seed_is_named(tmp_path: Path) -> None:
    folder(tmp_path / "a", on(1))
    folder(tmp_path / "b", on(2, lake=with_digest("ab" * 32)))
    folder(tmp_path / "c", on(3, seed=8, lake=with_digest("cd" * 32)))
    assert trend(tmp_path, None, None).lakes == [
        f"{tmp_path / 'b'}: its lake differs from that of {tmp_path / 'a'}, of the same seed"
    ]


def test_steps_show_lowest_and_highest() -> None:
    assert steps([1.0, None, 8.0, 4.5]) == "▁ █▅"
    assert steps([2.0, 2.0]) == "▁▁"
    assert steps([None]) == ""


def test_the_terminal_fits_80_columns_and_names_the_page(
    past: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(past.parent)
    done = runs.inside("history", COLUMNS="80")
    assert done.code == PASS, done.text
    assert max(map(len, done.out.splitlines())) <= 80
    text = " ".join(done.out.split())
    assert "quickstart: 4 runs, 3 pass, 1 fail" in text
    assert "throughput.rows_per_s 1,000 1,200 +20 % ▃▆▁█" in text
    assert "left out: runs/other: is a run of other" in text
    assert "page: runs/history.html" in text


def test_json_is_one_document_and_the_page_can_lie_elsewhere(past: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = runs.inside("history", past, "--json", "--html", page, "--figure", "rows.lost")
    found = json.loads(done.out)
    assert [run["figures"] for run in found["runs"]] == [{"rows.lost": 0}] * 4
    assert len(found["left_out"]) == 4
    assert page.exists()
    assert not (past / "history.html").exists()
    done = runs.inside("history", past, "--html", tmp_path / "no" / "x.html")
    assert done.code == ENVIRONMENT
    assert done.said_once("--html")


def test_a_folder_without_runs_is_2(tmp_path: Path) -> None:
    for place, words in ((tmp_path, "no finished run"), (tmp_path / "x", "no such folder")):
        done = runs.inside("history", place)
        assert done.code == INVALID
        assert done.said_once(str(place), words)


@pytest.mark.parametrize(("count", "numbers"), [(1, [1]), (3, [1, 2, 3]), (25, [*range(1, 26, 3)])])
def test_only_the_numbers_of_runs_stand_along_the_axis(count: int, numbers: list[int]) -> None:
    assert history_page.ticks(count) == [(float(n), str(n)) for n in numbers]


def test_the_page_has_a_chart_per_figure_and_every_run(past: Path, tab: Page) -> None:
    assert runs.inside("history", past).code == PASS
    for width, dark in ((390, False), (1400, True)):
        tab.open(past / "history.html", width=width, dark=dark)
        assert tab.errors == []
        assert tab.value("document.documentElement.scrollWidth") <= width
    drawn = tab.value(
        "Array.from(document.querySelectorAll('[data-chart]')).map((each) =>"
        " Boolean(each.querySelector('canvas')))"
    )
    assert drawn == [True] * len(trend(past, None, None).lines)
    assert len(tab.texts("#runs tbody tr")) == 4
    headings = " ".join(tab.texts("#figures h3"))
    assert "throughput.rows_per_s (rows/s)" in headings
    assert "memory.peak (MiB)" in headings
    assert len(tab.texts("#left-out tbody tr")) == 4
    assert tab.texts("h1") == ["Last run: pass"]
