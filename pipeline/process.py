"""One batch of each of many nodes through the four stages: tables in, commits out.

Pure functions: no clock, no store, no files.

Work per row is done once for all nodes (`transform`): ingest, validate, aggregate, and the hours of
rows. Work per node is its Parquet objects (`process`): the contract wants one per node, stage and
hour.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline import encode, manifest, partition
from pipeline.batch import Batch, Groups, ints, nulls
from pipeline.checkpoint import Checkpoint, Run
from pipeline.commit import Commit
from pipeline.config import NodeConfig
from pipeline.history import History
from pipeline.manifest import DataObject
from pipeline.partition import Bools, Ints
from pipeline.records import REJECTED, RULES, VALIDATED
from pipeline.stages.aggregate import Past, Windows, aggregate
from pipeline.stages.enrich import enrich
from pipeline.stages.ingest import ingest
from pipeline.stages.validate import validate

Rules = np.ndarray[tuple[int], np.dtype[np.int8]]


@dataclass(frozen=True)
class Work:
    """One node's batch, with the state and history that the stages need."""

    config: NodeConfig
    database: str
    batch: Batch
    state: Checkpoint
    history: History | None


class _RowsByHour:
    """A table of many nodes, sorted by node and hour, with the start of each (node, hour)."""

    def __init__(self, table: pa.Table, groups: Groups) -> None:
        timestamp, hour = ints(table, "timestamp"), event_hours(table)
        group = groups.of_row
        if np.any((hour[1:] < hour[:-1]) & (group[1:] == group[:-1])):
            order = np.lexsort((hour, group))  # stable: within an hour rows stay in id order
            table, hour, timestamp = table.take(pa.array(order)), hour[order], timestamp[order]
        self.table, self._timestamp, self._hour = table, timestamp, hour
        self._null, self._id = nulls(table, "timestamp"), ints(table, "id")
        cuts = np.flatnonzero((hour[1:] != hour[:-1]) | (group[1:] != group[:-1])) + 1
        self._starts = (
            np.concatenate(([0], cuts, [len(hour)])) if len(hour) else np.zeros(1, dtype=np.int64)
        )
        self._bounds = np.searchsorted(self._starts, groups.offsets)

    def parts(self, group: int) -> Iterator[tuple[int, slice]]:
        """Yield (hour, rows) of one node."""
        for i in range(self._bounds[group], self._bounds[group + 1]):
            rows = slice(int(self._starts[i]), int(self._starts[i + 1]))
            yield int(self._hour[rows.start]), rows

    def make(self, stage: str, rows: slice, hour: int, table: pa.Table, work: Work) -> DataObject:
        times = self._timestamp[rows][~self._null[rows]]
        return DataObject(
            stage,
            partition.bucket(stage),
            partition.data_key(stage, hour, work.config.turbine_id, *work.batch.id_range),
            encode.parquet(table),
            table.num_rows,
            int(times.min()) if len(times) else None,
            int(times.max()) if len(times) else None,
            int(self._id[rows.start]),
            int(self._id[rows.stop - 1]),
        )


@dataclass(frozen=True)
class Staged:
    """Batches after the stages, one table per stage for all nodes.

    rule: of each ingested row, the index in RULES of the rule that it broke, or -1. states: of each
    work, the checkpoint once its batch is durable.
    """

    works: Sequence[Work]
    groups: Groups
    ingested: pa.Table
    valid: pa.Table
    rejected: pa.Table
    rule: Rules
    windows: Sequence[Windows]
    states: Sequence[Checkpoint]

    @property
    def sound(self) -> Bools:
        return self.rule < 0

    def rejected_by_rule(self, group: int) -> dict[str, int]:
        """Return rule -> rows in quarantine, of one work."""
        rule = self.rule[self.groups.offsets[group] : self.groups.offsets[group + 1]]
        broken = np.bincount(rule[rule >= 0], minlength=len(RULES))
        return {name: int(n) for name, n in zip(RULES, broken, strict=True) if n}


def transform(works: Sequence[Work]) -> Staged:
    """Run the stages over the batches of many nodes at once."""
    configs = [work.config for work in works]
    states = [work.state for work in works]
    groups = Groups(
        configs, np.concatenate(([0], np.cumsum([work.batch.rows.num_rows for work in works])))
    )
    ingested = ingest(
        pa.concat_tables([work.batch.rows for work in works]).combine_chunks(), groups
    )
    histories = {i: work.history for i, work in enumerate(works) if work.history is not None}
    rule, runs = validate(ingested, groups, states, {i: h.timestamps for i, h in histories.items()})
    valid, rejected = _split(ingested, rule, rule < 0)
    past: Mapping[int, Past] = {i: h.past for i, h in histories.items()}
    windows = aggregate(
        valid, groups.select(rule < 0), states, past, [work.batch.final for work in works]
    )
    after = [_state(work, w, r) for work, w, r in zip(works, windows, runs, strict=True)]
    return Staged(works, groups, ingested, valid, rejected, rule, windows, after)


