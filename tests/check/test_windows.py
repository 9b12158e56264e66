"""The oracle's windows: their rows, hand-computed values, and tolerances."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline import records
from sim.check.expected.rows import Expectation
from sim.check.expected.windows import Windows, differences, expect_windows
from sim.check.read.objects import STAGE_SCHEMAS
from tests.support.check_world import ASSET, SECOND, START, Row, expected, good, node

MINUTE = 60 * SECOND


def rows(*cells: Row) -> list[Row]:
    """Return one row per cell, six in a minute, with full power at 8 m/s unless given otherwise."""
    return [good(i, **{"wind_speed": 8.0, "power_output": 1.0} | c) for i, c in enumerate(cells, 1)]


def of(series: list[Row], **asset: object) -> Windows:
    return expect_windows(expected(series, nodes=[node(asset=ASSET | asset)]))


def kinds(mask: int) -> list[str]:
    return [kind for i, kind in enumerate(records.ANOMALIES) if mask >> i & 1]


def test_a_window_holds_the_valid_rows_of_its_time_whatever_their_order() -> None:
    first = rows({}, {}, {}, {"misfit": True}, {}, {}, {}, {})
    for i, time in enumerate(
        (0, 59_999_999, 60_000_000, 30_000_000, 1, 59_999_998, 3_600_000_000, -1)
    ):
        first[i] |= dict.fromkeys(("timestamp", "recorded_at"), START + time)
    second = [good(i, "A-002") for i in range(1, 14)]
    long = [good(i, "A-003", status="dancing") for i in range(1, 3)]
    nodes = [node("A-001"), node("A-002", window_s=100), node("A-003")]
    found = expect_windows(expected(first, second, long, nodes=nodes))
    assert found.owner[found.last].tolist() == [0, 0, 0, 0, 1, 1]
    assert (found.start[found.last] - START).tolist() == [
        -MINUTE,
        0,
        MINUTE,
        60 * MINUTE,
        0,
        100 * SECOND,
    ]
    assert (found.end[found.last] - START).tolist() == [
        0,
        MINUTE,
        2 * MINUTE,
        61 * MINUTE,
        100 * SECOND,
        200 * SECOND,
    ]
    assert found.rows[found.last].tolist() == [1, 4, 1, 1, 10, 3]
    assert (found.hour[found.last] - START // 3_600_000_000).tolist() == [-1, 0, 0, 1, 0, 0]
    assert found.index.find(found.owner[found.last], found.start[found.last]).tolist() == [
        0,
        1,
        2,
        3,
        4,
        5,
    ]


def test_a_revision_holds_the_rows_up_to_its_batch() -> None:
    """Two late rows, each in its own batch, change the first minute; the drain makes the last."""
    late = [good(i, recorded_at=good(i)["timestamp"], timestamp=START + i) for i in (14, 22)]
    series = [*(good(i) for i in range(1, 13)), late[0], good(20), late[1], good(30)]
    series[3]["power_output"], late[0]["power_output"], late[1]["power_output"] = 0.25, -1.0, 2.5
    late[0]["vibration_level"] = 9.0
    found = expect_windows(expected(series))
    of_first = np.flatnonzero(found.window == 0)
    assert found.number[of_first].tolist() == [0, 1, 2]
    assert found.batch[of_first].tolist() == [1, 2, 3]
    assert found.rows[of_first].tolist() == [6, 7, 8]
    assert (found.first[0], found.last[0]) == (of_first[0], of_first[-1])
    values = [1.25, 1.25, 1.25, 0.25, 1.25, 1.25, -1.0, 2.5]
    for i, rows_then in enumerate((6, 7, 8)):
        then = values[:rows_then]
        at = of_first[i]
        assert found.measures["power_output"][at] == pytest.approx(np.mean(then), rel=1e-14)
        assert found.measures["power_output_std"][at] == pytest.approx(np.std(then), rel=1e-14)
        assert (found.measures["power_output_min"][at], found.measures["power_output_max"][at]) == (
            min(then),
            max(then),
        )
    # with the late row that consumes power, less than half is produced
    low = [
        "vibration",
        "underperformance",
    ]
    assert [kinds(mask) for mask in found.kinds[of_first].tolist()] == [[], low, ["vibration"]]
    assert found.anomalies[of_first].tolist() == [0, 1 + 7, 1]
    first, second, third = found.efficiency[of_first].tolist()
    assert second < third < 1
    assert second < first < 1


def test_no_rows_make_no_windows() -> None:
    found = of([])
    assert (len(found.owner), len(found.rows), len(found.efficiency), len(found.kinds)) == (
        0,
        0,
        0,
        0,
    )
    assert {len(values) for values in found.measures.values()} == {0}


@pytest.mark.parametrize("name", records.MEASURES)
def test_measures_are_computed(name: str) -> None:
    values = (1.0, 2.0, 1.5, 3.5, 2.0, 2.0, 2.5)
    found = of(
        [row | {name: value} for row, value in zip(rows(*[{}] * 7), values, strict=True)]
    ).measures
    assert found[name].tolist() == [2.0, 2.5]
    assert found[name + "_min"].tolist() == [1.0, 2.5]
    assert found[name + "_max"].tolist() == [3.5, 2.5]
    assert found[name + "_std"] == pytest.approx([math.sqrt((1 + 0.25 + 2.25) / 6), 0], rel=1e-15)


def windy(speed: float, power: float, **cells: object) -> Row:
    return {"wind_speed": speed, "power_output": power, **cells}


@pytest.mark.parametrize(
    ("cells", "efficiency"),
    [
        ([windy(8, 1)], 1.0),
        ([windy(10, 1)], 0.5),
        ([windy(8, 0.6), windy(10, 0.6)], 0.4),
        # power that a standing machine consumes is not produced
        ([windy(8, 0.6), windy(8, -0.6)], 0.3),
        ([windy(3, 0.25)], 0.5),  # the ends belong to the curve
        ([windy(25, 1.5)], 0.5),
        ([windy(2.9, 0.25)], None),  # no expected power outside the curve
        ([windy(25.1, 1.5)], None),
        ([windy(2.9, 0.25), windy(25.1, 0.25), windy(3, 0.25)], 1.5),
    ],
)
def test_efficiency_is_produced_over_expected_power(
    cells: list[Row], efficiency: float | None
) -> None:
    curve = [(3.0, 0.5), (8.0, 1.0), (12.0, 3.0), (25.0, 3.0)]
    (found,) = of(rows(*cells), power_curve=curve).efficiency
    assert found == pytest.approx(efficiency, rel=1e-15) if efficiency else math.isnan(found)


def test_each_turbine_is_judged_by_its_own_curve() -> None:
    curves: list[Any] = [ASSET["power_curve"], [], [(3.0, 2.0), (25.0, 2.0)], ASSET["power_curve"]]
    nodes = [
        node(f"A-00{i}", asset=ASSET | {"power_curve": curve}) for i, curve in enumerate(curves)
    ]
    series = [[good(1, f"A-00{i}", wind_speed=8.0, power_output=0.5)] for i in range(4)]
    found = expect_windows(expected(*series, nodes=nodes)).efficiency
    assert [None if math.isnan(x) else x for x in found.tolist()] == [0.5, None, 0.25, 0.5]


def over(limit: float) -> float:
    return math.nextafter(limit, math.inf)


@pytest.mark.parametrize(
    ("cells", "count", "kind"),
    [
        ([{}], 0, []),
        ([{"vibration_level": records.VIBRATION_ALARM}], 0, []),
        ([{"vibration_level": over(records.VIBRATION_ALARM)}], 1, ["vibration"]),
        ([{"generator_temperature": records.GENERATOR_ALARM}], 0, []),
        ([{"generator_temperature": over(records.GENERATOR_ALARM)}], 1, ["generator_heat"]),
        ([{"gearbox_temperature": records.GEARBOX_ALARM}], 0, []),
        ([{"gearbox_temperature": over(records.GEARBOX_ALARM)}], 1, ["gearbox_heat"]),
        ([{"rotor_rpm": records.OVERSPEED * 12.0}], 0, []),
        ([{"rotor_rpm": over(records.OVERSPEED * 12.0)}], 1, ["overspeed"]),
        (
            [{"rotor_rpm": 14.0, "vibration_level": 9.0}, {"rotor_rpm": 14.0}],
            3,
            ["vibration", "overspeed"],
        ),
        ([windy(8, 0.5)], 0, []),  # half of the expected power
        ([windy(8, math.nextafter(0.5, 0))], 1, ["underperformance"]),
        ([windy(10, 0.75)] * 2, 2, ["underperformance"]),
        ([windy(8, 0.25), windy(8, 0.75)], 0, []),  # the sum counts
        ([windy(8, 0.25, status="standby")], 0, []),
        ([windy(8, 0.25), windy(8, 9, status="standby")], 1, ["underperformance"]),
        ([windy(8, 0.5), windy(8, 0, status="standby")], 0, []),
        (
            [windy(8, 0.25, vibration_level=6.0), windy(8, 0.25)],
            3,
            ["vibration", "underperformance"],
        ),
    ],
)
def test_anomalies_at_their_limits(cells: list[Row], count: int, kind: list[str]) -> None:
    found = of(rows(*cells), rated_power=9.0 if "standby" in str(cells) else 3.0)
    assert (found.anomalies.tolist(), [kinds(mask) for mask in found.kinds.tolist()]) == (
        [count],
        [kind],
    )


@pytest.mark.parametrize(("rated", "count"), [(2.0, 1), (2.1, 0), (None, 0)])
def test_underperformance_counts_from_a_tenth_of_rated_power(
    rated: float | None, count: int
) -> None:
    found = of(rows(windy(8, 0.0)), rated_power=rated, power_curve=[(3.0, 0.2), (25.0, 0.2)])
    assert found.anomalies.tolist() == [count]


def test_unknown_properties_of_a_turbine_are_not_judged() -> None:
    found = of(rows({"rotor_rpm": 30.0, "power_output": 0.1}), rated_rpm=None, rated_power=None)
    assert found.anomalies.tolist() == [0]


def judged() -> tuple[Expectation, Windows, list[Row]]:
    """Four windows of two farms and their expected values: all anomalies, one no efficiency."""
    first = [{"vibration_level": 6.0, "rotor_rpm": 14.0}, {"power_output": 0.1}, *[{}] * 4]
    second = [*[{"wind_speed": 2.0, "power_output": 0.0, "vibration_level": 0.5}] * 6]
    third = [
        {
            "generator_temperature": 131.0,
            "gearbox_temperature": 86.0,
            "power_output": -0.25,
            "rotor_rpm": 10.0,
        }
    ]
    series = rows(*first, *second, *third)
    other = [row | {"turbine_id": "B-001"} for row in rows({"power_output": 0.25})]
    plan = expected(series, other, nodes=[node("A-001"), node("B-001")])
    windows = expect_windows(plan)
    lake = []
    for i in range(4):
        row: Row = {"turbine_id": "B-001" if i == 3 else "A-001", "farm_id": "B" if i == 3 else "A"}
        start = START + (0, MINUTE, 2 * MINUTE, 0)[i]
        row |= {"date": date(2024, 1, 15), "window_start": start, "window_end": start + MINUTE}
        row |= {name: values[i].item() for name, values in windows.measures.items()}
        row |= {"efficiency": (5.1 / 6, None, 0.0, 0.25)[i], "rows": (6, 6, 1, 1)[i], "revision": 0}
        row["anomaly_kinds"] = (
            ["vibration", "overspeed"],
            [],
            [*records.ANOMALIES[1:3], "underperformance"],
            [],
        )[i]
        row["anomaly_count"] = (2, 0, 3, 1)[i]
        lake.append(row)
    lake[3]["anomaly_kinds"] = ["underperformance"]
    return plan, windows, lake


PLAN, WINDOWS, LAKE = judged()


def wrong(row: int, **cells: object) -> list[tuple[int, str]]:
    """Return (row, column) of each difference after some cells of a row change.

    The table is a slice of a longer one, as that of a lake may be.
    """
    schema = STAGE_SCHEMAS["aggregated"]
    changed = [r | cells if i == row else r for i, r in enumerate(LAKE)]
    longer = pa.Table.from_pylist([LAKE[2], *changed, LAKE[2]], schema=schema)
    found = differences(PLAN, WINDOWS, np.arange(4), longer.slice(1, 4))
    return [(i, name) for name, mask in found.items() for i in np.flatnonzero(mask).tolist()]


@pytest.mark.parametrize(
    ("row", "column", "value"),
    [
        (0, "turbine_id", "B-001"),
        (0, "farm_id", "B"),
        (3, "farm_id", None),
        (0, "date", date(2024, 1, 14)),
        (0, "date", date(2024, 1, 16)),
        (0, "date", None),
        (1, "window_end", START + MINUTE),
        (1, "rows", 5),
        (1, "rows", None),
        (2, "anomaly_count", 2),
        (1, "efficiency", 0.0),
        (0, "efficiency", None),
        (0, "efficiency", 5.1 / 6 + 1.5e-9),
        (1, "vibration_level", 0.5 + 1.5e-9),
        (1, "vibration_level_std", 1.5e-7),
        (1, "vibration_level", None),
        (1, "vibration_level_std", None),
        (1, "vibration_level_min", math.nextafter(0.5, 0)),
        (1, "vibration_level_max", over(0.5)),
        (2, "power_output", -0.25 - 1.5e-9),
        (2, "power_output", 0.25),
        (2, "rotor_rpm", 10.0 + 1.5e-8),
        (2, "rotor_rpm_std", 1.5e-6),
        (0, "anomaly_kinds", ["overspeed", "vibration"]),
        (0, "anomaly_kinds", ["vibration"]),
        (0, "anomaly_kinds", ["vibration", "overspeed", "sadness"]),
        (0, "anomaly_kinds", ["vibration", None, "overspeed"]),
        (0, "anomaly_kinds", ["sadness", "overspeed"]),
        (0, "anomaly_kinds", ["generator_heat", "overspeed"]),
        (0, "anomaly_kinds", ["vibration", "gearbox_heat", "gearbox_heat"]),  # would add up
        (2, "anomaly_kinds", []),
        (1, "anomaly_kinds", None),
        (1, "anomaly_kinds", ["vibration"]),
    ],
)
def test_differing_columns_are_named(row: int, column: str, value: object) -> None:
    assert wrong(row, **{column: value}) == [(row, column)]


@pytest.mark.parametrize(
    ("row", "column", "value"),
    [
        (0, "efficiency", 5.1 / 6 + 0.5e-9),
        (1, "vibration_level", 0.5 - 0.5e-9),
        (1, "vibration_level_std", 0.5e-7),
        (2, "rotor_rpm", 10.0 - 0.5e-8),
        (2, "rotor_rpm_std", 0.5e-6),
        (0, "revision", 7),
    ],
)
def test_sums_may_be_rounded_in_another_order(row: int, column: str, value: object) -> None:
    assert wrong(row, **{column: value}) == []


def test_a_tolerance_scales_with_the_larger_extreme() -> None:
    plan = expected(rows({"temperature": -50.0}, {"temperature": 10.0}))
    windows = expect_windows(plan)
    cells = {name: values[0].item() for name, values in windows.measures.items()}
    for step, right in ((4e-8, True), (6e-8, False)):
        row = LAKE[0] | cells | {"temperature": -20.0 + step}
        table = pa.Table.from_pylist([row], schema=STAGE_SCHEMAS["aggregated"])
        assert differences(plan, windows, np.array([0]), table)["temperature"].tolist() == [
            not right
        ]
