"""The maintenance view against planted wear: the turbine that fails next, and the lead time.

    nice python -m tests.maintenance_truth            ten seeds with planted wear, ten without
    nice python -m tests.maintenance_truth --seeds 2

Each seed is a data set of 20 turbines for 60 days of 10-minute data, from `windfleet demo`.
In the first kind, one component of one turbine wears from day 15 and fails on day 50. The view is
read for every other day before, by the clock of the query. Failures and wear that come by chance
are in the ground truth (`truth/`) and count as true. Prints one line per seed, then recall,
precision and lead time.

Not covered: fleets of other sizes, data sets shorter than a month.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from sim.check.read.lake import LakeReader
from sim.cli import main as windfleet
from sim.query.engine import Engine
from sim.query.loader import LoadOptions, load
from sim.query.warehouse import Warehouse

START: Final = datetime(2024, 1, 10, tzinfo=UTC)
DAYS: Final = 60
WEARS_FROM: Final = 15
FAILS_ON: Final = 50
COMPONENTS: Final = ("main_bearing", "gearbox", "generator", "rotor", "pitch", "cooling", "yaw")
FIRST: Final = 3
"""A turbine is found if it is in one of so many first places, with a component named."""


@dataclass
class Found:
    """One seed. days: days before the failure -> place and component."""

    seed: int
    turbine: str = ""
    component: str = ""
    days: dict[int, tuple[int, str | None]] = field(default_factory=dict)
    true_alarms: int = 0
    false_alarms: int = 0
    false: set[str] = field(default_factory=set)

    @property
    def lead_days(self) -> int:
        """Days before the failure from which on the turbine is always found."""
        lead = 0
        for before in sorted(self.days):
            place, component = self.days[before]
            if place > FIRST or component is None:
                break
            lead = before
        return lead


def made(seed: int, planted: bool, folder: Path) -> tuple[Warehouse, Found]:
    """Make and load one data set."""
    found = Found(seed)
    events = "[]"
    if planted:
        found.turbine = f"E-{seed % 20 + 1:03}"
        found.component = COMPONENTS[seed % len(COMPONENTS)]
        events = (
            f"[{{kind: machine.failure, from: {WEARS_FROM}d, for: {FAILS_ON - WEARS_FROM}d, "
            f"turbines: [{found.turbine}], component: {found.component}}}]"
        )
    settings = (
        f"seed={seed}",
        "fleet={preset: full, farms: [E], turbines: 20}",
        f"clock={{start: {START:%Y-%m-%dT%H:%M:%SZ}, duration: {DAYS}d, sample_every: 10m}}",
        f"events={events}",
    )
    argv = ["demo", "--theme", "bearing-failure", "--layout", "farm", "--to", str(folder)]
    with contextlib.redirect_stdout(io.StringIO()):
        code = windfleet([*argv, *(part for each in settings for part in ("--set", each))])
    assert code == 0, f"seed {seed}: windfleet demo ended with {code}"
    warehouse = Warehouse(folder / "warehouse", LakeReader.folder(folder / "lake"))
    load(warehouse, LoadOptions())
    return warehouse, found


def wear(folder: Path) -> list[tuple[str, datetime, datetime]]:
    """(turbine, from, to) of all damage in the ground truth."""
    table = pa.concat_tables(
        [pq.read_table(path) for path in sorted((folder / "truth").glob("*wear*.parquet"))]
    )
    return [
        (row["turbine_id"], row["from"], row["to"])
        for row in table.select(["turbine_id", "from", "to"]).to_pylist()
    ]


def asked(warehouse: Warehouse, now: datetime) -> Iterator[tuple[int, str, str | None]]:
    """Yield (place, turbine, component) of the view by a clock."""
    sql = "SELECT place, turbine_id, component FROM wind_turbine_maintenance_dashboard"
    (rows,) = Engine(warehouse, now).run(sql)
    for row in rows.to_pylist():
        yield row["place"], row["turbine_id"], row["component"]


def judge(seed: int, planted: bool, folder: Path) -> Found:
    """Make a data set and ask the view for every other day."""
    warehouse, found = made(seed, planted, folder)
    damage = wear(folder)
    for day in range(20, FAILS_ON, 2):
        now = START + timedelta(days=day)
        for place, turbine, component in asked(warehouse, now):
            if planted and turbine == found.turbine:
                found.days[FAILS_ON - day] = (place, component)
            if component is None or place > FIRST:
                continue
            late = now - timedelta(days=7)
            if any(
                turbine == each and begins <= now and late <= ends for each, begins, ends in damage
            ):
                found.true_alarms += 1
            else:
                found.false_alarms += 1
                found.false.add(turbine)
    return found


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="The maintenance view against planted wear.")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=1)
    args = parser.parse_args()
    results = []
    for planted in (True, False):
        for seed in range(args.first, args.first + args.seeds):
            with tempfile.TemporaryDirectory(prefix="windfleet-truth-") as folder:
                found = judge(seed, planted, Path(folder))
            results.append((planted, found))
            if planted:
                place, component = found.days.get(2, (0, None))
                print(
                    f"seed {seed}: {found.turbine} {found.component}: two days before, "
                    f"place {place} ({component}); found for {found.lead_days} days; alarms "
                    f"true {found.true_alarms}, false {found.false_alarms} {sorted(found.false)}",
                    flush=True,
                )
            else:
                print(
                    f"seed {seed}: nothing planted: alarms true {found.true_alarms}, "
                    f"false {found.false_alarms} {sorted(found.false)}",
                    flush=True,
                )
    with_wear = [found for planted, found in results if planted]
    leads = [found.lead_days for found in with_wear if found.lead_days]
    alarms = [
        sum(each.true_alarms for each in with_wear),
        sum(each.false_alarms for each in with_wear),
    ]
    named = sum(found.days.get(2, (0, None))[1] == found.component for found in with_wear)
    print(f"recall: {len(leads)} of {len(with_wear)}; component named: {named}")
    share = alarms[0] / max(sum(alarms), 1)
    print(f"precision at {FIRST}: {share:.2f} ({alarms[0]} of {sum(alarms)})")
    print(f"lead time p50: {statistics.median(leads) if leads else 0} days")
    false = [len(found.false) for planted, found in results if not planted]
    print(f"without planted wear: turbines with a false alarm per seed: {false}")


if __name__ == "__main__":
    main()