def process(works: Sequence[Work], now_us: int) -> Iterator[Commit]:
    """Yield the commit of each work, in order. A node's objects are encoded only at its turn."""
    staged = transform(works)
    by_stage = {
        "ingestion": _RowsByHour(staged.ingested, staged.groups),
        "validated": _RowsByHour(staged.valid, staged.groups.select(staged.sound)),
        "quarantine": _RowsByHour(staged.rejected, staged.groups.select(~staged.sound)),
    }
    for i, work in enumerate(works):
        objects = (
            *_row_objects(i, work, by_stage),
            *_window_objects(work, staged.windows[i].emitted),
        )
        yield _commit(staged, i, objects, now_us)


def _split(ingested: pa.Table, rule: Rules, sound: Bools) -> tuple[pa.Table, pa.Table]:
    """Return (VALIDATED, REJECTED) rows."""
    if sound.all():
        return ingested.select(VALIDATED.names), REJECTED.empty_table()
    names = pa.array(RULES).take(pa.array(rule[~sound]))
    rejected = ingested.filter(pa.array(~sound)).append_column("rule", names)
    return ingested.select(VALIDATED.names).filter(
        pa.array(sound)
    ).combine_chunks(), rejected.combine_chunks()


def event_hours(table: pa.Table) -> Ints:
    """Return each row's hour since 1970: of its event, or of its recording if that has no time."""
    return partition.hours(
        ints(table, "timestamp"),
        nulls(table, "timestamp"),
        ints(table, "recorded_at"),
        nulls(table, "recorded_at"),
    )


def _row_objects(
    group: int, work: Work, by_stage: Mapping[str, _RowsByHour]
) -> Iterator[DataObject]:
    for stage, rows_of in by_stage.items():
        for hour, rows in rows_of.parts(group):
            table = rows_of.table.slice(rows.start, rows.stop - rows.start)
            yield rows_of.make(stage, rows, hour, table, work)
            if stage == "validated":
                yield rows_of.make("enriched", rows, hour, enrich(table, work.config), work)


def _window_objects(work: Work, emitted: pa.Table) -> Iterator[DataObject]:
    """Yield the aggregated objects: one per hour in which windows start.

    The table is ordered by window.
    """
    start = ints(emitted, "window_start")
    hour = start // partition.HOUR_US
    for at in np.unique(hour).tolist():
        rows = np.flatnonzero(hour == at)
        table = emitted.slice(rows[0], len(rows))
        key = partition.data_key("aggregated", at, work.config.turbine_id, *work.batch.id_range)
        bounds = int(start[rows[0]]), int(start[rows[-1]])
        body = encode.parquet(table)
        yield DataObject(
            "aggregated", partition.bucket("aggregated"), key, body, len(rows), *bounds, None, None
        )


def _state(work: Work, windows: Windows, runs: dict[str, Run]) -> Checkpoint:
    """Return the node's checkpoint once the batch is durable."""
    return Checkpoint(
        last_id=work.batch.id_range[1],
        batches=work.state.batches + 1,
        max_event_us=windows.max_event_us,
        closed_until_us=windows.closed_until_us,
        runs=runs,
        open_windows=windows.open_windows,
        anchor_us=work.batch.rows.column("recorded_at")[-1].as_py(),
    )


def _commit(staged: Staged, group: int, objects: tuple[DataObject, ...], now_us: int) -> Commit:
    work = staged.works[group]
    first_id, last_id = work.batch.id_range
    ingested = staged.ingested.slice(staged.groups.offsets[group], work.batch.rows.num_rows)
    recorded, unset = ints(ingested, "recorded_at")[:1], nulls(ingested, "recorded_at")[:1]
    times = ints(ingested, "timestamp")[~nulls(ingested, "timestamp")]
    bounds = (int(times.min()), int(times.max())) if len(times) else (None, None)
    source = manifest.Source(work.database, ingested.num_rows, first_id, last_id, *bounds)
    hour = int(partition.hours(recorded, unset, recorded, unset)[0])
    rejected = staged.rejected_by_rule(group)
    return Commit(
        work.config,
        objects,
        partition.manifest_key(hour, work.config.turbine_id, first_id, last_id),
        manifest.document(work.config, source, rejected, objects, now_us),
        rejected,
        staged.states[group],
    )
