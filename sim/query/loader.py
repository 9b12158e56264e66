"""New objects of the lake into Delta tables, each exactly once.

A batch has three steps: its objects go into the log (`offsets`), are read and brought into the form
of the table (`conform`), and are appended in one Delta transaction that carries the batch's number.
After a kill between two steps there is either no trace, or a batch in the log that is not in the
table. The next load makes that batch again, with the same objects. A key that a listing shows late
is in a later batch. A key is loaded once, even if its content changes (Auto Loader's
`allowOverwrites=false`); the pipeline never changes an object.

Names that begin with `_` or `.` are skipped, as Spark does. Other keys that are not Parquet, and
objects that cannot be read, are refused or left out, by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import DeltaError

from pipeline.catalog.tables import SOURCE_FILE, TABLES, Table
from pipeline.records import BUCKET_PREFIX
from sim.check.read import parquet
from sim.check.read.lake import ObjectRef
from sim.errors import ENVIRONMENT, LAKE_WRONG, QueryError
from sim.query.conform import SchemaChange, conform
from sim.query.offsets import Offsets
from sim.query.warehouse import Warehouse

APPLICATION: Final = "windfleet-loader"
BATCH_OBJECTS: Final = 1_000
BATCH_BYTES: Final = 128 * 1024 * 1024
"""Bounds of one batch, as Auto Loader's `maxFilesPerTrigger` and `maxBytesPerTrigger`."""
DECODERS: Final = 2
Step = Callable[[str], None]
"""Called with the name of each step before it is made: the seam at which tests kill a load."""


@dataclass(frozen=True)
class LoadOptions:
    """Options of a load.

    schema_evolution: one of `ledger.EVOLUTION`. skip_bad: pass over objects that cannot be read.
    batch_objects, batch_bytes: bounds of one transaction.
    """

    schema_evolution: str = "addNewColumns"
    skip_bad: bool = False
    batch_objects: int = BATCH_OBJECTS
    batch_bytes: int = BATCH_BYTES


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
) -> Loaded:
    """Load every new object of the lake. Raises QueryError, check.LakeError."""
    loaded = Loaded()
    with warehouse.owned():
        listed: dict[str, list[ObjectRef]] = {}
        for bucket in sorted({table.bucket for table in tables}):
            step(f"list {bucket}")
            found = warehouse.lake.bucket(BUCKET_PREFIX + bucket)
            if found is None:
                raise QueryError(
                    f"{warehouse.lake.location}: holds no bucket {BUCKET_PREFIX}{bucket}; "
                    "is this a lake?",
                    ENVIRONMENT,
                )
            listed[bucket] = found
        for table in tables:
            _Load(warehouse, table, options, step, loaded).run(listed[table.bucket])
    return loaded


