"""The maintenance view names the turbine and the component that wear."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.catalog.tables import BY_NAME
from pipeline.records import BUCKET_NAMES, BUCKET_PREFIX
from sim.check.read.lake import LakeReader
from sim.query.engine import Engine
from sim.query.loader import LoadOptions, load
from sim.query.warehouse import Warehouse
from tests import maintenance_truth
from tests.support import lakehouse

DAYS = 24
SQL = "SELECT * FROM wind_turbine_maintenance_dashboard ORDER BY place"
SIGNS = {
    # K in winding and oil, mm/s of a source that adds in squares, share of output; at the end
    "gearbox": (0.0, 18.0, 5.0, 0.0),
    "main_bearing": (0.0, 6.0, 6.0, 0.0),
    "generator": (16.0, 0.0, 4.0, 0.0),
    "cooling": (12.0, 2.0, 0.0, 0.0),
    "rotor": (0.0, 0.0, 6.0, -0.02),
    "pitch": (0.0, 0.0, 5.0, -0.15),
    "yaw": (0.0, 0.0, 0.0, -0.12),
}


def rows(farm: str, component: str | None) -> pa.Table:
    """Half-hourly rows of eight turbines; the fourth of them wears in the last ten days.

    Each turbine has a load of its own, which its temperatures and vibration follow.
    """
    tables = []
    count = DAYS * 48
    day = np.arange(count) / 48
    grown = np.clip((day - 14) / 10, 0, 1) ** 2
    wind = 8 + 2.5 * np.sin(day * 2.3)
    for number in range(1, 9):
        draw = np.random.default_rng(number)
        turbine = f"{farm}-{number:02}"
        own = wind + draw.normal(0, 0.3) * np.sin(day / 3) + draw.normal(0, 0.3, count)
        winding, oil, source, output = (
            np.array(SIGNS[component]) if component and number == 4 else np.zeros(4)
        )
        load = np.clip(own / 14 + output * grown, 0, 1)
        times = int(lakehouse.START.timestamp()) * 1_000_000 + np.arange(count) * 1_800_000_000
        base = 0.6 + 1.5 * load
        tables.append(
            pa.table(
                {
                    "timestamp": pa.array(times, pa.timestamp("us", tz="UTC")),
                    "turbine_id": [turbine] * count,
                    "farm_id": [farm] * count,
                    "status": ["running"] * count,
                    "rated_power": np.full(count, 4.0),
                    "power_output": 4.0 * load,
                    "wind_speed": own,
                    "rotor_rpm": 5 + 8 * load,
                    "ambient_temperature": np.full(count, 5.0),
                    "temperature": 15 + draw.normal(0, 0.5, count),
                    "generator_temperature": 50
                    + 30 * load
                    + winding * grown
                    + draw.normal(0, 0.5, count),
                    "gearbox_temperature": 50
                    + 15 * load
                    + oil * grown
                    + draw.normal(0, 0.4, count),
                    "vibration_level": np.hypot(base, source * grown) + draw.normal(0, 0.05, count),
                }
            )
        )
    return pa.concat_tables(tables)


def rotors_alike() -> pa.Table:
    """A farm whose rotors all turn at one speed: vibration has no slope over it."""
    table = rows("alike", None)
    index = table.schema.get_field_index("rotor_rpm")
    return table.set_column(index, "rotor_rpm", pa.array(np.full(len(table), 9.0)))


@pytest.fixture(scope="module")
def ranking(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """The view over one farm for each component, named after it, and one where nothing wears."""
    folder = tmp_path_factory.mktemp("maintenance")
    for bucket in BUCKET_NAMES:
        (folder / "lake" / (BUCKET_PREFIX + bucket)).mkdir(parents=True)
    table = pa.concat_tables(
        [rows(each, each) for each in SIGNS] + [rows("nothing", None)] + [rotors_alike()]
    )
    path = lakehouse.path_of(folder / "lake", BY_NAME["wind_turbine_enriched"], "T-01", 1, 1)
    pq.write_table(table, path)
    warehouse = Warehouse(folder / "warehouse", LakeReader.folder(folder / "lake"))
    load(warehouse, LoadOptions())
    now = lakehouse.START + datetime.timedelta(days=DAYS)
    (found,) = Engine(warehouse, now).run(SQL)
    return found.to_pylist()


@pytest.mark.parametrize("component", SIGNS)
def test_the_worn_turbine_is_first_of_its_farm_and_its_component_named(
    ranking: list[dict[str, object]], component: str
) -> None:
    farm = [row for row in ranking if str(row["turbine_id"]).startswith(f"{component}-")]
    assert (farm[0]["turbine_id"], farm[0]["component"]) == (f"{component}-04", component)
    assert [row["component"] for row in farm[1:]] == [None] * 7


def test_nothing_is_named_where_nothing_wears(ranking: list[dict[str, object]]) -> None:
    farm = [row for row in ranking if str(row["turbine_id"]).startswith("nothing-")]
    assert [row["component"] for row in farm] == [None] * 8


def test_a_farm_without_a_spread_has_numbers_all_the_same(
    ranking: list[dict[str, object]],
) -> None:
    """NaN would put a turbine first."""
    farm = [row for row in ranking if str(row["turbine_id"]).startswith("alike-")]
    assert len(farm) == 8
    assert [row["component"] for row in farm] == [None] * 8
    values = [value for row in farm for value in row.values() if isinstance(value, float)]
    assert len(values) == 8 * 11
    assert np.isfinite(values).all()


@pytest.mark.campaign
def test_planted_wear_of_every_component_is_found(tmp_path: Path) -> None:
    """One seed of `python -m tests.maintenance_truth`, asked on three days."""
    size = maintenance_truth.Size(asked=(40, 44, 48))
    maintenance_truth.make(4, size, tmp_path / "seed")
    judged = maintenance_truth.judge(4, size, tmp_path / "seed")
    found = [each.lead_days > 0 for each in judged.worn.values()]
    assert sum(found) >= len(found) - 1
    assert len(judged.false) <= 1
