"""The contract of sensor records: names, units, limits, the node's SQLite table; Arrow `schemas`.

This is the one package that the pipeline, the simulator and the oracle share. It holds data only:
column names, units, physical limits, rule names and thresholds. It holds no logic. The oracle
(`sim.check`) recomputes everything by itself, so it cannot inherit a bug of the pipeline from here.

Times are UTC. In SQLite they are integer microseconds since 1970; in Arrow `timestamp[us, UTC]`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SCHEMA_VERSION: Final = 1
PIPELINE_VERSION: Final = "4"
"""Changes when the same rows give other bytes or keys than before. Every manifest carries it."""
TABLE: Final = "sensor_readings"


@dataclass(frozen=True)
class Column:
    """A column of numbers: its unit, and its meaning in words."""

    name: str
    unit: str
    text: str


@dataclass(frozen=True)
class Channel:
    """One sensor channel: its unit and limits. No working sensor reads outside of [low, high].

    stuck: True if an unchanging reading means a dead sensor. Pitch and power may rest for hours on
    a healthy machine. A reading of exactly 0 (calm, standstill) never counts as stuck.
    text: its meaning, in words.
    """

    name: str
    unit: str
    low: float
    high: float
    stuck: bool
    text: str


CHANNELS: Final = (
    # 75 m/s: IEC 61400-1, 3 s gust of class I is 70 m/s
    Channel("wind_speed", "m/s", 0.0, 75.0, True, "wind speed at the nacelle, behind the rotor"),
    Channel(
        "wind_direction", "deg", 0.0, 360.0, True, "where wind comes from, clockwise from north"
    ),
    Channel("rotor_rpm", "1/min", 0.0, 30.0, True, "speed of the rotor"),
    Channel("blade_pitch", "deg", -10.0, 100.0, False, "angle; 0 catches most wind, 90 feathers"),
    Channel("power_output", "MW", -1.0, 20.0, False, "electrical power; negative: it draws power"),
    Channel("temperature", "degC", -50.0, 80.0, True, "air inside the nacelle"),
    Channel("ambient_temperature", "degC", -60.0, 60.0, True, "air outside"),
    Channel("generator_temperature", "degC", -50.0, 200.0, True, "windings of the generator"),
    Channel("gearbox_temperature", "degC", -50.0, 150.0, True, "oil of the gearbox"),
    Channel("vibration_level", "mm/s", 0.0, 100.0, True, "vibration of the drive train, RMS"),
)
CHANNEL_NAMES: Final = tuple(c.name for c in CHANNELS)
STATES: Final = ("running", "standby", "curtailed", "stopped", "fault", "maintenance")

# --- the node's database -------------------------------------------------------------------------

_NOW_US: Final = (
    "(CAST(strftime('%s', 'now') AS INTEGER) * 1000000 + "
    "CAST(substr(strftime('%f', 'now'), 4) AS INTEGER) * 1000)"
)
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
"""Distance between the ids of a node's successive files in the lake.

A node's software that starts a fresh file keeps the old one beside it as RETIRED_NAME, after a WAL
checkpoint. The first retired file has generation 0, the next has 1. The old file is moved before
the fresh one is created. The fresh file numbers its rows from 1 again. In the lake (column id, key
range, manifest, checkpoint) a row's id is `generation * GENERATION_IDS + its id in the file`. So
ids stay unique, ascend per node, and depend on the data only. Ids in a file are 1 or more, and less
than this.
"""
RETIRED_NAME: Final = "{stem}.retired-{generation}.db"
REQUIRED_COLUMNS: Final = ("id", "timestamp", "recorded_at", "turbine_id", "status")
"""Columns without which a file cannot be read.

A channel that a file lacks reads as null in every row. A column that is not in NODE_COLUMNS is kept
in `_rescued_data`. Names are compared as in SQLite: a-z and A-Z are the same.
"""

# --- the stages ----------------------------------------------------------------------------------

STAGES: Final = ("ingestion", "validated", "enriched", "aggregated")
BUCKET_NAMES: Final = (*STAGES, "checkpoints", "metadata")
BUCKET_PREFIX: Final = "expanso-databricks-"
QUARANTINE: Final = "_quarantine"

RESCUED: Final = "_rescued_data"
"""JSON object of rescued cells by column; null if there are none.

