"""sim.dashboard.data: the contents of the page equal the views' rows and the lake's readings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from pipeline.catalog import statements
from sim.check.read.lake import LakeReader
from sim.dashboard.data import DAY_US, Contents, _medians, contents
from sim.dashboard.focus import SCALES
from sim.dashboard.trends import DAILY, SIGNS
from sim.dashboard.views import Views, extent, instant
from sim.query.warehouse import Warehouse
from tests.support import dashboard_world
from tests.support.dashboard_world import FAILING, SHAKEN, SILENT, UNITS

CELLS = 450_000


@pytest.fixture(scope="module")
def views(world: Path) -> Views:
    warehouse = Warehouse(world / "warehouse", LakeReader.folder(world / "lake"))
    newest = dashboard_world.START_US + (dashboard_world.SAMPLES - 1) * dashboard_world.SAMPLE_US
    return Views(warehouse, instant(newest))


@pytest.fixture(scope="module")
def made(views: Views) -> Contents:
    return contents(views, extent(views), "world", CELLS)


def rows_of(views: Views, sql: str) -> list[dict[str, object]]:
    return views.answer(sql).to_pylist()


@pytest.mark.parametrize("cells", [CELLS, 1_000])  # windows, and steps of three windows
def test_the_series_add_up_to_the_performance_view(views: Views, cells: int) -> None:
    found = contents(views, extent(views), "world", cells)
    assert found.facts["grid"]["steps"] * len(UNITS) <= max(cells, 288 * len(UNITS))
    grid = {name: found.columns[name].floats() for name in ("rows", "available", "power", "wind")}
    grid |= {name: found.columns[name].floats() for name in ("promised", "unjudged")}
    names = found.facts["units"]["turbine_id"]
    view = rows_of(views, "SELECT * FROM wind_turbine_performance_view WHERE date IS NULL")
    assert sorted(row["turbine_id"] for row in view) == sorted(names)
    for row in view:
        of = {name: values[names.index(row["turbine_id"])] for name, values in grid.items()}
        rows = np.nansum(of["rows"])
        energy = np.nansum(of["power"] * of["rows"]) / 6
        judged = np.nansum((of["power"] - of["unjudged"]) * of["rows"])
        assert energy == pytest.approx(row["energy_mwh"], abs=rows * 0.0005 / 6)
        assert np.nansum(of["available"]) / rows == pytest.approx(row["time_availability"])
        assert judged / np.nansum(of["promised"] * of["rows"]) == pytest.approx(
            row["efficiency"], rel=1e-3
        )
        wind = np.nansum(of["wind"] * of["rows"]) / rows
        assert wind == pytest.approx(row["mean_wind_speed"], abs=0.005)


def test_a_window_that_stood_still_does_not_spoil_the_efficiency(made: Contents) -> None:
    """Its efficiency is tiny and its mean power negative: its promise would be below zero."""
    place = made.facts["performance"]["turbine_id"].index("E-002")
    assert made.facts["performance"]["efficiency"][place] == pytest.approx(0.98)


def test_the_state_of_a_step_is_its_last_row(made: Contents) -> None:
    place = made.facts["units"]["turbine_id"].index("E-002")
    states = made.columns["state"].floats()[place]
    names = [made.facts["states"][int(each)] for each in states]
    assert names[dashboard_world.STILL_WINDOW] == "fault"
    assert names.count("fault") == 1
    silent = made.facts["units"]["turbine_id"].index(SILENT)
    assert np.isnan(made.columns["state"].floats()[silent][-5:]).all()


def test_the_trend_of_a_rank_gives_its_deviation_and_slope(views: Views, made: Contents) -> None:
    (row,) = rows_of(
        views, f"SELECT * FROM wind_turbine_maintenance_dashboard WHERE turbine_id = '{FAILING}'"
    )
    trend = made.facts["trends"][FAILING]
    assert len(trend["date"]) == dashboard_world.DAYS
    columns = {"vibration": "vibration_mm_s", "output": "output"}
    for sign in SIGNS:
        days = np.array(trend[sign])
        recent, before = np.median(days[-5:]), np.median(days[: dashboard_world.DAYS // 3])
        column = columns.get(sign, f"{sign}_k")
        assert recent - before == pytest.approx(row[column], rel=1e-3, abs=1e-4)
        slope = 7 * np.polyfit(np.arange(len(days)), days, 1)[0]
        assert slope == pytest.approx(row[f"{sign}_per_week"], rel=1e-3, abs=1e-4)


def test_the_maintenance_view_has_the_expression_of_the_trends() -> None:
    assert f"\n{DAILY} AS (" in statements.view(statements.VIEWS[2])


def test_rankings_of_earlier_days_are_the_view_as_of_their_clock(
    views: Views, made: Contents
) -> None:
    newest, *earlier = made.facts["rankings"]
    assert newest["turbine_id"][0] == FAILING
    assert [each["now_us"] % DAY_US for each in earlier] == [DAY_US - 1] * len(earlier)
    assert len(earlier) == 2  # days 10 and 11 of 12: before day 10 there is no ranking
    for each in made.facts["rankings"]:
        view = views.at(instant(each["now_us"])).rows("ranking").to_pylist()
        kept = [row for row in view if row["turbine_id"] in each["turbine_id"]]
        assert [row["turbine_id"] for row in kept] == each["turbine_id"]
        np.testing.assert_allclose([row["score"] for row in kept], each["score"], rtol=1e-8)


def test_one_thread_answers_so_that_sums_are_the_same_every_time(views: Views) -> None:
    assert rows_of(views, "SELECT current_setting('threads') AS n") == [{"n": 1}]


def test_episodes_are_the_view_with_the_gravest_first(views: Views, made: Contents) -> None:
    view = rows_of(views, "SELECT * FROM wind_turbine_anomaly_detection")
    found = made.facts["episodes"]
    assert made.facts["episodes_in_all"] == len(view) == len(found["kind"]) == 2
    assert found["severity"] == ["critical", "notice"]
    for row in view:
        place = found["kind"].index(row["kind"])
        assert found["turbine_id"][place] == row["turbine_id"]
        assert found["rows"][place] == row["rows"]
        for name, column in (("first_us", "first_time"), ("last_us", "last_time")):
            assert instant(found[name][place]) == row[column].astimezone(UTC)


def test_the_focus_of_an_episode_is_every_row_around_it(views: Views, made: Contents) -> None:
    span = next(each for each in made.facts["focus"] if each["place"] == 1)
    assert made.facts["episodes"]["turbine_id"][0] == SHAKEN
    assert span["point_us"] == dashboard_world.SAMPLE_US
    begin, end = dashboard_world.SHAKEN_AT[0] - 36, dashboard_world.SHAKEN_AT[-1] + 36
    first = dashboard_world.START_US + begin * dashboard_world.SAMPLE_US
    assert (span["from_us"], span["points"]) == (first, end - begin + 1)  # six windows of an hour
    rows = rows_of(
        views,
        "SELECT power_output AS power, wind_speed AS wind, vibration_level AS vibration,"
        " gearbox_temperature AS gearbox, generator_temperature AS generator"
        f" FROM wind_turbine_enriched WHERE turbine_id = '{SHAKEN}' ORDER BY timestamp",
    )[begin : end + 1]
    for name, scale in SCALES.items():
        values = made.columns[f"focus.{name}"].floats()[span["at"] : span["at"] + span["points"]]
        expected = [row[name] for row in rows]
        np.testing.assert_allclose(values, expected, atol=scale / 2 + 1e-9)


def test_power_curves_are_the_promise_by_wind_speed(made: Contents) -> None:
    (curve,) = made.facts["curves"]
    assert curve["type"] == "T1"
    expected = np.clip((np.array(curve["wind"]) / 12) ** 3, 0, 1) / 0.98
    np.testing.assert_allclose(curve["load"], expected, atol=0.03)


def test_an_earlier_clock_gives_the_page_of_that_day(views: Views) -> None:
    now = datetime(2024, 3, 11, tzinfo=UTC)
    found = contents(views.at(now), extent(views), "world", CELLS)
    assert found.facts["now_us"] == round(now.timestamp() * 1e6)
    clocks = [instant(each["now_us"]) for each in found.facts["rankings"]]
    assert clocks == [now, now - timedelta(microseconds=1)]


def test_a_power_curve_is_one_piece() -> None:
    wind = np.repeat([3.0, 8.0, 8.5, 9.0, 9.5, 12.0, 24.0, 24.5], 3)
    wind[-7] = 30.0  # 12 m/s has too few values
    centres, medians = _medians(wind, wind / 10)
    assert centres == [8.0, 8.5, 9.0, 9.5]
    assert medians == [0.8, 0.85, 0.9, 0.95]
    assert _medians(wind[:2], wind[:2]) == ([], [])
