"""Faults of the data, kind by kind: stored rows, recorded truth, and the pipeline's results."""

from __future__ import annotations

import dataclasses
import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simpy

from pipeline.records import CHANNEL_NAMES, CHANNELS, NODE_COLUMNS, RULES, TABLE
from sim import check
from sim.campaign.in_process_run import run_clean, run_once
from sim.campaign.memory_store import dump
from sim.campaign.plan import random_line
from sim.campaign.schedule import parse
from sim.campaign.world import make_world
from sim.chaos.faults import FOREIGN
from sim.check.detection.signals import DATA_FAULTS, signals
from sim.check.expected.rows import expect
from sim.check.read.nodes import discover, read_config, read_rows
from sim.fleet import Farm, load_fleet
from sim.fleet.nodes import node_configs
from sim.fleet.part import FarmPart
from sim.model.clock import SimClock
from sim.model.farm import FarmModel
from sim.model.faults.catalogue import KINDS, DataFault
from sim.model.faults.clock_changes import clock_changes
from sim.model.faults.expected import expected
from sim.model.faults.poison import CHANNEL, POISONS
from sim.model.faults.schedule import SENTINELS, UNITS, schedule
from sim.model.faults.truth import TRUTH
from sim.model.machine.sensor import SENSORS
from sim.model.recording.nodefile import NodeWriter
from sim.scenario import load
from tests.support.paths import SCENARIOS

SCENARIO = SCENARIOS / "data-faults.yaml"
SECOND = 1_000_000
START_US = 1_729_987_200 * SECOND  # 2024-10-27T00:00:00Z; clocks go back in Dublin at 01:00
CHANGE = 3600  # sample of that
FLEET = {farm.farm_id: farm for farm in load_fleet().farms}
N, SAMPLES = 12, 5400
CLOCK = SimClock(START_US, SECOND, SAMPLES)
Columns = dict[str, Any]


def small(farm_id: str, turbines: int) -> Farm:
    farm = FLEET[farm_id]
    return farm.first(turbines)


FARM = small("E", N)


def run(
    faults: Sequence[DataFault],
    farm: Farm = FARM,
    clock: SimClock = CLOCK,
    cuts: Sequence[int] = (),
) -> tuple[list[dict[str, Any]], Columns, dict[tuple[int, int, str], object]]:
    """Run a farm with faults; return its truth, columns and odd cells.

    - Truth: times as samples, turbine as index.
    - Columns: sorted by (turbine, id).
    - Odd cells: by (turbine, id).
    """
    env = simpy.Environment()
    model = FarmModel(FarmPart.whole(farm), clock, 7, faults)
    model.start(env)
    parts, cells = [], {}
    for first, last in pairwise((0, *cuts, clock.samples)):
        if (until := clock.seconds(last - 1)) > env.now:
            env.run(until=until)
        block = model.block(first, last)
        parts.append(block.columns)
        for (row, name), value in block.cells.items():
            cells[int(block.columns["turbine"][row]), int(block.columns["id"][row]), name] = value
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.lexsort((columns["id"], columns["turbine"]))
    told = []
    for event in model.truth().to_pylist():
        for side in ("from", "to"):
            event[side] = round(
                (event[side].timestamp() * SECOND - clock.start_us) / clock.sample_us
            )
        told.append(event | {"turbine": farm.turbine_ids.index(event["turbine_id"])})
    return told, {name: column[order] for name, column in columns.items()}, cells


@pytest.fixture(scope="module")
def healthy() -> Columns:
    """The same farm without faults; row of turbine t and sample s: t * SAMPLES + s."""
    return run([])[1]


def often(kind: str, times: float = 3.0, **settings: Any) -> DataFault:
    """Return a fault that occurs `times` times per turbine in the run."""
    return DataFault(kind, times / CLOCK.days, **settings)


def all_kinds(days: float, length: float) -> tuple[DataFault, ...]:
    """Every kind a few times, `length` seconds each; three of them hit a whole farm at a time."""
    faults = []
    for name, kind in KINDS.items():
        if not kind.by_calendar:
            delay = length if kind.delay_s is not None else None
            lasts = length if kind.duration_s is not None else None
            faults.append(DataFault(name, 3 / days, duration_s=lasts, delay_s=delay))
    faults.append(DataFault("clock.dst", duration_s=5 * length, share=0.7))
    whole = ("row.missing", "clock.skew", "sensor.stuck")
    return (
        *faults,
        *(DataFault(name, 2 / days, duration_s=length, whole_farm=True) for name in whole),
    )


