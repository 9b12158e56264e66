"""Compact layout: one object per farm, stage and hour, as after table maintenance (OPTIMIZE).

The pipeline's own layout is one object per turbine, stage and hour: 4.3 million objects of six
rows for a month of 10-minute data of 1,500 turbines. The compact layout has 23,000. Rows are the
same, to the bit, and made by the same stages (`pipeline.process.transform`). Only the objects
differ. Keys, in the contract's partitions:

    <stage>/year=YYYY/month=MM/day=DD/hour=HH/
        <farm_id>-compact-<flush>-<first turbine>-<first id>.parquet

Order as in `pipeline.commit`: data, then a manifest of the farm's flush, then every checkpoint.

Not covered: a run that resumes after a crash.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline import partition
from pipeline.batch import ints
from pipeline.commit import Position
from pipeline.manifest import DataObject
from pipeline.node import Delivered, EdgeNode, Failed, NodeCommits
from pipeline.objects import event_hours
from pipeline.parquet.columns import encode
from pipeline.ports import Clock, NotFound, ObjectStore, StoreError
from pipeline.process import Staged, Work, transform
from pipeline.records import (
    DERIVED,
    ENRICHMENT,
    ENRICHMENT_NUMBERS,
    PIPELINE_VERSION,
    SCHEMA_VERSION,
)
from pipeline.records.schemas import ENRICHED, VALIDATED
from pipeline.stages.derive import derive
from pipeline.stages.enrich import facts

MARK: Final = "-compact-"


class Compacted:
    """A store of compact objects, with the interface that a node expects for reads of its history.

    A listing of the node's own keys gives one key. A GET of that key gives the node's rows of all
    the farm's objects in that folder. All other calls are forwarded.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.create, self.replace = store.create, store.replace

    def list(self, bucket: str, folder: str, name_prefix: str) -> list[str]:
        """Return one key, with id range 0-0 (before any batch), if the farm has objects there."""
        farm = name_prefix.partition("-")[0]
        return (
            [f"{folder}{name_prefix}0-0.parquet"]
            if self._store.list(bucket, folder, farm + MARK)
            else []
        )

    def get(self, bucket: str, key: str) -> tuple[bytes, str]:
        if not key.endswith("-0-0.parquet"):
            return self._store.get(bucket, key)
        folder, _, name = key.rpartition("/")
        turbine = name.removesuffix("-0-0.parquet")
        found = self._store.list(bucket, folder + "/", turbine.partition("-")[0] + MARK)
        if not found:
            raise NotFound(f"get {bucket}/{key}")
        tables = [pq.read_table(io.BytesIO(self._store.get(bucket, each)[0])) for each in found]
        table = pa.concat_tables(tables)
        return encode(table.filter(pc.equal(table.column("turbine_id"), turbine))), ""


def publish(
    works: Sequence[tuple[EdgeNode, Work]], store: ObjectStore, clock: Clock, commits: NodeCommits
) -> Iterator[Delivered | Failed]:
    """Commit a round of one batch per node of a farm together. See `pipeline.node.Publish`.

    Each node reports an equal share of the farm's objects and bytes.
    """
    staged = transform([work for _, work in works])
    farm = works[0][1].config.farm_id
    number = max(work.state.batches for _, work in works)
    first = min(work.batch.id_range[0] for _, work in works)
    name = f"{farm}{MARK}{number:06d}-{works[0][1].config.turbine_id}-{first}"
    objects = list(_objects(staged, name))
    try:
        for item in objects:
            store.create(item.bucket, item.key, item.body)
        hour = clock.now_us() // partition.HOUR_US
        manifest = partition.hour_folder("metadata", hour) + name + ".json"
        store.create(
            partition.bucket("metadata"), manifest, _manifest(staged, farm, objects, clock.now_us())
        )
        positions = list(
            commits.pool.map(
                lambda pair: _advance(store, *pair), zip(works, staged.states, strict=True)
            )
        )
    except StoreError as error:
        yield from (Failed(node, error) for node, _ in works)
        return
    share = sum(len(item.body) for item in objects) // len(works)
    for i, ((node, work), position) in enumerate(zip(works, positions, strict=True)):
        node.position = position
        count = len(objects) // len(works) + (i < len(objects) % len(works))
        event_us = ints(work.batch.rows, "timestamp")
        yield Delivered(
            node, *work.batch.id_range, share, count, event_us, staged.rejected_by_rule(i)
        )


