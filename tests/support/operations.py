"""Tables of store operations for tests."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from pipeline.retry import Operation
from sim.measure.operations import SCHEMA


def table(operations: Sequence[Operation], worker: str) -> pa.Table:
    """Return the operations of one worker in SCHEMA."""
    rows = [(*operation, worker) for operation in operations]
    columns = list(zip(*rows, strict=True)) or [()] * len(SCHEMA)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    return pa.table(arrays, schema=SCHEMA)
