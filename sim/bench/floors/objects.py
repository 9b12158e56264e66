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
from pipeline.stages.enrich import facts
from sim.bench.floors import columns, parquet
from sim.bench.floors.columns import Rows, Windows

_SCHEMAS: Final = {stage: parquet.schema(fields) for stage, fields in records.SCHEMAS.items()}
_STATES: Final = [state.encode() for state in records.STATES]
_HOUR_US: Final = 3_600_000_000
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
    for i, (objects, config) in enumerate(zip(_of_rows(rows, configs), configs, strict=True)):
        objects["aggregated"] = _of_windows(windows, i, config)
        found.append(
            Batch(objects, _manifest(config, len(tables[i]), spans[i], windows, i, objects))
        )
    return found


def _of_rows(rows: Rows, configs: Sequence[NodeConfig]) -> Iterator[dict[str, bytes]]:
    """Yield the three row-level objects of each node."""
    starts = rows.offsets[:-1]
    bounds = {
        name: (np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts))
        for name, values in rows.numbers.items()
    }
    lows = {name: low.tobytes() for name, (low, _) in bounds.items()}
    highs = {name: high.tobytes() for name, (_, high) in bounds.items()}
    views = {name: values.data.cast("B") for name, values in rows.numbers.items()}
    kinds = {field.name: parquet.kind_of(field) for field in records.VALIDATED}
    for i, config in enumerate(configs):
        a, b = int(rows.offsets[i]), int(rows.offsets[i + 1])
        count, part = b - a, slice(8 * i, 8 * i + 8)
        shared = []
        for name, kind in kinds.items():
            if name in views:
                data = views[name][8 * a : 8 * b]
                chunk = parquet.numbers(
                    name, kind, data, count, lows[name][part], highs[name][part]
                )
            elif name == "status":
                chunk = parquet.words(name, _STATES, rows.status[a:b], count)
            else:
                chunk = parquet.words(name, [getattr(config, name).encode()], None, count)
            shared.append(chunk)
        common = parquet.laid(shared, parquet.FIRST_AT)
        end = parquet.FIRST_AT + len(common.pages)
        values = facts(config)
        extra = parquet.laid((_fact(name, values[name], count) for name in _FACTS), end)
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
        return parquet.words(name, [value.encode()], None, rows)
    return parquet.constant(name, value, rows)


def _of_windows(windows: Windows, node: int, config: NodeConfig) -> bytes:
    """Return the aggregated object of one node."""
    a, b = int(windows.bounds[node]), int(windows.bounds[node + 1])
    chunks = []
    for field in records.AGGREGATED:
        name = field.name
        if pa.types.is_string(field.type):
            chunks.append(parquet.words(name, [getattr(config, name).encode()], None, b - a))
        elif pa.types.is_list(field.type):
            chunks.append(parquet.lists(name, windows.kinds[a:b]))
        else:
            values: npt.NDArray[Any] = windows.columns[name][a:b]
            low, high = values.min().tobytes(), values.max().tobytes()
            data = values.data.cast("B")
            chunks.append(parquet.numbers(name, parquet.kind_of(field), data, b - a, low, high))
    return parquet.file(_SCHEMAS["aggregated"], [parquet.laid(chunks, parquet.FIRST_AT)], b - a)


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
