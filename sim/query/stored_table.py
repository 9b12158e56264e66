"""One Delta table of a warehouse: made, appended to by transaction, compacted.

Many small loads make many small files, and each costs every later query. So, as Databricks' auto
compaction does, small files are written together once there are FEW_SMALL_FILES of them. A file of
LARGE_BYTES is never written again, which bounds the work per byte. Files that were replaced stay
for an hour, for queries that have begun.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from pipeline.catalog.tables import Table
from pipeline.terminal import one_line
from sim.errors import ENVIRONMENT, FIXES, QueryError

APPLICATION: Final = "windfleet-loader"
FEW_SMALL_FILES: Final = 50
LARGE_BYTES: Final = 64 * 1024 * 1024
_PROPERTIES: Final = {
    "delta.deletedFileRetentionDuration": "interval 1 hour",
    "delta.logRetentionDuration": "interval 1 day",
}
Step = Callable[[str], None]
"""Called with the name of each step before it is made: the seam at which tests kill a load."""


class StoredTable:
    """A Delta table, made with the catalogue's columns where it is not there."""

    def __init__(self, path: Path, table: Table, step: Step) -> None:
        """Raises QueryError."""
        self._path, self._name, self._step = path, table.name, step
        try:
            if not DeltaTable.is_deltatable(str(path)):
                step(f"create {table.name}")
                DeltaTable.create(
                    str(path),
                    table.schema,
                    mode="ignore",
                    name=table.name,
                    description=table.comment,
                    configuration=_PROPERTIES,
                )
            self._delta = DeltaTable(str(path))
        except Exception as error:
            raise self._failed("opened", error) from error

    @property
    def schema(self) -> pa.Schema:
        return pa.schema(self._delta.schema().to_arrow())

    @property
    def last(self) -> int:
        """Number of the last transaction, 0 for none."""
        return self._delta.transaction_version(APPLICATION) or 0

    def append(self, rows: pa.Table, number: int, evolves: bool) -> None:
        """Append rows in the transaction of this number. Raises QueryError.

        evolves: the rows have columns that the table has not.
        """
        self._step(f"commit {self._name}")
        try:
            with _silent():
                write_deltalake(
                    self._delta,
                    rows,
                    mode="append",
                    schema_mode="merge" if evolves else None,
                    commit_properties=CommitProperties(
                        app_transactions=[Transaction(APPLICATION, number)]
                    ),
                )
        except Exception as error:
            raise self._failed("written", error) from error
        self._step(f"committed {self._name}")

    def compact(self, few: int = FEW_SMALL_FILES) -> None:
        """Write small files together if there are `few` or more. Raises QueryError."""
        sizes = pa.table(self._delta.get_add_actions())["size_bytes"]
        if pc.sum(pc.less(sizes, LARGE_BYTES // 2)).as_py() < few:
            return
        self._step(f"compact {self._name}")
        try:
            with _silent():
                self._delta.optimize.compact(target_size=LARGE_BYTES)
            self._step(f"remove old files of {self._name}")
            self._delta.vacuum(dry_run=False)
        except Exception as error:
            raise self._failed("compacted", error) from error

    def _failed(self, verb: str, error: Exception) -> QueryError:
        """Return Delta's error in one line, and the fix where there is one.

        Its classes are DeltaError, OSError and Exception; its texts have colours and a backtrace.
        """
        text = re.sub(r"\x1b\[[\d;]*m|\u21b3", "", re.split(r"\n\s+\d+: ", str(error))[0])
        text = " ".join(text.split())
        number = re.search(r"\(os error (\d+)\)", text)
        fix = FIXES.get(int(number[1])) if number else None
        return QueryError(
            f"{self._path}: cannot be {verb}: {one_line(text)}" + (f"; {fix}" if fix else ""),
            ENVIRONMENT,
        )


@contextmanager
def _silent() -> Iterator[None]:
    """Keep Rust's panics from standard error. delta-rs panics beside an error of a full disk."""
    kept = os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nothing)
        os.close(kept)
