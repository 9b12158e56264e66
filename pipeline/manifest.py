"""The objects that one batch writes, and the JSON manifest that names them.

Readers trust only objects that a manifest names. Every field is a function of the rows and the
node's configuration, except `upload_timestamp`: the time of this attempt.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pipeline.config import NodeConfig
from pipeline.records import PIPELINE_VERSION, SCHEMA_VERSION, TABLE

VARYING = "upload_timestamp"


@dataclass(frozen=True)
class DataObject:
    """One Parquet object. Ids are those of its rows, None where rows carry none (aggregated)."""

    stage: str  # a stage's name, or "quarantine"
    bucket: str
    key: str
    body: bytes
    rows: int
    min_event_us: int | None
    max_event_us: int | None
    first_id: int | None
    last_id: int | None

    def entry(self) -> dict[str, Any]:
        return {
            "stage": self.stage,
            "bucket": self.bucket,
            "key": self.key,
            "rows": self.rows,
            "bytes": len(self.body),
            "sha256": hashlib.sha256(self.body).hexdigest(),
            "min_event_us": self.min_event_us,
            "max_event_us": self.max_event_us,
            "first_id": self.first_id,
            "last_id": self.last_id,
        }


@dataclass(frozen=True)
class Source:
    """The batch's rows in the node's database.

    min_us, max_us: event times, None if no row has one.
    """

    database: str
    rows: int
    first_id: int
    last_id: int
    min_us: int | None
    max_us: int | None


def document(
    config: NodeConfig,
    source: Source,
    rejected: dict[str, int],
    objects: Sequence[DataObject],
    now_us: int,
) -> bytes:
    """Return the manifest as JSON bytes."""
    return json.dumps(
        {
            "schema_version": SCHEMA_VERSION,
            "pipeline_version": PIPELINE_VERSION,
            "job_id": config.job_id,
            "execution_id": config.execution_id,
            "node_id": config.node_id,
            "turbine_id": config.turbine_id,
            "farm_id": config.farm_id,
            "pipeline_stage": "batch",
            VARYING: datetime.fromtimestamp(now_us / 1e6, UTC).isoformat(timespec="milliseconds"),
            "source": {
                "database": source.database,
                "table": TABLE,
                "record_count": source.rows,
                "first_id": source.first_id,
                "last_id": source.last_id,
                "time_range": {"min": source.min_us, "max": source.max_us},
            },
            "destination": {"data_path": [o.key for o in objects]},
            "rejected": rejected,
            "objects": [o.entry() for o in objects],
        },
        separators=(",", ":"),
    ).encode()


def equal(a: bytes, b: bytes) -> bool:
    """Return True if two manifests differ in nothing but `upload_timestamp`."""
    try:
        left, right = json.loads(a), json.loads(b)
        return {**left, VARYING: None} == {**right, VARYING: None}
    except (ValueError, TypeError):
        return False
