"""Detection against ground truth: planted faults whose score was worked out by hand."""

from __future__ import annotations

import dataclasses
import io
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from pipeline.records import ANOMALIES, RULES
from sim.check import LakeReader, Verdict, judge
from sim.check.detection.signals import DATA_FAULTS, SIGNALS, signals
from sim.measure.figures import FIGURES
from sim.model.farm import STATE_LOG
from sim.model.faults.catalogue import KINDS
from sim.model.faults.truth import TRUTH
from sim.model.maintenance.orders import WEAR
from sim.report.html import render
from sim.report.result import Result
from sim.report.terminal import print_summary
from tests.support import lakebuilder, report_samples
from tests.support.lakebuilder import HOUR_US, SPOILED, START_US, STEP_US, TURBINES, WINDOW_US
from tests.support.lakesurgery import AGGREGATED, EARLIER, Changes, Objects, edit, read, sealed

HOUR_1 = START_US // HOUR_US * HOUR_US + HOUR_US

FOLDER = AGGREGATED.rpartition("/")[0]


def at(number: int) -> int:
    """Event time of row `number` of a node, us."""
    return START_US + (number - 1) * STEP_US


def fault(
    turbine: str, kind: str, channel: str | None, first: int, last: int, rows: int | None = None
) -> dict:
    """Return a fault of the rows first..last; with `rows` 0 it altered nothing."""
    count = last - first + 1 if rows is None else rows
    return {
        "turbine_id": turbine,
        "kind": kind,
        "channel": channel,
        "from": at(first),
        "to": at(last + 1),
        "first_id": first,
        "last_id": last,
        "rows": count,
        "detail": None,
    }


FAULTS = [
    fault("B-001", "sensor.stuck", "temperature", 300, 314),  # found at its tenth row, after 90 s
    fault("A-001", "sensor.dropout", "power_output", 40, 40),  # rule null, immediately
    fault("A-001", "sensor.spike", "wind_speed", 100, 100),  # rule range, immediately
    fault("B-001", "sensor.spike", "blade_pitch", 600, 602),  # within limits: missed
    fault(
        "B-001", "sensor.drift", "temperature", 320, 360
    ),  # within limits: missed; the `stuck` before it belongs to another fault
    fault("A-001", "row.duplicate", None, 139, 140),  # row 140 has the time of row 139
    fault("A-002", "row.late", None, 500, 500),  # valid: not detectable
    fault("A-002", "sensor.stuck", "wind_speed", 700, 720, rows=0),  # altered nothing
    fault(
        "A-002", "sensor.spike", "generator_temperature", 200, 201
    ),  # its window is hot with and without it
]
GENERATOR_WINDOW = at(200) // WINDOW_US * WINDOW_US


