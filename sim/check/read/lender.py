"""Columns that stand byte for byte in several objects of one batch, decoded once.

Validated consists of the first columns of ingestion, and enriched begins with them. They are
decoded once if everything that decoding depends on is equal in both files:

- the bytes from the start of the file to the end of the last of these columns' chunks, compared by
  SHA-256
- their descriptions in the footer (`footer`), byte for byte
- the number of rows, in one row group, and the program that wrote the file

Anything else is decoded on its own. The pipeline's hashes and manifests are not used.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.records import VALIDATED
from sim.check.read.footer import Footers
from sim.check.read.keys import BatchKey

COLUMNS: Final = VALIDATED.names
"""The columns that the stages of `_STAGES` begin with. Validated has no others."""
_STAGES: Final = ("ingestion", "validated", "enriched")
_PADDED_BY: Final = "parquet-mr"
"""Writer whose old versions declared too small chunks: a reader takes the next bytes, too."""


@dataclass(frozen=True)
class Lender:
    """The first columns of a decoded object.

    `elements`  their descriptions in the schema
    `chunks`    of their chunks, in ingestion also of the chunks that follow
    `end`       offset behind the last of the chunks
    `sha256`    of the bytes up to there
    """

    elements: bytes
    chunks: bytes
    writer: str
    end: int
    sha256: bytes
    table: pa.Table


class Lenders:
    """The object read last of each node, hour and range of ids."""

    def __init__(self) -> None:
        self._lenders: dict[tuple[str, int, int, int], Lender] = {}
        self._footers = Footers(len(COLUMNS))

    def find(self, stage: str, place: BatchKey | None) -> Lender | None:
        """Return the lender for an object with this key, which must then pass `may_borrow`."""
        return self._lenders.get(_batch(place)) if place and stage in _STAGES[1:] else None

    def may_borrow(
        self, stage: str, place: BatchKey, metadata: pq.FileMetaData, sha256: bytes
    ) -> bool:
        """Return True if an object's first columns are those of its lender.

        sha256: of the object up to the lender's `end`.
        """
        lender = self._lenders[_batch(place)]
        if (
            sha256 != lender.sha256
            or metadata.num_rows != lender.table.num_rows
            or _writer(metadata) != lender.writer
            or (footer := self._footers.read(metadata)) is None
            or footer.schema.elements != lender.elements
        ):
            return False
        if stage == "enriched":
            return footer.chunks.startswith(lender.chunks)
        chunks = self._footers.own_chunks(footer, metadata.row_group(0))
        if not chunks or not lender.chunks.startswith(chunks):
            return False
        self._lenders[_batch(place)] = replace(lender, chunks=chunks)
        return True

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
        writer, footer = _writer(metadata), self._footers.read(metadata)
        if footer is None or not writer or _PADDED_BY in writer:
            return
        group = metadata.row_group(0)
        chunks = [group.column(i) for i in range(len(COLUMNS))]
        starts = [_start(chunk) for chunk in chunks]
        end = max(at + c.total_compressed_size for at, c in zip(starts, chunks, strict=True))
        if min(starts) < 0 or end > len(content):
            return
        own = stage == "validated"
        described = self._footers.own_chunks(footer, group) if own else footer.chunks
        if not described:
            return
        self._lenders[_batch(place)] = Lender(
            footer.schema.elements,
            described,
            writer,
            end,
            hashlib.sha256(memoryview(content)[:end]).digest(),
            table.select(COLUMNS),
        )


def digests(content: bytes, end: int) -> tuple[str, bytes]:
    """Return SHA-256 of an object, in hexadecimal, and of its first `end` bytes."""
    whole = hashlib.sha256(memoryview(content)[:end])
    first = whole.digest()
    whole.update(memoryview(content)[end:])
    return whole.hexdigest(), first


def _batch(place: BatchKey) -> tuple[str, int, int, int]:
    return place.turbine, place.hour, place.first, place.last


def _writer(metadata: pq.FileMetaData) -> str:
    """Name of the program that wrote a file; empty if it is unknown or not UTF-8."""
    try:
        return metadata.created_by or ""
    except UnicodeDecodeError:
        return ""


def _start(chunk: pq.ColumnChunkMetaData) -> int:
    """Offset of the first byte of a chunk."""
    dictionary = chunk.dictionary_page_offset
    data: int = chunk.data_page_offset
    return data if dictionary is None else min(data, dictionary)
