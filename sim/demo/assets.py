"""The asset register of a data set's fleet as Parquet and CSV: one row per turbine.

It holds the operator's records with people and exact places (all invented, by Faker). Apart from
the node configurations that `--nodes` keeps, no other file of a data set has personal data. The
lake holds pseudonyms and coarse coordinates in their place.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from sim import private
from sim.fleet import assets
from sim.scenario import Scenario

_PLAIN = (
    *(
        "turbine_type",
        "rated_power",
        "rated_rpm",
        "hub_height",
        "serial_number",
        "installation_date",
    ),
    *("operator_contact", "technician", "latitude", "longitude"),
)


def write(scenario: Scenario, folder: Path) -> None:
    """Write `assets.parquet` and `assets.csv`, readable by their owner only.

    Units: `pipeline.config.Asset`. Raises OSError.
    """
    table = register(scenario)
    with private.open_new(folder / "assets.parquet") as file:  # pyarrow may take a path for a URI
        pq.write_table(table, file)
    with private.open_new(folder / "assets.csv") as file:
        csv.write_csv(table, file)


def register(scenario: Scenario) -> pa.Table:
    """One row per turbine.

    Ids, the farm's name, region and time zone, and the plain fields of the turbine's asset record.
    """
    rows = [
        {
            "turbine_id": turbine_id,
            "farm_id": farm.farm_id,
            "farm_name": farm.name,
            "region": farm.region,
            "time_zone": farm.time_zone,
            **{name: getattr(asset, name) for name in _PLAIN},
        }
        for farm in scenario.fleet.farms
        for turbine_id, asset in zip(
            farm.turbine_ids, assets.register(farm, scenario.seed), strict=True
        )
    ]
    return pa.Table.from_pylist(rows)