It holds the cells whose stored type does not fit their column (those cells are null), and the cells
of columns that this schema does not know. Names are sorted. Blobs, and texts that are not UTF-8,
are upper-case hex. A null cell of an unknown column is left out: so a row that was stored before
its file had the column gives the same JSON whenever it is read. Zero has no sign: not every version
of SQLite tells 0.0 from -0.0.
"""

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
DERIVED: Final[dict[str, tuple[Column, ...]]] = {}
"""Further stages, none by default: their columns, which are computed from each valid row alone.

Such a stage has every valid row, with the columns of `validated` first. Its folder lies in the
bucket of `enriched`, beside `enriched/`. Its name consists of the letters a-z. The pipeline
computes it in `pipeline.stages.derive`, the oracle in `sim.check.expected.derived`.
"""

MEASURES: Final = ("power_output", "temperature", "vibration_level", "wind_speed", "rotor_rpm")
"""Channels that a window summarises.

A window has the mean under the channel's own name, then `_min`, `_max` and population `_std`.
"""
_UNITS: Final = {
    **{channel.name: channel.unit for channel in CHANNELS},
    **ENRICHMENT_UNITS,
    **{column.name: column.unit for columns in DERIVED.values() for column in columns},
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


# --- validation ----------------------------------------------------------------------------------

RULES: Final = (
    "type",  # a cell's stored type does not fit its column (see RESCUED; unknown columns may exist)
    "null",  # timestamp, recorded_at, turbine_id, a channel or status is null or NaN
    "identity",  # turbine_id is not the node's turbine
    "time.range",  # timestamp outside [TIME_MIN_US, TIME_MAX_US)
    "time.future",  # timestamp more than FUTURE_TOLERANCE_US after recorded_at
    "time.stale",  # timestamp more than STALE_AFTER_US before recorded_at
    "state",  # status is none of STATES
    "range",  # a channel is outside its limits
    "power.rotor",  # power above POWER_FLOOR of rated, with the rotor below ROTOR_STANDSTILL_RPM
    "power.rated",  # power above RATED_CEILING times rated power
    "power.wind",  # power above POWER_FLOOR of rated, with wind below WIND_CALM
    "stuck",  # a `stuck` channel keeps one non-zero value for STUCK_ROWS rows and STUCK_AFTER_US
    "duplicate",  # an earlier row (lower id) that broke no rule above has the same timestamp
)
"""Rules of validation, in the order of checking. The first rule that a row breaks quarantines it.

`stuck` looks at the node's rows in id order. A run is a maximal series of equal non-zero values in
consecutive rows. A row that broke an earlier rule ends the run: the sensor's behaviour meanwhile is
unknown, and two short runs around a gap would look like a long one. A row breaks the rule once its
run has STUCK_ROWS rows and its timestamp is at least STUCK_AFTER_US after that of the run's first
row.

`power.*` is checked only where rated power is known.
"""

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

# --- anomalies, counted by the aggregated stage over validated rows ------------------------------

ANOMALIES: Final = ("vibration", "generator_heat", "gearbox_heat", "overspeed", "underperformance")
"""Kinds of anomaly that a window counts.

The first four are judged row by row. Underperformance is judged over the window. A row's
promise is the power that the power curve gives at its wind speed. The rows judged are `running`,
with a promise of at least PROMISE_FLOOR of rated power. If their total power is less than
UNDERPERFORMANCE of their total promise, each of them counts.

`anomaly_count` is the sum of the counts of all kinds. `anomaly_kinds` lists the kinds with a count
above 0, in the order above. Kinds whose asset data is unknown are not judged.
"""

VIBRATION_ALARM: Final = 5.6  # mm/s, gearbox zone boundary C/D of ISO 10816-21
GENERATOR_ALARM: Final = 130.0  # degC
GEARBOX_ALARM: Final = 85.0  # degC
OVERSPEED: Final = 1.15  # times rated rotor speed
UNDERPERFORMANCE: Final = 0.5
PROMISE_FLOOR: Final = 0.1  # of rated power
