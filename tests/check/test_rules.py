"""The oracle's rules: each at its bound, one step beyond it, and after every earlier rule."""

from __future__ import annotations

import math

import pytest

from pipeline import records
from tests.support.check_world import ASSET, SECOND, START, Row, expected, good, node

BOTH = ("timestamp", "recorded_at")
WEAK, STRONG = (
    records.POWER_FLOOR * ASSET["rated_power"],
    records.RATED_CEILING * ASSET["rated_power"],
)
LOWEST = -(1 << 63) + 1  # the smallest that is not null

CASES: list[tuple[Row, str | None]] = [
    ({}, None),
    *(({name: None}, "null") for name in (*BOTH, "turbine_id", "status")),
    *(
        ({channel.name: missing}, "null")
        for channel in records.CHANNELS
        for missing in (None, math.nan)
    ),
    ({"turbine_id": "B-001"}, "identity"),
    (dict.fromkeys(BOTH, records.TIME_MIN_US), None),
    (dict.fromkeys(BOTH, records.TIME_MIN_US - 1), "time.range"),
    (dict.fromkeys(BOTH, records.TIME_MAX_US - 1), None),
    (dict.fromkeys(BOTH, records.TIME_MAX_US), "time.range"),
    ({"timestamp": LOWEST}, "time.range"),
    ({"timestamp": -LOWEST}, "time.range"),
    ({"recorded_at": START - records.FUTURE_TOLERANCE_US}, None),
    ({"recorded_at": START - records.FUTURE_TOLERANCE_US - 1}, "time.future"),
    ({"recorded_at": LOWEST}, "time.future"),
    ({"recorded_at": START + records.STALE_AFTER_US}, None),
    ({"recorded_at": START + records.STALE_AFTER_US + 1}, "time.stale"),
    ({"recorded_at": -LOWEST}, "time.stale"),
    *(({"status": state}, None) for state in records.STATES),
    ({"status": "Running"}, "state"),
    *(({c.name: math.nextafter(c.low, -math.inf)}, "range") for c in records.CHANNELS),
    *(({c.name: math.nextafter(c.high, math.inf)}, "range") for c in records.CHANNELS),
    *(({"power_output": 0.0} | {c.name: c.low}, None) for c in records.CHANNELS),
    *(({c.name: c.high}, None) for c in records.CHANNELS if c.name != "power_output"),
    ({"power_output": WEAK, "rotor_rpm": 0.0, "wind_speed": 0.0}, None),
    ({"power_output": math.nextafter(WEAK, 9), "rotor_rpm": records.ROTOR_STANDSTILL_RPM}, None),
    ({"power_output": math.nextafter(WEAK, 9), "rotor_rpm": math.nextafter(0.5, 0)}, "power.rotor"),
    ({"power_output": STRONG}, None),
    ({"power_output": math.nextafter(STRONG, 9)}, "power.rated"),
    ({"power_output": math.nextafter(WEAK, 9), "wind_speed": records.WIND_CALM}, None),
    ({"power_output": math.nextafter(WEAK, 9), "wind_speed": math.nextafter(1, 0)}, "power.wind"),
]
BREAKS: dict[str, Row] = {
    "type": {"misfit": True},
    "null": {"blade_pitch": None},
    "identity": {"turbine_id": "B-001"},
    "time.range": {"timestamp": records.TIME_MAX_US},
    "time.future": {"recorded_at": START - records.FUTURE_TOLERANCE_US - 1},
    "time.stale": {"recorded_at": START + records.STALE_AFTER_US + 1},
    "state": {"status": "dancing"},
    "range": {"vibration_level": 100.5},
    "power.rotor": {"rotor_rpm": 0.25},
    "power.rated": {"power_output": 4.0},
    "power.wind": {"wind_speed": 0.5},
}


def rules(*series: list[Row], **asset: object) -> list[str | None]:
    """Return the rule that each row breaks, for series of nodes A-001, A-002 .. in order."""
    nodes = [node(f"A-{i:03}", asset=ASSET | asset) for i in range(1, len(series) + 1)]
    # -1: none
    return [[*records.RULES, None][i] for i in expected(*series, nodes=nodes).rule.tolist()]


def test_limits_are_those_of_the_contract() -> None:
    found = rules(*([good(1, f"A-{i:03}", **cells)] for i, (cells, _) in enumerate(CASES, 1)))
    assert list(zip(found, CASES, strict=True)) == [(rule, (cells, rule)) for cells, rule in CASES]


