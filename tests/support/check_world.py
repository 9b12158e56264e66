"""Nodes, rows and stages in memory, for tests of the oracle's parts."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.records import ANOMALIES, CHANNEL_NAMES
from sim.check.expected.rows import Expectation, expect
from sim.check.expected.windows import expect_windows
from sim.check.read.keys import bucket_of
from sim.check.read.lake import ObjectRef
from sim.check.read.nodes import NODE_ROWS, Node
from sim.check.read.objects import STAGE_SCHEMAS, StageRows, read_stage

SECOND = 1_000_000
START = 1_705_276_800 * SECOND  # 2024-01-15T00:00:00Z
ASSET = {
    "rated_power": 3.0,
    "rated_rpm": 12.0,
    "power_curve": [(3.0, 0.0), (8.0, 1.0), (12.0, 3.0), (25.0, 3.0)],
}

Row = dict[str, Any]
Objects = dict[str, list[Row] | bytes]
"""A stage of the lake, by key: rows, or what else an object consists of."""


def node(turbine: str = "A-001", **changes: Any) -> Node:
    """Return a node with flush and window of a minute and no lateness, with fields `changes`."""
    ids = {"job_id": "j-1", "execution_id": "e-1", "node_id": f"n-{turbine}"}
    cells: Row = {
        "turbine": turbine,
        "farm": turbine[0],
        "ids": ids,
        "labels": {"region": "us-east-1"},
    }
    cells |= {
        "asset": ASSET,
        "privacy_key": "00ff",
        "flush_every_s": 60,
        "window_s": 60,
        "allowed_lateness_s": 0,
    }
    cells |= {"database": f"{turbine}.db"}
    return Node(**cells | changes)


def good(number: int, turbine: str = "A-001", **changes: Any) -> Row:
    """Return row `number`, ten seconds after the one before: valid, no alarm, no stuck channel."""
    time = START + 10 * SECOND * (number - 1)
    row: Row = {
        "id": number,
        "timestamp": time,
        "recorded_at": time,
        "turbine_id": turbine,
        "status": "running",
    }
    wave = number % 8 / 8
    row |= dict.fromkeys(CHANNEL_NAMES, 9.0 + wave) | {
        "power_output": 1.25,
        "vibration_level": 2.0 + wave,
    }
    return row | {"misfit": False} | changes


def table(rows: Sequence[Row]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=NODE_ROWS)


def expected(*series: Sequence[Row], nodes: Sequence[Node] = ()) -> Expectation:
    """Return the oracle's expected rows of nodes A-001, A-002 .., or of `nodes`.

    Each node has a series of rows.
    """
    fleet = nodes or [node(f"A-{i:03}") for i in range(1, len(series) + 1)]
    return expect(list(fleet), [table(rows) for rows in series])


class Memory:
    """Reader of objects by `<bucket>/<key>`. None stands for an object that is gone."""

    def __init__(self, objects: Mapping[str, bytes | None]) -> None:
        self._objects = objects

    def read(self, refs: Iterable[ObjectRef]) -> Iterator[bytes | None]:
        yield from (self._objects[ref.name] for ref in refs)


def parquet(rows: Sequence[Row], schema: pa.Schema) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), sink)
    return sink.getvalue()


def stage_rows(stage: str, objects: Mapping[str, Sequence[Row] | bytes | None]) -> StageRows:
    """Return a stage of the lake with these objects, by key: rows or other bytes."""
    bucket = bucket_of(stage)
    contents = {
        f"{bucket}/{key}": rows
        if rows is None or isinstance(rows, bytes)
        else parquet(rows, STAGE_SCHEMAS[stage])
        for key, rows in objects.items()
    }
    return read_stage(Memory(contents), stage, [ObjectRef(bucket, key, 0) for key in objects], [])


def window_rows(plan: Expectation) -> list[Row]:
    """Return the rows of the aggregated stage, in all revisions of each expected window."""
    windows = expect_windows(plan)
    rows = []
    for i, (owner, start) in enumerate(
        zip(windows.owner.tolist(), windows.start.tolist(), strict=True)
    ):
        named = plan.nodes[owner]
        row: Row = {
            "turbine_id": named.turbine,
            "farm_id": named.farm,
            "date": start // (86_400 * SECOND),
        }
        row |= {
            "window_start": start,
            "window_end": windows.end[i].item(),
            "rows": windows.rows[i].item(),
        }
        row |= {name: values[i].item() for name, values in windows.measures.items()}
        efficiency, mask = windows.efficiency[i].item(), windows.kinds[i].item()
        row |= {
            "efficiency": None if math.isnan(efficiency) else efficiency,
            "revision": windows.number[i].item(),
        }
        row |= {"anomaly_kinds": [kind for at, kind in enumerate(ANOMALIES) if mask >> at & 1]}
        rows.append(row | {"anomaly_count": windows.anomalies[i].item()})
    return rows


# changes of a lake


def put(key: str, *rows: Row) -> Callable[[Objects], object]:
    return lambda objects: objects.update({key: list(rows)})


def add(key: str, *rows: Row) -> Callable[[Objects], object]:
    return lambda objects: objects.update({key: [*objects.get(key, []), *rows]})


def drop(*names: str) -> Callable[[Objects], object]:
    return lambda objects: [objects.pop(name) for name in names]


def move(key: str, to: str) -> Callable[[Objects], object]:
    return lambda objects: objects.update({to: objects.pop(key)})
