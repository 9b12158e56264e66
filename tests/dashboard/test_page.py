"""The page in headless Chromium: its numbers are the views' rows, and its filters work together."""

from __future__ import annotations

import functools
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sim.check.read.lake import LakeReader
from sim.query.engine import Engine
from sim.query.warehouse import Warehouse
from tests.support.browser import Page
from tests.support.dashboard_world import (
    EVIL_FARM,
    EVIL_TURBINE,
    FAILING,
    SHAKEN,
    SILENT,
    UNITS,
)

FLEET = len(UNITS)
NOW = datetime(2024, 3, 13, tzinfo=UTC)


@functools.cache
def engine(world: Path) -> Engine:
    return Engine(Warehouse(world / "warehouse", LakeReader.folder(world / "lake")), NOW)


def rows(world: Path, sql: str) -> list[dict[str, object]]:
    (found,) = engine(world).run(sql)
    return found.to_pylist()


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:,.1f} %"


def figures(row: dict[str, object]) -> list[str]:
    """A row of the performance view as the page's table shows it."""
    shares = ("capacity_factor", "time_availability", "energy_availability", "efficiency")
    return [
        str(row["turbine_id"]),
        f"{row['energy_mwh']:,.1f}",
        *(percent(row[name]) for name in shares),
        f"{row['mean_wind_speed']:,.1f}",
        percent(row["arrived"]),
    ]


def cells(tab: Page, selector: str) -> list[list[str]]:
    """Texts of a table's body, row by row."""
    return tab.value(
        f"Array.from(document.querySelectorAll('{selector} tbody tr'), (row) =>"
        " Array.from(row.children, (each) => each.innerText.trim()))"
    )


def card(tab: Page, label: str) -> str:
    (found,) = (text for text in tab.texts(".card") if text.startswith(label))
    return found.removeprefix(label).strip()


def test_it_loads_without_an_error_and_its_tables_are_the_views(world: Path, tab: Page) -> None:
    tab.open(world / "dashboard.html")
    tab.click("#levels .chip", 1)
    view = rows(
        world,
        "SELECT * FROM wind_turbine_performance_view WHERE date IS NULL"
        " ORDER BY farm_id, turbine_id",
    )
    assert cells(tab, "#table") == [figures(row) for row in view]
    energy = sum(row["energy_mwh"] for row in view)
    assert card(tab, "Energy") == f"{energy:,.1f} MWh"
    ranking = rows(world, "SELECT * FROM wind_turbine_maintenance_dashboard ORDER BY place")
    tab.click("#places .more")
    shown = tab.texts("#places .place")
    assert len(shown) == len(ranking)
    for text, row in zip(shown, ranking, strict=True):
        component = (row["component"] or "no finding").replace("_", " ")
        start = f"{row['place']} {row['turbine_id']} {component} {row['score']:.1f} "
        assert text.lower().startswith(start.lower().replace("-0.0", "0.0"))
    episodes = rows(
        world,
        "SELECT * FROM wind_turbine_anomaly_detection ORDER BY severity, first_time",
    )
    listed = tab.texts("#episodes .episode")
    assert len(listed) == len(episodes) == 2
    for text, row in zip(listed, episodes, strict=True):
        first = row["first_time"].astimezone(UTC)
        assert text.startswith(f"{row['severity']} {row['turbine_id']} ")
        assert f"{first.day} Mar {first:%H:%M}" in text
    assert tab.errors == []


def test_the_failing_turbine_is_on_top_with_its_trend(world: Path, tab: Page) -> None:
    tab.open(world / "dashboard.html")
    first = tab.texts("#places .place")[0]
    assert first.startswith(f"1 {FAILING} Gearbox")
    assert tab.texts("#attention li")[0].startswith(f"{FAILING} is likely to need its gearbox")
    assert tab.texts("#trend h3") == [f"{FAILING}: gearbox temperature against its farm"]
    (row,) = rows(
        world,
        f"SELECT * FROM wind_turbine_maintenance_dashboard WHERE turbine_id = '{FAILING}'",
    )
    assert f"+{row['gearbox_k']:.1f} K" in tab.texts("#trend .lead")[0]
    assert f"slope +{row['gearbox_per_week']:.1f} K per week" in tab.texts("#trend .lead")[0]
    tab.click("#trend .chip", 3)
    assert tab.texts("#trend h3") == [f"{FAILING}: vibration against its farm"]
    assert tab.value("document.querySelectorAll('#trend-chart canvas').length") == 1
    assert tab.errors == []


