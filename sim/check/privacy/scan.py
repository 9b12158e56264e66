"""The privacy search in the lake: no personal value, exact place or key of a node may be in it.

Stages        `privacy_key` must not be in any stage after ingestion. Personal values and exact
              coordinates (`secrets`) must not be in enriched, aggregated, metadata or checkpoints.
Cells         Every distinct text of every column, and numbers that equal a coordinate, in nested
              columns, too (`cells`).
Bytes         Every object as it is stored: Parquet footers and statistics, names and values of
              JSON; and coordinates as 8-byte floats in either byte order.
Spellings     All forms of `patterns`. In texts of cells and JSON and in the metadata of Parquet
              files also: decoded texts (`decoding`); names with other case, accents and characters
              between letters; names with their words in two values of one object.
Coincidence   A reading may equal a rounded coordinate. So measured columns, lists of numbers in
              JSON (partial sums of a checkpoint) and raw bytes are searched only for exact
              coordinates of 6 decimals or more.

Not covered: secrets of one share's nodes in the objects of another share. Objects of no known
turbine are searched for the secrets of all nodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from sim.check.findings import Findings
from sim.check.privacy.cells import CellSearch
from sim.check.privacy.leaks import KEY_PROTECTED, PROTECTED, Leaks
from sim.check.privacy.secrets import KEY, Secrets, find_in
from sim.check.read import parquet
from sim.check.read.columns import one
from sim.check.read.keys import ALL_STAGES
from sim.check.read.lake import ObjectRef, Reads
from sim.check.read.nodes import Node
from sim.check.read.objects import StageRows
from sim.check.read.watched import Watched

_MAGIC: Final = b"PAR1"
_LONGEST_QUOTE: Final = 200


class Privacy:
    """Search for secrets. Call `watch`, `search_rows` and `search_object`, then `report`."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.secrets, self.leaks = Secrets(nodes), Leaks()
        self.cells = CellSearch(self.secrets, self.leaks)
        self._footer_texts: dict[tuple[bytes, bytes], list[str]] = {}

    def watch(self, reader: Reads, stage: str) -> Reads:
        """Return a reader that searches the bytes of every object read through it."""
        if stage in PROTECTED:
            return Watched(self._search_files if stage in ALL_STAGES else self.search_bytes, reader)
        if stage in KEY_PROTECTED and self.secrets.has_keys:
            return Watched(self._stored_keys, reader)
        return reader

    def search_rows(self, stage: str, lake: StageRows) -> None:
        """Search the cells of a stage's table, and the footers of its files."""
        if stage not in PROTECTED and stage not in KEY_PROTECTED:
            return
        refs = [item.ref for item in lake.objects]
        if stage in PROTECTED:
            self._search_footers(refs, [item.footer_texts for item in lake.objects])
        columns = {name: one(lake.table.column(name)) for name in lake.table.column_names}
        texts = {n: column for n, column in columns.items() if _is_dictionary(column.type)}
        if stage in PROTECTED and self.cells.are_clean(list(texts.values())):
            columns = {n: column for n, column in columns.items() if n not in texts}
        for name, column in columns.items():
            if stage in PROTECTED or (not _is_number(column.type) and self._mentions_key(column)):
                self.cells.search(name, column, refs, lake.object)

    def _mentions_key(self, column: pa.Array) -> bool:
        encoded = _is_dictionary(column.type)
        return self.secrets.mentions_key(
            column.dictionary if encoded else column.drop_null().unique()
        )

    def search_object(self, ref: ObjectRef, content: bytes | None) -> None:
        """Search an object of no stage, or with other columns than its stage's."""
        key = ref.key.encode("utf-8", "surrogateescape")
        for _, hit in self.secrets.search([key], lists=False):
            self.leaks.add(ref, hit, "in its key")
        if content is None:
            return
        self.search_bytes([ref], [content])
        try:
            table, _ = parquet.read_any_schema(content)
        except parquet.Unreadable:
            return
        for name, column in zip(table.column_names, table.columns, strict=True):
            try:
                for chunk in column.chunks:
                    of = np.zeros(len(chunk), dtype=np.int64)
                    self.cells.search(name, chunk, [ref], of)
            except Exception as error:  # an unforeseen type must not pass as free of secrets
                why = f"{type(error).__name__}: {str(error)[:_LONGEST_QUOTE]}"
                text = f"column {name[:_LONGEST_QUOTE]} cannot be searched for personal values"
                self.leaks.unsearched[ref] = f"{text}: {why}"

    def _stored_keys(self, refs: Sequence[ObjectRef], contents: Sequence[bytes]) -> None:
        """Search objects as they are stored, only for keys."""
        for ref, content in zip(refs, contents, strict=True):
            if self.secrets.has_key(content):
                self.leaks.add(ref, f"{KEY} in some form", "in its bytes")

    def search_bytes(self, refs: Sequence[ObjectRef], contents: Sequence[bytes]) -> None:
        """Search objects as they are stored, and the footers of Parquet files."""
        self._search_files(refs, contents)
        for ref, content in zip(refs, contents, strict=True):
            if content.startswith(_MAGIC):
                self._search_footers([ref], [parquet.footer_texts(content)])

    def _search_files(self, refs: Sequence[ObjectRef], contents: Sequence[bytes]) -> None:
        pairs = list(zip(refs, contents, strict=True))
        self._parquet_files([pair for pair in pairs if pair[1].startswith(_MAGIC)])
        self._texts([pair for pair in pairs if not pair[1].startswith(_MAGIC)])

    def _parquet_files(self, objects: Sequence[tuple[ObjectRef, bytes]]) -> None:
        contents = [content for _, content in objects]
        for number, hit in find_in(self.secrets.in_parquet, contents):
            self.leaks.add(objects[number][0], hit, "in its bytes")

    def _texts(self, objects: Sequence[tuple[ObjectRef, bytes]]) -> None:
        contents = [content for _, content in objects]
        for number, hit in find_in(self.secrets.in_text, contents):
            self.leaks.add(objects[number][0], hit, "in its bytes")
        for number, hit in self.secrets.search(contents, lists=True):
            self.leaks.add(objects[number][0], hit, "in its text")
        for number, words in self.secrets.words_in_json(contents):
            self.leaks.add_words(objects[number][0], words)

    def _search_footers(
        self, refs: Sequence[ObjectRef], footers: Sequence[Mapping[bytes, bytes]]
    ) -> None:
        """Search the key-value metadata of Parquet files. Equal ones are searched once."""
        for ref, texts in zip(refs, footers, strict=True):
            for pair in texts.items():
                if pair not in self._footer_texts:
                    found = self.secrets.search([b" ".join(pair)], lists=False)
                    self._footer_texts[pair] = [hit for _, hit in found]
                for hit in self._footer_texts[pair]:
                    self.leaks.add(ref, hit, "in its metadata")

    def report(self, farm: str, findings: Findings) -> int:
        """Add a finding for every leak. Return the number of leaks."""
        return self.leaks.report(farm, findings, self.secrets)


def _is_dictionary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_dictionary(kind))


def _is_number(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_floating(kind) or types.is_integer(kind) or types.is_temporal(kind))
