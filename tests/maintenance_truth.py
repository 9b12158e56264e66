"""The maintenance view against planted wear: the turbine that fails next, and the lead time.

    nice python -m tests.maintenance_truth               seeds 1 to 10
    nice python -m tests.maintenance_truth --first 11    seeds 11 to 20
    nice python -m tests.maintenance_truth --healthy     nothing wears but by chance: false alarms
    ... --data DIR     keep the data sets, and judge those that are there already

A seed is a data set as `windfleet demo` makes it: one farm (A to H in turn), 24 turbines, 60 days
of 10-minute data with the data faults of the theme `bearing-failure`. Rows come straight from the
model, without the pipeline: nothing but their readings matters here. One turbine for each component
wears from day 15 on and fails on day 50. So seven turbines wear at once, and 17 are left alone. The
view is asked every other day, by the clock of the query.

The table has one row per component, and one for the turbines left alone.

- rank       of the worn turbine among itself and those left alone
- found      rank 1 to 3, and the view names a component (its score is an alarm)
- recall     share of seeds whose turbine is found two days before it fails
- precision  share of alarms on the first three ranks that are on a turbine that wears
- lead time  days from the first day since when the turbine has been found without a break, to the
             failure
- named      share of seeds where the component named two days before is the worn one, or another
             that wears on this turbine by chance
- false      turbines left alone with an alarm on any rank and day, per seed. An alarm is true from
             the beginning of wear by chance (`truth/`) until a week after the repair

Not covered: converter and transformer, whose wear shows in no channel; farms of fewer turbines.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import simpy

from pipeline.records import BUCKET_NAMES, BUCKET_PREFIX, CHANNELS, STATES
from sim.check.read.lake import LakeReader
from sim.demo.themes import theme
from sim.fleet import Farm, load_fleet
from sim.fleet.part import FarmPart
from sim.model.clock import SimClock
from sim.model.events import Event
from sim.model.farm import FarmModel
from sim.query.engine import Engine
from sim.query.loader import LoadOptions, load
from sim.query.warehouse import Warehouse
from sim.scenario import load as load_scenario
from sim.units import DAY_S, DAY_US

START: Final = datetime(2024, 1, 10, tzinfo=UTC)
DAYS: Final = 60
WEARS_FROM: Final = 15
FAILS_ON: Final = 50
ASKED: Final = range(20, FAILS_ON, 2)
COMPONENTS: Final = ("main_bearing", "gearbox", "generator", "rotor", "pitch", "cooling", "yaw")
FARMS: Final = "ABCDEFGH"
TURBINES: Final = 24
FIRST: Final = 3
STEP_US: Final = 600_000_000
BLOCK: Final = 720  # samples simulated at a time
WEAR_FILE: Final = "wear.parquet"
SQL: Final = "SELECT turbine_id, component FROM wind_turbine_maintenance_dashboard ORDER BY place"


@dataclass(frozen=True)
class Size:
    """Size of a data set. asked: days on which the view is asked."""

    turbines: int = TURBINES
    components: tuple[str, ...] = COMPONENTS
    asked: Sequence[int] = ASKED


@dataclass
class Found:
    """One worn turbine of one seed.

    ranks: days before the failure -> rank and component that the view names.
    wears: components that wear on it when the view was last asked.
    """

    ranks: dict[int, tuple[int, str | None]] = field(default_factory=dict)
    wears: set[str] = field(default_factory=set)
    true_alarms: int = 0
    false_alarms: int = 0

    @property
    def last(self) -> tuple[int, str | None]:
        """Rank and component on the last day before the failure."""
        return self.ranks[min(self.ranks)]

    @property
    def named(self) -> bool:
        return self.last[1] in self.wears

    @property
    def lead_days(self) -> int:
        lead = 0
        for before in sorted(self.ranks):
            rank, component = self.ranks[before]
            if rank > FIRST or component is None:
                break
            lead = before
        return lead


@dataclass
class Judged:
    """One seed. false: turbines left alone that had an alarm."""

    seed: int
    worn: dict[str, Found]
    false: set[str] = field(default_factory=set)


def worn_turbines(seed: int, size: Size) -> dict[str, str]:
    """Return the turbine of each component that wears."""
    farm = FARMS[seed % len(FARMS)]
    numbers = random.Random(seed).sample(range(1, size.turbines + 1), len(size.components))
    return {
        component: f"{farm}-{number:03}"
        for component, number in zip(size.components, numbers, strict=True)
    }


def make(seed: int, size: Size, folder: Path) -> None:
    """Make one data set: the table that the view reads, and the wear of the ground truth."""
    (farm,) = [each for each in load_fleet().farms if each.farm_id == FARMS[seed % len(FARMS)]]
    farm = farm.first(size.turbines)
    clock = SimClock(round(START.timestamp() * 1e6), STEP_US, DAYS * DAY_US // STEP_US)
    events = [
        Event(
            "machine.failure",
            WEARS_FROM * DAY_S,
            (FAILS_ON - WEARS_FROM) * DAY_S,
            (farm.farm_id,),
            (turbine,),
            component,
        )
        for component, turbine in worn_turbines(seed, size).items()
    ]
    faults = load_scenario(theme("bearing-failure").scenario).data_faults
    env = simpy.Environment()
    model = FarmModel(FarmPart.whole(farm), clock, seed, faults, events)
    model.start(env)
    key = "year=2024/month=01/day=10/hour=00"
    for bucket in BUCKET_NAMES:
        (folder / "lake" / (BUCKET_PREFIX + bucket)).mkdir(parents=True)
    into = folder / "lake" / (BUCKET_PREFIX + "enriched") / "enriched" / key
    into.mkdir(parents=True)
    for first, last in pairwise([*range(0, clock.samples, BLOCK), clock.samples]):
        env.run(until=max(env.now + 1e-9, clock.seconds(last - 1)))
        block = model.block(first, last)
        pq.write_table(
            valid_rows(farm, block.columns), into / f"{farm.farm_id}-{first}-{last}.parquet"
        )
    pq.write_table(model.wear(), folder / WEAR_FILE)
    load(warehouse_of(folder), LoadOptions())
    shutil.rmtree(folder / "lake")


def valid_rows(farm: Farm, columns: dict[str, np.ndarray]) -> pa.Table:
    """Return the rows with every reading within its limits, as the enriched stage holds them."""
    readings = [(each, columns[each.name]) for each in CHANNELS]
    valid = np.logical_and.reduce([(x >= each.low) & (x <= each.high) for each, x in readings])
    rows = {
        "timestamp": pa.array(columns["timestamp"], pa.timestamp("us", tz="UTC")),
        "turbine_id": np.array(farm.turbine_ids)[columns["turbine"]],
        "farm_id": np.full(len(valid), farm.farm_id),
        "status": np.array(STATES)[columns["status"]],
        "rated_power": np.full(len(valid), farm.turbine_type.rated_power),
        **{each.name: x for each, x in readings},
    }
    return pa.table(rows).filter(pa.array(valid))


def warehouse_of(folder: Path) -> Warehouse:
    return Warehouse(folder / "warehouse", LakeReader.folder(folder / "lake"))


def wear(folder: Path) -> list[tuple[str, str, datetime, datetime]]:
    """(turbine, component, from, to) of all damage in the ground truth."""
    table = pq.read_table(folder / WEAR_FILE).select(["turbine_id", "kind", "from", "to"])
    return [
        (row["turbine_id"], row["kind"].removeprefix("machine."), row["from"], row["to"])
        for row in table.to_pylist()
    ]


def alarms(folder: Path, size: Size) -> Iterator[tuple[int, list[tuple[str, str | None]]]]:
    """Yield (day, ranking) of a data set: turbine and component that the view names."""
    for day in size.asked:
        (rows,) = Engine(warehouse_of(folder), START + timedelta(days=day)).run(SQL)
        yield day, [(row["turbine_id"], row["component"]) for row in rows.to_pylist()]


def judge(seed: int, size: Size, folder: Path) -> Judged:
    """Ask the view on every day, and compare with the ground truth."""
    worn = worn_turbines(seed, size)
    damage = wear(folder)
    judged = Judged(seed, {component: Found() for component in worn})
    for day, ranking in alarms(folder, size):
        now = START + timedelta(days=day)
        worn_now = {
            turbine
            for turbine, _, begins, ends in damage
            if begins <= now <= ends + timedelta(days=7)
        }
        alone = [each for each in ranking if each[0] not in worn.values()]
        judged.false |= {turbine for turbine, named in alone if named} - worn_now
        for component, turbine in worn.items():
            own = [each for each in ranking if each[0] == turbine or each in alone]
            found = judged.worn[component]
            found.wears = {
                kind
                for each, kind, begins, ends in damage
                if each == turbine and begins <= now <= ends
            }
            places = [i for i, each in enumerate(own, 1) if each[0] == turbine]
            found.ranks[FAILS_ON - day] = (
                (places[0], own[places[0] - 1][1]) if places else (len(own) + 1, None)
            )
            true = [each[0] in worn_now for each in own[:FIRST] if each[1]]
            found.true_alarms += sum(true)
            found.false_alarms += len(true) - sum(true)
    return judged


def table(results: Sequence[Judged]) -> str:
    """Return the figures as a table."""
    by_component: dict[str, list[Found]] = defaultdict(list)
    for judged in results:
        for component, found in judged.worn.items():
            by_component[component].append(found)
    lines = [
        f"| component | recall at {FIRST} | precision at {FIRST} | lead time p50, days | named |",
        "|---|---|---|---|---|",
    ]
    every = [found for each in by_component.values() for found in each]
    groups = [*by_component.items(), ("all", every)] if every else []
    for component, found in groups:
        leads = [each.lead_days for each in found]
        true = sum(each.true_alarms for each in found)
        all_alarms = true + sum(each.false_alarms for each in found)
        named = sum(each.named for each in found)
        lines.append(
            f"| {component} | {sum(lead > 0 for lead in leads)} of {len(found)} | "
            f"{true / all_alarms if all_alarms else 0:.2f} ({true} of {all_alarms}) | "
            f"{statistics.median(leads):g} | {named} of {len(found)} |"
        )
    false = [len(judged.false) for judged in results]
    lines.append(f"turbines left alone with a false alarm, per seed: {false}")
    return "\n".join(lines)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="The maintenance view against planted wear.")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--healthy", action="store_true", help="plant no wear")
    parser.add_argument("--data", type=Path, help="keep the data sets here")
    args = parser.parse_args()
    size = Size(components=()) if args.healthy else Size()
    results = []
    with tempfile.TemporaryDirectory(prefix="windfleet-truth-") as temporary:
        for seed in range(args.first, args.first + args.seeds):
            folder = (args.data or Path(temporary)) / f"seed-{seed}"
            if not (folder / WEAR_FILE).exists():
                make(seed, size, folder)
            judged = judge(seed, size, folder)
            results.append(judged)
            missed = {
                component: (*found.last, found.lead_days)
                for component, found in judged.worn.items()
                if not found.named or found.lead_days < 6
            }
            print(f"seed {seed}: missed or misnamed {missed}; false {judged.false}", flush=True)
            if args.data is None:
                shutil.rmtree(folder)
    print(table(results))


if __name__ == "__main__":
    main()
