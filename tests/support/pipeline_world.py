"""Node files made cell by cell, the pipeline run over them in memory, and the lake read back.

A row is a dict of cells as SQLite stores them. `good` returns a row that breaks no rule; tests
change cells of it.
"""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config import Asset, NodeConfig
from pipeline.node import Delivered, EdgeNode, Failed, run
from pipeline.ports import ObjectStore
from pipeline.records import BUCKET_PREFIX, NODE_COLUMNS, NODE_DDL, TABLE
from pipeline.records.schemas import SCHEMAS
from sim.campaign.inline_executor import Inline
from sim.campaign.memory_store import MemoryStore

Row = dict[str, Any]
SECOND = 1_000_000
HOUR = 3600 * SECOND
START = 1_705_276_800 * SECOND  # 2024-01-15T00:00:00Z
END = 2**63 - 1
CURVE = ((3.0, 0.0), (8.0, 1.0), (12.0, 3.0), (25.0, 3.0))
SECRET = {
    "operator_contact": "Olga Operator <olga@example.org>",
    "technician": "Theo Technician",
    "latitude": 41.87654,
    "longitude": -93.12345,
}
LABELS = {"region": "us-east-1", "os_arch": "arm64", "version": "1.4"}
FULL_ASSET = Asset(
    turbine_type="test-3mw",
    rated_power=3.0,
    rated_rpm=12.0,
    hub_height=90.0,
    power_curve=CURVE,
    serial_number="S-77",
    installation_date="2015-05-05",
    **SECRET,
)


def config(turbine_id: str = "A-001", asset: Asset = FULL_ASSET, **settings: Any) -> NodeConfig:
    """Return a node with flushes of 900 s and windows of 600 s, if `settings` name no others."""
    return NodeConfig(
        turbine_id=turbine_id,
        farm_id=turbine_id.split("-")[0],
        job_id="j-1",
        execution_id="e-1",
        node_id=f"n-{turbine_id}",
        asset=asset,
        **{"labels": LABELS, "privacy_key": "00ff" * 8, **settings},
    )


def good(i: int, turbine_id: str = "A-001", step_s: int = 10, **cells: Any) -> Row:
    """Row number i (from 1) of a turbine in light wind, one every `step_s`.

    Every channel moves with i.
    """
    at = START + i * step_s * SECOND
    wobble = (i * 37 % 101) / 100
    row: Row = {
        "id": i,
        "timestamp": at,
        "recorded_at": at + SECOND // 2,
        "turbine_id": turbine_id,
        "wind_speed": 7.0 + wobble,
        "wind_direction": 200.0 + wobble,
        "rotor_rpm": 8.0 + wobble,
        "blade_pitch": 1.0,
        "power_output": 0.8 + wobble / 2,
        "temperature": 20.0 + wobble,
        "ambient_temperature": 5.0 + wobble,
        "generator_temperature": 60.0 + wobble,
        "gearbox_temperature": 50.0 + wobble,
        "vibration_level": 1.0 + wobble,
        "status": "running",
    }
    return {**row, **cells}


def write(path: Path, rows: Iterable[Row], ddl: str = NODE_DDL) -> Path:
    """Append rows to a node's database. Create it if it does not exist."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(ddl)
        slots = ", ".join("?" * len(NODE_COLUMNS))
        connection.executemany(
            f"INSERT INTO {TABLE} ({', '.join(NODE_COLUMNS)}) VALUES ({slots})",
            [[row[name] for name in NODE_COLUMNS] for row in rows],
        )
    return path


class FixedClock:
    def now_us(self) -> int:
        return START + 24 * HOUR


def drive(
    nodes: Sequence[EdgeNode], store: ObjectStore, until_us: int | None = END
) -> list[Delivered | Failed]:
    """One flush (until_us None) or drain."""
    return list(run(nodes, store, FixedClock(), Inline(), until_us, lock_wait_s=0.0))


def drain(path: Path, rows: Iterable[Row], node: NodeConfig | None = None) -> MemoryStore:
    """Return the lake of one node that had `rows` and was drained once."""
    store = MemoryStore()
    results = drive([EdgeNode(node or config(), write(path, rows))], store)
    assert not [r.error for r in results if isinstance(r, Failed)]
    return store


def objects(store: MemoryStore, stage: str) -> dict[str, pa.Table]:
    """Key -> table of a stage; `quarantine` is a stage of its own here."""
    bucket = BUCKET_PREFIX + ("validated" if stage == "quarantine" else stage)
    return {
        key: pq.read_table(io.BytesIO(body))
        for (in_bucket, key), body in sorted(store.objects.items())
        if in_bucket == bucket and key.startswith("_quarantine/") == (stage == "quarantine")
    }


def rows_of(store: MemoryStore, stage: str) -> list[Row]:
    """All rows of a stage, times as integers (us), in the order of keys."""
    out: list[Row] = []
    for table in objects(store, stage).values():
        assert stage == "quarantine" or table.schema.names == SCHEMAS[stage].names
        for i, field in enumerate(table.schema):
            if pa.types.is_timestamp(field.type):
                table = table.set_column(i, field.name, table.column(i).cast(pa.int64()))
        out += table.to_pylist()
    return out


def documents(store: MemoryStore, bucket: str) -> dict[str, Any]:
    """Return key -> parsed JSON of the metadata or the checkpoints bucket.

    The JSON is strict: NaN and infinity are refused.
    """

    def refuse(text: str) -> None:
        raise ValueError(f"{text} is not JSON")

    return {
        key: json.loads(body, parse_constant=refuse)
        for (in_bucket, key), body in sorted(store.objects.items())
        if in_bucket == BUCKET_PREFIX + bucket
    }
