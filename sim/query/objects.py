"""The objects of one batch as rows, fetched and decoded side by side.

Objects are decoded one by one, with the oracle's bounds, so that a hostile object costs itself
only. Everything after that is done once for a batch: rows of one schema are one table, their texts
are validated together, and `_source_file` is one dictionary.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa

from pipeline.catalog.tables import SOURCE_FILE
from pipeline.terminal import one_line
from sim.check.read import parquet
from sim.check.read.lake import ObjectRef, Reads

DECODERS: Final = 2


@dataclass
class Contents:
    """A batch. tables: rows with `_source_file`, one table per schema. bad: name, reason."""

    tables: list[pa.Table] = field(default_factory=list)
    bad: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class _Group:
    """Objects of one schema, in order."""

    names: list[str] = field(default_factory=list)
    tables: list[pa.Table] = field(default_factory=list)

    def add(self, name: str, table: pa.Table) -> None:
        self.names.append(name)
        self.tables.append(table)

    def together(self) -> pa.Table:
        """Return the rows as one table with `_source_file`."""
        counts = [table.num_rows for table in self.tables]
        which = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        source = pa.DictionaryArray.from_arrays(which, pa.array(self.names, pa.string()))
        rows = pa.concat_tables(self.tables).unify_dictionaries().combine_chunks()
        return rows.append_column(SOURCE_FILE, source)


def contents(
    lake: Reads, refs: Sequence[ObjectRef], schema: pa.Schema, stop: threading.Event
) -> Contents:
    """Read the objects of a batch. schema: that of a usual object.

    `stop` ends the work early; the batch is then incomplete. Raises LakeError.
    """
    found = Contents()
    usual = _Group()
    others: dict[pa.Schema, _Group] = {}
    with ThreadPoolExecutor(DECODERS) as pool:
        bodies = _until(stop, lake.read(refs))
        decoded = pool.map(lambda ref, body: _decoded(ref, body, schema), refs, bodies)
        for ref, table in zip(refs, decoded, strict=False):
            if isinstance(table, str):
                found.bad.append((ref.name, table))
            elif table.schema.equals(schema):
                usual.add(ref.name, table)
            else:
                others.setdefault(table.schema, _Group()).add(ref.name, table)
    usual = _valid(usual, found.bad)
    found.tables = [group.together() for group in (usual, *others.values()) if group.tables]
    return found


def _until(stop: threading.Event, bodies: Iterator[bytes | None]) -> Iterator[bytes | None]:
    for body in bodies:
        if stop.is_set():
            return
        yield body


def _decoded(ref: ObjectRef, body: bytes | None, schema: pa.Schema) -> pa.Table | str:
    """Return an object's rows, those of a usual one not yet validated, or the reason for none."""
    if not ref.key.endswith(".parquet"):
        return "not a Parquet object"
    if body is None:
        return "was listed, and is gone"
    try:
        usual = parquet.read_exact_schema(body, schema, ())
        if usual is not None:
            return usual
        table = parquet.read_any_schema(body)[0]
    except parquet.Unreadable as error:
        return str(error)
    return _wrong_names(table.column_names) or table


def _wrong_names(names: Sequence[str]) -> str:
    """Reason why columns of these names cannot be loaded; empty for none."""
    if SOURCE_FILE in names:
        return f"has a column {SOURCE_FILE}, which is the loader's own"
    if "" in names:
        return "has a column without a name"
    twice = [name for name in names if names.count(name) > 1]
    return f"has two columns {one_line(twice[0])}" if twice else ""


def _valid(group: _Group, bad: list[tuple[str, str]]) -> _Group:
    """Return the group without the objects that hold invalid texts; those go to `bad`."""
    if not group.tables or not parquet.problem(pa.concat_tables(group.tables)):
        return group
    valid = _Group()
    for name, table in zip(group.names, group.tables, strict=True):
        if why := parquet.problem(table):
            bad.append((name, why))
        else:
            valid.add(name, table)
    return valid
