"""One row per attempt at a store operation: the columns of operations.parquet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa

OPERATIONS_FILE: Final = "operations.parquet"
_TIME: Final = pa.timestamp("ns", tz="UTC")
SCHEMA: Final = pa.schema(
    [
        pa.field("intended_start", _TIME),
        pa.field("start", _TIME),
        pa.field("end", _TIME),
        pa.field("kind", pa.string()),
        pa.field("bucket", pa.string()),
        pa.field("key", pa.string()),
        pa.field("bytes", pa.int64()),
        pa.field("outcome", pa.string()),
        pa.field("attempt", pa.int32()),
        pa.field("worker", pa.string()),
    ]
)


def table(operations: Sequence[tuple[Any, ...]], worker: str) -> pa.Table:
    """The operations of one worker (`pipeline.retry.Operation`s) in SCHEMA."""
    columns = list(zip(*operations, strict=True)) or [()] * (len(SCHEMA) - 1)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=False)]
    arrays.append(pa.array([worker] * len(operations), pa.string()))
    return pa.table(arrays, schema=SCHEMA)
