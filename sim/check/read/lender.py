"""Columns that stand byte for byte in several objects of one batch, decoded once.

Validated and enriched repeat the first columns of ingestion. An object may borrow these columns
from one that was decoded before it. Everything that decoding depends on must then be equal in both
files:

- the bytes from the start of the file to the end of the last borrowed column chunk, compared by
  SHA-256
- their descriptions in the footer (`footer`), byte for byte: name, physical and logical type,
  nullability, codec, encodings, number of values, offsets, sizes, statistics
- the number of rows, in one row group, and the writer

Anything else is decoded on its own. The pipeline's hashes and manifests are not used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.records import SCHEMAS
from sim.check.read.footer import Footer, read_footer
from sim.check.read.keys import BatchKey

COLUMNS: Final = SCHEMAS["validated"].names
"""The shared columns. Every stage of `_STAGES` begins with them."""
_STAGES: Final = ("ingestion", "validated", "enriched")
_PADDED_BY: Final = b"parquet-mr"
"""Writer whose old versions declared too small chunks: a reader takes the next bytes, too."""


@dataclass(frozen=True)
class Lender:
    """The shared columns of one decoded object.

    `end`     offset behind the last of their chunks
    `sha256`  of the bytes up to there
    `table`   the decoded columns
    """

    footer: Footer
    end: int
    sha256: bytes
    table: pa.Table

    def may_lend(self, metadata: pq.FileMetaData, content: bytes) -> bool:
        """Return True if a file with the same first bytes decodes to the same columns."""
        return (
            metadata.num_rows == self.table.num_rows
            and read_footer(content, len(COLUMNS), self.footer.chunks) == self.footer
        )


class Lenders:
    """The object decoded last of each node, hour and range of ids, if its columns can be lent."""

    def __init__(self) -> None:
        self._lenders: dict[tuple[str, int, int, int], Lender] = {}

    def find(self, stage: str, place: BatchKey | None) -> Lender | None:
        """Return the lender for an object with this key."""
        return self._lenders.get(_batch(place)) if place and stage in _STAGES else None

    def add(
        self,
        stage: str,
        place: BatchKey | None,
        content: bytes,
        metadata: pq.FileMetaData,
        table: pa.Table,
    ) -> None:
        """Let later objects borrow the columns of this one, which was read without an error."""
        if place is None or stage not in _STAGES[:-1]:
            return
        footer = read_footer(content, len(COLUMNS))
        if footer is None or metadata.num_row_groups != 1:
            return
        group = metadata.row_group(0)
        chunks = [group.column(i) for i in range(len(COLUMNS))]
        end = max(_start(chunk) + chunk.total_compressed_size for chunk in chunks)
        if (
            0 < end <= len(content)
            and min(map(_start, chunks)) >= 0
            and _PADDED_BY not in footer.writer
        ):
            digest = hashlib.sha256(memoryview(content)[:end]).digest()
            self._lenders[_batch(place)] = Lender(footer, end, digest, table.select(COLUMNS))


def digests(content: bytes, end: int) -> tuple[str, bytes]:
    """Return SHA-256 of an object, in hexadecimal, and of its first `end` bytes."""
    whole = hashlib.sha256(memoryview(content)[:end])
    first = whole.digest()
    whole.update(memoryview(content)[end:])
    return whole.hexdigest(), first


def with_borrowed(lender: Lender, rest: Sequence[pa.ChunkedArray], schema: pa.Schema) -> pa.Table:
    """Return the table of the borrowed columns and the other ones of a file."""
    return pa.Table.from_arrays([*lender.table.columns, *rest], schema=schema)


def _batch(place: BatchKey) -> tuple[str, int, int, int]:
    return place.turbine, place.hour, place.first, place.last


def _start(chunk: pq.ColumnChunkMetaData) -> int:
    """Offset of the first byte of a chunk."""
    dictionary = chunk.dictionary_page_offset
    data: int = chunk.data_page_offset
    return data if dictionary is None else min(data, dictionary)
