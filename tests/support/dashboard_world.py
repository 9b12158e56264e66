"""A lake made by hand for the dashboard: twelve days of ten-minute rows, in one object per stage.

Farm E has a gearbox that gets warmer (E-003), a turbine that falls silent (E-001) and a window
that stands still. Farm F has an hour of strong vibration (F-002) and rows in quarantine. The third
farm has a name, and a turbine, that are markup.
"""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.records import BUCKET_NAMES, BUCKET_PREFIX, SCHEMA_VERSION
from pipeline.records.schemas import AGGREGATED, ENRICHED, INGESTION, REJECTED, VALIDATED

START = datetime.datetime(2024, 3, 1, tzinfo=datetime.UTC)
START_US = int(START.timestamp()) * 1_000_000
SAMPLE_US, WINDOW_US = 600_000_000, 3_600_000_000
DAYS = 12
SAMPLES = DAYS * 144
FAILING, SILENT, SHAKEN = "E-003", "E-001", "F-002"
EVIL_FARM = "</script><script>document.title='bad'</script>"
EVIL_TURBINE = "<img src=x onerror=document.title='bad'>"
UNITS = [
    *((f"E-{number:03d}", "E") for number in range(1, 6)),
    *((f"F-{number:03d}", "F") for number in range(1, 5)),
    (EVIL_TURBINE, EVIL_FARM),
]
RATED = {"E": 3.0, "F": 5.0, EVIL_FARM: 2.0}
SILENT_FROM = SAMPLES - 30
SHAKEN_AT = range(11 * 144, 11 * 144 + 12)
STILL_WINDOW = 5 * 24


def write(folder: Path) -> Path:
    """Write the lake into a folder. Return the folder."""
    for bucket in BUCKET_NAMES:
        (folder / (BUCKET_PREFIX + bucket)).mkdir(parents=True)
    enriched = pa.concat_tables(
        [_rows(number, turbine, farm) for number, (turbine, farm) in enumerate(UNITS)]
    )
    plain = enriched.select(VALIDATED.names)
    put(folder, "enriched", "enriched", enriched)
    put(folder, "validated", "validated", plain)
    raw = plain.append_column("_rescued_data", pa.nulls(plain.num_rows, pa.string()))
    put(folder, "ingestion", "ingestion", raw.cast(INGESTION))
    put(folder, "aggregated", "aggregated", windows(enriched))
    rejected = raw.slice(5 * SAMPLES + 100, 3).append_column("rule", pa.array(["stuck"] * 3))
    put(folder, "validated", "_quarantine", rejected.cast(REJECTED))
    manifest(folder, SCHEMA_VERSION)
    return folder


def put(folder: Path, bucket: str, prefix: str, rows: pa.Table) -> Path:
    path = folder / (BUCKET_PREFIX + bucket) / prefix
    path /= "year=2024/month=03/day=01/hour=00/F-001-1-1.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, path)
    return path


def manifest(folder: Path, version: object) -> None:
    path = folder / f"{BUCKET_PREFIX}metadata" / "metadata" / "F-001-1-1.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"schema_version": version}))


def _rows(number: int, turbine: str, farm: str) -> pa.Table:
    """Return enriched rows of one turbine: smooth wind, its power, temperatures that follow it."""
    count = SILENT_FROM if turbine == SILENT else SAMPLES
    at = np.arange(count)
    random = np.random.default_rng(number)
    wind = 8 + 3 * np.sin(at / 50) + random.normal(0, 0.2, count)
    load = np.clip((wind / 12) ** 3, 0, 1)
    status = np.full(count, "running", dtype=object)
    values = {
        "id": at + 1,
        "timestamp": START_US + at * SAMPLE_US,
        "recorded_at": START_US + at * SAMPLE_US,
        "wind_speed": wind,
        "wind_direction": 180 + random.normal(0, 5, count),
        "rotor_rpm": 5 + 7 * load,
        "blade_pitch": np.zeros(count),
        "power_output": RATED[farm] * load,
        "temperature": 20 + random.normal(0, 0.2, count),
        "ambient_temperature": np.full(count, 8.0),
        "generator_temperature": 40 + 30 * load + random.normal(0, 0.5, count),
        "gearbox_temperature": 45 + 10 * load + random.normal(0, 0.3, count),
        "vibration_level": 1.5 + load + random.normal(0, 0.05, count),
        "rated_power": np.full(count, RATED[farm]),
        "hub_height": np.full(count, 100.0),
        "latitude_coarse": np.full(count, 53.1),
        "longitude_coarse": np.full(count, -8.6),
    }
    if turbine == FAILING:
        values["gearbox_temperature"] = values["gearbox_temperature"] + 12 * (at / count) ** 2
    if turbine == SHAKEN:
        values["vibration_level"][SHAKEN_AT] = 9.0
    if turbine == "E-002":
        still = slice(6 * STILL_WINDOW, 6 * STILL_WINDOW + 6)
        values["power_output"][still] = -0.001
        status[6 * STILL_WINDOW + 2 : 6 * STILL_WINDOW + 6] = "fault"
    texts = {"turbine_id": turbine, "farm_id": farm, "region": "eu-west-1", "turbine_type": "T1"}
    columns = []
    for field in ENRICHED:
        if field.name == "status":
            columns.append(pa.array(status, pa.string()))
        elif field.name in values:
            columns.append(pa.array(values[field.name]).cast(field.type))
        else:
            columns.append(pa.array([texts.get(field.name, "x")] * count, field.type))
    return pa.table(columns, schema=ENRICHED)


def windows(enriched: pa.Table) -> pa.Table:
    """Return windows of an hour. Their efficiency is 0.98, but tiny in the one that stood still."""
    start = enriched.column("timestamp").cast("int64").to_numpy() // WINDOW_US * WINDOW_US
    grouped = (
        enriched.append_column("start", pa.array(start))
        .group_by(["turbine_id", "farm_id", "start"])
        .aggregate(
            [
                ("power_output", "mean"),
                ("vibration_level", "max"),
                ("wind_speed", "mean"),
                ("id", "count"),
            ]
        )
        .sort_by([("turbine_id", "ascending"), ("start", "ascending")])
    )
    count = grouped.num_rows
    begin = grouped.column("start").to_numpy()
    power = grouped.column("power_output_mean").to_numpy()
    values = {
        "turbine_id": grouped.column("turbine_id"),
        "farm_id": grouped.column("farm_id"),
        "date": pa.array(begin // 86_400_000_000, pa.int32()).cast(pa.date32()),
        "window_start": pa.array(begin).cast(pa.timestamp("us", tz="UTC")),
        "window_end": pa.array(begin + WINDOW_US).cast(pa.timestamp("us", tz="UTC")),
        "power_output": pa.array(power),
        "wind_speed": grouped.column("wind_speed_mean"),
        "vibration_level": grouped.column("vibration_level_max"),
        "vibration_level_max": grouped.column("vibration_level_max"),
        "efficiency": pa.array(np.where(power > 0, 0.98, 1e-6)),
        "rows": grouped.column("id_count"),
        "anomaly_count": pa.array(np.zeros(count, dtype=np.int64)),
        "anomaly_kinds": pa.array([[]] * count, pa.list_(pa.string())),
        "revision": pa.array(np.zeros(count, dtype=np.int32)),
    }
    columns = [
        values[field.name].cast(field.type)
        if field.name in values
        else pa.array(np.zeros(count), field.type)
        for field in AGGREGATED
    ]
    return pa.table(columns, schema=AGGREGATED)
