"""Columns that stand byte for byte in several objects of one batch, decoded once.

Validated consists of the first columns of ingestion, and later stages of rows begin with them.
They are decoded once if everything that decoding depends on is equal in both files:

- the bytes from the start of the file to the end of these columns' pages, compared by SHA-256
- their descriptions in the footer, byte for byte (`form`)
- the number of rows, and the program that wrote the file

Anything else is decoded on its own. The pipeline's hashes and manifests are not used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from pipeline.records import DERIVED
from pipeline.records.schemas import VALIDATED
from sim.check.read.form import FormFile
from sim.check.read.keys import Key

COLUMNS: Final = VALIDATED.names
"""The columns that the stages of `STAGES` begin with. Validated has no others."""
STAGES: Final = ("ingestion", "validated", "enriched", *DERIVED)


@dataclass(frozen=True)
class Head:
    """All that the decoded first columns of a file depend on. `pages`: SHA-256 of their bytes."""

    elements: bytes
    described: bytes
    writer: bytes
    rows: int
    pages: bytes

    @classmethod
    def of(cls, file: FormFile, pages: bytes) -> Head:
        count = len(COLUMNS)
        form = file.form
        return cls(form.elements(count), file.described(count), form.writer, file.rows, pages)


@dataclass(frozen=True)
class Span:
    """Rows of a table, from `start` on."""

    table: pa.Table
    start: int
    rows: int

    def follows(self, other: Span) -> bool:
        """Return True if these rows come right after the other ones, in one table."""
        return self.table is other.table and self.start == other.start + other.rows


class Lenders:
    """The first columns of the object read last of each name and hour."""

    def __init__(self) -> None:
        self._lenders: dict[tuple[str, int], tuple[Head, Span]] = {}

    def find(self, stage: str, place: Key | None, head: Head | None) -> Span | None:
        """Return the rows of an object that begins in the same way; None without one."""
        if place is None or head is None or stage not in STAGES[1:]:
            return None
        lent, span = self._lenders.get(_batch(place), (None, None))
        return span if lent == head else None

    def add(self, stage: str, place: Key | None, head: Head | None, span: Span) -> None:
        """Let later objects borrow the columns of this one, which was read without an error."""
        if place is not None and head is not None and stage in STAGES[:-1]:
            self._lenders[_batch(place)] = head, span


def _batch(place: Key) -> tuple[str, int]:
    return place.name, place.hour
