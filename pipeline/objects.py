"""Parquet objects of many nodes' batches: one per node, stage and hour.

Work per row is done once for all nodes: hours, bounds, preparation of columns. A node's objects are
encoded only at its turn. The columns that the stages of rows share are encoded once, unless some
row of the object was rejected.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline import partition
from pipeline.batch import Groups, ints, nulls
from pipeline.manifest import DataObject
from pipeline.parquet.chunk import Chunk
from pipeline.parquet.columns import Columns
from pipeline.parquet.file import Layout
from pipeline.partition import Bools, Ints
from pipeline.records import DERIVED, RULES
from pipeline.records.schemas import REJECTED, SCHEMAS, VALIDATED
from pipeline.stages.derive import derive
from pipeline.stages.enrich import enrich, facts

IdRange = tuple[int, int]

_LAYOUTS = {
    "quarantine": Layout(REJECTED),
    **{stage: Layout(schema) for stage, schema in SCHEMAS.items()},
}
_SHARED = len(VALIDATED)
"""Columns at the head of every stage of rows that are those of validated."""
_LOWEST, _HIGHEST = np.iinfo(np.int64).min, np.iinfo(np.int64).max


def event_hours(table: pa.Table) -> Ints:
    """Return each row's hour since 1970: of its event, or of its recording if that has no time."""
    return partition.hours(
        ints(table, "timestamp"),
        nulls(table, "timestamp"),
        ints(table, "recorded_at"),
        nulls(table, "recorded_at"),
    )


class RowObjects:
    """Objects of ingestion, validated, enriched, derived stages and quarantine.

    ingested: INGESTION rows of the groups. rule: of each row, the index in RULES of the rule that
    it broke, or -1. ranges: first and last id of each group's batch.
    """

    def __init__(
        self,
        ingested: pa.Table,
        rule: npt.NDArray[np.int8],
        groups: Groups,
        ranges: Sequence[IdRange],
    ) -> None:
        self._configs, self._ranges = groups.configs, ranges
        hour, group = event_hours(ingested), groups.of_row
        if np.any((hour[1:] < hour[:-1]) & (group[1:] == group[:-1])):
            order = np.lexsort((hour, group))  # stable: within an hour rows stay in id order
            ingested, hour, rule = ingested.take(pa.array(order)), hour[order], rule[order]
        offsets, self._bounds = _parts(hour, group, len(groups.configs))
        self._hour = hour[offsets[:-1]].tolist()
        sound = rule < 0
        self._ingested = _Rows(ingested, offsets)
        kept = np.diff(np.append(0, np.cumsum(sound))[offsets])
        self._whole = (kept == np.diff(offsets)).tolist()
        self._valid: dict[int, tuple[_Rows, int]] = {}
        self._rejected: dict[int, tuple[_Rows, int]] = {}
        if not sound.all():
            pierced = sound & np.repeat(kept < np.diff(offsets), np.diff(offsets))
            self._valid = _some(ingested.select(VALIDATED.names), pierced, offsets)
            names = pa.array(RULES).take(pa.array(np.maximum(rule, 0)))
            self._rejected = _some(ingested.append_column("rule", names), ~sound, offsets)
        self._derived: dict[str, Columns] = {}
        self._derived_at: dict[int, int] = {}
        if DERIVED and sound.any():
            valid = ingested.select(VALIDATED.names).filter(pa.array(sound)).combine_chunks()
            filled, bounds = _filled(sound, offsets)
            self._derived_at = {part: i for i, part in enumerate(filled)}
            self._derived = {
                stage: Columns(derive(stage, valid).select([c.name for c in added]), bounds)
                for stage, added in DERIVED.items()
            }

    def of(self, group: int) -> Iterator[DataObject]:
        """Yield the objects of one node: stage by stage, and by hour."""
        parts = range(self._bounds[group], self._bounds[group + 1])
        shared: dict[int, list[Chunk]] = {}
        for part in parts:
            chunks = self._ingested.columns.chunks(part)
            shared[part] = chunks[:_SHARED]
            yield self._object("ingestion", group, part, self._ingested, part, chunks)
        known = facts(self._configs[group])
        for part in parts:
            rows, at = self._ingested, part
            if not self._whole[part]:
                if part not in self._valid:
                    continue
                rows, at = self._valid[part]
                shared[part] = rows.columns.chunks(at)
            yield self._object("validated", group, part, rows, at, shared[part])
            chunks = enrich(shared[part], known, rows.count[at])
            yield self._object("enriched", group, part, rows, at, chunks)
            for stage, columns in self._derived.items():
                chunks = [*shared[part], *columns.chunks(self._derived_at[part])]
                yield self._object(stage, group, part, rows, at, chunks)
        for part in parts:
            if part in self._rejected:
                rows, at = self._rejected[part]
                chunks = rows.columns.chunks(at)
                yield self._object("quarantine", group, part, rows, at, chunks)

    def _object(
        self, stage: str, group: int, part: int, rows: _Rows, at: int, chunks: Sequence[Chunk]
    ) -> DataObject:
        key = partition.data_key(
            stage, self._hour[part], self._configs[group].turbine_id, *self._ranges[group]
        )
        body = _LAYOUTS[stage].file(chunks, rows.count[at])
        return DataObject(stage, partition.bucket(stage), key, body, *rows.entry(at))

    def event_bounds(self, group: int) -> tuple[int | None, int | None]:
        """Return the least and greatest timestamp of a node's batch, None if no row has one."""
        parts = slice(self._bounds[group], self._bounds[group + 1])
        low, high = min(self._ingested.low[parts]), max(self._ingested.high[parts])
        return (low, high) if low <= high else (None, None)


