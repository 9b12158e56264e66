"""Two farms over midnight, as a warehouse: late, doubled, missing and rejected rows, a failure.

The truth beside it is of two kinds: the injected faults, and the samples of the same scenario
without faults of the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import simpy

from pipeline.records import STATES
from sim.campaign.in_process_run import InProcessRun
from sim.campaign.memory_store import dump
from sim.campaign.pool import use_one_thread
from sim.campaign.schedule import Line
from sim.campaign.world import make_world
from sim.check.detection.truth import read_events
from sim.check.read.lake import LakeReader
from sim.fleet.part import FarmPart
from sim.model.clock import SimClock
from sim.model.farm import FarmModel
from sim.model.faults.catalogue import DataFault
from sim.query.engine import Engine
from sim.query.loader import LoadOptions, load
from sim.query.warehouse import Warehouse
from sim.scenario import Scenario
from sim.scenario import load as load_scenario

STEP_S = 10
NOW = datetime(2024, 1, 16, 2, tzinfo=UTC)
SCENARIO = f"""
schema_version: 1
name: views
seed: 13
fleet: {{preset: full, farms: [E, F], turbines: 6}}
clock: {{start: 2024-01-15T23:20:00Z, duration: 80m, sample_every: {STEP_S}s}}
pipeline: {{flush_every: 10m, window: 5m, allowed_lateness: 1m}}
events:
  - {{kind: weather.storm, from: 0m, for: 80m, size: 20}}
  - {{kind: machine.failure, from: 0m, for: 15m, turbines: [E-002], component: transformer}}
data_faults:
  - {{kind: sensor.dropout, rate: 40 per turbine-day, duration: 40s}}
  - {{kind: sensor.stuck, rate: 30 per turbine-day, channels: [temperature], duration: 4m}}
  - {{kind: sensor.sentinel, rate: 20 per turbine-day, channels: [vibration_level], duration: 30s}}
  - {{kind: sensor.spike, rate: 30 per turbine-day, channels: [vibration_level]}}
  - {{kind: sensor.bias, rate: 8 per turbine-day, channels: [vibration_level], duration: 75m}}
  - {{kind: row.poisoned, rate: 90 per turbine-day}}
  - {{kind: row.late, rate: 40 per turbine-day, duration: 1m, delay: 12m}}
  - {{kind: row.duplicate, rate: 40 per turbine-day}}
  - {{kind: row.missing, rate: 40 per turbine-day, duration: 3m}}
"""


@dataclass(frozen=True)
class ViewWorld:
    """A loaded warehouse, and the truth about it.

    faults: columns of `sim.check.detection.truth.EVENTS`. samples: what the turbines did, by
    (turbine, sample).
    """

    folder: Path
    warehouse: Warehouse
    faults: pa.Table
    turbines: list[str]
    rated: dict[str, float]
    start_us: int
    power: np.ndarray
    wind: np.ndarray
    status: np.ndarray

    def rows(self, sql: str) -> list[dict[str, object]]:
        """Return the rows of a statement."""
        return answer(self.warehouse, sql)

    def arrived(self) -> np.ndarray:
        """Mask of the samples that are in the enriched stage, (turbines, samples)."""
        mask = np.zeros(self.power.shape, dtype=bool)
        for path in sorted((self.folder / "lake").glob("*enriched/**/*.parquet")):
            with path.open("rb") as file:
                table = pq.read_table(file, columns=["turbine_id", "timestamp"])
            at = np.asarray(table.column("timestamp").cast(pa.int64())) - self.start_us
            place = [self.turbines.index(name) for name in table.column("turbine_id").to_pylist()]
            mask[place, at // (STEP_S * 1_000_000)] = True
        return mask


def answer(warehouse: Warehouse, sql: str) -> list[dict[str, object]]:
    (rows,) = Engine(warehouse, NOW).run(sql)
    return rows.to_pylist()


def make(folder: Path, text: str = SCENARIO) -> ViewWorld:
    """Simulate, deliver in this process, load, and simulate again without faults of the data."""
    use_one_thread()
    path = folder / "views.yaml"
    path.write_text(text)
    scenario = load_scenario(path)
    world = make_world(scenario, folder / "world")
    run = InProcessRun(world, Line())
    assert run.all_flushes()
    dump(run.store, folder / "lake")
    for farm in scenario.fleet.farms:
        model, _ = simulated(scenario, farm.farm_id, scenario.data_faults)
        truth = folder / "truth"
        truth.mkdir(exist_ok=True)
        for name, table in (
            ("faults", model.truth()),
            ("states", model.states()),
            ("wear", model.wear()),
        ):
            pq.write_table(table, truth / f"{name}-{farm.farm_id}.parquet")
    faults = read_events(folder / "truth")
    assert faults is not None
    warehouse = Warehouse(folder / "warehouse", LakeReader.folder(folder / "lake"))
    load(warehouse, LoadOptions())
    pure = [simulated(scenario, farm.farm_id, ())[1] for farm in scenario.fleet.farms]
    return ViewWorld(
        folder,
        warehouse,
        faults,
        [name for farm in scenario.fleet.farms for name in farm.turbine_ids],
        {
            name: farm.turbine_type.rated_power
            for farm in scenario.fleet.farms
            for name in farm.turbine_ids
        },
        scenario.clock.start_us,
        np.concatenate([each["power_output"] for each in pure]),
        np.concatenate([each["wind_speed"] for each in pure]),
        np.concatenate([np.array(STATES)[each["status"]] for each in pure]),
    )


def simulated(
    scenario: Scenario, farm_id: str, faults: Sequence[DataFault]
) -> tuple[FarmModel, dict[str, np.ndarray]]:
    """Return a farm's model after the run, and its columns, (turbines, samples) without faults."""
    (farm,) = [each for each in scenario.fleet.farms if each.farm_id == farm_id]
    clock = SimClock(scenario.clock.start_us, scenario.clock.sample_us, scenario.clock.samples)
    env = simpy.Environment()
    model = FarmModel(FarmPart.whole(farm), clock, scenario.seed, faults, scenario.events)
    model.start(env)
    env.run(until=clock.seconds(clock.samples - 1))
    block = model.block(0, clock.samples)
    columns = {
        name: block.columns[name].reshape(farm.turbines, -1)
        for name in ("power_output", "wind_speed", "status")
        if not faults
    }
    return model, columns
