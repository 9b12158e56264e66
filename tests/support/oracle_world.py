"""One share of the oracle's work in memory: nodes, their rows, and objects with some of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.records import CHANNEL_NAMES
from sim.check.read.keys import bucket_of, read_batch_key
from sim.check.read.lake import ObjectRef
from sim.check.read.nodes import NODE_ROWS, Node
from sim.check.read.objects import STAGE_SCHEMAS, DataObject, StageRows

HOUR_US = 3_600_000_000
START_US = 1_705_276_800_000_000  # 2024-01-15T00:00:00Z
HOUR_0 = "year=2024/month=01/day=15/hour=00"
Row = dict[str, Any]


def node(turbine: str, farm: str = "A", **changes: Any) -> Node:
    known: dict[str, Any] = {
        "turbine": turbine,
        "farm": farm,
        "ids": {"job_id": "j-1", "execution_id": f"e-{turbine}", "node_id": f"n-{turbine}"},
        "labels": {},
        "asset": {"rated_power": 3.0, "power_curve": [(3.0, 0.0), (12.0, 3.0)]},
        "privacy_key": "00ff",
        "flush_every_s": 3600,
        "window_s": 600,
        "allowed_lateness_s": 0,
        "database": f"{turbine}.db",
    }
    return Node(**known | changes)


def row(number: int, turbine: str, time_us: int, **changes: Any) -> Row:
    """A valid row as the oracle reads it from a node file."""
    known = {
        "id": number,
        "timestamp": time_us,
        "recorded_at": time_us,
        "turbine_id": turbine,
        "status": "running",
    }
    channels = dict.fromkeys(CHANNEL_NAMES, 1.0 + number / 7) | {
        "rotor_rpm": 9.0,
        "wind_speed": 8.0,
    }
    return known | channels | {"misfit": False} | changes


def stored(rows: list[Row]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=NODE_ROWS)


def stage_rows(stage: str, objects: Mapping[str, list[Row]]) -> StageRows:
    """Rows of a stage, as read from its objects, by their keys."""
    schema = pa.schema(
        field.with_type(pa.dictionary(pa.int32(), pa.string()))
        if field.type == pa.string() and field.name != "_rescued_data"
        else field
        for field in STAGE_SCHEMAS[stage]
    )
    plain = [each for rows in objects.values() for each in rows]
    table = pa.Table.from_pylist(
        [{k: v for k, v in each.items() if k in schema.names} for each in plain], schema
    )
    items = []
    for key, rows in objects.items():
        ref = ObjectRef(bucket_of(stage), key, 1)
        items.append(DataObject(ref, read_batch_key(ref.bucket, key), False, "x", 1, len(rows)))
    return StageRows(items, table, np.repeat(np.arange(len(items)), [item.rows for item in items]))


class Kept:
    """A reader of given objects by key."""

    def __init__(self, contents: Mapping[str, bytes | None]) -> None:
        self.contents = contents

    def read(self, refs: Iterable[ObjectRef]) -> Iterator[bytes | None]:
        return (self.contents[ref.key] for ref in refs)
