"""New objects of the lake into Delta tables, each exactly once.

A batch has three steps: its objects are read (`objects`), go into the log (`offsets`), and are
appended in one Delta transaction that carries the batch's number. After a kill between two steps
there is either no trace, or a batch in the log that is not in the table. The next load makes that
batch again, with the same objects. A key that a listing shows late is in a later batch. A key is
loaded once, even if its content changes (Auto Loader's `allowOverwrites=false`); the pipeline never
changes an object.

While a batch is brought into the form of its table (`conform`) and appended, the next one is
fetched and decoded.

Names that begin with `_` or `.` are skipped, as Spark does. Other keys that are not Parquet, and
objects that cannot be read, are refused or left out, by name.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

from pipeline.catalog.tables import SOURCE_FILE, TABLES, Table
from pipeline.records import BUCKET_PREFIX
from sim.check.read.lake import LakeReader, ObjectRef
from sim.errors import ENVIRONMENT, LAKE_WRONG, QueryError
from sim.query.conform import SchemaChange, conform
from sim.query.objects import Contents, contents
from sim.query.offsets import Offsets
from sim.query.stored_table import FEW_SMALL_FILES, Step, StoredTable
from sim.query.warehouse import Warehouse

BATCH_OBJECTS: Final = 1_000
BATCH_BYTES: Final = 64 * 1024 * 1024
"""Bounds of one batch, as Auto Loader's `maxFilesPerTrigger` and `maxBytesPerTrigger`."""
Threads = Callable[[int], Executor]


@dataclass(frozen=True)
class LoadOptions:
    """Options of a load.

    schema_evolution: one of `ledger.EVOLUTION`. skip_bad: pass over objects that cannot be read.
    batch_objects, batch_bytes: bounds of one transaction. few_files: see `StoredTable.compact`.
    """

    schema_evolution: str = "addNewColumns"
    skip_bad: bool = False
    batch_objects: int = BATCH_OBJECTS
    batch_bytes: int = BATCH_BYTES
    few_files: int = FEW_SMALL_FILES


@dataclass
class Loaded:
    """The work of one load. `bad`: objects that were skipped, with the reason."""

    objects: int = 0
    rows: int = 0
    bad: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)


def load(
    warehouse: Warehouse,
    options: LoadOptions,
    tables: Sequence[Table] = TABLES,
    step: Step = lambda name: None,
    threads: Threads = ThreadPoolExecutor,
) -> Loaded:
    """Load every new object of the lake. Raises QueryError, check.LakeError.

    threads: makes the executors of listings and of the read ahead, by number of threads.
    """
    loaded = Loaded()
    with warehouse.owned():
        listed = _listed(warehouse.lake, tables, step, threads)
        loads = [_Load(warehouse, table, options, step) for table in tables]
        batches = [batch for each in loads for batch in each.batches(listed[each.table.bucket])]
        with closing(_read(warehouse.lake, batches, step, threads)) as found:
            for batch, read in found:
                batch.load.commit(batch, read, loaded)
        for each in {batch.load.table.name: batch.load for batch in batches}.values():
            each.stored.compact(options.few_files)
    return loaded


def _listed(
    lake: LakeReader, tables: Sequence[Table], step: Step, threads: Threads
) -> dict[str, list[ObjectRef]]:
    """List the tables' buckets, side by side. Raises QueryError for one that is missing."""
    buckets = sorted({table.bucket for table in tables})
    with threads(len(buckets)) as pool:
        coming = {}
        for bucket in buckets:
            step(f"list {bucket}")
            coming[bucket] = pool.submit(lake.bucket, BUCKET_PREFIX + bucket)
        listed = {}
        for bucket, future in coming.items():
            found = future.result()
            if found is None:
                raise QueryError(
                    f"{lake.location}: holds no bucket {BUCKET_PREFIX}{bucket}; is this a lake?",
                    ENVIRONMENT,
                )
            listed[bucket] = found
    return listed


@dataclass(frozen=True)
class _Batch:
    """Objects of one transaction. `number`: of a batch that is in the log already."""

    load: _Load
    refs: Sequence[ObjectRef]
    number: int | None = None


