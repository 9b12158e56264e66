"""The data dictionary of a data set: `dictionary.md`, and the same facts on Arrow fields.

Names, types, units, limits and the meanings of readings are those of `pipeline.records`. The other
meanings stand here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa

from pipeline.records import (
    ANOMALIES,
    CHANNELS,
    DERIVED,
    MEASURES,
    QUARANTINE,
    RULES,
    STATES,
    unit_of,
)
from pipeline.records.schemas import REJECTED as REJECTED_SCHEMA
from pipeline.records.schemas import SCHEMAS, VALIDATED
from sim.whole_file import write_text

FILE: Final = "dictionary.md"
_ROW: Final = {
    "id": "number of the row in its node's database, ascending per turbine",
    "timestamp": "time of the reading, UTC; the mean over the step that ends here",
    "recorded_at": "time when the node stored the row, UTC; later than `timestamp` for a late row",
    "turbine_id": "turbine",
    "farm_id": "farm",
    **{channel.name: channel.text for channel in CHANNELS},
    "status": f"operating state: {', '.join(STATES)}",
}
_ENRICHED: Final = {
    "job_id": "job that delivered the row (Bacalhau's `j-<uuid>`)",
    "execution_id": "execution of that job (`e-<uuid>`)",
    "node_id": "edge node (`n-<uuid>`)",
    "region": "cloud region of the farm",
    "os_arch": "operating system and processor of the node",
    "node_version": "version of the node's software",
    "turbine_type": "type of the machine",
    "serial_number": "serial number of the machine",
    "installation_date": "date of installation, YYYY-MM-DD",
    "operator_ref": "pseudonym of the operator's contact",
    "technician_ref": "pseudonym of the technician",
    "rated_power": "rated power of the machine",
    "hub_height": "height of the hub above ground",
    "latitude_coarse": "latitude, coarsened to hide the exact place",
    "longitude_coarse": "longitude, coarsened likewise",
}
_AGGREGATED: Final = {
    "turbine_id": "turbine",
    "farm_id": "farm",
    "date": "date of `window_start`, UTC",
    "window_start": "first instant of the window, UTC",
    "window_end": "end of the window, UTC, which is outside of it",
    **{
        f"{name}{suffix}": f"{word} of `{name}` over the window's valid rows"
        for name in MEASURES
        for suffix, word in (
            ("", "mean"),
            ("_min", "smallest value"),
            ("_max", "largest value"),
            ("_std", "population standard deviation"),
        )
    },
    "efficiency": "energy produced over the energy that the power curve promises for the wind",
    "rows": "valid rows of the window",
    "anomaly_count": "anomalies of all kinds",
    "anomaly_kinds": f"kinds with a count: {', '.join(ANOMALIES)}",
    "revision": "0 at first; a late row makes the next. Take the highest of a window",
}
_REJECTED: Final = {
    "_rescued_data": "JSON of cells that do not fit their column, by column",
    "rule": f"first rule that the row breaks: {', '.join(RULES)}",
}
_NULLS: Final = {
    "efficiency": "too little wind to judge by",
    "_rescued_data": "every cell fits",
    "anomaly_kinds": "never; empty without an anomaly",
}
"""Meaning of a null where it is not that of its table."""
_ASSET: Final = "the operator's register lacks it"


def meanings(stage: str) -> dict[str, str]:
    """Return the meaning of each column of a stage, or of `quarantine`."""
    known = {
        "ingestion": _ROW | _REJECTED,
        "validated": _ROW,
        "enriched": _ROW | _ENRICHED,
        **{name: _ROW | {each.name: each.text for each in DERIVED[name]} for name in DERIVED},
        "aggregated": _AGGREGATED,
        "quarantine": _ROW | _REJECTED,
    }[stage]
    return {name: known[name] for name in _schema(stage).names}


def described(schema: pa.Schema, stage: str) -> pa.Schema:
    """Return a schema of a stage's columns whose fields carry `unit` and `description`."""
    texts = meanings(stage)
    fields = []
    for field in schema:
        facts = {"unit": unit_of(field.name), "description": texts[field.name]}
        fields.append(field.with_metadata({name: fact for name, fact in facts.items() if fact}))
    return pa.schema(fields)


def write(folder: Path) -> None:
    """Write `dictionary.md`. Raises OSError."""
    write_text(folder / FILE, text())


def text() -> str:
    """Return the dictionary, Markdown."""
    head = (
        "# Data dictionary\n\n"
        "Times are UTC, with microseconds. Limits are those of a working sensor: a valid row never "
        "leaves them.\n`readings.parquet` has the columns of `validated`, and their units and "
        "meanings as metadata of its fields\n(`pyarrow.parquet.read_schema`). The folders "
        "`year=/month=/day=/hour=` of a stage are the hour of the event.\n"
    )
    stages = [_section(stage) for stage in (*SCHEMAS, "quarantine")]
    return "\n".join([head, *stages])


def _section(stage: str) -> str:
    title = f"{stage} (`{QUARANTINE}/`)" if stage == "quarantine" else stage
    lines = [f"## {title}", "", "| column | type | unit | meaning | limits | null means |"]
    lines.append("|---|---|---|---|---|---|")
    limits = {each.name: f"{each.low:g} to {each.high:g}" for each in CHANNELS}
    valid = stage in ("validated", "enriched", *DERIVED)
    for field in _schema(stage):
        name = field.name
        cells: Sequence[str] = (
            f"`{name}`",
            str(field.type),
            unit_of(name),
            meanings(stage)[name],
            limits.get(name, "") if stage != "aggregated" else "",
            _null(stage, name, valid),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _null(stage: str, name: str, valid: bool) -> str:
    if name in _NULLS:
        return _NULLS[name]
    if name in _ENRICHED:
        return _ASSET
    if stage == "aggregated" or valid or name in ("id", "farm_id", "rule"):
        return "never"
    return "the node stored none, or a cell of another type"


def _schema(stage: str) -> pa.Schema:
    return REJECTED_SCHEMA if stage == "quarantine" else SCHEMAS[stage]


READINGS: Final = described(VALIDATED, "validated")
"""Schema of `readings.parquet`."""