def alarms_by_rule() -> set[tuple[str, int, str]]:
    """Return (turbine, window, rule) of the builder's bad rows.

    A row counts at its own time, or at its recording time if its own time is in doubt.
    """
    found = set()
    for (turbine, number), (rule, changes) in SPOILED.items():
        time = changes.get("timestamp", at(number))
        untimed = (
            time is None or rule.startswith("time.") or (rule == "type" and "timestamp" in changes)
        )
        found |= (
            {(turbine, (at(number) + 30_000_000 if untimed else time) // WINDOW_US, rule)}
            if rule
            else set()
        )
    return found


def hot_windows() -> int:
    latest = {}
    for turbine in TURBINES:
        for made in lakebuilder._windows(
            turbine, lakebuilder._batches(turbine, lakebuilder.ingested(turbine))
        ):
            latest |= {(turbine, window["window_start"]): window for window in made}
    return sum("generator_heat" in window["anomaly_kinds"] for window in latest.values())


def judged(
    folder: Path, faults: list[dict] | None, states: list[dict], changes: Any = lambda _: {}
) -> Verdict:
    folder.mkdir(exist_ok=True)
    lakebuilder.write_nodes(folder / "nodes")
    lake: Objects = lakebuilder.build()
    changed: Changes = changes(lake)
    lakebuilder.write_lake(
        folder / "lake", {n: c for n, c in {**lake, **changed}.items() if c is not None}
    )
    (folder / "truth").mkdir(exist_ok=True)
    if faults is not None:
        pq.write_table(
            pa.Table.from_pylist(faults, schema=TRUTH), folder / "truth" / "faults-A.parquet"
        )
    pq.write_table(
        pa.Table.from_pylist(states, schema=STATE_LOG), folder / "truth" / "states-A.parquet"
    )
    return judge(folder / "nodes", LakeReader.folder(folder / "lake"), folder / "truth", 1)


def scored(verdict: Verdict) -> dict[str, float]:
    return {
        n.removeprefix("detection."): v
        for n, v in verdict.figures.items()
        if n.startswith("detection.")
    }


def test_planted_faults_have_the_score_worked_out_by_hand(tmp_path):
    verdict = judged(tmp_path, FAULTS, [])
    assert verdict.status == "pass"
    by_rule, hot = alarms_by_rule(), hot_windows()
    true = 5  # stuck, null, range, duplicate, generator_heat: one window each
    figures = scored(verdict)
    alarms = len(by_rule) + hot
    overall = {
        "faults": 7,
        "found": 5,
        "alarms": alarms,
        "false_alarms": alarms - true,
        "recall": round(5 / 7, 6),
        "precision": round(true / alarms, 6),
    }
    assert {name: figures[name] for name in overall} == overall
    heat_s = (GENERATOR_WINDOW + WINDOW_US - at(200)) / 1e6
    assert {
        n: v for n, v in figures.items() if n.startswith(("recall.", "delay.sensor", "delay.row"))
    } == {
        "recall.sensor.stuck": 1.0,
        "delay.sensor.stuck": 90.0,
        "recall.sensor.dropout": 1.0,
        "delay.sensor.dropout": 0.0,
        "recall.sensor.spike": round(2 / 3, 6),
        "delay.sensor.spike": heat_s / 2,
        "recall.sensor.drift": 0.0,
        "recall.row.duplicate": 1.0,
        "delay.row.duplicate": 0.0,
    }
    assert (figures["delay.p50"], figures["delay.p95"]) == (
        0.0,
        pytest.approx(90 + 0.8 * (heat_s - 90)),
    )
    precision = {rule: [0, 0] for rule in RULES}
    for _, _, rule in by_rule:
        precision[rule][1] += 1
    for rule in ("stuck", "null", "range", "duplicate"):
        precision[rule][0] = 1
    told = {
        n.removeprefix("precision."): v for n, v in figures.items() if n.startswith("precision.")
    }
    assert told == {
        **{rule: round(part / whole, 6) for rule, (part, whole) in precision.items() if whole},
        "generator_heat": round(1 / hot, 6),
    }
    entry = {e["kind"]: e for e in verdict.detection}["sensor.spike"]
    by_signal = {"generator_heat": 1, "range": 1}
    assert entry == {
        "kind": "sensor.spike",
        "injected": 3,
        "detectable": 3,
        "found": 2,
        "delay_s": heat_s / 2,
        "by_signal": by_signal,
    }
    told = {e["kind"]: (e["detectable"], e["found"], e["delay_s"]) for e in verdict.truth}
    assert (told["row.late"], told["sensor.drift"]) == ((0, 0, None), (1, 0, None))


def underperforming(lake: Objects) -> Changes:
    """Mark the second window of hour 1 of A-002 as underperforming."""
    starts = read(lake[AGGREGATED]).column("window_start").cast(pa.int64()).to_pylist()
    at = starts.index(HOUR_1 + WINDOW_US)
    return sealed(
        lake, {AGGREGATED: edit(lake[AGGREGATED], "anomaly_kinds", at, ["underperformance"])}
    )


@pytest.mark.parametrize(
    ("kind", "begin", "precision"),
    [
        ("machine.pitch", HOUR_1 + WINDOW_US, 1.0),
        ("machine.ice", HOUR_1 + WINDOW_US, 1.0),
        ("machine.converter", HOUR_1 + WINDOW_US, 0.0),  # no judged signal shows it
        ("machine.pitch", HOUR_1 + 2 * WINDOW_US, 0.0),
    ],
)
def test_alarms_of_worn_machines_are_not_false(tmp_path, kind, begin, precision):
    wear = {"turbine_id": "A-002", "kind": kind, "from": begin, "to": begin + STEP_US, "rows": 1}
    (tmp_path / "truth").mkdir()
    pq.write_table(pa.Table.from_pylist([wear], schema=WEAR), tmp_path / "truth" / "wear-A.parquet")
    figures = scored(judged(tmp_path, [], [], underperforming))
    assert figures["precision.underperformance"] == precision
    assert figures["faults"] == 0


@pytest.mark.parametrize(
    ("state", "begin", "precision"),
    [
        ("fault", HOUR_1 + WINDOW_US, 1.0),
        ("fault", HOUR_1 + 2 * WINDOW_US, 0.0),
        ("standby", HOUR_1 + WINDOW_US, 0.0),
    ],
)
def test_alarms_near_a_stopped_machine_are_not_false(tmp_path, state, begin, precision):
    states = [{"turbine_id": "A-002", "state": state, "from": begin, "to": begin + STEP_US}]
    verdict = judged(tmp_path, [], states, underperforming)
    assert scored(verdict)["precision.underperformance"] == precision
    assert "detection.recall" not in verdict.figures  # nothing was injected


@pytest.mark.parametrize(
    ("kind", "row", "broken", "other"),
    [
        ("sensor.dropout", 40, "power_output", "rotor_rpm"),
        ("sensor.spike", 100, "wind_speed", "blade_pitch"),
    ],
)
def test_an_alarm_of_one_channel_does_not_detect_a_fault_of_another(
    tmp_path, kind, row, broken, other
):
    figures = scored(judged(tmp_path, [fault("A-001", kind, other, row, row)], []))
    assert (figures["recall"], figures["precision"]) == (0.0, 0.0)
    (tmp_path / "same").mkdir()
    figures = scored(judged(tmp_path / "same", [fault("A-001", kind, broken, row, row)], []))
    assert figures["recall"] == 1.0


def windows_say(kinds: list[str], only: int | None = None) -> Any:
    """Give every window of A-002's second hour, or one of them, these kinds of anomalies."""

    def change(lake: Objects) -> Changes:
        changed: Changes = {}
        for name in (name for name in lake if name.startswith(f"{FOLDER}/A-002-")):
            for i, start in enumerate(
                read(lake[name]).column("window_start").cast(pa.int64()).to_pylist()
            ):
                if only in (None, start):
                    changed[name] = edit(changed.get(name) or lake[name], "anomaly_kinds", i, kinds)
        assert changed
        return sealed(lake, changed)

    return change


def of_hour_1(channel: str, first_window: int, windows: int, kind: str = "sensor.bias") -> dict:
    """Return a fault of A-002 over some windows of the second hour, within limits."""
    begin = HOUR_1 + first_window * WINDOW_US
    first = (begin - START_US) // STEP_US + 1
    return fault("A-002", kind, channel, first, first + windows * (WINDOW_US // STEP_US) - 1)


def test_alarms_everywhere_have_full_recall_and_low_precision(tmp_path):
    told = scored(
        judged(
            tmp_path / "a", [of_hour_1("vibration_level", 1, 1)], [], windows_say(list(ANOMALIES))
        )
    )
    assert told["recall.sensor.bias"] == 1.0
    windows = told["alarms"] - told["false_alarms"]
    assert windows == 1
    assert told["precision.vibration"] < 0.2
    assert told["precision"] < 0.03
    assert all(told[f"precision.{kind}"] == 0 for kind in ANOMALIES if kind != "vibration")


def test_an_alarm_of_another_kind_place_or_time_detects_nothing(tmp_path):
    window = HOUR_1 + 2 * WINDOW_US
    cases = [
        (of_hour_1("vibration_level", 2, 1), ["vibration"], 1.0),
        (
            of_hour_1("vibration_level", 2, 1),
            ["generator_heat", "gearbox_heat", "overspeed", "underperformance"],
            0.0,
        ),
        (of_hour_1("vibration_level", 1, 1), ["vibration"], 0.0),  # the fault had ended
        (of_hour_1("vibration_level", 3, 1), ["vibration"], 0.0),  # the fault had not begun
        (of_hour_1("vibration_level", 2, 1) | {"turbine_id": "B-001"}, ["vibration"], 0.0),
    ]
    for number, (planted, kinds, recall) in enumerate(cases):
        told = scored(judged(tmp_path / str(number), [planted], [], windows_say(kinds, window)))
        assert told["recall"] == recall, number
        assert ("delay.p50" in told) == (recall == 1), number
        assert told.get("precision.vibration", 0) == recall, number


@pytest.mark.parametrize("window", [1, 2, 4])
def test_a_late_alarm_shows_its_delay(tmp_path, window):
    """A bias begins with window 1 and lasts four windows; an alarm counts at its window's end."""
    changed = windows_say(["vibration"], HOUR_1 + window * WINDOW_US)
    told = scored(judged(tmp_path, [of_hour_1("vibration_level", 1, 4)], [], changed))
    assert told["delay.sensor.bias"] == told["delay.p95"] == window * WINDOW_US / 1e6


def test_a_fault_between_two_rows_of_an_alarm_is_not_detected(tmp_path):
    """Rows 40, 42 and 44 (41, by its recording time) form one alarm of `null`, without row 43."""
    between = fault("A-001", "row.poisoned", "status", 43, 43)
    assert scored(judged(tmp_path / "a", [between], []))["recall"] == 0.0
    second = fault("A-001", "row.poisoned", "status", 41, 42)
    # not 0: row 40 is not part of the fault
    assert scored(judged(tmp_path / "b", [second], []))["delay.p50"] == STEP_US / 1e6


def test_only_the_latest_revision_of_a_window_counts(tmp_path):
    """Revision 1 of the window that a late row changed withdraws an alarm of revision 0."""
    verdict = judged(
        tmp_path,
        [],
        [],
        lambda lake: sealed(
            lake, {EARLIER: edit(lake[EARLIER], "anomaly_kinds", 1, ["vibration"])}
        ),
    )
    assert "precision.vibration" not in scored(verdict)


@pytest.mark.parametrize(
    ("offset_us", "found"), [(-HOUR_US, True), (HOUR_US, False), (-2 * HOUR_US, False)]
)
def test_rows_moved_by_a_wrong_clock_are_matched_at_their_stored_time(tmp_path, offset_us, found):
    """Row 140 of A-001 has row 139's time, as with a clock an hour slow, an hour later."""
    step = fault("A-001", "clock.step", None, 138, 141) | {
        "first_id": 900,
        "last_id": 910,
        "offset_us": offset_us,
    }
    step |= {"from": step["from"] + HOUR_US, "to": step["to"] + HOUR_US}
    figures = scored(judged(tmp_path, [step], []))
    assert figures["recall.clock.step"] == found
    assert figures["precision.duplicate"] == found
    if found:
        # the second of the clock's rows is the duplicate
        assert figures["delay.clock.step"] == STEP_US / 1e6


def test_another_fault_under_a_wrong_clock_is_detected_at_its_stored_time(tmp_path):
    """The null of row 40 was reported an hour early; the truth does not know its id."""
    skew = fault("A-001", "clock.skew", None, 35, 45) | {"offset_us": -HOUR_US}
    dropout = fault("A-001", "sensor.dropout", "power_output", 40, 40) | {
        "first_id": None,
        "last_id": None,
    }
    moved = [
        each | {side: each[side] + HOUR_US for side in ("from", "to")} for each in (skew, dropout)
    ]
    figures = scored(judged(tmp_path, moved, []))
    assert (figures["recall.sensor.dropout"], figures["delay.sensor.dropout"]) == (1.0, 0.0)
    assert "recall.clock.skew" not in figures
    assert figures["precision.duplicate"] == 0.0


def test_poison_is_detected_whatever_time_it_wrote(tmp_path):
    bad = {
        31: "timestamp",
        41: "timestamp",
        42: "recorded_at",
        60: "timestamp",
        61: "timestamp",
        70: "timestamp",
    }
    bad |= {80: "timestamp", 50: "turbine_id", 90: "status", 101: "temperature"}
    verdict = judged(
        tmp_path, [fault("A-001", "row.poisoned", column, n, n) for n, column in bad.items()], []
    )
    figures = scored(verdict)
    assert figures["recall.row.poisoned"] == 1.0
    # rows are recorded half a minute after their time here
    assert figures["delay.row.poisoned"] <= 30
    for rule in ("time.range", "time.future", "time.stale", "state"):
        assert figures[f"precision.{rule}"] == 1.0, rule
    assert figures["precision.stuck"] == 0.0


def test_a_truth_file_without_clock_fault_columns_is_read(tmp_path):
    lakebuilder.write_nodes(tmp_path / "nodes")
    lakebuilder.write_lake(tmp_path / "lake", lakebuilder.build())
    (tmp_path / "truth").mkdir()
    old = pa.Table.from_pylist(FAULTS, schema=TRUTH).drop_columns(["offset_us"])
    pq.write_table(old, tmp_path / "truth" / "faults-A.parquet")
    verdict = judge(tmp_path / "nodes", LakeReader.folder(tmp_path / "lake"), tmp_path / "truth", 1)
    assert scored(verdict)["found"] == 5


def test_an_unknown_kind_explains_alarms_and_is_not_scored(tmp_path):
    verdict = judged(tmp_path, [fault("A-001", "sensor.haunted", None, 1, 800)], [])
    figures = scored(verdict)
    assert (figures["faults"], figures["precision.range"]) == (0, 1.0)
    assert figures["precision"] < 1.0  # other turbines' alarms stay false


def test_without_ground_truth_there_is_no_score(tmp_path):
    verdict = judged(tmp_path, None, [])
    assert (scored(verdict), verdict.detection) == ({}, [])
    assert not scored(judge(tmp_path / "nodes", LakeReader.folder(tmp_path / "lake"), None, 1))


def test_every_figure_has_a_name_and_every_kind_of_fault_has_signals():
    names = [f"detection.recall.{k}" for k in DATA_FAULTS] + [
        f"detection.delay.{k}" for k in DATA_FAULTS
    ]
    names += [f"detection.precision.{signal}" for signal in SIGNALS] + [
        "detection.delay.p50",
        "detection.delay.p95",
    ]
    assert sorted(names) == sorted(
        name for name in FIGURES if name.startswith("detection.") and name.count(".") > 1
    )
    assert set(SIGNALS) == {*ANOMALIES, *RULES}
    for kind in DATA_FAULTS:
        channels = KINDS[kind].channels or (None,)
        assert all(signals(kind, channel) for channel in channels)
    assert signals("row.late", None) == frozenset()
    assert signals("sensor.haunted", None) is None


def test_reports_show_detection_only_with_a_score():
    def shown(result: Result) -> tuple[str, str]:
        console = Console(width=80, record=True, file=io.StringIO())
        print_summary(console, result, Path("runs/x"))
        return console.export_text(), render(result, None)

    plain = report_samples.passed()
    (text, page) = shown(plain)
    assert "found  " not in text
    assert "Detectable" not in page
    truth = [
        dataclasses.replace(plain.truth[0], detectable=31, found=29, delay_s=61.0),
        *plain.truth[1:],
    ]
    (text, page) = shown(dataclasses.replace(plain, truth=tuple(truth)))
    assert re.search(r"sensor.stuck +31 +1,240 +29 of 31 +1 min 1 s +stuck 389", text)
    assert re.search(r"row.late +40 +40 +– +–", text)
    assert '<td class="n">31</td><td class="n">29</td><td class="n">1 min 1 s</td>' in page