def test_farm_turbine_and_time_filter_together(world: Path, tab: Page) -> None:
    tab.open(world / "dashboard.html")
    assert len(tab.texts("#units .unit")) == FLEET
    tab.click("#farms .chip", 3)  # All, the farm of markup, E, F
    assert [row[0] for row in cells(tab, "#table")] == [t for t, farm in UNITS if farm == "F"]
    assert len(tab.texts("#units .unit")) == 4
    assert all(" F-0" in text for text in tab.texts("#places .place"))
    assert len(tab.texts("#episodes .episode")) == 2
    tab.value(
        "byTurbine = document.getElementById('turbine'), byTurbine.value = 'f-002',"
        " byTurbine.dispatchEvent(new Event('change'))"
    )
    assert tab.texts("#chosen b") == [f"Turbine {SHAKEN} of farm F"]
    assert len(tab.texts("#episodes .episode")) == 1
    assert [row[0] for row in cells(tab, "#table")] == [SHAKEN]
    tab.value(
        "for (const [id, at] of [['from', '2024-03-05T06:00'], ['to', '2024-03-06T00:00']]) {"
        " document.getElementById(id).value = at;"
        " document.getElementById(id).dispatchEvent(new Event('change')); }"
    )
    assert "5 Mar 2024 06:00 UTC to 6 Mar 2024 00:00 UTC" in tab.texts("#chosen")[0]
    (expected,) = rows(
        world,
        "SELECT SUM(power_output) / 6 AS energy, AVG(wind_speed) AS wind, COUNT(*) AS n"
        f" FROM wind_turbine_enriched WHERE turbine_id = '{SHAKEN}'"
        " AND timestamp >= TIMESTAMP '2024-03-05 06:00:00'"
        " AND timestamp < TIMESTAMP '2024-03-06 00:00:00'",
    )
    assert expected["n"] == 18 * 6
    (row,) = cells(tab, "#table")
    assert row[1] == f"{expected['energy']:,.1f}"
    # energy availability is not known for a part of the time, and its column is left out
    assert row[5] == f"{expected['wind']:,.1f}"
    assert row[6] == "100.0 %"
    assert tab.texts("#episodes .nothing") == ["No anomaly of this choice lies in the period."]
    assert tab.texts("#places .nothing")[0].startswith("No ranking: it compares")
    tab.click("#clear")
    assert len(tab.texts("#units .unit")) == FLEET
    assert len(tab.texts("#episodes .episode")) == 2
    assert tab.errors == []


def test_the_end_of_the_period_is_the_clock_of_ranking_and_freshness(
    world: Path, tab: Page
) -> None:
    part = "#from=2024-03-02T00:00:00Z&to=2024-03-12T00:00:00Z"
    tab.open(world / "dashboard.html", part)
    assert tab.texts("#ranking-clock") == ["as of 11 Mar 2024 23:59 UTC"]
    at = datetime(2024, 3, 11, 23, 59, 59, 999999, tzinfo=UTC)
    warehouse = Warehouse(world / "warehouse", LakeReader.folder(world / "lake"))
    (found,) = Engine(warehouse, at).run(
        "SELECT turbine_id, score FROM wind_turbine_maintenance_dashboard ORDER BY place LIMIT 1"
    )
    (row,) = found.to_pylist()
    assert f"1 {row['turbine_id']}" in tab.texts("#places .place")[0]
    assert f" {row['score']:.1f} " in tab.texts("#places .place")[0]
    assert [each[4] for each in cells(tab, "#ages")] == ["0", "0", "0"]  # nobody is silent yet
    tab.click("#periods .chip")
    ages = {each[0]: each for each in cells(tab, "#ages")}
    assert ages["E"][2:5] == ["0 s", "5.0 h", "1"]
    assert ages["F"][2:5] == ["0 s", "0 s", "0"]
    assert f"1 silent turbine: {SILENT}" in " ".join(tab.texts("#attention li"))
    assert "silent 1" in tab.texts("#states li")
    assert tab.errors == []


