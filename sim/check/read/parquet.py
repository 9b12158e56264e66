"""Parquet bytes as a table, or an error: no object may end its reader, stall it or fill its memory.

The footer declares rows, columns, row groups, decoded bytes and the values of each column. All of
them are bounded before a page is decoded. Repeated texts stay dictionaries, so that a long text
shared by many rows is in memory once. Every decoded table is validated in full: texts are UTF-8,
and dictionary indices are in range.

Not covered: page headers that contradict their footer. Arrow allocates memory by them, and then
refuses them.
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
"""Bound on an object, on its decoded columns together, and on the texts of one column."""
MOST_ROWS: Final = 1 << 20
"""Ten times the largest batch."""
MOST_VALUES: Final = 1 << 22
"""Bound on the values of one column, the elements of lists counted."""
MOST_CHUNKS: Final = 100_000
"""Bound on columns times row groups."""
MOST_EXPANDED: Final = 1 << 31
"""Bound on rows times bytes: more than any text column can expand to."""
_LONGEST_REASON: Final = 300


class Unreadable(ValueError):
    """The bytes are not a readable Parquet file. The text names the reason."""


def open_exact_schema(
    content: bytes,
    schema: pa.Schema,
    dictionaries: Sequence[str],
    most_expanded: float = MOST_EXPANDED,
) -> pq.ParquetFile | None:
    """Open a file of exactly this schema; None for others. Raises Unreadable."""
    with _reasons():
        try:
            # Buffering ahead costs more than it saves for bytes in memory.
            file = pq.ParquetFile(
                pa.BufferReader(content), read_dictionary=dictionaries, pre_buffer=False
            )
        except KeyError:  # one of these columns is missing
            return None
        expanded = _require_bounded(file.metadata)
        exact = expanded <= most_expanded and file.schema_arrow.equals(schema)
        return file if exact else None


def read_columns(file: pq.ParquetFile, schema: pa.Schema, first: int = 0) -> pa.Table:
    """Read the columns from the `first` on, not yet validated. Raises Unreadable.

    The file is of `open_exact_schema`.
    """
    with _reasons():
        for at, field in enumerate(schema):
            if pa.types.is_list(field.type):
                file.scan_contents([field.name])
                _require_few_values(file.metadata, [at])
        return file.read(schema.names[first:] if first else None, use_threads=False)


def read_exact_schema(
    content: bytes, schema: pa.Schema, dictionaries: Sequence[str]
) -> pa.Table | None:
    """Read a file of exactly this schema, not yet validated; None for others. Raises Unreadable."""
    file = open_exact_schema(content, schema, dictionaries)
    return None if file is None else read_columns(file, schema)


def footer_texts(content: bytes) -> dict[bytes, bytes]:
    """Return the key-value metadata of a file; empty if it has none or cannot be read."""
    try:
        return pq.read_metadata(pa.BufferReader(content)).metadata or {}
    except (pa.ArrowException, OSError, ValueError, MemoryError):
        return {}


def read_any_schema(
    content: bytes, names: Collection[str] | None = None
) -> tuple[pa.Table, pa.Schema]:
    """Read a file of any schema. Return (table, schema of the whole file). Raises Unreadable.

    The table has the columns of these names, or all, with texts as dictionaries.
    """
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
    """Reason why a table from `read_exact_schema` must not be used; empty for a valid one."""
    try:  # every bit pattern of a number is valid
        table.select([field.name for field in table.schema if not _is_number(field.type)]).validate(
            full=True
        )
    except (pa.ArrowException, ValueError) as error:
        return _reason(error)
    return ""


def cast_column(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Cast a column to another type, dictionaries expanded. Raises Unreadable if too large."""
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
            raise Unreadable(f"a column has {size} bytes of text, more than {MOST_BYTES}")
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
    """Return declared rows times declared decoded bytes. Raises Unreadable beyond a bound."""
    rows: int = metadata.num_rows
    chunks = metadata.num_columns * metadata.num_row_groups
    if chunks > MOST_CHUNKS:
        raise Unreadable(
            f"declares {metadata.num_row_groups} row groups of {metadata.num_columns} columns, "
            f"more than {MOST_CHUNKS} chunks"
        )
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    size: int = sum(group.total_byte_size for group in groups)
    counted = sum(group.num_rows for group in groups)
    if not 0 <= rows <= MOST_ROWS or rows != counted or any(group.num_rows < 0 for group in groups):
        raise Unreadable(
            f"declares {rows} rows, and {counted} in its row groups; the bound is {MOST_ROWS}"
        )
    if not 0 <= size <= MOST_BYTES or any(group.total_byte_size < 0 for group in groups):
        raise Unreadable(f"declares {size} decoded bytes; the bound is {MOST_BYTES}")
    return rows * size


def _require_few_values(metadata: pq.FileMetaData, leaves: Collection[int]) -> None:
    """Raise Unreadable if a column of a scanned file declares too many values or bytes.

    The scan must come first. A chunk that contradicts its column makes pyarrow end the process,
    unless pyarrow has found it by reading it.
    """
    for leaf in leaves:
        chunks = [metadata.row_group(i).column(leaf) for i in range(metadata.num_row_groups)]
        values = sum(chunk.num_values for chunk in chunks)
        size = sum(chunk.total_uncompressed_size for chunk in chunks)
        if not 0 <= values <= MOST_VALUES or not 0 <= size <= MOST_BYTES:
            raise Unreadable(f"column {leaf} declares {values} values of {size} bytes")


@contextlib.contextmanager
def _reasons() -> Iterator[None]:
    """Turn any exception of Arrow into Unreadable."""
    try:
        yield
    except Unreadable:
        raise
    except Exception as error:
        raise Unreadable(_reason(error)) from error


def _reason(error: Exception) -> str:
    """First line of an error, after its type unless the type is usual for bad bytes."""
    text = (str(error).strip().splitlines() or [""])[0][:_LONGEST_REASON]
    return (
        text
        if isinstance(error, pa.ArrowException | OSError | ValueError) and text
        else f"{type(error).__name__} {text}"
    )