class _Rows:
    """Rows of one stage in parts, with what the manifest says of each."""

    def __init__(self, table: pa.Table, offsets: Ints) -> None:
        self.columns = Columns(table, offsets)
        starts, ends = offsets[:-1], offsets[1:]
        time, null, id_ = ints(table, "timestamp"), nulls(table, "timestamp"), ints(table, "id")
        self.count: list[int] = np.diff(offsets).tolist()
        self.low = np.minimum.reduceat(np.where(null, _HIGHEST, time), starts).tolist()
        self.high = np.maximum.reduceat(np.where(null, _LOWEST, time), starts).tolist()
        self._first, self._last = id_[starts].tolist(), id_[ends - 1].tolist()

    def entry(self, part: int) -> tuple[int, int | None, int | None, int, int]:
        """Return rows, least and greatest timestamp, first and last id."""
        low, high = self.low[part], self.high[part]
        times = (low, high) if low <= high else (None, None)
        return self.count[part], *times, self._first[part], self._last[part]


class WindowObjects:
    """Objects of aggregated: windows by the hour in which they start.

    emitted: AGGREGATED rows of the groups, each group's ordered by window.
    """

    def __init__(self, emitted: pa.Table, groups: Groups, ranges: Sequence[IdRange]) -> None:
        self._configs, self._ranges = groups.configs, ranges
        start = ints(emitted, "window_start")
        hour = start // partition.HOUR_US
        offsets, self._bounds = _parts(hour, groups.of_row, len(groups.configs))
        if len(start):
            self._columns = Columns(emitted, offsets)
        self._hour = hour[offsets[:-1]].tolist()
        self._count = np.diff(offsets).tolist()
        self._low, self._high = start[offsets[:-1]].tolist(), start[offsets[1:] - 1].tolist()

    def of(self, group: int) -> Iterator[DataObject]:
        """Yield the objects of one node, by hour."""
        turbine, ids = self._configs[group].turbine_id, self._ranges[group]
        for part in range(self._bounds[group], self._bounds[group + 1]):
            yield DataObject(
                "aggregated",
                partition.bucket("aggregated"),
                partition.data_key("aggregated", self._hour[part], turbine, *ids),
                _LAYOUTS["aggregated"].file(self._columns.chunks(part), self._count[part]),
                self._count[part],
                self._low[part],
                self._high[part],
                None,
                None,
            )


def _parts(hour: Ints, group: Ints, groups: int) -> tuple[Ints, list[int]]:
    """Return the offsets of rows of one group and hour, and each group's parts among them."""
    cuts = np.flatnonzero((hour[1:] != hour[:-1]) | (group[1:] != group[:-1])) + 1
    starts = np.concatenate(([0], cuts)) if len(hour) else np.zeros(0, dtype=np.int64)
    bounds = np.searchsorted(group[starts], np.arange(groups + 1))
    return np.append(starts, len(hour)), bounds.tolist()


def _some(table: pa.Table, mask: Bools, offsets: Ints) -> dict[int, tuple[_Rows, int]]:
    """Return the rows that `mask` keeps, by part; parts without any are left out."""
    filled, bounds = _filled(mask, offsets)
    if not filled:
        return {}
    rows = _Rows(table.filter(pa.array(mask)), bounds)
    return {part: (rows, i) for i, part in enumerate(filled)}


def _filled(mask: Bools, offsets: Ints) -> tuple[list[int], Ints]:
    """Return the parts with rows that `mask` keeps, and the offsets of these rows."""
    kept = np.append(0, np.cumsum(mask))[offsets]
    filled = np.flatnonzero(np.diff(kept))
    return filled.tolist(), np.append(kept[filled], kept[-1])
