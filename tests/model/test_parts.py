"""Parts of a farm: bit for bit the rows, truth, states, orders and wear of the whole farm."""

import dataclasses
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import seeds
from sim.fleet.nodes import node_configs
from sim.fleet.part import FarmPart
from sim.model.clock import SimClock
from sim.model.events import Event
from sim.model.farm import FarmModel
from sim.model.faults.catalogue import KINDS, DataFault
from sim.model.machine.sensor import Sensors
from sim.model.machine.yaw import Yaw
from sim.model.wind.wake import SECTORS, STEP_DEG, Wakes
from tests.support.simulated import FLEET, START_US, small

DAY_S = 86_400.0
JUNE_US = 1_717_200_000_000_000  # 2024-06-01T00:00:00Z, in the season of service
EVERY_FAULT = tuple(
    DataFault(kind, 0.0 if each.by_calendar else 40.0, whole_farm=not number % 5)
    for number, (kind, each) in enumerate(KINDS.items())
)
EVENTS = (
    Event("machine.failure", 0.0, 9 * DAY_S, turbines=("{}-001", "{}-009"), component="gearbox"),
    Event("machine.failure", 0.0, 1200.0, turbines=("{}-012",), component="yaw"),
    Event("grid.outage", 600.0, 300.0),
    Event("grid.curtailment", 1500.0, 600.0, size=0.5),
    Event("weather.storm", 2 * DAY_S, DAY_S),
    Event("weather.icing", 5 * DAY_S, 2 * DAY_S),
    Event("weather.calm", 9 * DAY_S, DAY_S),
)
TURBINES = 33
WORLDS = {
    "seconds": ("D", SimClock(START_US, 1_000_000, 700), (*range(9), TURBINES)),
    "cold": ("G", SimClock(START_US, 1_000_000, 1300), (0, 2, 5, 10, 17, TURBINES)),
    "half minutes": ("A", SimClock(START_US, 30_000_000, 2000), (0, 16, 17, 20, TURBINES)),
    "weeks": ("F", SimClock(JUNE_US, 3_600_000_000, 11 * 24), (0, 1, TURBINES)),
    "clock change": ("E", SimClock(1_729_987_200_000_000, 600_000_000, 600), (0, 7, TURBINES)),
}
"""Farm, clock and cuts of each world, by name."""


def events(farm_id):
    return [
        dataclasses.replace(event, turbines=tuple(name.format(farm_id) for name in event.turbines))
        for event in EVENTS
    ]