# --- reproducible ---------------------------------------------------------------------------------


@pytest.mark.parametrize("step_us", [SECOND // 4, SECOND, 60 * SECOND])
def test_a_run_does_not_depend_on_block_sizes(step_us: int) -> None:
    farm = small("E", 5)
    clock = SimClock(START_US + CHANGE * SECOND - 700 * step_us, step_us, 1500)
    faults = all_kinds(clock.days, 90 * clock.step_s)
    told, whole, cells = run(faults, farm, clock)
    assert {event["kind"] for event in told} == set(KINDS)
    assert cells
    draw = random.Random(step_us)
    for number in (1, 5, 40):
        cuts = sorted(draw.sample(range(1, 1500), number))
        told_cut, cut, cells_cut = run(faults, farm, clock, cuts)
        assert told_cut == told, cuts
        assert all(
            np.array_equal(whole[n], cut[n], equal_nan=whole[n].dtype.kind == "f") for n in whole
        ), cuts
        assert repr(sorted(cells_cut.items())) == repr(sorted(cells.items())), (
            cuts
        )  # repr: a NaN equals itself


def test_an_occurrence_depends_on_seed_place_and_turbine_only() -> None:
    faults = all_kinds(CLOCK.days, 60.0)
    few, many = (
        [
            [event[name] for name in ("turbine", "kind", "channel", "from", "to", "offset_us")]
            for event in run(faults, farm)[0]
        ]
        for farm in (small("E", 4), FARM)
    )
    assert few == [event for event in many if event[0] < 4]


def test_a_large_farm_is_scheduled_quickly() -> None:
    year = SimClock(START_US, 600 * SECOND, 52_560)
    events = schedule(
        FarmPart.whole(FLEET["F"]), year, 7, [DataFault(name, 1 / 36.5) for name in KINDS]
    )
    assert len(events) > 300 * 10 * (len(KINDS) - 1)


# --- sensors --------------------------------------------------------------------------------------


def of_event(event: dict[str, Any], data: Columns, healthy: Columns) -> tuple[Any, Any]:
    """Return the channel's readings under a fault and without it."""
    at = slice(event["turbine"] * SAMPLES + event["from"], event["turbine"] * SAMPLES + event["to"])
    return data[event["channel"]][at], healthy[event["channel"]][at]


def test_a_bias_is_constant(healthy: Columns) -> None:
    told, data, _ = run([often("sensor.bias", 1.0, duration_s=300.0)])
    seen = {(event["turbine"], event["channel"]) for event in told}
    for event in told:
        now, before = of_event(event, data, healthy)
        size = float(event["detail"].removeprefix("by "))
        if [
            e for e in told if (e["turbine"], e["channel"]) == (event["turbine"], event["channel"])
        ] == [event]:
            assert np.abs(now - before - size).max() <= 0.5 / SENSORS[event["channel"]].steps + 1e-9
            assert event["rows"] == len(now)
    assert len(seen) > 5


def test_a_sentinel_replaces_readings(healthy: Columns) -> None:
    told, data, _ = run([often("sensor.sentinel", duration_s=100.0)])
    values = set()
    for event in told:
        values.add(value := float(event["detail"].removeprefix("held at ")))
        now, _ = of_event(event, data, healthy)
        assert (now == value).any()
        assert event["rows"] <= len(now)
    assert values == set(SENTINELS)


def test_a_wrong_unit_scales_the_reading(healthy: Columns) -> None:
    told, data, _ = run([often("sensor.unit", 6.0, duration_s=60.0)])
    units = {unit.name: unit for channel in UNITS for unit in UNITS[channel]}
    seen = set()
    for event in told:
        others = [
            e for e in told if (e["turbine"], e["channel"]) == (event["turbine"], event["channel"])
        ]
        if others == [event]:
            now, before = of_event(event, data, healthy)
            unit = units[event["detail"].removeprefix("in ")]
            assert np.allclose(now, before * unit.factor + unit.zero, atol=1e-4)
            seen.add((event["channel"], unit.name))
    assert len(seen) >= 10
    assert set(UNITS) == set(CHANNEL_NAMES)


# --- rows -----------------------------------------------------------------------------------------


def samples_of(data: Columns) -> Any:
    return (data["timestamp"] - START_US) // SECOND


def test_missing_rows_leave_no_gap_in_the_ids_and_are_counted(healthy: Columns) -> None:
    told, data, _ = run([often("row.missing", duration_s=200.0)])
    missing = np.zeros((N, SAMPLES), dtype=bool)
    for event in told:
        missing[event["turbine"], event["from"] : event["to"]] = True
        assert (event["first_id"], event["last_id"]) == (None, None)
    assert sum(event["rows"] for event in told) == missing.sum() > 1000
    stored = np.zeros_like(missing)
    stored[data["turbine"], samples_of(data)] = True
    assert (stored == ~missing).all()
    for turbine in range(N):
        ids = data["id"][data["turbine"] == turbine]
        assert np.array_equal(ids, np.arange(1, len(ids) + 1))
    assert np.array_equal(data["temperature"], healthy["temperature"][~missing.ravel()])


def test_rows_out_of_order_are_shuffled_and_no_later_than_the_delay(healthy: Columns) -> None:
    told, data, _ = run([often("row.out-of-order", 2.0, duration_s=120.0, delay_s=30.0)])
    lateness = data["recorded_at"] - data["timestamp"]
    moved = np.zeros(len(lateness), dtype=bool)
    held = np.zeros((N, SAMPLES), dtype=bool)
    unrecorded = 0
    for event in told:
        own = data["turbine"] == event["turbine"]
        own &= (data["id"] >= event["first_id"]) & (data["id"] <= event["last_id"])
        moved |= own & (samples_of(data) >= event["from"]) & (samples_of(data) < event["to"])
        held[event["turbine"], event["from"] : event["to"]] = True
        unrecorded += (
            int(event["detail"].split(", ")[1].split()[0])
            if "not recorded" in event["detail"]
            else 0
        )
        assert event["rows"] < 100 or (np.diff(samples_of(data)[own]) < 0).mean() > 0.2
    assert (
        sum(event["rows"] for event in told) + unrecorded == held.sum() == moved.sum() + unrecorded
    )
    assert lateness[moved].max() > 20 * SECOND
    assert lateness.max() < 30.2 * SECOND
    assert lateness[~moved].max() < SECOND
    for turbine in range(N):
        own = data["turbine"] == turbine
        assert (np.diff(data["recorded_at"][own]) >= 0).all()
        back = np.argsort(data["timestamp"][own])
        same = healthy["wind_speed"][healthy["turbine"] == turbine][samples_of(data)[own][back]]
        assert np.array_equal(data["wind_speed"][own][back], same)


def judged_rules(folder: Path) -> dict[tuple[int, int], str]:
    """Return (turbine, id) -> the first rule that the stored row breaks, by the oracle."""
    files = discover(folder)
    found = expect([read_config(file) for file in files], [read_rows(file) for file in files])
    rows = np.flatnonzero(found.rule >= 0).tolist()
    return {(int(found.owner[row]), int(found.id[row])): RULES[found.rule[row]] for row in rows}


def test_each_poison_breaks_the_rule_it_names(tmp_path: Path) -> None:
    env, model = (
        simpy.Environment(),
        FarmModel(FarmPart.whole(FARM), CLOCK, 7, [often("row.poisoned", 40.0)]),
    )
    model.start(env)
    env.run(until=CLOCK.seconds(SAMPLES - 1))
    with NodeWriter(tmp_path, FarmPart.whole(FARM), node_configs(FARM, 7)) as writer:
        writer.write(model.block(0, SAMPLES))
    broken = judged_rules(tmp_path)
    seen = set()
    told = model.truth().to_pylist()
    for event in told:
        text, rule = event["detail"].split(", breaks ")
        if event["rows"]:
            assert event["first_id"] == event["last_id"]
            assert broken[FARM.turbine_ids.index(event["turbine_id"]), event["first_id"]] == rule, (
                event
            )
            assert rule in (signals("row.poisoned", event["channel"]) or ())
            assert event["channel"] in (*CHANNEL_NAMES, *NODE_COLUMNS)
            seen.add(text)
    assert seen == {poison.text for poison in POISONS}
    named = {(FARM.turbine_ids.index(e["turbine_id"]), e["first_id"]) for e in told}
    assert set(broken) == {key for key in named if key[1]}
    with closing(sqlite3.connect(tmp_path / "E" / "E-001.db")) as connection:
        kinds = {
            row[0] for row in connection.execute(f"SELECT DISTINCT typeof(wind_speed) FROM {TABLE}")
        }
    assert kinds <= {"real", "null", "text", "blob"}


def test_poison_can_be_limited_to_channels() -> None:
    told, _, cells = run([often("row.poisoned", channels=("power_output",))])
    assert {event["channel"] for event in told} == {name for *_, name in cells} == {"power_output"}
    assert {event["detail"].split(",")[0] for event in told} <= {
        p.text for p in POISONS if p.column == CHANNEL
    }


# --- clocks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "by_s"),
    [
        (often("clock.skew", 1.0, duration_s=600.0, by_s=-7.5), -7.5),
        (often("clock.step", 1.0, duration_s=600.0, by_s=-3600.0), -3600.0),
        (often("clock.step", 1.0, duration_s=600.0, by_s=3600.0), 3600.0),
        (DataFault("clock.dst", duration_s=900.0), -3600.0),
    ],
)
def test_a_wrong_clock_changes_timestamps_only(
    healthy: Columns, fault: DataFault, by_s: float
) -> None:
    told, data, _ = run([fault])
    off = np.zeros((N, SAMPLES))
    for event in told:
        off[event["turbine"], event["from"] : event["to"]] += by_s
        assert event["offset_us"] == by_s * SECOND
        assert (event["first_id"], event["last_id"]) == (event["from"] + 1, event["to"])
        assert event["rows"] == event["to"] - event["from"]
    assert off.any()
    for name in ("timestamp", "recorded_at"):
        assert np.array_equal(data[name] - healthy[name], (off * SECOND).astype(int).ravel()), name
    for name in ("id", "status", *CHANNEL_NAMES):
        assert np.array_equal(data[name], healthy[name]), name
    if fault.kind == "clock.dst":
        assert {(event["from"], event["to"]) for event in told} == {(CHANGE, CHANGE + 900)}
        assert len(told) == N


def test_a_late_row_has_clock_readings_of_its_sampling_and_its_storing() -> None:
    """Sampled before the step, stored during it: recorded an hour before its own timestamp."""
    late, step = (
        often("row.late", 4.0, duration_s=60.0, delay_s=300.0),
        often("clock.step", 2.0, by_s=-3600.0),
    )
    _, data, _ = run([late, step])
    lag = (data["recorded_at"] - data["timestamp"]) // SECOND
    assert {0, 300, 300 - 3600, 300 + 3600} >= set(lag.tolist()) > {0, 300 - 3600}


def test_drawn_skews_are_of_seconds_and_of_minutes() -> None:
    sizes = np.array([event["offset_us"] for event in run([often("clock.skew", 20.0)])[0]]) / SECOND
    assert 1 <= np.abs(sizes).min() < 10
    assert 100 < np.abs(sizes).max() <= 600
    assert set(np.sign(sizes)) == {-1, 1}


@pytest.mark.parametrize(
    ("zone", "day_us", "change"),
    [
        ("Europe/Dublin", START_US, (CHANGE, -3600)),
        ("Europe/Dublin", 1_711_843_200 * SECOND, (3600, 3600)),  # 2024-03-31
        ("America/New_York", 1_730_592_000 * SECOND, (6 * 3600, -3600)),  # 2024-11-03
        ("Asia/Jakarta", START_US, None),
    ],
)
def test_clocks_change_at_the_time_zones_transitions(
    zone: str, day_us: int, change: tuple[int, int] | None
) -> None:
    found = clock_changes(zone, day_us, day_us + 86_400 * SECOND)
    assert found == ([(day_us + change[0] * SECOND, change[1] * SECOND)] if change else [])
    if change:
        at = day_us + change[0] * SECOND
        assert clock_changes(zone, day_us, at) == []
        assert len(clock_changes(zone, at, at + SECOND)) == 1
        assert len(clock_changes(zone, day_us, day_us + 366 * 86_400 * SECOND)) in (2, 3)


# --- whole farms ----------------------------------------------------------------------------------


def test_a_fault_of_a_whole_farm_hits_all_turbines_at_the_same_time() -> None:
    faults = [
        often("row.missing", duration_s=100.0, whole_farm=True),
        often("sensor.stuck", whole_farm=True),
    ]
    told = run(faults)[0]
    alike: dict[Any, set[int]] = {}
    for event in told:
        alike.setdefault((event["kind"], event["channel"], event["from"], event["to"]), set()).add(
            event["turbine"]
        )
    assert len(alike) >= 2
    assert all(turbines == set(range(N)) for turbines in alike.values())
    assert {e["from"] for e in told} != {e["from"] for e in run(faults, small("F", N))[0]}


def test_expected_numbers_equal_the_mean_of_many_runs() -> None:
    farm, clock = small("F", 50), SimClock(START_US, 60 * SECOND, 14_400)
    for fault in (DataFault("row.missing", 3.0), DataFault("row.missing", 3.0, whole_farm=True)):
        mean = np.mean(
            [len(schedule(FarmPart.whole(farm), clock, seed, [fault])) for seed in range(40)]
        )
        assert mean == pytest.approx(expected(farm, clock.start_us, clock.end_us, fault), rel=0.1)
    some = DataFault("clock.dst", share=0.5)
    mean = np.mean([len(schedule(FarmPart.whole(farm), clock, seed, [some])) for seed in range(40)])
    assert mean == pytest.approx(expected(farm, clock.start_us, clock.end_us, some), rel=0.1)


# --- the pipeline under all faults ----------------------------------------------------------------


def test_every_kind_is_known_to_detection() -> None:
    for name, kind in KINDS.items():
        for channel in kind.channels or (None,):
            found = signals(name, channel)
            assert found is not None, f"{name}: add its signals to sim.check.detection.signals"
            assert bool(found) or name not in DATA_FAULTS
    assert {c.name for c in CHANNELS if c.stuck} == set(KINDS["sensor.stuck"].channels)
    assert "offset_us" in TRUTH.names


def test_the_shipped_scenario_has_every_kind_and_each_entry_occurs() -> None:
    scenario = load(SCENARIO)
    clock = SimClock(scenario.clock.start_us, scenario.clock.sample_us, scenario.clock.samples)
    assert {fault.kind for fault in scenario.data_faults} == set(KINDS)
    for place, fault in enumerate(scenario.data_faults):
        before = [
            dataclasses.replace(other, farms=("none",)) for other in scenario.data_faults[:place]
        ]
        assert any(
            schedule(FarmPart.whole(farm), clock, scenario.seed, [*before, fault])
            for farm in scenario.fleet.farms
        ), fault


def test_the_lake_is_correct_and_equal_under_all_delivery_faults(tmp_path: Path) -> None:
    """The shipped scenario, smaller and in process, without and with faults of delivery."""
    smaller = ["fleet.turbines=8", "clock.sample_every=30s", "pipeline.flush_every=30m"]
    world = make_world(load(SCENARIO, smaller), tmp_path / "world")
    clean = run_clean(world)
    dump(clean.store, tmp_path / "lake")
    verdict = check.judge(world.final, check.LakeReader.folder(tmp_path / "lake"), None, 1)
    assert verdict.status == "pass"
    assert verdict.figures["windows.revised"] > 0
    lines = [random_line(world, len(clean.log), 1, index) for index in range(2)]
    lines.append(
        parse(
            "seed=5 store.error%0.1 store.ack-lost%0.05 node.crash/after#40 node.second-writer#60"
        )
    )
    for line in lines:
        outcome = run_once(world, clean, line)
        assert outcome.broken == [], line
        assert outcome.digest == clean.outcome.digest or FOREIGN in {
            fired.kind for fired in outcome.fired
        }
