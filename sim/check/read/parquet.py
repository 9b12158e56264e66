"""Parquet bytes as a table, or the reason why not: no object may end its reader, stall it, or fill its memory.

Bounded before a page is decoded, from what the footer declares: rows, columns, row groups, decoded bytes, and the
values of each column. Repeated texts stay dictionaries, so that a long text that many rows share is in memory once.
Every decoded table is validated in full, so that later code meets no text that is not UTF-8 and no index that points
nowhere. Not covered: page headers that contradict their footer; Arrow takes memory by them, and then refuses them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

MOST_BYTES: Final = 1 << 28
"""Of an object, of its decoded columns together, and of the texts of one column."""
MOST_ROWS: Final = 1 << 20  # ten times the largest batch
MOST_VALUES: Final = 1 << 22  # of one column, lists taken apart
MOST_CHUNKS: Final = 100_000  # columns times row groups
_MOST_EXPANDED: Final = 1 << 31  # rows times bytes: more than any text column can become
_SHOWN: Final = 300


class Unreadable(ValueError):
    """The bytes are no Parquet file that can be read here; the text says why."""


def known(content: bytes, schema: pa.Schema, dictionaries: Sequence[str]) -> pa.Table | None:
    """The rows of a file of just this schema, not yet validated; None for any other file. Raises Unreadable."""
    with _reasons():
        try:
            file = pq.ParquetFile(pa.BufferReader(content), read_dictionary=dictionaries)
        except KeyError:  # lacks one of these columns
            return None
        expanded = _require_bounded(file.metadata)
        if expanded > _MOST_EXPANDED or not file.schema_arrow.equals(schema):
            return None
        for at, field in enumerate(schema):
            if pa.types.is_list(field.type):
                file.scan_contents([field.name])
                _require_few_values(file.metadata, [at])
        return file.read(use_threads=False)


def odd(content: bytes, names: Collection[str] | None = None) -> tuple[pa.Table, pa.Schema]:
    """(the columns of these names, or all, texts as dictionaries; the schema of the whole file). Raises Unreadable."""
    with _reasons():
        file = pq.ParquetFile(pa.BufferReader(content))
        _require_bounded(file.metadata)
        schema = file.schema_arrow
        file.scan_contents()
        leaves = [file.schema.column(i) for i in range(len(file.schema))]
        _require_few_values(file.metadata, range(len(leaves)))
        texts = {leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"}
        paths = [leaf.path for leaf in leaves]
        single = sorted(path for path in texts if paths.count(path) == 1)
        file = pq.ParquetFile(pa.BufferReader(content), read_dictionary=single)
        wanted = (
            None
            if names is None
            else [name for name in dict.fromkeys(schema.names) if name in names]
        )
        table = file.read(columns=wanted, use_threads=False)
        table.validate(full=True)
        return table, schema


def problem(table: pa.Table) -> str:
    """The reason why a table that `known` gave must not be used; empty for a sound one."""
    try:  # of numbers every bit pattern is sound
        table.select([field.name for field in table.schema if not _is_number(field.type)]).validate(
            full=True
        )
    except (pa.ArrowException, ValueError) as error:
        return _reason(error)
    return ""


def plain(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """The column as another type, dictionaries resolved. Raises Unreadable for texts that would fill the memory."""
    if pa.types.is_dictionary(column.type) and not pa.types.is_dictionary(kind):
        size = 0
        for chunk in column.chunks if _is_long(column.type.value_type) else ():
            lengths = np.append(
                np.asarray(pc.binary_length(chunk.dictionary).fill_null(0), dtype=np.int64), 0
            )
            size += int(
                lengths[np.asarray(chunk.indices.fill_null(len(lengths) - 1), dtype=np.int64)].sum()
            )
        if size > MOST_BYTES:
            raise Unreadable(f"a column of {size} bytes of text, more than {MOST_BYTES}")
        column = column.cast(column.type.value_type)
    return column.cast(kind)


def _is_number(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_temporal(kind))


def _is_long(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_string(kind)
        or types.is_binary(kind)
        or types.is_large_string(kind)
        or types.is_large_binary(kind)
    )


def _require_bounded(metadata: pq.FileMetaData) -> int:
    """Rows times decoded bytes, as declared."""
    rows: int = metadata.num_rows
    chunks = metadata.num_columns * metadata.num_row_groups
    if chunks > MOST_CHUNKS:
        raise Unreadable(
            f"it declares {metadata.num_row_groups} row groups of {metadata.num_columns} columns"
        )
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    size: int = sum(group.total_byte_size for group in groups)
    counted = sum(group.num_rows for group in groups)
    if not 0 <= rows <= MOST_ROWS or rows != counted or any(group.num_rows < 0 for group in groups):
        raise Unreadable(
            f"it declares {rows} rows, in its row groups {counted}; {MOST_ROWS} are possible"
        )
    if not 0 <= size <= MOST_BYTES or any(group.total_byte_size < 0 for group in groups):
        raise Unreadable(f"it declares {size} decoded bytes; {MOST_BYTES} are possible")
    return rows * size


def _require_few_values(metadata: pq.FileMetaData, leaves: Collection[int]) -> None:
    """Of a file that was scanned: pyarrow ends the process at a chunk whose description contradicts its column, unless
    it meets it while it reads.
    """
    for leaf in leaves:
        chunks = [metadata.row_group(i).column(leaf) for i in range(metadata.num_row_groups)]
        values = sum(chunk.num_values for chunk in chunks)
        size = sum(chunk.total_uncompressed_size for chunk in chunks)
        if not 0 <= values <= MOST_VALUES or not 0 <= size <= MOST_BYTES:
            raise Unreadable(f"column {leaf} declares {values} values of {size} bytes")


@contextlib.contextmanager
def _reasons() -> Iterator[None]:
    """Anything that Arrow raises as Unreadable."""
    try:
        yield
    except Unreadable:
        raise
    except Exception as error:
        raise Unreadable(_reason(error)) from error


def _reason(error: Exception) -> str:
    """The first line of an error, with its type where that is not one of bad bytes."""
    text = (str(error).strip().splitlines() or [""])[0][:_SHOWN]
    return (
        text
        if isinstance(error, pa.ArrowException | OSError | ValueError) and text
        else f"{type(error).__name__} {text}"
    )
