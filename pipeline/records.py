"""What a sensor record is: names, units, limits, Arrow schemas and the node's SQLite table. Data only, no behaviour.

This is the one module that the pipeline, the simulator and the oracle share. It holds the *contract*: column names,
units, physical limits, rule names and thresholds. It holds no logic, so that the oracle (`sim.check`), which
recomputes everything by itself, cannot inherit a bug of the pipeline from here.

Times are UTC. In SQLite they are integer microseconds since 1970; in Arrow `timestamp[us, UTC]`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

SCHEMA_VERSION: Final = 1
PIPELINE_VERSION: Final = "3"
"""Changes when the same rows give other bytes or keys than before. Every manifest carries it."""
TABLE: Final = "sensor_readings"


@dataclass(frozen=True)
class Channel:
    """One sensor channel: its unit, and the closed interval [low, high] outside of which no working sensor reads.

    `stuck` says whether an unchanging reading means a dead sensor. Pitch and power may rest for hours on a healthy
    machine; a reading of exactly 0 (calm, standstill) never counts as stuck.
    """

    name: str
    unit: str
    low: float
    high: float
    stuck: bool


CHANNELS: Final = (
    Channel("wind_speed", "m/s", 0.0, 75.0, True),  # IEC 61400-1: 3 s gust of class I is 70 m/s
    Channel("wind_direction", "deg", 0.0, 360.0, True),
    Channel("rotor_rpm", "1/min", 0.0, 30.0, True),
    Channel("blade_pitch", "deg", -10.0, 100.0, False),
    Channel("power_output", "MW", -1.0, 20.0, False),  # standby consumption is negative
    Channel("temperature", "degC", -50.0, 80.0, True),  # nacelle
    Channel("ambient_temperature", "degC", -60.0, 60.0, True),
    Channel("generator_temperature", "degC", -50.0, 200.0, True),
    Channel("gearbox_temperature", "degC", -50.0, 150.0, True),
    Channel("vibration_level", "mm/s", 0.0, 100.0, True),  # RMS
)
CHANNEL_NAMES: Final = tuple(c.name for c in CHANNELS)
STATES: Final = ("running", "standby", "curtailed", "stopped", "fault", "maintenance")

# --- the node's database ---------------------------------------------------------------------------------------------

_NOW_US: Final = "(CAST(strftime('%s', 'now') AS INTEGER) * 1000000 + CAST(substr(strftime('%f', 'now'), 4) AS INTEGER) * 1000)"
NODE_COLUMNS: Final = ("id", "timestamp", "recorded_at", "turbine_id", *CHANNEL_NAMES, "status")
NODE_DDL: Final = (
    f"CREATE TABLE IF NOT EXISTS {TABLE} (\n"
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,\n"
    f"  timestamp INTEGER DEFAULT {_NOW_US},\n"
    f"  recorded_at INTEGER DEFAULT {_NOW_US},\n"
    "  turbine_id TEXT,\n"
    + "".join(f"  {name} REAL,\n" for name in CHANNEL_NAMES)
    + "  status TEXT\n)"
)

GENERATION_IDS: Final = 10**12
"""A node's software that starts a fresh file keeps the old one beside it, its log folded in, as RETIRED_NAME: the first
with generation 0, the next with 1, moved there before the new file is made. The fresh file numbers its rows from 1
again. In the lake (column id, key range, manifest, checkpoint) a row is `generation * GENERATION_IDS + its id in the
file`, so ids stay unique and ascend per node, and depend on the data alone. In a file they are 1 or more, and
below this."""
RETIRED_NAME: Final = "{stem}.retired-{generation}.db"
REQUIRED_COLUMNS: Final = ("id", "timestamp", "recorded_at", "turbine_id", "status")
"""A file without one of these cannot be read. A channel that a file does not have reads as null, row by row; a column
that is not of NODE_COLUMNS is kept in `_rescued_data`. Names are SQLite's: a-z and A-Z are the same."""

# --- the stages ------------------------------------------------------------------------------------------------------

STAGES: Final = ("ingestion", "validated", "enriched", "aggregated")
BUCKET_NAMES: Final = (*STAGES, "checkpoints", "metadata")
BUCKET_PREFIX: Final = "expanso-databricks-"
QUARANTINE: Final = "_quarantine"

_TIME: Final = pa.timestamp("us", tz="UTC")
_ROW_FIELDS: Final = (
    pa.field("id", pa.int64()),
    pa.field("timestamp", _TIME),
    pa.field("recorded_at", _TIME),
    pa.field("turbine_id", pa.string()),
    pa.field("farm_id", pa.string()),
    *(pa.field(name, pa.float64()) for name in CHANNEL_NAMES),
    pa.field("status", pa.string()),
)
RESCUED: Final = "_rescued_data"
"""JSON object, by column: the cells whose stored type does not fit their column (those cells are null), and those of
columns that this schema does not know; null when there are none. Names sorted; blobs, and texts that are not UTF-8, as
upper-case hex. A null cell of an unknown column is left out: so a row stored before its file had the column says the
same whenever it is read."""

INGESTION: Final = pa.schema([*_ROW_FIELDS, pa.field(RESCUED, pa.string())])
VALIDATED: Final = pa.schema(_ROW_FIELDS)
REJECTED: Final = pa.schema([*INGESTION, pa.field("rule", pa.string())])

