"""The farm model: independent of block sizes, physically plausible, exact truth of its faults."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
import simpy

from pipeline import records
from pipeline.records import CHANNEL_NAMES, STATES
from sim.fleet.part import FarmPart
from sim.model.clock import SimClock
from sim.model.farm import FarmModel
from sim.model.faults.catalogue import KINDS, DataFault
from tests.support.simulated import FLEET, START_US, run, small

ALL = pytest.mark.campaign
DAYS = 12  # of January, and of July
EVERY_KIND = tuple(
    DataFault(kind, 60.0, duration_s=duration, delay_s=delay)
    for kind, duration, delay in (
        ("sensor.stuck", 120.0, None),
        ("sensor.dropout", 30.0, None),
        ("sensor.spike", None, None),
        ("sensor.drift", 400.0, None),
        ("row.late", 60.0, 200.0),
        ("row.duplicate", 20.0, None),
    )
)


def same(one, other):
    return all(
        np.array_equal(one[name], other[name], equal_nan=one[name].dtype.kind == "f")
        for name in one
    )


# --- reproducible ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("farm_id", "step_us"), [("D", 1_000_000), ("D", 250_000), ("D", 60_000_000), ("E", 1_000_000)]
)
def test_a_run_does_not_depend_on_block_sizes(farm_id, step_us):
    """Farm E's wind is near cut-in speed, where the controller's memory matters."""
    farm, clock = small(farm_id, 12), SimClock(START_US, step_us, 1500)
    faults = tuple(dataclasses.replace(f, rate_per_day=4.0 / clock.days) for f in EVERY_KIND)
    whole_model, whole = run(farm, clock, faults=faults)
    for cuts in ((1, 2, 7, 599, 600, 601, 1200, 1499), tuple(range(60, 1500, 60)), (750,)):
        model, cut = run(farm, clock, faults=faults, cuts=cuts)
        assert same(whole, cut)
        assert model.truth().equals(whole_model.truth())
        assert model.states().equals(whole_model.states())


def test_other_farms_in_the_same_environment_change_nothing():
    farm, clock, env = small("C", 20), SimClock(START_US, 10_000_000, 2000), simpy.Environment()
    for neighbour in ("A", "D"):
        FarmModel(FarmPart.whole(small(neighbour, 30)), clock, 7).start(env)
    assert same(run(farm, clock, env=env)[1], run(farm, clock)[1])


def test_a_longer_run_begins_with_the_shorter_one():
    farm = small("A", 5)
    short, long = (run(farm, SimClock(START_US, 1_000_000, n))[1] for n in (700, 1300))
    keep = long["id"] <= 700
    assert same(short, {name: column[keep] for name, column in long.items()})


def test_another_seed_is_another_run():
    farm, clock = small("A", 3), SimClock(START_US, 1_000_000, 60)
    one, other = run(farm, clock, seed=7)[1], run(farm, clock, seed=8)[1]
    assert not any(
        np.array_equal(one[name], other[name]) for name in ("wind_speed", "vibration_level")
    )


def test_blocks_must_be_consecutive():
    model = FarmModel(FarmPart.whole(small("A", 2)), SimClock(START_US, 1_000_000, 60), 7)
    model.start(simpy.Environment())
    with pytest.raises(ValueError, match=r"block\(10, 20\) does not follow on sample 0 of 60"):
        model.block(10, 20)
    with pytest.raises(ValueError, match="does not follow"):
        model.block(0, 61)


def test_farms_of_a_region_share_its_weather():
    clock = SimClock(START_US, 600_000_000, 6 * 24 * 8)
    hourly = {}
    for farm_id in ("A", "C", "D"):
        wind = run(small(farm_id, 1), clock)[1]["wind_speed"]
        hourly[farm_id] = wind.reshape(-1, 6).mean(axis=1)
    assert np.corrcoef(hourly["C"], hourly["D"])[0, 1] > 0.6  # 120 km apart
    assert abs(np.corrcoef(hourly["A"], hourly["C"])[0, 1]) < 0.5


# --- physically plausible -------------------------------------------------------------------------


def broken_rules(farm, data):
    """Rows that break each rule of records.RULES, for a healthy farm; the rules again in numpy."""
    rated = farm.turbine_type.rated_power
    found = {"time": int((np.abs(data["recorded_at"] - data["timestamp"]) > 200_000).sum())}
    for channel in records.CHANNELS:
        x = data[channel.name]
        # NaN too
        found[f"range {channel.name}"] = int((~((x >= channel.low) & (x <= channel.high))).sum())
    found["direction"] = int((data["wind_direction"] >= 360).sum())
    power = data["power_output"]
    found["power.rotor"] = int(((power > 0.1 * rated) & (data["rotor_rpm"] < 0.5)).sum())
    found["power.rated"] = int((power > 1.05 * rated).sum())
    found["power.wind"] = int(((power > 0.1 * rated) & (data["wind_speed"] < 1.0)).sum())
    for channel in (c for c in records.CHANNELS if c.stuck):
        x, turbine, time = data[channel.name], data["turbine"], data["timestamp"]
        fresh = np.r_[True, (x[1:] != x[:-1]) | (turbine[1:] != turbine[:-1])]
        start = np.flatnonzero(fresh)[np.cumsum(fresh) - 1]
        length = np.arange(len(x)) - start + 1
        stuck = (
            (length >= records.STUCK_ROWS)
            & (time - time[start] >= records.STUCK_AFTER_US)
            & (x != 0)
        )
        found[f"stuck {channel.name}"] = int(stuck.sum())
    found["id"] = int(((np.diff(data["id"]) != 1) & (np.diff(data["turbine"]) == 0)).sum())
    return {name: count for name, count in found.items() if count}


def worn(model, data):
    """Mask of rows with wear or ice by the truth, or in the hours after it (cooling)."""
    mask = np.zeros(len(data["id"]), dtype=bool)
    for each in model.wear().to_pylist():
        own = data["turbine"] == model.part.turbine_ids.index(each["turbine_id"])
        begin, end = (each[side].timestamp() * 1e6 for side in ("from", "to"))
        mask |= own & (data["timestamp"] >= begin) & (data["timestamp"] < end + 2 * 3600e6)
    return mask


@pytest.mark.parametrize(
    ("step_s", "samples", "seed"),
    [(1, 1800, 7), (10, 1000, 2), (60, 600, 3), (600, 600, 4), (3600, 60, 5)],
)
@pytest.mark.parametrize("farm_id", ["A", "F", *(pytest.param(f, marks=ALL) for f in "BCG")])
def test_a_healthy_fleet_breaks_no_rule_and_raises_next_to_no_alarm(farm_id, step_s, samples, seed):
    farm = small(farm_id, 25)
    model, data = run(farm, SimClock(START_US, step_s * 1_000_000, samples), seed=seed)
    assert broken_rules(farm, data) == {}
    well = ~worn(model, data)
    assert well.mean() > 0.5
    assert (data["vibration_level"][well] < records.VIBRATION_ALARM).all()
    assert (data["generator_temperature"][well] < records.GENERATOR_ALARM).all()
    assert (data["gearbox_temperature"][well] < records.GEARBOX_ALARM).all()
    assert (data["rotor_rpm"] < records.OVERSPEED * farm.turbine_type.rated_rpm).all()
    wind, power = np.array(farm.turbine_type.power_curve).T
    promise = np.interp(data["wind_speed"], wind, power, left=0, right=0)
    judged = (
        well
        & (data["status"] == 0)
        & (promise >= records.PROMISE_FLOOR * farm.turbine_type.rated_power)
    )
    window = data["turbine"] * 10**9 + data["timestamp"] // 600_000_000 - START_US // 600_000_000
    _, window = np.unique(window, return_inverse=True)
    given, due = (np.bincount(window, x * judged) for x in (data["power_output"], promise))
    windows = np.bincount(window, judged) > 0
    assert (given[windows] < records.UNDERPERFORMANCE * due[windows]).sum() <= 0.003 * windows.sum()


@pytest.fixture(scope="module")
def months():
    """Return (farm, January model, January, January and July) at 10 minutes, with every state."""
    farm = small("C", 60)
    january, july = (
        run(farm, SimClock(START_US + day * 86_400_000_000, 600_000_000, 6 * 24 * DAYS), seed=3)
        for day in (0, 172)
    )
    parts = [
        {name: column.reshape(farm.turbines, -1) for name, column in data.items()}
        for _, data in (january, july)
    ]
    both = {name: np.hstack([part[name] for part in parts]).ravel() for name in parts[0]}
    return farm, *january, both


def test_months_have_the_statistics_of_a_wind_farm(months):
    farm, *_, data = months
    rated = farm.turbine_type.rated_power
    assert 5.5 < data["wind_speed"].mean() < 11
    assert 0.25 < data["power_output"].mean() / rated < 0.6
    share = np.bincount(data["status"], minlength=len(STATES)) / len(data["status"])
    assert (share > 0).all()
    assert 0.95 < share[:3].sum() < 0.995  # technical availability
    temperature = data["ambient_temperature"].reshape(farm.turbines, 2, -1)
    assert temperature[:, 0].mean() < 8  # January
    assert temperature[:, 1].mean() > 12  # July


def test_readings_agree_with_states(months):
    farm, *_, data = months
    rated, status = farm.turbine_type.rated_power, data["status"]
    own = status.reshape(farm.turbines, -1)
    # a sample in which the state changes is a mean of both
    settled = np.zeros_like(own, dtype=bool)
    settled[:, 2:-1] = (
        (own[:, 2:-1] == own[:, :-3])
        & (own[:, 2:-1] == own[:, 1:-2])
        & (own[:, 2:-1] == own[:, 3:])
    )
    rest = (status >= STATES.index("stopped")) & settled.ravel()
    assert rest.sum() > 1000
    assert (data["power_output"][rest] < 0).mean() > 0.99
    assert (
        data["rotor_rpm"][rest] == 0
    ).mean() > 0.99  # between two readings it may have run and stopped again
    assert (data["blade_pitch"][rest] > 80).mean() > 0.99
    standby = (status == STATES.index("standby")) & settled.ravel()
    assert (
        data["power_output"][standby] < 0
    ).mean() > 0.85  # near cut-in wind machines start and stop
    running = status == STATES.index("running")
    assert np.corrcoef(data["power_output"][running], data["wind_speed"][running])[0, 1] > 0.8
    assert (
        data["power_output"][(status == STATES.index("curtailed")) & settled.ravel()] < 0.97 * rated
    ).mean() > 0.99
    assert (
        data["generator_temperature"][running].mean()
        > data["generator_temperature"][rest].mean() + 10
    )
    assert data["vibration_level"][running].mean() > 3 * data["vibration_level"][rest].mean()


def test_the_state_log_is_the_status_column(months):
    farm, model, data, _ = months
    log = model.states().to_pydict()
    step, samples = model.clock.sample_us, model.clock.samples
    spelled = [[] for _ in range(farm.turbines)]
    for turbine_id, state, begin, end in zip(*log.values(), strict=True):
        count = round((end - begin).total_seconds() * 1e6 / step)
        spelled[farm.turbine_ids.index(turbine_id)] += [STATES.index(state)] * count
    assert [len(each) for each in spelled] == [samples] * farm.turbines
    assert (np.array(spelled).ravel() == data["status"]).all()
    entries = list(zip(log["turbine_id"], log["state"], strict=True))
    assert all(one != other for one, other in pairwise(entries))  # no state follows itself


def test_wind_is_correlated_in_space():
    farm = FLEET["F"]
    speed = run(farm, SimClock(START_US, 10_000_000, 8 * 360))[1]["wind_speed"].reshape(
        farm.turbines, -1
    )
    minutes = speed.reshape(farm.turbines, -1, 30).mean(
        axis=2
    )  # gusts of seconds are each turbine's own
    swing = minutes - minutes.mean(axis=0)  # deviation from the farm's mean
    east, north = farm.positions.T
    apart = np.hypot(east[:, None] - east, north[:, None] - north)
    related = np.corrcoef(swing - swing.mean(axis=1, keepdims=True))
    near, far = related[(apart > 0) & (apart < 900)].mean(), related[apart > 8000].mean()
    assert near > far + 0.3


def test_wind_is_correlated_in_time():
    farm = FLEET["F"]
    speed = run(farm, SimClock(START_US, 1_000_000, 1800))[1]["wind_speed"].reshape(
        farm.turbines, -1
    )
    memory = [np.corrcoef(speed[:, :-k].ravel(), speed[:, k:].ravel())[0, 1] for k in (1, 10, 120)]
    assert memory[0] > 0.9
    assert memory[0] - 0.02 > memory[1] > memory[2] + 0.05
    intensity = (speed.std(axis=1) / speed.mean(axis=1)).mean()
    assert 0.05 < intensity < 0.3


def test_the_spectrum_of_a_nacelle_anemometer_is_that_of_turbulence():
    """The inertial subrange, f^-5/3, from tens of seconds to some seconds: nothing averages it.

    Source: Kaimal et al. 1972.
    """
    farm = small("E", 25)
    speed = run(farm, SimClock(START_US, 1_000_000, 2 * 3600))[1]["wind_speed"].reshape(
        farm.turbines, -1, 1800
    )
    window = np.hanning(1800)
    density = (np.abs(np.fft.rfft((speed - speed.mean(axis=2, keepdims=True)) * window)) ** 2).mean(
        axis=(0, 1)
    )
    frequency = np.fft.rfftfreq(1800, 1.0)
    band = (frequency > 0.03) & (frequency < 0.25)
    slope = np.polyfit(np.log(frequency[band]), np.log(density[band]), 1)[0]
    assert -1.95 < slope < -1.3


def test_a_rotor_stops_slowly_and_power_immediately():
    farm = small("F", 60)
    seconds = SimClock(START_US, 1_000_000, 10 * 3600)
    model = FarmModel(FarmPart.whole(farm), seconds, 11)
    env = simpy.Environment()
    model.start(env)
    slow = 0
    for first in range(0, seconds.samples, 3600):
        env.run(until=seconds.seconds(first + 3600))
        columns = model.block(first, first + 3600).columns
        status, rotor, power = (
            columns[n].reshape(60, -1) for n in ("status", "rotor_rpm", "power_output")
        )
        assert (power[status == STATES.index("standby")] < 0).all()  # also while starting
        assert (power[status >= STATES.index("stopped")] < 0).all()
        stops = np.argwhere((status[:, 1:] >= 3) & (status[:, :-1] == 0))
        for turbine, sample in stops[stops[:, 1] < 3400]:
            if (status[turbine, sample + 1 : sample + 120] < 3).any():
                continue  # reset already
            after = rotor[turbine, sample + 1 : sample + 120]
            assert (after > 0).sum() < 60
            slow += (after > 0).sum() > 10 and after[-1] == 0
    assert slow > 0


# --- exact truth ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def faulty():
    """Return (farm, model, data with faults, the same run without)."""
    farm, clock = small("E", 40), SimClock(START_US, 1_000_000, 2400)
    model, data = run(farm, clock, faults=EVERY_KIND, cuts=(600, 1200, 1800))
    return farm, model, data, run(farm, clock)[1]


def events(faulty, *kinds):
    """Truth rows of some kinds, with times as sample numbers and the turbine as an index."""
    farm, model, *_ = faulty
    for each in model.truth().to_pylist():
        if each["kind"] in kinds:
            for side in ("from", "to"):
                each[side] = round((each[side].timestamp() * 1e6 - START_US) / 1e6)
            yield each | {"turbine": farm.turbine_ids.index(each["turbine_id"])}


def test_every_kind_occurs(faulty):
    assert {each["kind"] for each in events(faulty, *KINDS)} == {fault.kind for fault in EVERY_KIND}


def test_sensor_truth_is_exactly_what_differs_from_the_healthy_run(faulty):
    farm, _, data, healthy = faulty
    sample = (data["timestamp"] - START_US) // 1_000_000
    twin = data["turbine"] * 2400 + sample
    lone = {(e["turbine"], e["channel"]): [] for e in events(faulty, *KINDS) if e["channel"]}
    for each in events(faulty, *KINDS):
        if each["channel"]:
            lone[each["turbine"], each["channel"]].append(each)
    for channel in CHANNEL_NAMES:
        now, before = data[channel], healthy[channel][twin]
        differs = (now != before) & ~(np.isnan(now) & np.isnan(before))
        for turbine in range(farm.turbines):
            ids = data["id"][differs & (data["turbine"] == turbine)]
            told = lone.get((turbine, channel), [])
            if len(told) == 1:
                assert told[0]["rows"] == len(ids)
                assert (told[0]["first_id"], told[0]["last_id"]) == (
                    (ids[0], ids[-1]) if len(ids) else (None, None)
                )
            named = np.zeros(len(ids), dtype=bool)
            for each in told:
                named |= (ids >= (each["first_id"] or 1)) & (ids <= (each["last_id"] or 0))
            assert named.all()
    assert sum(len(each) == 1 for each in lone.values()) > 100


def test_stuck_holds_dropout_is_null_spike_jumps_drift_grows(faulty):
    _, _, data, healthy = faulty
    sample = (data["timestamp"] - START_US) // 1_000_000
    taken = {}
    for each in events(faulty, "sensor.stuck", "sensor.dropout", "sensor.spike", "sensor.drift"):
        taken.setdefault((each["turbine"], each["channel"]), []).append(each)
    seen = set()
    for (turbine, channel), (each, *others) in taken.items():
        if others:
            continue
        rows = (data["turbine"] == turbine) & (sample >= each["from"]) & (sample < each["to"])
        order = np.argsort(sample[rows], kind="stable")
        now = data[channel][rows][order]
        change = now - healthy[channel][turbine * 2400 + sample[rows][order]]
        match each["kind"]:
            case "sensor.stuck":
                assert len(set(now.tolist())) == 1
                assert each["detail"] == f"held at {now[0]:g}"
            case "sensor.dropout":
                assert np.isnan(now).all()
            case "sensor.spike":
                assert each["to"] - each["from"] <= 3
                assert np.abs(change).min() > 1
            case "sensor.drift" if each["to"] - each["from"] == 400:
                assert np.abs(change[:4]).max() < np.abs(change[-4:]).max()
                assert abs(change[-1] - float(each["detail"].removeprefix("by "))) < 0.011
        seen.add(each["kind"])
    assert len(seen) == 4


def test_late_rows_are_stored_late_under_later_ids(faulty):
    _, _, data, _ = faulty
    late = data["recorded_at"] - data["timestamp"] == 200_000_000
    sample = (data["timestamp"] - START_US) // 1_000_000
    told = list(events(faulty, "row.late"))
    named = np.zeros(len(late), dtype=bool)
    for each in told:
        own = (
            (data["turbine"] == each["turbine"]) & (sample >= each["from"]) & (sample < each["to"])
        )
        if each["rows"]:
            named |= own & (data["id"] >= each["first_id"]) & (data["id"] <= each["last_id"])
        else:
            assert (each["first_id"], each["last_id"]) == (None, None)
    assert (named >= late).all()
    assert late.sum() > 1000
    order = np.lexsort((data["id"], data["turbine"]))
    step = np.diff(data["recorded_at"][order])[np.diff(data["turbine"][order]) == 0]
    assert (step >= 0).all()


def copies(data):
    """Rows whose timestamp an earlier row of the turbine has."""
    order = np.lexsort((data["id"], data["timestamp"], data["turbine"]))
    again = np.r_[
        False, (np.diff(data["timestamp"][order]) == 0) & (np.diff(data["turbine"][order]) == 0)
    ]
    result = np.empty(len(again), dtype=bool)
    result[order] = again
    return result


def test_duplicate_rows_are_stored_twice_and_counted(faulty):
    _, _, data, _ = faulty
    again = copies(data)
    told = list(events(faulty, "row.duplicate"))
    assert sum(each["rows"] for each in told) == again.sum() > 500
    for name in ("status", *CHANNEL_NAMES):
        order = np.lexsort((data["id"], data["timestamp"], data["turbine"]))
        spots = np.flatnonzero(again[order])
        assert np.array_equal(
            data[name][order][spots], data[name][order][spots - 1], equal_nan=name != "status"
        )
    after_us = np.diff(data["recorded_at"][order])[spots - 1]
    # 0: the second copy of a row that two faults duplicate
    assert set(after_us.tolist()) == {0, 1000}
    assert (after_us == 1000).mean() > 0.9
    for each in told:
        if each["rows"]:
            own = data["turbine"] == each["turbine"]
            assert again[own & np.isin(data["id"], [each["first_id"], each["last_id"]])].all()


def test_only_rows_due_after_the_end_are_missing(faulty):
    farm, _, data, _ = faulty
    stored = len(data["id"]) - copies(data).sum()
    missing = farm.turbines * 2400 - stored
    told = [each["detail"] for each in events(faulty, "row.late")]
    unrecorded = sum(
        int(detail.split(", ")[1].split()[0]) for detail in told if "not recorded" in detail
    )
    assert missing > 0
    assert unrecorded >= missing  # a copy that is due later is not recorded either
    for turbine in range(farm.turbines):
        ids = data["id"][data["turbine"] == turbine]
        assert np.array_equal(ids, np.arange(1, len(ids) + 1))


def test_a_fault_without_effect_has_zero_rows():
    """A stuck rotor sensor of a machine at rest reads 0 as before: nothing is altered."""
    farm, clock = small("C", 30), SimClock(START_US, 600_000_000, 6 * 24 * 12)
    model, _ = run(farm, clock, seed=3, faults=[DataFault("sensor.stuck", 8.0, ("rotor_rpm",))])
    rows = [each["rows"] for each in model.truth().to_pylist()]
    assert 0 in rows
    assert max(rows) > 10


def test_fault_times_depend_on_seed_place_and_turbine_only():
    clock = SimClock(START_US, 1_000_000, 600)
    fault = DataFault("sensor.dropout", 300.0)
    many = run(small("A", 10), clock, faults=[fault])[0].truth().to_pylist()
    few = run(small("A", 4), clock, faults=[fault])[0].truth().to_pylist()
    assert few == [each for each in many if each["turbine_id"] <= "A-004"]
    assert (
        run(small("A", 10), clock, faults=[dataclasses.replace(fault, farms=("B",))])[0]
        .truth()
        .num_rows
        == 0
    )
    moved = (
        run(small("A", 10), clock, faults=[dataclasses.replace(fault, farms=("B",)), fault])[0]
        .truth()
        .to_pylist()
    )
    assert moved != many


def test_fault_rates_are_per_turbine_and_day():
    farm, clock = small("F", 300), SimClock(START_US, 60_000_000, 24 * 60)
    fault = DataFault("sensor.spike", 2.0, ("temperature",))
    model = FarmModel(FarmPart.whole(farm), clock, 7, [fault])
    assert abs(model.truth().num_rows - 600) < 100  # four sigma
    assert set(model.truth()["channel"].to_pylist()) == {"temperature"}


@pytest.mark.parametrize("step_s", [1, 10, 60, 600])
def test_a_stuck_sensor_stays_stuck_long_enough_to_be_detected(step_s):
    farm, clock = small("A", 10), SimClock(START_US, step_s * 1_000_000, 600)
    fault = DataFault("sensor.stuck", 1.0 / clock.days, ("temperature",))
    for each in run(farm, clock, faults=[fault])[0].truth().to_pylist():
        seconds = (each["to"] - each["from"]).total_seconds()
        assert seconds >= max(300, 20 * step_s) or each["to"].timestamp() * 1e6 == clock.end_us


@pytest.mark.parametrize(
    ("kind", "channels", "message"),
    [
        ("sensor.stick", (), "unknown data fault 'sensor.stick'; known: sensor.stuck, "),
        (
            "sensor.stuck",
            ("power_output",),
            "sensor.stuck does not take channel 'power_output'; it takes wind_speed, ",
        ),
        (
            "row.late",
            ("temperature",),
            "row.late does not take channel 'temperature'; it takes no channels",
        ),
    ],
)
def test_invalid_faults_are_rejected(kind, channels, message):
    with pytest.raises(ValueError, match=message):
        DataFault(kind, 1.0, channels)