def _read(
    lake: LakeReader, batches: Sequence[_Batch], step: Step, threads: Threads
) -> Generator[tuple[_Batch, Contents], None, None]:
    """Yield each batch with its contents. The next one is read meanwhile."""
    stop = threading.Event()
    with threads(1) as pool:
        try:
            coming = []
            for batch in batches:
                step(f"read {batch.load.table.name}")
                read = pool.submit(contents, lake, batch.refs, batch.load.table.source, stop)
                coming.append((batch, read))
                if len(coming) == 2:
                    ready, now = coming.pop(0)
                    yield ready, now.result()
            for ready, now in coming:
                yield ready, now.result()
        finally:
            stop.set()


class _Load:
    """One table of one load."""

    def __init__(
        self, warehouse: Warehouse, table: Table, options: LoadOptions, step: Step
    ) -> None:
        self.warehouse, self.table, self.options, self._step = warehouse, table, options, step
        self.stored = StoredTable(warehouse.table(table.name), table, step)
        self.log = Offsets.read(warehouse.batches(table.name))

    def batches(self, listed: Sequence[ObjectRef]) -> Iterator[_Batch]:
        """Yield the batch that an earlier load left in the log, then the new ones.

        Raises QueryError for a lake that has lost objects.
        """
        mine = {ref.key: ref for ref in listed if self._is_mine(ref.key)}
        gone = self.log.known - mine.keys()
        if gone:
            raise QueryError(
                f"{self.warehouse.folder}: {len(gone):,} of its objects are no longer in the lake, "
                f"first {min(gone)}; remove the warehouse, or name another with --warehouse DIR"
            )
        if self.log.last > self.stored.last:
            yield _Batch(self, [mine[key] for key in self.log.latest], self.log.last)
        new = [mine[key] for key in sorted(mine.keys() - self.log.known)]
        for refs in _cut(new, self.options):
            yield _Batch(self, refs)

    def _is_mine(self, key: str) -> bool:
        if not key.startswith(self.table.prefix):
            return False
        names = key[len(self.table.prefix) :]
        return not names.startswith(("_", ".")) and "/_" not in names and "/." not in names

    def commit(self, batch: _Batch, read: Contents, loaded: Loaded) -> None:
        """Append a batch's rows in the transaction of its number, an empty one included."""
        bad = [f"{name}: {why}" for name, why in read.bad]
        if bad and not self.options.skip_bad:
            name, why = read.bad[0]
            raise QueryError(
                f"{name}: cannot be loaded: {why}; "
                "windfleet query --option ignoreCorruptFiles=true leaves such objects out",
                LAKE_WRONG,
            )
        rows, added = self._conformed(read)
        number = batch.number
        if number is None:
            self._step(f"log {self.table.name}")
            number = self.log.append([ref.key for ref in batch.refs])
        self.stored.append(rows, number, bool(added))
        loaded.objects += len(batch.refs)
        loaded.rows += rows.num_rows
        loaded.bad += bad
        loaded.added += [f"{self.table.name}.{name}" for name in added]

    def _conformed(self, read: Contents) -> tuple[pa.Table, list[str]]:
        """Return the rows in the form of the table, and the names of new columns."""
        there = schema = self.stored.schema
        parts = []
        for table in read.tables:
            try:
                part, schema = conform(table, schema, self.options.schema_evolution)
            except SchemaChange as error:
                first = table.column(SOURCE_FILE)[0].as_py()
                raise QueryError(
                    f"{first}: {error}; "
                    "--option schemaEvolutionMode=addNewColumns or rescue loads them",
                    LAKE_WRONG,
                ) from error
            parts.append(part)
        rows = pa.concat_tables(parts, promote_options="default") if parts else None
        added = [name for name in schema.names if name not in there.names]
        return there.empty_table() if rows is None else rows, added


def _cut(refs: Sequence[ObjectRef], options: LoadOptions) -> Iterator[list[ObjectRef]]:
    """Cut a series of objects into batches within the bounds."""
    batch: list[ObjectRef] = []
    size = 0
    for ref in refs:
        if batch and (len(batch) == options.batch_objects or size + ref.size > options.batch_bytes):
            yield batch
            batch, size = [], 0
        batch.append(ref)
        size += ref.size
    if batch:
        yield batch
