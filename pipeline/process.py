"""One batch of each of many nodes through the four stages: tables in, commits out. Pure but for reading history.

Per-row work is done once for all nodes together (ingest, validate, aggregate, placing rows in hours); per node remain
the Parquet objects, which are one per node, stage and hour by contract.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline import encode, manifest, partition
from pipeline.batch import Batch, Groups, ints, nulls
from pipeline.checkpoint import Checkpoint
from pipeline.commit import Commit
from pipeline.config import NodeConfig
from pipeline.history import History
from pipeline.manifest import DataObject
from pipeline.partition import Ints
from pipeline.records import REJECTED, RULES, VALIDATED
from pipeline.stages.aggregate import Past, Windows, aggregate
from pipeline.stages.enrich import enrich
from pipeline.stages.ingest import ingest
from pipeline.stages.validate import validate


@dataclass(frozen=True)
class Work:
    """One node's batch and all that the stages need to know beside it."""

    config: NodeConfig
    database: str
    batch: Batch
    state: Checkpoint
    history: History | None


class _Sorted:
    """A table of many nodes whose rows are grouped by node and hour, and where each (node, hour) begins."""

    def __init__(self, table: pa.Table, groups: Groups) -> None:
        timestamp, hour = ints(table, "timestamp"), _hours(table)
        group = groups.of_row
        if np.any((hour[1:] < hour[:-1]) & (group[1:] == group[:-1])):
            order = np.lexsort((hour, group))  # stable: within an hour rows stay in id order
            table, hour, timestamp = table.take(pa.array(order)), hour[order], timestamp[order]
        self.table, self._timestamp, self._hour = table, timestamp, hour
        self._null, self._id = nulls(table, "timestamp"), ints(table, "id")
        cuts = np.flatnonzero((hour[1:] != hour[:-1]) | (group[1:] != group[:-1])) + 1
        self._starts = np.concatenate(([0], cuts, [len(hour)])) if len(hour) else np.zeros(1, dtype=np.int64)
        self._bounds = np.searchsorted(self._starts, groups.offsets)

    def parts(self, group: int) -> Iterator[tuple[int, slice]]:
        """(hour, rows) of one node."""
        for i in range(self._bounds[group], self._bounds[group + 1]):
            rows = slice(int(self._starts[i]), int(self._starts[i + 1]))
            yield int(self._hour[rows.start]), rows

    def make(self, stage: str, top: str, rows: slice, hour: int, table: pa.Table, work: Work) -> DataObject:
        times = self._timestamp[rows][~self._null[rows]]
        return DataObject(
            stage,
            partition.bucket(top.split("/")[0]),
            partition.data_key(top, hour, work.config.turbine_id, *work.batch.id_range),
            encode.parquet(table),
            table.num_rows,
            int(times.min()) if len(times) else None,
            int(times.max()) if len(times) else None,
            int(self._id[rows.start]),
            int(self._id[rows.stop - 1]),
        )


def process(works: Sequence[Work], now_us: int) -> Iterator[Commit]:
    """The commit of each work, in order. Lazily: a node's objects are encoded when its turn comes."""
    configs = [work.config for work in works]
    states = [work.state for work in works]
    sizes = [work.batch.rows.num_rows for work in works]
    groups = Groups(configs, np.concatenate(([0], np.cumsum(sizes))))
    raw = pa.concat_tables([work.batch.rows for work in works]).combine_chunks()
    ingested = ingest(raw, groups)
    histories = {i: work.history for i, work in enumerate(works) if work.history is not None}
    rule, runs = validate(ingested, groups, states, {i: h.timestamps for i, h in histories.items()})
    sound = rule < 0
    valid, rejected = _split(ingested, rule, sound)
    past: Mapping[int, Past] = {i: h.past for i, h in histories.items()}
    windows = aggregate(valid, groups.select(sound), states, past, [work.batch.final for work in works])
    by_stage = {
        "ingestion": _Sorted(ingested, groups),
        "validated": _Sorted(valid, groups.select(sound)),
        "quarantine": _Sorted(rejected, groups.select(~sound)),
    }
    for i, work in enumerate(works):
        part = slice(groups.offsets[i], groups.offsets[i + 1])
        broken = np.bincount(rule[part][~sound[part]], minlength=len(RULES))
        counts = {name: int(n) for name, n in zip(RULES, broken, strict=True) if n}
        objects = (*_row_objects(i, work, by_stage), *_window_objects(work, windows[i].emitted))
        yield _commit(work, ingested.slice(part.start, sizes[i]), objects, counts, windows[i], runs[i], now_us)


