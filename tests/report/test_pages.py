"""Every report in headless Chromium: no error, nothing too wide, hover, numbers of the result.

The dashboard has its own tests, in `dashboard/test_page.py`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sim.chaos.faults import POINTS
from sim.measure.figures import FIGURES
from sim.report import campaign, html, numbers
from sim.report.campaign import CampaignFigure, CampaignResult, Failure, MatrixCell
from sim.report.result import read_result
from sim.report.write import HTML_FILE
from tests.support.browser import Page
from tests.support.report_samples import failed, operations, passed, unknown, with_faults

NARROW, WIDE, PAPER = 390, 1400, 720
PAGES = ("passed", "failed", "unknown", "load", "campaign", "unreached")
BYTES_MAX = 5_000_000


def campaign_result(errors: list[str]) -> CampaignResult:
    """A campaign with a failed cell, a cell left to chance, and one that never fired."""
    world = "in process, on a store in memory"
    cells = [MatrixCell(world, "node.crash before", point, 12, 0) for point in POINTS]
    cells += [
        MatrixCell(world, "store.error", "data", 9, 2),
        MatrixCell(world, "store.hang", "history", 0, 0, certain=False),
        MatrixCell(world, "farm.uplink", "", 0, 0),
    ]
    return CampaignResult(
        "campaign",
        7,
        "windfleet campaign scenarios/campaign.yaml --out runs/here --overwrite",
        verdict="fail" if not errors else "unknown",
        sentence="2 of 69 runs broke an invariant."
        if not errors
        else "Not finished: interrupted; 69 runs were made.",
        figures={
            "runs": CampaignFigure(69, "", "counted", "made"),
            "recovery.p50": CampaignFigure(None, "s", "modelled", "median"),
        },
        kinds={"node.crash": 60, "store.error": 9},
        matrix=cells,
        failures=[Failure("store.error#5", ("lake.differs",), "a key " + "x" * 200, "windfleet x")],
        errors=errors,
    )


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory, run_dir: Path) -> Callable[[str], Path]:
    """Return the path of each page of PAGES."""
    folder = tmp_path_factory.mktemp("pages")
    texts = {
        "passed": html.render(with_faults(), operations()),
        "failed": html.render(failed(), operations()),
        "unknown": html.render(unknown(), None),
        "campaign": campaign.render(campaign_result([])),
        "unreached": campaign.render(campaign_result(["interrupted; 69 runs were made"])),
    }
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text)
    return lambda name: run_dir / HTML_FILE if name == "load" else folder / f"{name}.html"


def too_wide(tab: Page) -> list[str]:
    """Return elements that stick out of the window, other than inside a box that scrolls."""
    return tab.value(
        "Array.from(document.querySelectorAll('body *')).filter((each) => !each.closest('.scroll')"
        " && each.getBoundingClientRect().right > innerWidth + 1)"
        ".map((each) => each.outerHTML.slice(0, 90))"
    )


def hover(tab: Page, chart: str, share: float) -> list[str]:
    """Move the mouse over a chart, to a share of its width. Return the lines of its tooltip."""
    tab.value(
        f"(() => {{ const over = document.querySelector('[data-chart={chart}] .u-over');"
        " over.scrollIntoView({block: 'center'}); const at = over.getBoundingClientRect();"
        " over.dispatchEvent(new MouseEvent('mousemove', {bubbles: true,"
        f" clientX: at.left + {share} * at.width, clientY: at.top + at.height / 2}})); }})()"
    )
    tab.wait(f"!document.querySelector('[data-chart={chart}] .tip').hidden")
    return tab.value(
        f"Array.from(document.querySelector('[data-chart={chart}] .tip').children,"
        " (each) => each.innerText.trim())"
    )


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_its_window_and_reaches_for_nothing(
    name: str, pages: Callable[[str], Path], tab: Page
) -> None:
    tab.open(pages(name), width=NARROW)
    assert tab.errors == []
    assert too_wide(tab) == []
    assert tab.value("document.documentElement.scrollWidth") <= NARROW
    tiles = tab.value(
        "new Set(Array.from(document.querySelectorAll('.card'), (each) =>"
        " each.getBoundingClientRect().left)).size"
    )
    assert tiles <= 1
    light = tab.value("getComputedStyle(document.body).backgroundColor")
    tab.open(pages(name), width=WIDE, dark=True)
    assert tab.errors == []
    assert too_wide(tab) == []
    assert tab.value("getComputedStyle(document.body).backgroundColor") != light
    assert tab.value("performance.getEntriesByType('resource').length") == 0
    sections = tab.value("Array.from(document.querySelectorAll('section'), (each) => each.id)")
    listed = tab.value(
        "Array.from(document.querySelectorAll('.contents a'), (each) => each.hash.slice(1))"
    )
    assert listed == sections
    drawn = tab.value(
        "Array.from(document.querySelectorAll('[data-chart]')).map((each) =>"
        " Boolean(each.querySelector('canvas')))"
    )
    assert all(drawn)
    lost = tab.value(
        "Array.from(document.querySelectorAll('.term')).filter((each) =>"
        " !document.getElementById(each.hash.slice(1))).map((each) => each.hash)"
    )
    assert lost == []


@pytest.mark.parametrize("name", ["passed", "failed", "load"])
def test_the_tiles_show_the_figures_of_the_result(
    name: str, pages: Callable[[str], Path], run_dir: Path, tab: Page
) -> None:
    result = {"passed": with_faults, "failed": failed, "load": lambda: read_result(run_dir)}[name]()
    tab.open(pages(name))
    shown = tab.value(
        "Array.from(document.querySelectorAll('.card'), (each) => ["
        "each.querySelector('.label > .term').getAttribute('aria-describedby'),"
        " each.querySelector('.value').innerText"
        ".replace(/\\s+/g, ' ').trim()])"
    )
    names = {"term-" + figure.replace(".", "-"): figure for figure in result.figures}
    assert len(shown) >= 8
    for place, text in shown:
        entry = result.figures[names[place]]
        assert entry.value is not None
        wanted = numbers.figure(entry.value, entry.unit)
        if names[place] == "errors.share":
            wanted = f"{numbers.decimal(round(100 * entry.value, 1))} %"
        elif entry.unit == "cores":
            wanted = f"{numbers.decimal(round(100 * entry.value, 1))} % of a core"
        assert text == wanted
    missed = {outcome.text.split()[0] for outcome in result.expectations if outcome.passed is False}
    red = tab.value(
        "Array.from(document.querySelectorAll('.card.failed .label > .term'), (each) => each"
        ".getAttribute('aria-describedby'))"
    )
    assert {names[place] for place in red} == missed
    banner = tab.texts(".banner")[0]
    assert name == "passed" or any(figure in banner or "rows lost" in banner for figure in missed)


def test_hovering_over_a_chart_shows_the_numbers_of_the_result(
    pages: Callable[[str], Path], tab: Page
) -> None:
    tab.open(pages("passed"))
    series = passed().throughput
    assert series is not None
    head, value, *_ = hover(tab, "rows", 0.5)
    place = round(float(head.split()[0]) / series.bucket_s)
    assert value.split() == [numbers.decimal(series.rows_per_s[place]), "rows/s"]
    line = passed().timeline
    assert line is not None
    head, *values = hover(tab, "cores", 0.25)
    place = round(float(head.split()[0]) / line.bucket_s)
    assert [each.rsplit(" ", 2)[0] for each in values] == ["queued", "harness", "server", "workers"]
    assert values[-1].split()[1] == numbers.decimal(line.workers[place])
    # the same place in the chart below, which is drawn over the same time
    assert not tab.value("document.querySelector('[data-chart=activities] .tip').hidden")
    assert "store.outage, farm A B: 2 min to 5 min" in hover(tab, "freshness", 0.7)


def test_definitions_and_charts_work_by_keyboard(pages: Callable[[str], Path], tab: Page) -> None:
    tab.open(pages("failed"), width=NARROW)
    tab.value("document.querySelector('.card .term').focus()")
    assert not tab.value("document.querySelector('.note').hidden")
    assert tab.texts(".note")[0].startswith(FIGURES["rows.lost"].description.capitalize()[:40])
    box = tab.value("document.querySelector('.note').getBoundingClientRect().toJSON()")
    assert 0 <= box["left"] < box["right"] <= NARROW
    tab.value("document.querySelector('[data-chart=rows]').focus()")
    assert tab.value("document.querySelector('.note').hidden")
    for _ in range(2):
        tab.call("Input.dispatchKeyEvent", type="keyDown", key="ArrowRight", code="ArrowRight")
    tab.wait("!document.querySelector('[data-chart=rows] .tip').hidden")


def test_a_click_on_the_map_opens_the_farms_nodes_and_objects(
    pages: Callable[[str], Path], tab: Page
) -> None:
    tab.open(pages("failed"))
    assert not tab.value("document.querySelector('#farm-A').open")
    tab.click('#completeness td.lost a[href="#farm-A"]')
    tab.wait("document.querySelector('#farm-A').open")
    (text,) = tab.texts("#farm-A")
    assert "2024-01-15 03:00 UTC ingestion 568,800 565,200 3,600 lost" in text
    assert "A-017 lost, ingestion" in text
    assert "year=2024/month=01/day=15/hour=03/A-017-10801-11700.parquet" in text
    assert "expanso-databricks-ingestion/ingestion" not in text


def test_printing_unfolds_and_fits_the_paper(pages: Callable[[str], Path], tab: Page) -> None:
    tab.open(pages("failed"), dark=True)
    tab.value("dispatchEvent(new Event('beforeprint'))")
    tab.call("Emulation.setEmulatedMedia", media="print")
    tab.size(PAPER)
    assert tab.value("document.querySelectorAll('#findings details:not([open])').length") == 0
    assert tab.value("document.documentElement.scrollWidth") <= PAPER
    widths = tab.value(
        "Array.from(document.querySelectorAll('.u-wrap'), (each) => each.clientWidth)"
    )
    assert max(widths) <= PAPER
    tab.call("Emulation.setEmulatedMedia", media="")
    tab.value("dispatchEvent(new Event('afterprint'))")
    assert tab.value("document.querySelectorAll('#findings details:not([open])').length") > 0


def test_tables_of_a_load_test_agree(run_dir: Path, tab: Page) -> None:
    tab.open(run_dir / HTML_FILE)
    rows = (
        "Array.from(document.querySelectorAll('#%s tbody tr'), (row) => row.innerText.split('\\t'))"
    )
    levels = {row[0]: row for row in tab.value(rows % "sweep") if len(row) == 9}
    phases = [row for row in tab.value(rows % "schedule") if row[0].startswith("sweep-")]
    assert len(levels) == len(phases) == 4
    for row in phases:
        level = levels[row[0].removeprefix("sweep-")]
        assert [row[4], row[9]] == [level[1], level[5]]
    head, *_ = hover(tab, "schedule", 0.2)
    assert " · " in head  # the phase


def test_an_interrupted_campaign_says_what_it_did_not_reach(
    pages: Callable[[str], Path], tab: Page
) -> None:
    tab.open(pages("unreached"))
    assert tab.texts(".banner p") == ["Not finished: interrupted; 69 runs were made."]
    assert tab.texts(".unreached") == ["not reached"]
    (replay,) = tab.texts(".replay code")
    assert "--out runs/here" in replay
    assert "recovery.p50" not in tab.texts("#figures")[0]


def test_a_day_of_the_fleet_stays_small() -> None:
    day = failed(24)
    assert day.run.turbines == 1500
    many = tuple(
        dataclasses.replace(day.findings[0], turbine=f"A-{number:03d}") for number in range(200)
    )
    text = html.render(dataclasses.replace(day, findings=many), operations())
    assert len(text.encode()) < BYTES_MAX
    (data,) = (part for part in text.split("</script>") if 'type="application/json"' in part)
    assert set(json.loads(data.partition('application/json">')[2])) >= {"rows", "objects", "cores"}
