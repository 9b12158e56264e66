"""The three views against the truth of a simulated world, in this process."""

from __future__ import annotations

import datetime
import shutil
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.catalog.tables import BY_NAME
from pipeline.records import ANOMALIES, BUCKET_NAMES, BUCKET_PREFIX
from pipeline.records.schemas import AGGREGATED
from sim.check.read.lake import LakeReader
from sim.query.loader import LoadOptions, load
from sim.query.warehouse import Warehouse
from tests.support import lakehouse, view_world
from tests.support.episodes import SQL, Row, Truth
from tests.support.view_world import STEP_S, ViewWorld

DAY_US = 86_400_000_000
PERFORMANCE_SQL = "SELECT * FROM wind_turbine_performance_view"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> ViewWorld:
    made = view_world.make(tmp_path_factory.mktemp("views"))
    kinds = Counter(made.faults.column("kind").to_pylist())
    assert min(kinds[each] for each in ("row.late", "row.missing", "sensor.dropout")) > 5
    (found,) = made.rows("SELECT MAX(revision) AS revision FROM wind_turbine_aggregated")
    assert found == {"revision": 1}
    return made


@pytest.fixture(scope="module")
def performance(world: ViewWorld) -> dict[tuple[str, datetime.date | None], dict[str, float]]:
    return {(row["turbine_id"], row["date"]): row for row in world.rows(PERFORMANCE_SQL)}


def days(world: ViewWorld) -> dict[datetime.date | None, np.ndarray]:
    """Mask of the samples of each day, and of the whole time under None."""
    times = world.start_us + np.arange(world.power.shape[1]) * STEP_S * 1_000_000
    dates = times // DAY_US
    epoch = datetime.date(1970, 1, 1)
    masks = {epoch + datetime.timedelta(days=int(day)): dates == day for day in np.unique(dates)}
    return {None: np.ones(len(times), dtype=bool), **masks}


def test_one_row_per_turbine_and_day_and_one_for_all(world: ViewWorld, performance) -> None:
    assert set(performance) == {(turbine, day) for turbine in world.turbines for day in days(world)}


def test_energy_is_that_of_the_samples_that_arrived(world: ViewWorld, performance) -> None:
    """Equal but for the order of the sum: rows hold the samples at the column's own resolution."""
    arrived = world.arrived()
    for day, mask in days(world).items():
        for i, turbine in enumerate(world.turbines):
            true = world.power[i, arrived[i] & mask].sum() * STEP_S / 3600
            assert performance[turbine, day]["energy_mwh"] == pytest.approx(true, abs=1e-9)


def test_the_share_that_arrived_explains_the_missing_energy(world: ViewWorld, performance) -> None:
    """Truth and view differ by the energy of exactly the samples that did not arrive."""
    arrived = world.arrived()
    assert not arrived.all()
    for day, mask in days(world).items():
        for i, turbine in enumerate(world.turbines):
            row = performance[turbine, day]
            assert row["arrived"] == pytest.approx(arrived[i, mask].mean(), abs=1e-12)
            missing = world.power[i, ~arrived[i] & mask].sum() * STEP_S / 3600
            whole = world.power[i, mask].sum() * STEP_S / 3600
            assert row["energy_mwh"] + missing == pytest.approx(whole, abs=1e-9)


def test_samples_that_were_never_stored_did_not_arrive(world: ViewWorld) -> None:
    """Others did not arrive either: those in quarantine, and late ones of the last minutes."""
    faults = [each for each in world.faults.to_pylist() if each["kind"] == "row.missing"]
    never = np.zeros(world.power.shape, dtype=bool)
    for each in faults:
        first, last = (
            (each[end] - world.start_us) // (STEP_S * 1_000_000) for end in ("from", "to")
        )
        never[world.turbines.index(each["turbine_id"]), first:last] = True
    assert not (never & world.arrived()).any()
    assert never.sum() < (~world.arrived()).sum()


def test_capacity_factor_and_wind_are_means_of_the_samples(world: ViewWorld, performance) -> None:
    arrived = world.arrived()
    for day, mask in days(world).items():
        for i, turbine in enumerate(world.turbines):
            row, here = performance[turbine, day], arrived[i] & mask
            factor = world.power[i, here].mean() / world.rated[turbine]
            assert row["capacity_factor"] == pytest.approx(factor)
            assert row["mean_wind_speed"] == pytest.approx(world.wind[i, here].mean())


def test_availability_by_time_is_the_share_of_available_samples(
    world: ViewWorld, performance
) -> None:
    arrived = world.arrived()
    available = np.isin(world.status, ("running", "standby", "curtailed"))
    found = set()
    for day, mask in days(world).items():
        for i, turbine in enumerate(world.turbines):
            share = available[i, arrived[i] & mask].mean()
            assert performance[turbine, day]["time_availability"] == pytest.approx(share)
            found.add(share)
    assert {0.0, 1.0} < found


