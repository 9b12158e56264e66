"""Past rows and windows that late rows need, read from the lake: a node keeps no history itself.

A row that is not newer than every earlier row may repeat one of them, or fall into a window that
was already emitted. So the node's own validated and aggregated objects of those hours are read.
Objects of the current batch (left by an unfinished attempt) and of later batches are left out, by
their id range.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import partition, records
from pipeline.batch import Batch, Groups, ints, nulls
from pipeline.checkpoint import Checkpoint
from pipeline.config import NodeConfig
from pipeline.partition import HOUR_US, Ints
from pipeline.ports import ObjectStore
from pipeline.records.schemas import AGGREGATED, VALIDATED
from pipeline.stages.aggregate import Past, window_sums


class HistoryError(Exception):
    """An object of the node's past that cannot be read; the text names it. The node must stop."""


@dataclass(frozen=True)
class History:
    """Past of one batch.

    timestamps: of earlier valid rows, in us, in the hours that the batch's late rows touch.
    """

    timestamps: Ints
    past: Past


def read(store: ObjectStore, config: NodeConfig, state: Checkpoint, batch: Batch) -> History | None:
    """Return the history that `batch` needs, None if each of its rows is newer than all before.

    Raises StoreError, HistoryError.
    """
    late = _late(batch, state)
    if len(late) == 0:
        return None
    window_us = config.window_s * 1_000_000
    windows = np.unique(late // window_us) * window_us
    hours = np.unique(
        np.concatenate([np.arange(w // HOUR_US, -(-(w + window_us) // HOUR_US)) for w in windows])
    )
    before_id = batch.id_range[0]
    rows = _objects(store, config, "validated", hours, before_id, VALIDATED)
    revisions = _objects(
        store, config, "aggregated", np.unique(windows // HOUR_US), before_id, AGGREGATED
    )
    rows = rows.sort_by("id")
    times = ints(rows, "timestamp")
    in_windows = rows.filter(pa.array(np.isin(times // window_us * window_us, windows)))
    _, start, sums = window_sums(in_windows, Groups([config], np.array([0, in_windows.num_rows])))
    newest: dict[int, int] = {}
    for at, revision in zip(
        ints(revisions, "window_start").tolist(), ints(revisions, "revision").tolist(), strict=True
    ):
        newest[at] = max(revision, newest.get(at, 0))
    return History(times, Past(dict(zip(start.tolist(), sums, strict=True)), newest))


def _late(batch: Batch, state: Checkpoint) -> Ints:
    """Return the timestamps of the batch's late rows.

    A row is late if it is no newer than the newest row before, or falls into a window that a drain
    closed early. Rows without a time, or with one that is out of range or stale, are left out.
    """
    if state.max_event_us is None:
        return np.empty(0, dtype=np.int64)
    times = ints(batch.rows, "timestamp")
    sane = (
        ~nulls(batch.rows, "timestamp")
        & (times >= records.TIME_MIN_US)
        & (times < records.TIME_MAX_US)
    )
    sane &= times + records.STALE_AFTER_US >= ints(batch.rows, "recorded_at")
    return times[sane & ((times <= state.max_event_us) | (times < (state.closed_until_us or 0)))]


def _objects(
    store: ObjectStore,
    config: NodeConfig,
    stage: str,
    hours: Ints,
    before_id: int,
    schema: pa.Schema,
) -> pa.Table:
    """Return the rows of a node's objects of one stage, as one table.

    hours: since 1970. before_id: objects of batches from this id on are left out.
    """
    bucket = partition.bucket(stage)
    tables = [schema.empty_table()]
    for hour in hours.tolist():
        for key in store.list(bucket, partition.hour_folder(stage, hour), f"{config.turbine_id}-"):
            ids = partition.id_range(key, config.turbine_id)
            if ids is not None and ids[1] < before_id:
                body, _ = store.get(bucket, key)
                try:
                    tables.append(
                        pq.ParquetFile(pa.BufferReader(body)).read(use_threads=False).cast(schema)
                    )
                except (pa.ArrowException, ValueError, OSError) as error:
                    raise HistoryError(
                        f"{bucket}/{key} is damaged: {str(error).splitlines()[0]}"
                    ) from error
    return pa.concat_tables(tables)
