"""What late rows need of the past, read back from the lake: a node keeps no history of its own.

A row that is not newer than everything before it may repeat an earlier row, or fall into a window that was emitted
already. Both are answered by the node's own validated and aggregated objects of the hours in question. Objects of the
batch at hand (left by an attempt that did not finish) and of later ones are told by their id range, and left out.
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
from pipeline.records import AGGREGATED, VALIDATED
from pipeline.stages.aggregate import Past, window_sums


class HistoryError(Exception):
    """An object of the node's past cannot be read as what its key says; the text names it. The node must stop."""


@dataclass(frozen=True)
class History:
    """timestamps: of earlier valid rows, us, in the hours that the batch's late rows touch."""

    timestamps: Ints
    past: Past


def read(store: ObjectStore, config: NodeConfig, state: Checkpoint, batch: Batch) -> History | None:
    """The history that `batch` needs, None when every row of it is newer than all before.

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
    """Timestamps of the batch's rows that are no newer than the newest before, or fall into a window that a drain
    closed ahead of its time; nonsense left out.
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
    """The node's objects of a stage in some hours, of batches in front of `before_id`, as one table."""
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