class _Load:
    """One table of one load."""

    def __init__(
        self, warehouse: Warehouse, table: Table, options: LoadOptions, step: Step, loaded: Loaded
    ) -> None:
        self.warehouse, self.table, self.options = warehouse, table, options
        self._step, self._loaded = step, loaded
        self.path = warehouse.table(table.name)
        self.log = Offsets.read(warehouse.batches(table.name), BUCKET_PREFIX + table.bucket)

    def run(self, listed: Sequence[ObjectRef]) -> None:
        delta = self._delta()
        if self.log.last > (delta.transaction_version(APPLICATION) or 0):
            self._commit(delta, self.log.last, self.log.batch(self.log.last))
        mine = {ref.key: ref for ref in listed if self._is_mine(ref.key)}
        gone = self.log.known.keys() - mine.keys()
        if gone:
            raise QueryError(
                f"{self.warehouse.folder}: {len(gone):,} of its objects are no longer in the lake, "
                f"first {min(gone)}; remove the warehouse, or name another with --warehouse DIR"
            )
        new = [mine[key] for key in sorted(mine.keys() - self.log.known.keys())]
        for refs in _batches(new, self.options):
            self._step(f"log {self.table.name}")
            number = self.log.append(refs)
            self._commit(self._delta(), number, refs)

    def _is_mine(self, key: str) -> bool:
        if not key.startswith(self.table.prefix):
            return False
        names = key[len(self.table.prefix) :].split("/")
        return not any(name.startswith(("_", ".")) for name in names)

    def _delta(self) -> DeltaTable:
        """Return the Delta table, made with the catalogue's columns where it is not there."""
        if not DeltaTable.is_deltatable(str(self.path)):
            self._step(f"create {self.table.name}")
            try:
                DeltaTable.create(
                    str(self.path),
                    self.table.schema,
                    mode="ignore",
                    name=self.table.name,
                    description=self.table.comment,
                )
            except DeltaError as error:
                raise QueryError(f"{self.path}: {error}", ENVIRONMENT) from error
        return DeltaTable(str(self.path))

    def _commit(self, delta: DeltaTable, number: int, refs: Sequence[ObjectRef]) -> None:
        """Append a batch's rows in the transaction of its number, an empty one included."""
        schema = pa.schema(delta.schema().to_arrow())
        parts = []
        added: list[str] = []
        for table in self._read(refs):
            try:
                part, wider = conform(table, schema, self.options.schema_evolution)
            except SchemaChange as error:
                first = table.column(SOURCE_FILE)[0].as_py()
                raise QueryError(
                    f"{first}: {error}; "
                    "--option schemaEvolutionMode=addNewColumns or rescue loads them",
                    LAKE_WRONG,
                ) from error
            added += [name for name in wider.names if name not in schema.names]
            schema = wider
            parts.append(part)
        rows = pa.concat_tables(parts, promote_options="default") if parts else schema.empty_table()
        self._step(f"commit {self.table.name}")
        try:
            write_deltalake(
                delta,
                rows,
                mode="append",
                schema_mode="merge" if added else None,
                commit_properties=CommitProperties(
                    app_transactions=[Transaction(APPLICATION, number)],
                    custom_metadata={"windfleet.objects": str(len(refs))},
                ),
            )
        except DeltaError as error:
            raise QueryError(f"{self.path}: cannot be written: {error}", ENVIRONMENT) from error
        self._step(f"committed {self.table.name}")
        self._loaded.objects += len(refs)
        self._loaded.rows += rows.num_rows
        self._loaded.added += [f"{self.table.name}.{name}" for name in added]

    def _read(self, refs: Sequence[ObjectRef]) -> Iterator[pa.Table]:
        """Yield rows with `_source_file`, one table per schema. Raises QueryError."""
        by_schema: dict[pa.Schema, list[pa.Table]] = {}
        self._step(f"read {self.table.name}")
        with ThreadPoolExecutor(DECODERS) as pool:
            bodies = self.warehouse.lake.read(refs)
            for ref, table in zip(refs, pool.map(self._decoded, refs, bodies), strict=True):
                if isinstance(table, str):
                    self._bad(ref, table)
                    continue
                by_schema.setdefault(table.schema, []).append(table)
        for tables in by_schema.values():
            yield pa.concat_tables(tables).unify_dictionaries()

    def _decoded(self, ref: ObjectRef, body: bytes | None) -> pa.Table | str:
        """Return an object's rows, or the reason why there are none."""
        if not ref.key.endswith(".parquet"):
            return "not a Parquet object"
        if body is None:
            return "was listed, and is gone"
        try:
            found = parquet.read_exact_schema(body, self.table.source, ())
            why = parquet.problem(found) if found is not None else ""
            if found is None:
                found, _ = parquet.read_any_schema(body)
        except parquet.Unreadable as error:
            return str(error)
        if why:
            return why
        source = pa.DictionaryArray.from_arrays(
            pa.repeat(pa.scalar(0, pa.int32()), found.num_rows), [ref.name]
        )
        return found.append_column(SOURCE_FILE, source)

    def _bad(self, ref: ObjectRef, why: str) -> None:
        if not self.options.skip_bad:
            raise QueryError(
                f"{ref.name}: cannot be loaded: {why}; "
                "--option ignoreCorruptFiles=true leaves such objects out",
                LAKE_WRONG,
            )
        self._loaded.bad.append(f"{ref.name}: {why}")


def _batches(refs: Sequence[ObjectRef], options: LoadOptions) -> Iterator[list[ObjectRef]]:
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