def test_a_click_on_an_anomaly_shows_its_readings(world: Path, tab: Page) -> None:
    tab.open(world / "dashboard.html")
    assert tab.texts("#focus h3") == [f"{SHAKEN}: Vibration above the alarm"]
    assert tab.value("document.querySelectorAll('#focus canvas').length") == 3
    assert tab.texts("#focus .lead")[0].startswith("One point per 10 min; the episode is shaded.")
    tab.click("#episodes .episode", 1)
    assert tab.texts("#focus h3") == ["F-001: Rejected: stuck sensor"]
    tab.click("#severities .chip", 1)
    assert len(tab.texts("#episodes .episode")) == 1
    assert tab.texts("#focus h3") == [f"{SHAKEN}: Vibration above the alarm"]
    tab.click("#severities .chip", 2)
    assert tab.texts("#episodes .nothing") == [
        "No warning anomaly of this choice lies in the period."
    ]
    assert tab.errors == []


def test_a_drag_across_a_chart_chooses_the_period(world: Path, tab: Page) -> None:
    tab.open(world / "dashboard.html")
    tab.value("document.getElementById('output').scrollIntoView({block: 'center'})")
    box = tab.value(
        "(({left, top, width, height}) => [left, top, width, height])"
        "(document.querySelector('#output .u-over').getBoundingClientRect())"
    )
    left, top, width, height = box
    for kind, at in (("mouseMoved", 0.25), ("mousePressed", 0.25), ("mouseMoved", 0.5)):
        mouse = {"x": left + at * width, "y": top + height / 2, "button": "left", "clickCount": 1}
        tab.call("Input.dispatchMouseEvent", type=kind, **mouse)
    assert tab.texts("#output .tip")[0].startswith("6 Mar 23:30 ")
    tab.call("Input.dispatchMouseEvent", type="mouseReleased", **mouse)
    (chosen,) = tab.texts("#chosen")
    assert re.search(r"[34] Mar 2024 \d\d:00 UTC to 7 Mar 2024 0[01]:00 UTC", chosen), chosen
    assert tab.errors == []


def test_names_of_markup_are_text(world: Path, tab: Page) -> None:
    tab.open(world / "dashboard.html")
    assert EVIL_FARM in tab.texts("#farms .chip")
    tab.click("#levels .chip", 1)
    assert EVIL_TURBINE in [row[0] for row in cells(tab, "#table")]
    tab.click("#table tbody tr .plain")
    assert tab.texts("#chosen b") == [f"Turbine {EVIL_TURBINE} of farm {EVIL_FARM}"]
    link = tab.value("location.hash")
    tab.open(world / "dashboard.html", link)
    assert tab.texts("#chosen b") == [f"Turbine {EVIL_TURBINE} of farm {EVIL_FARM}"]
    assert tab.value("document.querySelectorAll('img').length") == 0
    assert tab.value("document.title") == "world – windfleet dashboard"
    assert tab.errors == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 800, 1400])
def test_nothing_is_wider_than_the_window(world: Path, tab: Page, width: int, dark: bool) -> None:
    tab.open(world / "dashboard.html", "", width, dark)
    assert tab.value("document.documentElement.scrollWidth") <= width
    wide = tab.value(
        "Array.from(document.querySelectorAll('section, .card, .chart canvas, .chip, h2, .place'),"
        " (each) => [each.id || each.className, each.getBoundingClientRect().right])"
        f".filter(([, right]) => right > {width} + 0.5)"
    )
    assert wide == []
    ground = tab.value("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(13, 18, 23)" if dark else "rgb(238, 241, 244)")
    tab.click("#theme")
    assert tab.value("getComputedStyle(document.body).backgroundColor") != ground
    assert tab.errors == []


def test_a_browser_that_cannot_unpack_the_page_says_so(world: Path, tab: Page) -> None:
    made = tab.call(
        "Page.addScriptToEvaluateOnNewDocument", source="delete window.DecompressionStream"
    )
    try:
        tab.open(world / "dashboard.html")
        assert tab.texts("#problem")[0].startswith("This browser cannot unpack the page. Use ")
    finally:
        tab.call("Page.removeScriptToEvaluateOnNewDocument", **made)