def _split(
    ingested: pa.Table, rule: np.ndarray[tuple[int], np.dtype[np.int8]], sound: partition.Bools
) -> tuple[pa.Table, pa.Table]:
    """(VALIDATED, REJECTED) rows."""
    if sound.all():
        return ingested.select(VALIDATED.names), REJECTED.empty_table()
    names = pa.array(RULES).take(pa.array(rule[~sound]))
    rejected = ingested.filter(pa.array(~sound)).append_column("rule", names)
    return ingested.select(VALIDATED.names).filter(pa.array(sound)).combine_chunks(), rejected.combine_chunks()


def _hours(table: pa.Table) -> Ints:
    return partition.hours(
        ints(table, "timestamp"), nulls(table, "timestamp"), ints(table, "recorded_at"), nulls(table, "recorded_at")
    )


def _row_objects(group: int, work: Work, by_stage: Mapping[str, _Sorted]) -> Iterator[DataObject]:
    tops = {"ingestion": "ingestion", "validated": "validated", "quarantine": partition.QUARANTINE_STAGE}
    for stage, rows_of in by_stage.items():
        for hour, rows in rows_of.parts(group):
            table = rows_of.table.slice(rows.start, rows.stop - rows.start)
            yield rows_of.make(stage, tops[stage], rows, hour, table, work)
            if stage == "validated":
                yield rows_of.make("enriched", "enriched", rows, hour, enrich(table, work.config), work)


def _window_objects(work: Work, emitted: pa.Table) -> Iterator[DataObject]:
    """Aggregated objects: one per hour in which windows start. The table is ordered by window."""
    start = ints(emitted, "window_start")
    hour = start // partition.HOUR_US
    for at in np.unique(hour).tolist():
        rows = np.flatnonzero(hour == at)
        table = emitted.slice(rows[0], len(rows))
        key = partition.data_key("aggregated", at, work.config.turbine_id, *work.batch.id_range)
        bounds = int(start[rows[0]]), int(start[rows[-1]])
        body = encode.parquet(table)
        yield DataObject("aggregated", partition.bucket("aggregated"), key, body, len(rows), *bounds, None, None)


def _commit(
    work: Work,
    ingested: pa.Table,
    objects: tuple[DataObject, ...],
    rejected: dict[str, int],
    windows: Windows,
    runs: dict[str, tuple[float, int, int]],
    now_us: int,
) -> Commit:
    first_id, last_id = work.batch.id_range
    recorded, unset = ints(ingested, "recorded_at")[:1], nulls(ingested, "recorded_at")[:1]
    times = ints(ingested, "timestamp")[~nulls(ingested, "timestamp")]
    bounds = (int(times.min()), int(times.max())) if len(times) else (None, None)
    source = manifest.Source(work.database, ingested.num_rows, first_id, last_id, *bounds)
    hour = int(partition.hours(recorded, unset, recorded, unset)[0])
    state = Checkpoint(
        last_id=last_id,
        batches=work.state.batches + 1,
        max_event_us=windows.max_event_us,
        closed_until_us=windows.closed_until_us,
        runs=runs,
        open_windows=windows.open_windows,
    )
    return Commit(
        work.config,
        objects,
        partition.manifest_key(hour, work.config.turbine_id, first_id, last_id),
        manifest.document(work.config, source, rejected, objects, now_us),
        rejected,
        state,
    )