def _advance(store: ObjectStore, pair: tuple[EdgeNode, Work], state: Any) -> Position:
    node, work = pair
    assert node.position is not None
    place = (
        partition.bucket("checkpoints"),
        partition.checkpoint_key(work.config.farm_id, work.config.turbine_id),
    )
    body = state.to_json(work.config.turbine_id, work.config.node_id)
    etag = node.position.etag
    return Position(
        state, store.create(*place, body) if etag is None else store.replace(*place, body, etag)
    )


def _objects(staged: Staged, name: str) -> Iterator[DataObject]:
    """Yield every stage's rows by hour; within an hour by turbine, then as the node stored them."""
    tables: list[tuple[str, pa.Table, Callable[[pa.Table], Any]]] = [
        ("ingestion", staged.ingested, event_hours),
        ("validated", staged.valid, event_hours),
        ("enriched", _enriched(staged), event_hours),
        *((stage, derive(stage, staged.valid), event_hours) for stage in DERIVED),
        ("quarantine", staged.rejected, event_hours),
        ("aggregated", staged.emitted, _window_hours),
    ]
    for stage, table, hours_of in tables:
        if table.num_rows == 0:
            continue
        hour = hours_of(table)
        order = np.argsort(hour, kind="stable")
        table, hour = table.take(pa.array(order)).combine_chunks(), hour[order]
        edges = np.concatenate(([0], np.flatnonzero(np.diff(hour)) + 1, [len(hour)]))
        for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            rows = table.slice(low, high - low)
            key = f"{partition.hour_folder(stage, int(hour[low]))}{name}.parquet"
            yield DataObject(
                stage,
                partition.bucket(stage),
                key,
                encode(rows),
                rows.num_rows,
                *_bounds(rows),
                None,
                None,
            )


def _window_hours(table: pa.Table) -> partition.Ints:
    return ints(table, "window_start") // partition.HOUR_US


def _bounds(rows: pa.Table) -> tuple[int | None, int | None]:
    time = rows.column("timestamp" if "timestamp" in rows.column_names else "window_start").cast(
        pa.int64()
    )
    bounds = pc.min_max(time)
    return bounds["min"].as_py(), bounds["max"].as_py()


def _enriched(staged: Staged) -> pa.Table:
    """Return the valid rows with the columns of enrichment, one `take` a column."""
    known = [facts(work.config) for work in staged.works]
    owner = pa.array(staged.groups.select(staged.sound).of_row)
    arrays = [staged.valid.column(column) for column in VALIDATED.names]
    for column in (*ENRICHMENT, *ENRICHMENT_NUMBERS):
        arrays.append(
            pa.array([fact[column] for fact in known], ENRICHED.field(column).type).take(owner)
        )
    return pa.Table.from_arrays(arrays, names=ENRICHED.names)


def _manifest(staged: Staged, farm: str, objects: Sequence[DataObject], now_us: int) -> bytes:
    rejected: dict[str, int] = {}
    for i in range(len(staged.works)):
        for rule, rows in staged.rejected_by_rule(i).items():
            rejected[rule] = rejected.get(rule, 0) + rows
    return json.dumps(
        {
            "schema_version": SCHEMA_VERSION,
            "pipeline_version": PIPELINE_VERSION,
            "layout": "compact",
            "farm_id": farm,
            "job_id": staged.works[0].config.job_id,
            "rows": staged.ingested.num_rows,
            "nodes": {work.config.turbine_id: list(work.batch.id_range) for work in staged.works},
            "rejected": rejected,
            "objects": [item.entry() for item in objects],
            "upload_timestamp_us": now_us,
        },
        separators=(",", ":"),
    ).encode()
