"""The score of detection in memory: matching of alarms to faults, to the us, and its sums."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.records import TIME_MAX_US, TIME_MIN_US
from sim.check.detection.score import Score, score
from sim.check.detection.signals import signals
from sim.check.detection.truth import EVENTS, TruthError, read_events
from tests.support.oracle_world import HOUR_0, START_US, Row, node, row, stage_rows

S = 1_000_000
NODES = [node("A-1"), node("B-1", "B", window_s=300)]
INDEX = {"A-1": 0, "B-1": 1}
VIBRATION = "vibration_level"


def fault(kind: str, channel: str | None, begin: int, end: int, **more: Any) -> Row:
    """Return a fault of A-1 over [begin, end), us after START_US; `more` may give ids."""
    known: Row = {
        "turbine_id": "A-1",
        "kind": kind,
        "channel": channel,
        "from": START_US + begin,
        "to": START_US + end,
    }
    return known | {"first_id": None, "last_id": None, "rows": 1, "offset_us": None} | more


def window(turbine: str, start: int, *kinds: str, revision: int = 0) -> Row:
    """Return a window that starts `start` us after START_US."""
    begin, length = START_US + start, (600, 300)[INDEX.get(turbine, 0)] * S
    times = {"window_start": begin, "window_end": begin + length}
    return {"turbine_id": turbine, "anomaly_kinds": [*kinds], "revision": revision} | times


def rejected(number: int, at: int | None, rule: str, turbine: str = "A-1", **more: Any) -> Row:
    time = None if at is None else START_US + at
    return (
        row(number, turbine, START_US if at is None else START_US + at)
        | {"timestamp": time, "rule": rule}
        | more
    )


def scored(events: list[Row], windows: list[Row] = [], rows: list[Row] = []) -> Score:  # noqa: B006
    schema = pa.schema(
        (name, pa.string() if name in ("turbine_id", "kind", "channel") else pa.int64())
        for name in EVENTS
    )
    whose = [
        np.array([INDEX.get(each["turbine_id"], -1) for each in side], dtype=np.int64)
        for side in (windows, rows)
    ]
    return score(
        pa.Table.from_pylist(events, schema=schema),
        NODES,
        stage_rows("aggregated", {f"aggregated/{HOUR_0}/A-1-1-2.parquet": windows}),
        whose[0],
        stage_rows("quarantine", {f"_quarantine/{HOUR_0}/A-1-1-2.parquet": rows}),
        whose[1],
    )


def found(
    events: list[Row],
    windows: list[Row] = [],  # noqa: B006
    rows: list[Row] = [],  # noqa: B006
) -> list[float]:
    """Delays of the detected faults, s."""
    return [delay for delays in scored(events, windows, rows).delays_s.values() for delay in delays]


def test_signals_that_each_fault_can_cause() -> None:
    wind = {"underperformance", "power.wind"}
    power = {"underperformance", "power.rotor", "power.rated", "power.wind"}
    for kind, channel, can in (
        ("sensor.stuck", "wind_speed", wind | {"stuck"}),
        ("sensor.stuck", "power_output", power),  # may stay constant
        ("sensor.stuck", None, set()),
        ("sensor.bias", "rotor_rpm", {"overspeed", "power.rotor", "range"}),
        *(
            (f"sensor.{kind}", "temperature", {"range"})
            for kind in ("spike", "drift", "bias", "sentinel", "unit")
        ),
        ("row.poisoned", "status", {"null", "state"}),
        ("row.poisoned", None, {"type", "null", "range"}),
        ("row.poisoned", VIBRATION, {"type", "null", "range"}),
        ("sensor.dropout", VIBRATION, {"null"}),
        *(
            (kind, None, set())
            for kind in ("row.late", "row.out-of-order", "row.missing", "node.replaced")
        ),
        ("schema.dropped", "temperature", {"null"}),
        ("clock.step", None, {"duplicate", "time.future"}),
        ("state.fault", None, {"underperformance"}),
        ("machine.cooling", None, {"generator_heat", "gearbox_heat"}),
    ):
        assert signals(kind, channel) == can, kind
    assert signals("sensor.haunted", None) is None


def test_scores_add_up_and_become_figures() -> None:
    one = Score(
        Counter(a=1),
        Counter({"sensor.stuck": 2}),
        {"sensor.stuck": [1.0]},
        {"sensor.stuck": Counter(stuck=1)},
    )
    one.alarms, one.true_alarms = Counter(stuck=3, null=1), Counter(stuck=1)
    other = Score(
        Counter(a=2, b=1), Counter({"sensor.stuck": 1, "row.duplicate": 3}), {"sensor.stuck": [3.0]}
    )
    other.found_by, other.alarms = {"sensor.stuck": Counter(stuck=1, range=1)}, Counter(null=2)
    other.delays_s["b"], other.true_alarms = [5.0, 9.0], Counter(null=1)
    total = Score()
    for each in (one, other):
        total.add(each)
    assert total.injected == {"a": 3, "b": 1}
    assert total.found_by == {"sensor.stuck": {"stuck": 2, "range": 1}}
    assert total.figures() == {
        "detection.faults": 6,
        "detection.found": 4,
        "detection.alarms": 6,
        "detection.false_alarms": 4,
        "detection.recall": round(4 / 6, 6),
        "detection.precision": round(2 / 6, 6),
        "detection.delay.p50": 4.0,
        "detection.delay.p95": 8.4,
        "detection.recall.sensor.stuck": round(2 / 3, 6),
        "detection.delay.sensor.stuck": 2.0,
        "detection.recall.row.duplicate": 0.0,
        "detection.precision.null": round(1 / 3, 6),
        "detection.precision.stuck": round(1 / 3, 6),
    }
    assert total.by_kind() == [
        {"kind": "a", "injected": 3, "detectable": 0, "found": 0, "delay_s": None, "by_signal": {}},
        {"kind": "b", "injected": 1, "detectable": 0, "found": 2, "delay_s": 7.0, "by_signal": {}},
    ]
    assert list(
        Score(Counter(b=1, a=1), found_by={"a": Counter(z=1, y=2)}).by_kind()[0]["by_signal"]
    ) == ["y", "z"]  # type: ignore[call-overload]
    assert Score().figures() == {
        f"detection.{name}": 0 for name in ("faults", "found", "alarms", "false_alarms")
    }
    long = Score(delays_s={"sensor.stuck": [1 / 3]}).figures()
    assert {name: value for name, value in long.items() if "delay" in name} == {
        f"detection.delay.{name}": 0.333333 for name in ("p50", "p95", "sensor.stuck")
    }


def test_events_are_read_from_faults_wear_and_states(tmp_path: Path) -> None:
    assert read_events(tmp_path) is None
    wear = {
        "turbine_id": ["A-1"],
        "kind": ["machine.ice"],
        "channel": [None],
        "from": [3],
        "to": [4],
        "rows": [1],
    }
    pq.write_table(pa.table(wear), tmp_path / "b.parquet")
    states = pa.table(
        {"turbine_id": ["A-1", "A-2"], "state": ["running", "fault"], "from": [1, 2], "to": [2, 3]}
    )
    pq.write_table(states, tmp_path / "c.parquet")
    pq.write_table(pa.table({"turbine_id": ["A-1"], "kind": ["x"]}), tmp_path / "d.parquet")
    assert read_events(tmp_path) is None  # no faults, nothing to score
    event = {
        "turbine_id": "B-1",
        "kind": "k",
        "channel": "c",
        "first_id": 7,
        "last_id": 8,
        "rows": 2,
    }
    table = pa.Table.from_pylist([event])
    for i, (name, unit) in enumerate((("from", "ms"), ("to", "us"))):
        times = pa.array([5 + i], pa.int64()).cast(pa.timestamp(unit, "UTC"))
        table = table.append_column(name, times)
    pq.write_table(table, tmp_path / "a.parquet")
    read = read_events(tmp_path)
    assert read is not None
    assert read.column_names == [*EVENTS]
    none = dict.fromkeys(("channel", "first_id", "last_id", "offset_us"))
    assert read.to_pylist() == [
        event | {"from": 5000, "to": 6, "offset_us": None},
        none | {"turbine_id": "A-1", "kind": "machine.ice", "from": 3, "to": 4, "rows": 1},
        none | {"turbine_id": "A-2", "kind": "state.fault", "from": 2, "to": 3, "rows": 1},
    ]
    (tmp_path / "e.parquet").write_bytes(b"x")
    with pytest.raises(TruthError) as caught:
        read_events(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'e.parquet'}: cannot read the ground truth: ")
    assert "\n" not in str(caught.value)


WINDOW = window("A-1", 600 * S, "vibration")


@pytest.mark.parametrize(
    ("begin", "end", "delays"),
    [
        (600 * S, 601 * S, [600.0]),
        (500 * S, 600 * S, []),
        (500 * S, 600 * S + 1, [700.0]),
        (1200 * S - 1, 1300 * S, [1e-6]),
        (1200 * S, 1300 * S, []),
        (0, 5000 * S, [1200.0]),
    ],
)
def test_a_window_detects_the_faults_within_it_at_its_end(
    begin: int, end: int, delays: list[float]
) -> None:
    event = fault("sensor.bias", VIBRATION, begin, end)
    out = scored([event], [WINDOW])
    assert out == Score(
        Counter({"sensor.bias": 1}),
        Counter({"sensor.bias": 1}),
        {"sensor.bias": delays} if delays else {},
        {"sensor.bias": Counter(vibration=1)} if delays else {},
        Counter(vibration=1),
        Counter(vibration=len(delays)),
    )


def test_the_first_detecting_window_sets_the_delay_and_all_are_true() -> None:
    later, others = (
        window("A-1", 1200 * S, "vibration", "overspeed"),
        window("B-1", 600 * S, "vibration"),
    )
    out = scored([fault("sensor.bias", VIBRATION, 700 * S, 1300 * S)], [others, later, WINDOW])
    assert out.delays_s == {"sensor.bias": [500.0]}
    assert out.alarms == {"vibration": 3, "overspeed": 1}
    assert out.true_alarms == {"vibration": 2, "overspeed": 0}


def test_only_the_latest_revision_of_each_window_counts() -> None:
    windows = [
        window("A-1", 600 * S, "gearbox_heat", revision=2),
        window("A-1", 600 * S, "vibration", revision=1),
    ]
    windows += [window("A-1", 0, "vibration", revision=0), window("B-1", 600 * S, "overspeed")]
    windows += [
        window("Z-1", 600 * S, "overspeed"),
        window("B-1", 0, "haunted", "vibration"),
        window("B-1", 900 * S),
    ]
    out = scored([], windows)
    assert out.alarms == {"gearbox_heat": 1, "vibration": 2, "overspeed": 1}
    both = [
        fault("sensor.bias", VIBRATION, 700 * S, 701 * S),
        fault("sensor.bias", "gearbox_temperature", 700 * S, 701 * S),
    ]
    assert scored(both, windows).found_by == {"sensor.bias": {"gearbox_heat": 1}}


def test_quarantined_rows_are_one_alarm_per_rule_and_window() -> None:
    rows = [
        rejected(i, at * S, rule)
        for i, (at, rule) in enumerate(((0, "state"), (599, "state"), (600, "state")))
    ]
    rows += [
        rejected(4, 599 * S, "identity"),
        rejected(5, 0, "state", "B-1"),
        rejected(6, 300 * S, "state", "B-1"),
    ]
    rows += [rejected(7, 0, "state", "Z-1"), rejected(8, 0, "haunted")]
    assert scored([], rows=rows[::-1]).alarms == {"state": 4, "identity": 1}
    assert scored([], rows=[rows[0], rows[3], rows[1]]).alarms == {"state": 1, "identity": 1}
    out = scored([fault("row.poisoned", "status", 599 * S, 599 * S + 1)], rows=rows)
    assert out.delays_s == {"row.poisoned": [0.0]}
    assert out.true_alarms == {"state": 1, "identity": 0}


@pytest.mark.parametrize("begin", [-1, 0, 1])
@pytest.mark.parametrize("end", [0, 1])
def test_a_row_detects_faults_at_its_own_time(begin: int, end: int) -> None:
    event = fault("row.poisoned", "status", 7 * S + begin, 7 * S + end + (begin > 0))
    inside = begin <= 0 and (end > 0)
    assert found([event], rows=[rejected(1, 7 * S, "state")]) == ([-begin / S] if inside else [])


def test_alarms_of_windows_and_of_rows_are_counted_separately() -> None:
    windows = [window("A-1", 0, "vibration"), window("A-1", 600 * S, "overspeed")]
    rows = [rejected(1, 700 * S, "state"), rejected(2, 1500 * S, "identity")]
    out = scored(
        [
            fault("sensor.bias", VIBRATION, 0, 1),
            fault("row.poisoned", "turbine_id", 1500 * S, 1501 * S),
        ],
        windows,
        rows,
    )
    assert out.alarms == {"vibration": 1, "overspeed": 1, "state": 1, "identity": 1}
    assert out.true_alarms == {"vibration": 1, "overspeed": 0, "state": 0, "identity": 1}


def test_a_row_detects_by_its_id_a_fault_at_another_time() -> None:
    rows = [rejected(number, 100 * S + number * S, "state") for number in (4, 5, 6)]
    for ids, delays in (
        ((5, 5), [5.0]),
        ((6, 9), [6.0]),
        ((1, 4), [4.0]),
        ((7, 9), []),
        ((1, 3), []),
    ):
        event = fault("row.poisoned", "status", 100 * S, 101 * S, first_id=ids[0], last_id=ids[1])
        assert found([event], rows=rows) == delays, ids
    early = fault("row.poisoned", "status", 200 * S, 201 * S, first_id=5, last_id=5)
    assert found([early], rows=rows) == [0.0]  # its row has an earlier time
    # that rule does not detect it
    assert found([early | {"channel": "turbine_id"}], rows=rows) == []
    timed = fault("row.poisoned", "status", 104 * S, 105 * S, first_id=6, last_id=6)
    assert found([timed], rows=rows) == [0.0]
    assert found([fault("sensor.bias", VIBRATION, 0, 1, first_id=-1, last_id=0)], [WINDOW]) == [
        1200.0
    ]


@pytest.mark.parametrize(
    ("rule", "timestamp", "recorded_at", "alarms"),
    [
        ("state", None, START_US + 5 * S, 1),
        ("null", None, START_US + 5 * S, 1),
        ("null", None, None, 0),
        ("null", None, TIME_MIN_US - 1, 0),
        ("null", None, TIME_MAX_US, 0),
        ("null", START_US + 5 * S, None, 1),
        ("time.range", 0, START_US + 5 * S, 1),
        ("time.future", START_US + 900 * S, START_US + 5 * S, 1),
        ("time.stale", 0, START_US + 5 * S, 1),
    ],
)
def test_a_row_without_a_possible_time_counts_at_its_recording_time(
    rule: str, timestamp: int | None, recorded_at: int | None, alarms: int
) -> None:
    bad = rejected(1, 0, rule, timestamp=timestamp, recorded_at=recorded_at)
    out = scored([fault("sensor.haunted", None, 5 * S, 5 * S + 1)], rows=[bad])
    assert (out.alarms.total(), out.true_alarms.total()) == (alarms, alarms)


def test_bounds_of_a_recording_time() -> None:
    for recorded_at, alarms in (
        (TIME_MIN_US, 1),
        (TIME_MIN_US - 1, 0),
        (TIME_MAX_US - 1, 1),
        (TIME_MAX_US, 0),
    ):
        assert (
            scored([], rows=[rejected(1, None, "null", recorded_at=recorded_at)]).alarms.total()
            == alarms
        )
    doubted = rejected(1, 5 * S, "time.future", recorded_at=TIME_MAX_US)
    assert (
        scored(
            [fault("sensor.haunted", None, 5 * S, 5 * S + 1)], rows=[doubted]
        ).true_alarms.total()
        == 1
    )


@pytest.mark.parametrize(
    ("rule", "value", "of"),
    [
        ("null", None, True),
        ("null", 1.0, False),
        ("range", 75.1, True),
        ("range", -0.1, True),
        ("range", 75.0, False),
        ("range", 0.0, False),
        ("range", None, False),
    ],
)
def test_a_rule_broken_by_one_channel_detects_no_other(
    rule: str, value: float | None, of: bool
) -> None:
    """Break another channel too: without a fault of the wind, the rule is about that channel."""
    kind = "sensor.dropout" if rule == "null" else "sensor.spike"
    other = {"temperature": None if rule == "null" else 99.0}
    rows = [rejected(1, 7 * S, rule, wind_speed=value, **other)]
    assert found([fault(kind, "wind_speed", 7 * S, 8 * S)], rows=rows) == ([0.0] if of else [])
    assert found([fault(kind, "temperature", 7 * S, 8 * S)], rows=rows) == [0.0]
    assert found([fault(kind, "vibration_level", 7 * S, 8 * S)], rows=rows) == []
    assert found([fault("row.poisoned", None, 7 * S, 8 * S)], rows=rows) == [0.0]


def test_a_rule_without_a_channel_detects_faults_of_each() -> None:
    rows = [rejected(1, 7 * S, "stuck", wind_speed=None)]
    assert found([fault("sensor.stuck", "temperature", 7 * S, 8 * S)], rows=rows) == [0.0]


def test_undetectable_faults_are_not_scored() -> None:
    event = fault("sensor.bias", VIBRATION, 700 * S, 701 * S)
    assert scored([event | {"rows": 0}, event | {"turbine_id": "Z-1"}], [WINDOW]) == Score(
        alarms=Counter(vibration=1)
    )
    late = scored([event | {"kind": "row.late"}], [WINDOW])
    assert (late.injected, late.detectable, late.true_alarms) == (
        {"row.late": 1},
        {},
        {"vibration": 0},
    )
    odd = scored([event | {"kind": "sensor.haunted"}], [WINDOW])
    assert (odd.injected, odd.detectable, odd.delays_s) == ({"sensor.haunted": 1}, {}, {})
    assert odd.true_alarms == {"vibration": 1}
    machine = scored([event | {"kind": "machine.gearbox", "channel": None}], [WINDOW])
    assert (machine.detectable, machine.true_alarms) == ({}, {"vibration": 1})


HOUR = 3600 * S


def doubled(*at: int) -> list[Row]:
    return [rejected(i, each, "duplicate") for i, each in enumerate(at)]


def test_a_wrong_clock_is_detected_at_its_stored_times() -> None:
    behind = fault("clock.step", None, HOUR, HOUR + 10 * S, offset_us=-HOUR)
    assert found([behind], rows=doubled(0)) == [0.0]
    # an hour later in truth than its stored time
    assert found([behind], rows=doubled(9 * S)) == [9.0]
    assert found([behind], rows=doubled(10 * S)) == []
    assert found([behind], rows=doubled(-1)) == []
    ahead = fault("clock.step", None, HOUR, HOUR + 10 * S, offset_us=HOUR)
    assert found([ahead], rows=doubled(2 * HOUR + 3 * S)) == [
        3603.0
    ]  # the right clock doubles it, an hour later
    right = fault("clock.step", None, HOUR, HOUR + 10 * S, offset_us=0)
    assert found([right], rows=doubled(HOUR)) == [0.0]
    assert found([right], rows=doubled(0)) == []


def test_another_fault_under_a_wrong_clock_is_detected_at_both_times() -> None:
    clock = fault("clock.skew", None, HOUR, HOUR + 10 * S, offset_us=100 * S)
    poison = fault("row.poisoned", "status", HOUR + 5 * S, HOUR + 15 * S)

    def when(*at: int) -> list[float]:
        return found(
            [clock, poison], rows=[rejected(i, each, "state") for i, each in enumerate(at)]
        )

    assert when(HOUR + 105 * S) == [0.0]
    assert when(HOUR + 107 * S) == [2.0]
    assert when(HOUR + 7 * S, HOUR + 106 * S) == [1.0]
    assert when(HOUR + 110 * S) == when(HOUR + 105 * S - 1) == []
    elsewhere = [clock | {"turbine_id": "B-1"}, poison]
    assert found(elsewhere, rows=[rejected(1, HOUR + 105 * S, "state")]) == []
    bias = fault("sensor.bias", VIBRATION, HOUR + 10 * S, HOUR + 15 * S)
    assert (
        found([clock | {"offset_us": 2 * HOUR}, bias], [window("A-1", 3 * HOUR, "vibration")]) == []
    )
    apart = [clock, fault("row.poisoned", "status", HOUR + 10 * S, HOUR + 15 * S)]
    assert found(apart, rows=[rejected(1, HOUR + 110 * S, "state")]) == []