def test_availability_by_energy_loses_the_output_of_the_neighbours(
    world: ViewWorld, performance
) -> None:
    arrived = world.arrived()
    available = np.isin(world.status, ("running", "standby", "curtailed")) & arrived
    rated = np.array([world.rated[name] for name in world.turbines])
    farm = np.array([name[0] for name in world.turbines])
    tenth = (world.start_us // 1_000_000 + np.arange(world.power.shape[1]) * STEP_S) // 600
    lost = np.zeros(world.power.shape)
    for name in np.unique(farm):
        for each in np.unique(tenth):
            cell = np.ix_(farm == name, tenth == each)
            output = (world.power[cell] / rated[farm == name, None])[available[cell]]
            if len(output):
                potential = output.mean() * rated[farm == name, None]
                lost[cell] = np.maximum(potential - world.power[cell], 0.0)
    lost[available | ~arrived] = 0.0
    assert lost.any()
    for day, mask in days(world).items():
        for i, turbine in enumerate(world.turbines):
            energy = max(world.power[i, arrived[i] & mask].sum(), 0.0)
            share = energy / (energy + lost[i, mask].sum())
            assert performance[turbine, day]["energy_availability"] == pytest.approx(share)


def test_newest_row_is_the_last_sample_that_arrived(world: ViewWorld, performance) -> None:
    arrived = world.arrived()
    for day, mask in days(world).items():
        for i, turbine in enumerate(world.turbines):
            last = np.flatnonzero(arrived[i] & mask)[-1] * STEP_S
            start = datetime.datetime.fromtimestamp(world.start_us / 1e6, datetime.UTC)
            newest = start + datetime.timedelta(seconds=int(last))
            assert performance[turbine, day]["newest_row"] == newest


def test_efficiency_is_that_of_the_windows_with_output(world: ViewWorld, performance) -> None:
    """The latest revision of each window counts, weighted with what its wind promises."""
    latest: dict[tuple[str, object], dict[str, float]] = {}
    for row in world.rows("SELECT * FROM wind_turbine_aggregated ORDER BY revision"):
        latest[row["turbine_id"], row["window_start"]] = row
    sums: dict[tuple[str, object], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for row in latest.values():
        if row["efficiency"]:
            produced = row["power_output"] * row["rows"]
            for day in (row["date"], None):
                sums[row["turbine_id"], day][0] += produced
                sums[row["turbine_id"], day][1] += produced / row["efficiency"]
    for key, row in performance.items():
        produced, promised = sums[key]
        assert row["efficiency"] == (pytest.approx(produced / promised) if promised else None)


def test_a_turbine_that_is_silent_for_a_day_has_a_row_for_it(
    world: ViewWorld, performance, tmp_path: Path
) -> None:
    """Its share of the whole time falls by that day, and another farm's figures stay."""
    silent, day = world.turbines[0], datetime.date(2024, 1, 16)
    shutil.copytree(world.folder / "lake", tmp_path / "lake")
    gone = list((tmp_path / "lake").glob(f"*enriched/**/day=16/**/{silent}-*"))
    for path in gone:
        path.unlink()
    assert gone
    warehouse = Warehouse(tmp_path / "warehouse", LakeReader.folder(tmp_path / "lake"))
    load(warehouse, LoadOptions())
    rows = view_world.answer(warehouse, PERFORMANCE_SQL)
    found = {(row["turbine_id"], row["date"]): row for row in rows}
    assert set(found) == set(performance)
    assert (found[silent, day]["energy_mwh"], found[silent, day]["arrived"]) == (0.0, 0.0)
    assert found[silent, day]["time_availability"] is None
    there = days(world)[datetime.date(2024, 1, 15)]
    share = world.arrived()[0, there].sum() / world.power.shape[1]
    assert found[silent, None]["arrived"] == pytest.approx(share, abs=1e-12)
    assert found[world.turbines[-1], None] == performance[world.turbines[-1], None]


def episodes(world: ViewWorld) -> list[dict[str, object]]:
    return world.rows(SQL)


def test_every_sign_is_in_one_episode(world: ViewWorld) -> None:
    """Windows count by their latest revision, and rows by the node that stored them."""
    latest: dict[tuple[str, object], list[str]] = {}
    for row in world.rows("SELECT * FROM wind_turbine_aggregated ORDER BY revision"):
        latest[row["turbine_id"], row["window_start"]] = row["anomaly_kinds"]
    signs = Counter((turbine, kind) for (turbine, _), kinds in latest.items() for kind in kinds)
    for row in world.rows("SELECT _source_file, rule FROM wind_turbine_quarantine"):
        node = str(row["_source_file"]).rpartition("/")[2].rsplit("-", 2)[0]
        signs[node, f"rejected.{row['rule']}"] += 1
    for row in world.rows(
        "SELECT turbine_id FROM wind_turbine_enriched WHERE vibration_level > 5.6"
    ):
        signs[row["turbine_id"], "vibration_level"] += 1
    found: Counter[tuple[object, object]] = Counter()
    for each in episodes(world):
        found[each["turbine_id"], each["kind"]] += each["rows"]
    assert found == signs
    assert {"vibration", "vibration_level", "rejected.identity"} < {kind for _, kind in found}


def test_episodes_of_a_kind_are_more_than_an_hour_apart(world: ViewWorld) -> None:
    """So nothing is one row per window."""
    ends: dict[tuple[object, object], datetime.datetime] = {}
    for each in episodes(world):
        key = each["turbine_id"], each["kind"]
        assert each["first_time"] <= each["last_time"]
        if key in ends:
            assert each["first_time"] - ends[key] > datetime.timedelta(hours=1)
        ends[key] = each["last_time"]


def test_a_fault_that_breaks_a_rule_is_in_an_episode_and_nothing_else_is(world: ViewWorld) -> None:
    """Recall is 1 for faults whose every row breaks a rule, and precision is 1 for every kind."""
    faults = world.faults.to_pylist()
    truth = Truth(faults, STEP_S * 1_000_000)
    causes = [(episode["kind"], truth.causes(episode)) for episode in episodes(world)]
    assert [kind for kind, faults_of_it in causes if not faults_of_it] == []
    certain = {"sensor.dropout": "rejected.null", "row.duplicate": "rejected.duplicate"}
    alone = [
        fault
        for fault in faults
        if fault["kind"] in certain
        and fault["rows"]
        and not any(other is not fault and overlap(other, fault) for other in faults)
    ]
    assert len(alone) > 3
    for fault in alone:
        assert any(kind == certain[fault["kind"]] and fault in each for kind, each in causes), fault


def overlap(one: Row, other: Row) -> bool:
    return (
        one["turbine_id"] == other["turbine_id"]
        and one["from"] < other["to"]
        and one["to"] > other["from"]
    )


def test_severity_follows_kind_length_and_level(world: ViewWorld) -> None:
    for each in episodes(world):
        lasted = each["last_time"] - each["first_time"]
        if str(each["kind"]).startswith("rejected.") or each["kind"] == "underperformance":
            assert each["severity"] == "notice"
        elif each["rows"] > 1 and lasted >= datetime.timedelta(hours=1):
            assert each["severity"] == "critical"
        assert each["severity"] in ("notice", "warning", "critical")
        assert str(each["kind"]).startswith("rejected.") or each["kind"] in (
            *ANOMALIES,
            "vibration_level",
        )


def test_episodes_of_windows_made_by_hand(tmp_path: Path) -> None:
    """A lone hour is a warning, two hours are critical; an hour's gap is inside an episode."""
    hours = (
        ("lone", 0, ["gearbox_heat"], 0, 1.0),
        ("long", 0, ["gearbox_heat"], 0, 1.0),
        ("long", 1, ["gearbox_heat"], 0, 1.0),
        ("gap", 0, ["overspeed"], 0, 1.0),
        ("gap", 2, ["overspeed"], 0, 1.0),
        ("apart", 0, ["overspeed"], 0, 1.0),
        ("apart", 4, ["overspeed"], 0, 1.0),
        ("hard", 0, ["vibration", "generator_heat"], 0, 12.0),
        ("slow", 0, ["underperformance"], 0, 1.0),
        ("slow", 1, ["underperformance"], 0, 1.0),
        ("revised", 0, ["gearbox_heat"], 0, 1.0),
        ("revised", 0, [], 1, 1.0),
    )
    start = datetime.datetime(2024, 1, 15, tzinfo=datetime.UTC)
    hour = datetime.timedelta(hours=1)
    rows = [
        {
            "turbine_id": turbine,
            "farm_id": "A",
            "window_start": start + at * hour,
            "window_end": start + (at + 1) * hour,
            "anomaly_kinds": kinds,
            "revision": revision,
            "vibration_level_max": most,
        }
        for turbine, at, kinds, revision, most in hours
    ]
    for bucket in BUCKET_NAMES:
        (tmp_path / "lake" / (BUCKET_PREFIX + bucket)).mkdir(parents=True)
    table = pa.Table.from_pylist(rows, schema=AGGREGATED)
    path = lakehouse.path_of(tmp_path / "lake", BY_NAME["wind_turbine_aggregated"], "A-001", 1, 1)
    pq.write_table(table, path)
    warehouse = Warehouse(tmp_path / "warehouse", LakeReader.folder(tmp_path / "lake"))
    load(warehouse, LoadOptions())
    found = [
        (row["turbine_id"], row["kind"], row["severity"], row["rows"])
        for row in view_world.answer(warehouse, SQL)
    ]
    assert found == [
        ("apart", "overspeed", "warning", 1),
        ("apart", "overspeed", "warning", 1),
        ("gap", "overspeed", "critical", 2),
        ("hard", "generator_heat", "warning", 1),
        ("hard", "vibration", "critical", 1),
        ("lone", "gearbox_heat", "warning", 1),
        ("long", "gearbox_heat", "critical", 2),
        ("slow", "underperformance", "notice", 2),
    ]
