"""Rows exactly as the node stored them, typed, with the farm from the node's configuration."""

from __future__ import annotations

import pyarrow as pa

from pipeline.batch import Groups, whole
from pipeline.records.schemas import INGESTION


def ingest(raw: pa.Table, groups: Groups) -> pa.Table:
    """Turn RAW rows (see `pipeline.source`) into INGESTION rows: same rows, same order."""
    farms = pa.array([config.farm_id for config in groups.configs])
    farm_of_row = farms.take(pa.array(groups.of_row))
    arrays = [
        farm_of_row if field.name == "farm_id" else _typed(raw.column(field.name), field.type)
        for field in INGESTION
    ]
    return pa.Table.from_arrays(arrays, schema=INGESTION)


def _typed(column: pa.ChunkedArray, type_: pa.DataType) -> pa.Array:
    array = whole(column)
    return array.view(type_) if pa.types.is_timestamp(type_) else array