def test_of_two_broken_rules_the_first_counts() -> None:
    cells = [
        a | b for a in BREAKS.values() for b in BREAKS.values() if a is b or not a.keys() & b.keys()
    ]
    first = [
        next(rule for rule in records.RULES if BREAKS[rule].items() <= both.items())
        for both in cells
    ]
    assert rules(*([good(1, f"A-{i:03}") | both] for i, both in enumerate(cells, 1))) == first


def test_power_is_not_judged_where_rated_power_is_unknown() -> None:
    assert rules([good(1, power_output=19.0, rotor_rpm=0.0, wind_speed=0.0)], rated_power=None) == [
        None
    ]


def constant_rows(rows: int, step_us: int = 10 * SECOND, **cells: float) -> list[Row]:
    """Rows with constant values in the given cells, `step_us` apart."""
    times = [dict.fromkeys(BOTH, START + i * step_us) for i in range(rows)]
    return [good(i + 1) | times[i] | cells for i in range(rows)]


REJECTED = good(6, temperature=1.0, status="dancing")


@pytest.mark.parametrize(
    ("rows", "stuck"),
    [
        (constant_rows(12, temperature=1.0), [9, 10, 11]),
        (constant_rows(10, temperature=1.0), [9]),
        (constant_rows(9, temperature=1.0), []),
        (constant_rows(12, 6 * SECOND, temperature=1.0), [10, 11]),  # the 60th second counts
        (constant_rows(12, 6 * SECOND - 1, temperature=1.0), [11]),
        (constant_rows(12, temperature=0.0), []),
        (constant_rows(12, temperature=-1.0), [9, 10, 11]),
        (constant_rows(12, blade_pitch=1.0, power_output=1.0), []),  # may stay constant
        (constant_rows(6, temperature=1.0) + constant_rows(12)[6:], []),
        (constant_rows(14)[:2] + constant_rows(14, temperature=1.0)[2:], [11, 12, 13]),
        (constant_rows(12, temperature=1.0)[:9] + constant_rows(12, temperature=2.0)[9:], []),
        (
            constant_rows(14, temperature=1.0)[:11] + constant_rows(14, temperature=2.0)[11:],
            [9, 10],
        ),
        (
            [*constant_rows(5, temperature=1.0), REJECTED, *constant_rows(13, temperature=1.0)[6:]],
            [],
        ),  # the rejected row ends a series
        (
            [*constant_rows(5, temperature=1.0), REJECTED, *constant_rows(17, temperature=1.0)[6:]],
            [15, 16],
        ),
        (
            [
                *constant_rows(5, temperature=1.0),
                REJECTED | {"misfit": True},
                *constant_rows(13, temperature=1.0)[6:],
            ],
            [],
        ),
    ],
)
def test_stuck_begins_at_the_tenth_row_and_the_sixtieth_second(
    rows: list[Row], stuck: list[int]
) -> None:
    assert [i for i, rule in enumerate(rules(rows)) if rule == "stuck"] == stuck


def test_each_channel_that_must_vary_can_be_stuck() -> None:
    assert [c.name for c in records.CHANNELS if rules(constant_rows(10, **{c.name: 2.0}))[9]] == [
        c.name for c in records.CHANNELS if c.stuck
    ]


def test_a_series_ends_with_its_node() -> None:
    second = [row | {"turbine_id": "A-002"} for row in constant_rows(9, temperature=1.0)]
    assert rules(constant_rows(9, temperature=1.0), second) == [None] * 18


def test_a_time_belongs_to_the_lowest_id_that_breaks_no_earlier_rule() -> None:
    first = [
        good(1),
        good(2),
        good(3, misfit=True),
        good(4, status="dancing"),
        good(5),
        good(6),
        good(7),
    ]
    for i, of in ((4, 2), (5, 0), (6, 0)):
        first[i]["timestamp"] = first[of]["timestamp"]
    first.append(good(8, timestamp=first[3]["timestamp"]))
    found = rules(first, [good(1, "A-002"), good(2, "A-002")])
    assert found == [None, None, "type", "state", None, "duplicate", "duplicate", None, None, None]


def test_a_stuck_row_leaves_its_time_to_the_next() -> None:
    rows = [*constant_rows(10, temperature=1.0), good(11)]
    rows[10]["timestamp"] = rows[9]["timestamp"]
    assert rules(rows)[9:] == ["stuck", None]


def test_no_rows_break_no_rules() -> None:
    assert rules([]) == []
    assert rules([good(1, misfit=True)]) == ["type"]
