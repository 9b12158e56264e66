"""`pipeline.process` by hand: the objects and the manifest of each node's batch.

The columns that ingestion, validated and enriched share are encoded once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline import records
from pipeline.config import NodeConfig
from pipeline.records import schemas
from pipeline.stages.enrich import facts
from sim.arrays import Ints
from sim.bench.floors import columns, parquet
from sim.bench.floors.columns import Rows, Windows

_SCHEMAS: Final = {stage: parquet.schema(fields) for stage, fields in schemas.SCHEMAS.items()}
_STATES: Final = [state.encode() for state in records.STATES]
_KINDS_OF_ROWS: Final = {field.name: parquet.kind_of(field) for field in schemas.VALIDATED}
_KINDS_OF_WINDOWS: Final = {
    field.name: None if pa.types.is_list(field.type) else parquet.kind_of(field)
    for field in schemas.AGGREGATED
}
_FACTS: Final = (*records.ENRICHMENT, *records.ENRICHMENT_NUMBERS)


class Batch(NamedTuple):
    """The objects of a batch by stage, and its manifest."""

    objects: dict[str, bytes]
    manifest: bytes


def batches(tables: Sequence[pa.Table], configs: Sequence[NodeConfig]) -> list[Batch]:
    """Take clean rows of each node, all of one hour, through the stages. Raises BenchError."""
    rows = columns.joined(tables)
    columns.require_clean(rows, configs)
    windows = columns.windows(rows, configs)
    starts, found = rows.offsets[:-1], []
    first, last = rows.numbers["id"][starts], rows.numbers["id"][rows.offsets[1:] - 1]
    low = np.minimum.reduceat(rows.numbers["timestamp"], starts)
    high = np.maximum.reduceat(rows.numbers["timestamp"], starts)
    spans = np.stack([first, last, low, high], axis=1).tolist()
    made = zip(_of_rows(rows, configs), _of_windows(windows, configs), strict=True)
    for i, ((objects, last_object), config) in enumerate(zip(made, configs, strict=True)):
        objects["aggregated"] = last_object
        found.append(
            Batch(objects, _manifest(config, len(tables[i]), spans[i], windows, i, objects))
        )
    return found


def _of_rows(rows: Rows, configs: Sequence[NodeConfig]) -> Iterator[dict[str, bytes]]:
    """Yield the three row-level objects of each node."""
    bounds = _bounds(rows.numbers, rows.offsets[:-1])
    for i, config in enumerate(configs):
        a, b = int(rows.offsets[i]), int(rows.offsets[i + 1])
        count = b - a
        shared = []
        for name, kind in _KINDS_OF_ROWS.items():
            if name in bounds:
                values, size, lows, highs = bounds[name]
                data, part = values[size * a : size * b], slice(size * i, size * (i + 1))
                chunk = parquet.numbers(name, kind, data, count, lows[part], highs[part])
            elif name == "status":
                chunk = parquet.words(name, _STATES, rows.status[a:b], count)
            else:
                chunk = parquet.word(name, getattr(config, name).encode(), count)
            shared.append(chunk)
        common = parquet.laid(shared, parquet.FIRST_AT)
        end = parquet.FIRST_AT + len(common.pages)
        known = facts(config)
        extra = parquet.laid((_fact(name, known[name], count) for name in _FACTS), end)
        rescued = parquet.laid([parquet.nulls(records.RESCUED, parquet.BYTES, count)], end)
        yield {
            "ingestion": parquet.file(_SCHEMAS["ingestion"], [common, rescued], count),
            "validated": parquet.file(_SCHEMAS["validated"], [common], count),
            "enriched": parquet.file(_SCHEMAS["enriched"], [common, extra], count),
        }


def _fact(name: str, value: str | float | None, rows: int) -> parquet.Chunk:
    """Encode a column that has one value in every row."""
    if value is None:
        kind = parquet.DOUBLE if name in records.ENRICHMENT_NUMBERS else parquet.BYTES
        return parquet.nulls(name, kind, rows)
    if isinstance(value, str):
        return parquet.word(name, value.encode(), rows)
    return parquet.constant(name, value, rows)


def _of_windows(windows: Windows, configs: Sequence[NodeConfig]) -> Iterator[bytes]:
    """Yield the aggregated object of each node."""
    bounds = _bounds(windows.columns, windows.bounds[:-1])
    for i, config in enumerate(configs):
        a, b = int(windows.bounds[i]), int(windows.bounds[i + 1])
        chunks = []
        for name, kind in _KINDS_OF_WINDOWS.items():
            if kind is None:
                chunks.append(parquet.lists(name, windows.kinds[a:b]))
            elif kind == parquet.BYTES:
                chunks.append(parquet.word(name, getattr(config, name).encode(), b - a))
            else:
                values, size, lows, highs = bounds[name]
                data, part = values[size * a : size * b], slice(size * i, size * (i + 1))
                chunks.append(parquet.numbers(name, kind, data, b - a, lows[part], highs[part]))
        span = parquet.laid(chunks, parquet.FIRST_AT)
        yield parquet.file(_SCHEMAS["aggregated"], [span], b - a)


def _bounds(
    columns: dict[str, npt.NDArray[Any]], starts: Ints
) -> dict[str, tuple[memoryview, int, bytes, bytes]]:
    """Return each column's bytes, the size of a value, and the least and largest of each node."""
    return {
        name: (
            values.data.cast("B"),
            values.itemsize,
            np.minimum.reduceat(values, starts).tobytes(),
            np.maximum.reduceat(values, starts).tobytes(),
        )
        for name, values in columns.items()
    }


def _manifest(
    config: NodeConfig,
    rows: int,
    span: Sequence[int],
    windows: Windows,
    node: int,
    objects: dict[str, bytes],
) -> bytes:
    """Return the manifest. span: first and last id, least and largest time of the rows."""
    first, last, low, high = span
    starts = windows.columns["window_start"][windows.bounds[node] : windows.bounds[node + 1]]
    folder = f"{datetime.fromtimestamp(low // 1e6, UTC):year=%Y/month=%m/day=%d/hour=%H}"
    entries = []
    for stage, body in objects.items():
        of_windows = stage == "aggregated"
        entries.append(
            {
                "stage": stage,
                "bucket": f"{records.BUCKET_PREFIX}{stage}",
                "key": f"{stage}/{folder}/{config.turbine_id}-{first}-{last}.parquet",
                "rows": len(starts) if of_windows else rows,
                "bytes": len(body),
                "sha256": hashlib.sha256(body).hexdigest(),
                "min_event_us": int(starts[0]) if of_windows else low,
                "max_event_us": int(starts[-1]) if of_windows else high,
                "first_id": None if of_windows else first,
                "last_id": None if of_windows else last,
            }
        )
    document = {
        "schema_version": records.SCHEMA_VERSION,
        "pipeline_version": records.PIPELINE_VERSION,
        "job_id": config.job_id,
        "execution_id": config.execution_id,
        "node_id": config.node_id,
        "turbine_id": config.turbine_id,
        "farm_id": config.farm_id,
        "pipeline_stage": "batch",
        "upload_timestamp": "1970-01-01T00:00:00.000+00:00",
        "source": {
            "database": f"{config.turbine_id}.db",
            "table": records.TABLE,
            "record_count": rows,
            "first_id": first,
            "last_id": last,
            "time_range": {"min": low, "max": high},
        },
        "destination": {"data_path": [entry["key"] for entry in entries]},
        "rejected": {},
        "objects": entries,
    }
    return json.dumps(document, separators=(",", ":")).encode()
