"""The footer of a Parquet file as bytes: the descriptions of its first columns.

Arrow parses a footer, and writes what it understood in one canonical form: a Thrift structure in
the compact protocol, with every field once and in order. Two files with the same bytes here have
the same columns: names, types, nullability, codec, encodings, numbers of values, offsets, sizes and
statistics. Arrow's own comparison, chunk by chunk, ends the process at a chunk of a wrong type.

https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

_GROUP: Final = re.compile(
    rb"\x16[\x80-\xff]*[\x00-\x7f]"  # number of rows
    rb"\x19\x1c"  # a list of one row group
    rb"\x19(?:[\x10-\xef]|[\xf0-\xff][\x80-\xff]*[\x00-\x7f])"  # a list of column chunks
)
_NUMBERS: Final = re.compile(rb"(?:[\x14-\x16\x24-\x26\x34-\x36][\x80-\xff]*[\x00-\x7f])*")
"""Fields of integers, of which most structures consist."""
_BYTE, _INTEGERS, _BINARY, _LIST, _STRUCT = 3, (4, 5, 6), 8, 9, 12  # types of fields


@dataclass(frozen=True)
class Schema:
    """The schema at the start of a footer. `elements`: those of the first columns."""

    whole: bytes
    elements: bytes


@dataclass(frozen=True)
class Footer:
    """A footer in canonical form. `chunks`: from the first column chunk of the row group on."""

    schema: Schema
    chunks: bytes


class Footers:
    """Reader of footers. The objects of a stage share one schema, which is read once."""

    def __init__(self, columns: int) -> None:
        """columns: number of the first columns."""
        self._columns = columns
        self._schemas: list[Schema] = []

    def read(self, metadata: pq.FileMetaData) -> Footer | None:
        """Return the footer of a file of one row group; None for others."""
        if metadata.num_row_groups != 1 or metadata.num_columns < self._columns:
            return None
        sink = pa.BufferOutputStream()
        metadata.write_metadata_file(sink)
        data = sink.getvalue().to_pybytes()[4:-8]
        schema = next((each for each in self._schemas if data.startswith(each.whole)), None)
        if schema is None:
            schema = self._schema(data)
            self._schemas.append(schema)
        group = _GROUP.match(data, len(schema.whole))
        return Footer(schema, data[group.end() :]) if group else None

    def own_chunks(self, footer: Footer, group: pq.RowGroupMetaData) -> bytes:
        """Return the chunks of a file that has the first columns only; empty if unknown.

        They end where the row group's size and number of rows begin. By chance a chunk's statistics
        may hold the same bytes, or what follows. So the last place counts: it never cuts a chunk.
        """
        sizes = b"\x16%b\x16%b" % (_integer(group.total_byte_size), _integer(group.num_rows))
        return footer.chunks[: max(footer.chunks.rfind(sizes), 0)]

    def _schema(self, data: bytes) -> Schema:
        _, count, at = _list(data, _NUMBERS.match(data).end() + 1)  # type: ignore[union-attr]
        begin = at = _after_struct(data, at)  # behind the root
        end = begin
        for i in range(count - 1):
            at = _after_struct(data, at)
            end = at if i == self._columns - 1 else end
        return Schema(data[:at], data[begin:end])


def _after_struct(data: bytes, at: int) -> int:
    """Return the offset behind a structure."""
    while True:
        at = _NUMBERS.match(data, at).end()  # type: ignore[union-attr]
        if data[at] == 0:
            return at + 1
        at = _after(data[at] & 15, data, at + 1)


def _after(kind: int, data: bytes, at: int) -> int:
    """Return the offset behind a field's value."""
    if kind == _STRUCT:
        return _after_struct(data, at)
    if kind == _BINARY:
        size, at = _varint(data, at)
        return at + size
    if kind == _LIST:
        kind, count, at = _list(data, at)
        for _ in range(count):
            at = _after(kind, data, at)
        return at
    if kind in _INTEGERS:
        return _varint(data, at)[1]
    return at + 1 if kind == _BYTE else at  # a truth is part of its field's head


def _list(data: bytes, at: int) -> tuple[int, int, int]:
    """Return (type of the elements, their number, offset of the first)."""
    head = data[at]
    count, at = (head >> 4, at + 1) if head < 0xF0 else _varint(data, at + 1)
    return head & 15, count, at


def _integer(number: int) -> bytes:
    """Return a number as a 64-bit integer of the compact protocol."""
    number = number << 1 if number >= 0 else (-number << 1) - 1
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return (number, offset behind it)."""
    number = shift = 0
    while (byte := data[at]) > 127:
        number |= (byte & 127) << shift
        shift += 7
        at += 1
    return number | byte << shift, at + 1