class Run:
    """All that a part's simulation gives: columns by turbine and channel, and tables."""

    def __init__(self, part, clock, faults):
        rate = 3.0 / clock.days / 40.0
        faults = [dataclasses.replace(f, rate_per_day=f.rate_per_day * rate) for f in faults]
        env, model = (
            simpy.Environment(),
            FarmModel(part, clock, 7, faults, events(part.farm.farm_id)),
        )
        model.start(env)
        self.rows = {name: [] for name in part.turbine_ids}
        self.odd = {name: [] for name in part.turbine_ids}
        for first, last in pairwise((0, clock.samples // 3, clock.samples)):
            env.run(until=max(clock.seconds(last - 1), env.now + 1e-6))
            block = model.block(first, last)
            self._note(block, part)
        self.tables = {
            "truth": model.truth(),
            "states": model.states(),
            "orders": model.orders(),
            "wear": model.wear(),
        }

    def _note(self, block, part):
        for place, name in enumerate(part.turbine_ids):
            own = slice(int(block.offsets[place]), int(block.offsets[place + 1]))
            columns = {**block.columns, **block.extra}
            assert (columns.pop("turbine")[own] == place).all()
            self.rows[name].append(
                {
                    column: values[own].tobytes()
                    for column, values in columns.items()
                    if column not in block.extra or not np.isnan(values[own]).all()
                }
            )
            self.odd[name] += sorted(
                (row - own.start, column, repr(value))
                for (row, column), value in block.cells.items()
                if own.start <= row < own.stop
            )
            self.odd[name] += [
                (change.row - own.start, change.kind, change.channel)
                for change in block.changes
                if change.turbine == place
            ]


def in_order(table):
    return table.sort_by([(name, "ascending") for name in table.column_names])


@pytest.fixture(scope="module")
def whole():
    """Return the whole farms' runs by name, made once."""
    made = {}

    def run(name):
        if name not in made:
            farm_id, clock, _ = WORLDS[name]
            part = FarmPart.whole(small(farm_id, TURBINES))
            made[name] = part, Run(part, clock, EVERY_FAULT)
        return made[name]

    return run


def compare(part, whole, clock, cuts, faults=EVERY_FAULT):
    parts = [Run(FarmPart(part.farm, *cut), clock, faults) for cut in pairwise(cuts)]
    for run in parts:
        for name, rows in run.rows.items():
            for block, (one, other) in enumerate(zip(whole.rows[name], rows, strict=True)):
                assert one.keys() == other.keys()
                differ = [column for column in one if one[column] != other[column]]
                assert not differ, (name, block, differ)
            assert whole.odd[name] == run.odd[name]
    for name, table in whole.tables.items():
        joined = pa.concat_tables([run.tables[name] for run in parts])
        assert in_order(joined).equals(in_order(table)), name


@pytest.mark.parametrize("name", WORLDS)
def test_parts_are_bit_for_bit_the_whole_farm(whole, name):
    compare(*whole(name), *WORLDS[name][1:])


def test_the_worlds_have_what_they_compare(whole):
    runs = {name: whole(name)[1] for name in WORLDS}
    kinds = {kind for run in runs.values() for kind in run.tables["truth"]["kind"].to_pylist()}
    assert kinds == set(KINDS)
    works = {work for run in runs.values() for work in run.tables["orders"]["work"].to_pylist()}
    assert works >= {"reset", "minor", "major", "replacement", "service", "stop", "outage"}
    worn = {kind for run in runs.values() for kind in run.tables["wear"]["kind"].to_pylist()}
    assert worn >= {"machine.ice", "machine.gearbox", "machine.yaw"}
    states = {state for run in runs.values() for state in run.tables["states"]["state"].to_pylist()}
    assert len(states) == 6, states


@pytest.mark.parametrize("name", ["cold", "clock change"])
def test_values_before_rounding_are_bit_for_bit_those_of_the_whole_farm(monkeypatch, name):
    """A sensor's resolution would hide last digits that depend on the number of turbines."""
    monkeypatch.setattr(Sensors, "read", lambda self, name, true, noise: true + noise)
    farm_id, clock, _ = WORLDS[name]
    clock = dataclasses.replace(clock, samples=clock.samples // 2)
    part = FarmPart.whole(small(farm_id, TURBINES))
    compare(part, Run(part, clock, ()), clock, (0, 1, 3, 6, 11, 18, TURBINES), ())


@settings(max_examples=4, deadline=None)
@given(inner=st.sets(st.integers(1, TURBINES - 1), max_size=2))
def test_any_cut_gives_the_same_bytes(whole, inner):
    compare(*whole("cold"), WORLDS["cold"][1], (0, *sorted(inner), TURBINES))


def test_cables_of_a_part_are_untwisted_at_the_whole_farms_times():
    """A machine that unwinds must not change when its neighbours look at their cables."""
    farm, count = small("D", 12), 40_000
    vane = np.repeat(np.linspace(0.0, 4000.0, count)[:, None], 12, axis=1)

    def unwound(part):
        yaw, own = Yaw(part, 7, 1.0), part.own
        available = np.ones((count, part.turbines), dtype=bool)
        nacelle, _, unwinding = yaw.advance(
            0, vane[:, own].copy(), available, np.zeros(part.turbines)
        )
        return nacelle, unwinding

    nacelle, unwinding = unwound(FarmPart.whole(farm))
    assert unwinding.any(axis=0).all()
    for cut in ((0, 1), (1, 5), (5, 12)):
        part = FarmPart(farm, *cut)
        one, other = unwound(part)
        assert np.array_equal(one, nacelle[:, part.own])
        assert np.array_equal(other, unwinding[:, part.own])


def test_a_part_has_the_configurations_of_the_whole_farm():
    farm = small("G", 20)
    whole = node_configs(farm, 7)
    cut = [node_configs(FarmPart(farm, *cut), 7) for cut in ((0, 3), (3, 4), (4, 20))]
    assert [config for part in cut for config in part] == whole


def test_wakes_of_a_part_are_those_of_the_whole_farm():
    """Turbines upstream count as far as the iterations reach, and no farther."""
    farm = FLEET["F"]
    every, cut = FarmPart.whole(farm), FarmPart(farm, 100, 131)
    bearing = np.arange(0.0, 360.0, 7 * STEP_DEG)
    speed = np.linspace(4.0, 22.0, len(bearing))
    for one, other in zip(
        Wakes(every, 7).at(bearing, speed), Wakes(cut, 7).at(bearing, speed), strict=True
    ):
        assert one[:, cut.own].tobytes() == other.tobytes()
    assert SECTORS * STEP_DEG == 360.0


@pytest.mark.parametrize("first", [0, 1, 7, 8, 9, 19])
def test_random_numbers_of_a_turbine_do_not_depend_on_the_others(first):
    whole, cut = range(20), range(first, 20)
    one, other = (seeds.normals(each, 60, 7, "test") for each in (whole, cut))
    assert np.array_equal(one[:, first:], other)
    assert abs(np.corrcoef(seeds.normals(range(40), 20_000, 7, "test").T) - np.eye(40)).max() < 0.04
    places = []
    for each in (whole, cut):
        places.append(np.zeros((60, len(each)), dtype=np.uint64))
        seeds.place(seeds.raws(each, 60, 7, "test"), each, places[-1])
    assert np.array_equal(places[0][:, first:], places[1])
    assert len(np.unique(places[0])) == places[0].size


def test_parts_have_names_of_their_own():
    farm = small("F", 240)
    assert FarmPart.whole(farm).name == "F"
    assert FarmPart(farm, 120, 240).name == "F-121-240"
    assert FarmPart(farm, 0, 1).name == "F-001-001"
    assert FarmPart(farm, 120, 240).turbine_ids == farm.turbine_ids[120:]
    for first, last in ((3, 3), (-1, 2), (5, 241)):
        with pytest.raises(ValueError, match="no part of farm F"):
            FarmPart(farm, first, last)
