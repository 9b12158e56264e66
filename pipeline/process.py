"""One batch of each of many nodes through the four stages: tables in, commits out.

Pure functions: no clock, no store, no files.

Work per row is done once for all nodes (`transform`): ingest, validate, aggregate. Work per node is
its Parquet objects (`objects`), its manifest and its checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline import manifest, partition
from pipeline.batch import Batch, Groups, ints, nulls
from pipeline.checkpoint import Checkpoint, Run
from pipeline.commit import Commit
from pipeline.config import NodeConfig
from pipeline.history import History
from pipeline.objects import RowObjects, WindowObjects
from pipeline.partition import Bools
from pipeline.records import RULES
from pipeline.records.schemas import REJECTED, VALIDATED
from pipeline.stages.aggregate import Past, Windows, aggregate, table
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


@dataclass(frozen=True)
class Staged:
    """Batches after the stages, one table per stage for all nodes.

    rule: of each ingested row, the index in RULES of the rule that it broke, or -1. emitted:
    AGGREGATED rows of all works. windows: their groups. states: of each work, the checkpoint once
    its batch is durable.
    """

    works: Sequence[Work]
    groups: Groups
    ingested: pa.Table
    valid: pa.Table
    rejected: pa.Table
    rule: Rules
    emitted: pa.Table
    windows: Groups
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
    counts = [len(of_work.emitted) for of_work in windows]
    return Staged(
        works,
        groups,
        ingested,
        valid,
        rejected,
        rule,
        table(configs, windows),
        Groups(configs, np.concatenate(([0], np.cumsum(counts)))),
        _states(works, windows, runs),
    )


def process(works: Sequence[Work], now_us: int) -> Iterator[Commit]:
    """Yield the commit of each work, in order. A node's objects are encoded only at its turn."""
    staged = transform(works)
    ranges = [work.batch.id_range for work in works]
    rows = RowObjects(staged.ingested, staged.rule, staged.groups, ranges)
    windows = WindowObjects(staged.emitted, staged.windows, ranges)
    hours = _manifest_hours(staged)
    for i, work in enumerate(works):
        objects = (*rows.of(i), *windows.of(i))
        source = manifest.Source(
            work.database, work.batch.rows.num_rows, *ranges[i], *rows.event_bounds(i)
        )
        rejected = staged.rejected_by_rule(i)
        yield Commit(
            work.config,
            objects,
            partition.manifest_key(hours[i], work.config.turbine_id, *ranges[i]),
            manifest.document(work.config, source, rejected, objects, now_us),
            rejected,
            staged.states[i],
        )


def _split(ingested: pa.Table, rule: Rules, sound: Bools) -> tuple[pa.Table, pa.Table]:
    """Return (VALIDATED, REJECTED) rows."""
    if sound.all():
        return ingested.select(VALIDATED.names), REJECTED.empty_table()
    names = pa.array(RULES).take(pa.array(rule[~sound]))
    rejected = ingested.filter(pa.array(~sound)).append_column("rule", names)
    return ingested.select(VALIDATED.names).filter(
        pa.array(sound)
    ).combine_chunks(), rejected.combine_chunks()


def _states(
    works: Sequence[Work], windows: Sequence[Windows], runs: Sequence[dict[str, Run]]
) -> list[Checkpoint]:
    """Return each node's checkpoint once its batch is durable."""
    return [
        Checkpoint(
            last_id=work.batch.id_range[1],
            batches=work.state.batches + 1,
            max_event_us=after.max_event_us,
            closed_until_us=after.closed_until_us,
            runs=series,
            open_windows=after.open_windows,
            anchor_us=work.batch.rows.column("recorded_at")[-1].as_py(),
        )
        for work, after, series in zip(works, windows, runs, strict=True)
    ]


def _manifest_hours(staged: Staged) -> list[int]:
    """Return the hour since 1970 of each batch's manifest: that of its first row's recording."""
    first = staged.groups.offsets[:-1]
    recorded = ints(staged.ingested, "recorded_at")[first]
    unset = nulls(staged.ingested, "recorded_at")[first]
    hours: list[int] = partition.hours(recorded, unset, recorded, unset).tolist()
    return hours