ENRICHMENT: Final = (
    "job_id", "execution_id", "node_id", "region", "os_arch", "node_version",
    "turbine_type", "serial_number", "installation_date", "operator_ref", "technician_ref",
)  # fmt: skip
ENRICHMENT_UNITS: Final = {
    "rated_power": "MW",
    "hub_height": "m",
    "latitude_coarse": "deg",
    "longitude_coarse": "deg",
}
ENRICHMENT_NUMBERS: Final = tuple(ENRICHMENT_UNITS)
ENRICHED: Final = pa.schema(
    [
        *_ROW_FIELDS,
        *(pa.field(name, pa.string()) for name in ENRICHMENT),
        *(pa.field(name, pa.float64()) for name in ENRICHMENT_NUMBERS),
    ]
)

MEASURES: Final = ("power_output", "temperature", "vibration_level", "wind_speed", "rotor_rpm")
"""Channels of which a window carries mean (under the channel's own name), `_min`, `_max` and population `_std`."""
AGGREGATED: Final = pa.schema(
    [
        pa.field("turbine_id", pa.string()),
        pa.field("farm_id", pa.string()),
        pa.field("date", pa.date32()),
        pa.field("window_start", _TIME),
        pa.field("window_end", _TIME),
        *(
            pa.field(m + suffix, pa.float64())
            for m in MEASURES
            for suffix in ("", "_min", "_max", "_std")
        ),
        pa.field("efficiency", pa.float64()),
        pa.field("rows", pa.int64()),
        pa.field("anomaly_count", pa.int64()),
        pa.field("anomaly_kinds", pa.list_(pa.string())),
        pa.field("revision", pa.int32()),
    ]
)
_UNITS: Final = {
    **{channel.name: channel.unit for channel in CHANNELS},
    **ENRICHMENT_UNITS,
    **{
        measure + suffix: channel.unit
        for measure in MEASURES
        for channel in CHANNELS
        if channel.name == measure
        for suffix in ("_min", "_max", "_std")
    },
    "efficiency": "1",
}


def unit_of(column: str) -> str:
    """Return the unit of a column of any stage, "" for one that has none."""
    return _UNITS.get(column, "")


SCHEMAS: Final = {
    "ingestion": INGESTION,
    "validated": VALIDATED,
    "enriched": ENRICHED,
    "aggregated": AGGREGATED,
}

# --- the rules of validation, in the order in which they are asked; the first that a row breaks quarantines it --------

RULES: Final = (
    "type",  # a cell's stored type does not fit its column (see RESCUED; a column more is no offence)
    "null",  # timestamp, recorded_at, turbine_id, a channel or status is null or NaN
    "identity",  # turbine_id is not the node's turbine
    "time.range",  # timestamp outside [TIME_MIN_US, TIME_MAX_US)
    "time.future",  # timestamp more than FUTURE_TOLERANCE_US after recorded_at
    "time.stale",  # timestamp more than STALE_AFTER_US before recorded_at
    "state",  # status is none of STATES
    "range",  # a channel is outside its limits
    "power.rotor",  # more than POWER_FLOOR of rated power while the rotor turns slower than ROTOR_STANDSTILL_RPM
    "power.rated",  # power above RATED_CEILING times rated power
    "power.wind",  # more than POWER_FLOOR of rated power at less than WIND_CALM
    "stuck",  # a `stuck` channel holds one non-zero value for STUCK_ROWS rows and STUCK_AFTER_US, this row included
    "duplicate",  # an earlier row (lower id) that broke no rule above has the same timestamp
)
"""`stuck` looks at the node's rows in id order. A run is a maximal series of equal non-zero values in rows one behind
the other. A row that broke an earlier rule ends it: what the sensor did meanwhile is not known, and two short runs
around a gap would pass for a long one. A row breaks the rule from the moment its run has STUCK_ROWS rows and its
timestamp is at least STUCK_AFTER_US after the timestamp of the run's first row. `power.*` is asked only where rated
power is known."""

TIME_MIN_US: Final = 946_684_800_000_000  # 2000-01-01
TIME_MAX_US: Final = 4_102_444_800_000_000  # 2100-01-01
FUTURE_TOLERANCE_US: Final = 5 * 60 * 1_000_000
STALE_AFTER_US: Final = 30 * 86_400 * 1_000_000
POWER_FLOOR: Final = 0.1
ROTOR_STANDSTILL_RPM: Final = 0.5
RATED_CEILING: Final = 1.25
WIND_CALM: Final = 1.0  # m/s
STUCK_ROWS: Final = 10
STUCK_AFTER_US: Final = 60 * 1_000_000

# --- anomalies, counted by the aggregated stage over validated rows ---------------------------------------------------

ANOMALIES: Final = ("vibration", "generator_heat", "gearbox_heat", "overspeed", "underperformance")
"""The first four are judged row by row, underperformance over the window: of the rows that are `running` where the
power curve promises at least PROMISE_FLOOR of rated power, the sum of power is less than UNDERPERFORMANCE of the sum of
the promise; then each of those rows counts. `anomaly_count` is the sum of the counts of all kinds, `anomaly_kinds` the
kinds with a count above 0, in the order above. Kinds whose asset data is unknown are not judged."""

VIBRATION_ALARM: Final = 5.6  # mm/s, gearbox zone boundary C/D of ISO 10816-21
GENERATOR_ALARM: Final = 130.0  # degC
GEARBOX_ALARM: Final = 85.0  # degC
OVERSPEED: Final = 1.15  # times rated rotor speed
UNDERPERFORMANCE: Final = 0.5
PROMISE_FLOOR: Final = 0.1  # of rated power
