"""A data set in the forms of OpenOA and FLASC: `--export openoa`, `--export flasc`.

Both know one farm at a time, so there is a folder per farm.

    DIR/openoa/<farm>/scada.parquet   one row per turbine and time, columns of OpenOA's SCADA data
                      asset.csv       asset table: kW, m, degrees
                      plant.json      metadata for `openoa.PlantData`: frequency, coordinates
    DIR/flasc/<farm>/scada.parquet    one row per time: time, and ws_000, wd_000, pow_000, ... of
                                      each turbine by its index
                     layout.csv       index and id of each turbine, asset table, metres east, north

Power is in kW, times are UTC without a zone. A row that validation rejected is absent in OpenOA's
form and null in FLASC's. Asset tables hold exact places: mode 0600.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import fs

from sim import private
from sim.demo import flat
from sim.fleet.farm import Farm
from sim.scenario import Scenario
from sim.units import SECOND_US

OPENOA: Final = {
    "asset_id": "turbine_id",
    "time": "timestamp",
    "WTUR_W": "power_output",
    "WMET_HorWdSpd": "wind_speed",
    "WMET_HorWdDir": "wind_direction",
    "WTUR_TurSt": "status",
    "WROT_BlPthAngVal": "blade_pitch",
    "WMET_EnvTmp": "ambient_temperature",
}
"""OpenOA's name of a SCADA column -> ours. Names: `SCADAMetaData` of openoa/schema/metadata.py."""
FLASC: Final = {"ws": "wind_speed", "wd": "wind_direction", "pow": "power_output"}
"""FLASC's name of a channel -> ours. Three digits follow it, the turbine's index."""
_KW: Final = 1000.0


def write(scenario: Scenario, folder: Path, form: str) -> None:
    """Write the export of a data set that has `readings.parquet`. form: of FORMS. Raises OSError.

    One farm at a time is in memory.
    """
    data = ds.dataset(str(folder / flat.FILE), format="parquet", filesystem=fs.LocalFileSystem())
    for farm in scenario.fleet.farms:
        place = folder / form / farm.farm_id
        place.mkdir(parents=True, exist_ok=True)
        rows = data.to_table(filter=pc.field("farm_id") == farm.farm_id)
        FORMS[form](scenario, farm, rows, place)


def assets(farm: Farm) -> pa.Table:
    """Return the asset table of a farm, as OpenOA names its columns: kW, metres, degrees."""
    kind = farm.turbine_type
    places = [farm.coordinates(index) for index in range(farm.turbines)]
    elevation = max(0.0, farm.climate.altitude - kind.hub_height)
    return pa.table(
        {
            "asset_id": farm.turbine_ids,
            "latitude": [latitude for latitude, _ in places],
            "longitude": [longitude for _, longitude in places],
            "rated_power": [kind.rated_power * _KW] * farm.turbines,
            "hub_height": [kind.hub_height] * farm.turbines,
            "rotor_diameter": [kind.rotor_diameter] * farm.turbines,
            "elevation": [elevation] * farm.turbines,
            "type": ["turbine"] * farm.turbines,
        }
    )


def _openoa(scenario: Scenario, farm: Farm, rows: pa.Table, place: Path) -> None:
    columns = {name: _column(rows, ours) for name, ours in OPENOA.items()}
    _parquet(pa.table(columns), place / "scada.parquet")
    _private_csv(assets(farm), place / "asset.csv")
    frequency = _frequency(scenario.clock.sample_us)
    metadata = {
        "latitude": farm.latitude,
        "longitude": farm.longitude,
        "capacity": round(farm.turbines * farm.turbine_type.rated_power, 3),
        "scada": {"frequency": frequency, **{name: name for name in OPENOA}},
        "asset": {name: name for name in assets(farm).column_names},
    }
    with private.open_new(place / "plant.json") as file:
        file.write((json.dumps(metadata, indent=1) + "\n").encode())


def _flasc(scenario: Scenario, farm: Farm, rows: pa.Table, place: Path) -> None:
    clock = scenario.clock
    at = (rows.column("timestamp").cast(pa.int64()).to_numpy() - clock.start_us) // clock.sample_us
    owner = pc.index_in(rows.column("turbine_id"), pa.array(farm.turbine_ids)).to_numpy()
    inside = (at >= 0) & (at < clock.samples)
    times = clock.start_us + np.arange(clock.samples, dtype=np.int64) * clock.sample_us
    columns: dict[str, Any] = {"time": pa.array(times, pa.timestamp("us"))}
    for name, ours in FLASC.items():
        wide = np.full((farm.turbines, clock.samples), np.nan)
        values = _column(rows, ours).to_numpy()
        wide[owner[inside], at[inside]] = values[inside]
        for index in range(farm.turbines):
            columns[f"{name}_{index:03d}"] = pa.array(wide[index], from_pandas=True)
    _parquet(pa.table(columns), place / "scada.parquet")
    table = assets(farm).rename_columns({"asset_id": "turbine_id"}).drop_columns(["type"])
    east, north = farm.positions.T
    table = table.add_column(0, "index", pa.array(range(farm.turbines)))
    for name, metres in (("x", east), ("y", north)):
        table = table.append_column(name, pa.array(metres))
    _private_csv(table, place / "layout.csv")


FORMS: Final[dict[str, Callable[[Scenario, Farm, pa.Table, Path], None]]] = {
    "openoa": _openoa,
    "flasc": _flasc,
}


def _column(rows: pa.Table, name: str) -> pa.ChunkedArray:
    column = rows.column(name)
    if name == "power_output":
        return pc.multiply(column, _KW)
    return column.cast(pa.timestamp("us")) if name == "timestamp" else column


def _frequency(us: int) -> str:
    """Return a step as an offset alias of pandas."""
    for unit, size in (("h", 3600 * SECOND_US), ("min", 60 * SECOND_US), ("s", SECOND_US)):
        if us % size == 0:
            return f"{us // size}{unit}"
    return f"{us}us"


def _parquet(table: pa.Table, path: Path) -> None:
    with path.open("wb") as file:  # pyarrow may take a path for a URI
        pq.write_table(table, file, compression="zstd")


def _private_csv(table: pa.Table, path: Path) -> None:
    with private.open_new(path) as file:
        csv.write_csv(table, file)
