"""Arrow schemas of the stages' objects. A command that reads no rows does not import pyarrow."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from pipeline.records import (
    CHANNEL_NAMES,
    DERIVED,
    ENRICHMENT,
    ENRICHMENT_NUMBERS,
    MEASURES,
    RESCUED,
)

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

INGESTION: Final = pa.schema([*_ROW_FIELDS, pa.field(RESCUED, pa.string())])
VALIDATED: Final = pa.schema(_ROW_FIELDS)
REJECTED: Final = pa.schema([*INGESTION, pa.field("rule", pa.string())])

ENRICHED: Final = pa.schema(
    [
        *_ROW_FIELDS,
        *(pa.field(name, pa.string()) for name in ENRICHMENT),
        *(pa.field(name, pa.float64()) for name in ENRICHMENT_NUMBERS),
    ]
)


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
SCHEMAS: Final = {
    "ingestion": INGESTION,
    "validated": VALIDATED,
    "enriched": ENRICHED,
    **{
        stage: pa.schema([*_ROW_FIELDS, *(pa.field(each.name, pa.float64()) for each in columns)])
        for stage, columns in DERIVED.items()
    },
    "aggregated": AGGREGATED,
}
