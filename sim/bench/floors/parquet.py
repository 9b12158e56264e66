"""A Parquet file by hand: one row group, v1 pages, statistics.

Numbers are PLAIN and packed by snappy, strings are dictionaries. A column chunk is encoded once and
may stand in several files (`laid`). Bytes of the metadata are Thrift's compact protocol: a field
begins with the distance to the field before it and its type, `distance << 4 | type`.
Source: https://github.com/apache/parquet-format (README.md, src/main/thrift/parquet.thrift).
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sim.arrays import Ints

INT32, INT64, DOUBLE, BYTES = 1, 2, 5, 6
_PLAIN, _DICTIONARY = 0, 8
_DATA_PAGE, _DICTIONARY_PAGE = 0, 2
_I32, _I64, _BINARY, _LIST, _STRUCT, _STOP = b"\x15", b"\x16", b"\x18", b"\x19", b"\x1c", b"\x00"
"""Type of a field that follows on the one before it; the end of a struct."""
_START: Final = b"PAR1"
_SHORT: Final = 256
"""Bytes of numbers that are not worth a call of snappy, nor is any column of codes."""
_SNAPPY: Final = pa.Codec("snappy")


class Chunk(NamedTuple):
    """A column chunk: its pages, and its metadata but for the place in a file.

    raw: bytes of the pages before compression. dictionary: bytes of the dictionary page.
    """

    pages: bytes
    raw: int
    dictionary: int
    head: bytes
    statistics: bytes

    def metadata(self, at: int) -> bytes:
        """Return the ColumnChunk of a chunk that begins at byte `at`."""
        place = zigzag(at)
        offsets = b"\x26" + zigzag(at + self.dictionary)
        offsets += b"\x26" + place + _STRUCT if self.dictionary else b"\x3c"
        return b"".join(
            (
                b"\x26" + place + _STRUCT + self.head,
                _I64 + zigzag(self.raw) + _I64 + zigzag(len(self.pages)),
                offsets + self.statistics + _STOP + _STOP,
            )
        )


class Span(NamedTuple):
    """Chunks that follow each other from one place on: pages, metadata, bytes, number."""

    pages: bytes
    metadata: bytes
    raw: int
    columns: int


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


_TWO_BYTES: Final = 1 << 14
_SMALL: Final = [_varint(number) for number in range(_TWO_BYTES)]


def varint(number: int) -> bytes:
    return _SMALL[number] if number < _TWO_BYTES else _varint(number)


def zigzag(number: int) -> bytes:
    """Return a number of 0 or more as a signed one."""
    number <<= 1
    return _SMALL[number] if number < _TWO_BYTES else _varint(number)


def _binary(text: bytes) -> bytes:
    return varint(len(text)) + text


def _list(elements: int) -> bytes:
    """Return the header of a list of structs."""
    return bytes([elements << 4 | 12]) if elements < 15 else b"\xfc" + varint(elements)


def numbers(
    name: str, kind: int, data: bytes | memoryview, rows: int, low: bytes, high: bytes
) -> Chunk:
    """Encode a column of numbers without nulls. low, high: their least and largest, as bytes."""
    packed = len(data) > _SHORT
    pages, raw = _page(_DATA_PAGE, _levels(rows, 1) + data, rows, _PLAIN, packed)
    head = _head(kind, name, False, rows, packed)
    return Chunk(pages, raw, 0, head, _statistics(0, low, high))


def words(
    name: str, entries: Sequence[bytes], codes: npt.NDArray[np.int8] | None, rows: int
) -> Chunk:
    """Encode a column of strings. codes: index into `entries` of each row, None for one entry."""
    data = b"".join(struct.pack("<I", len(word)) + word for word in entries)
    return _coded(name, BYTES, data, len(entries), codes, rows, min(entries), max(entries))


@functools.lru_cache(4096)
def word(name: str, value: bytes, rows: int) -> Chunk:
    """Encode a column of one and the same string. Nodes share many of them."""
    return words(name, [value], None, rows)


@functools.lru_cache(4096)
def constant(name: str, value: float, rows: int) -> Chunk:
    """Encode a column of one and the same number."""
    data = struct.pack("<d", value)
    return _coded(name, DOUBLE, data, 1, None, rows, data, data)


@functools.lru_cache(4096)
def nulls(name: str, kind: int, rows: int) -> Chunk:
    """Encode a column of nulls."""
    pages, raw = _page(_DATA_PAGE, _levels(rows, 0), rows, _PLAIN, False)
    return Chunk(pages, raw, 0, _head(kind, name, False, rows, False), _statistics(rows))


def lists(name: str, cells: Sequence[Sequence[str]]) -> Chunk:
    """Encode a column of lists of strings."""
    flat = [word.encode() for cell in cells for word in cell]
    repeated = [i > 0 for cell in cells for i in range(max(1, len(cell)))]
    defined = [3 if cell else 1 for cell in cells for _ in range(max(1, len(cell)))]
    levels = b"".join(
        struct.pack("<I", 2 * len(each)) + b"".join(b"\x02" + bytes([level]) for level in each)
        for each in (repeated, defined)
    )
    data = levels + b"".join(struct.pack("<I", len(word)) + word for word in flat)
    values = len(repeated)
    pages, raw = _page(_DATA_PAGE, data, values, _PLAIN, False)
    head = _head(BYTES, name, False, values, False, ("list", "element"))
    return Chunk(pages, raw, 0, head, _statistics(values - len(flat)))


def laid(chunks: Iterable[Chunk], at: int) -> Span:
    """Lay chunks one after the other, the first at byte `at`."""
    pages, metadata, raw = [], [], 0
    for chunk in chunks:
        metadata.append(chunk.metadata(at))
        pages.append(chunk.pages)
        at += len(chunk.pages)
        raw += chunk.raw
    return Span(b"".join(pages), b"".join(metadata), raw, len(pages))


FIRST_AT: Final = len(_START)
"""Place of a file's first chunk."""


def file(schema: bytes, spans: Sequence[Span], rows: int) -> bytes:
    """Return a file. schema: of `schema`. spans: each laid where the one before it ends."""
    columns = sum(span.columns for span in spans)
    footer = b"".join(
        (
            _I32 + zigzag(2) + _LIST + schema + _I64 + zigzag(rows),
            _LIST + _list(1) + _LIST + _list(columns),
            *(span.metadata for span in spans),
            _I64 + zigzag(sum(span.raw for span in spans)) + _I64 + zigzag(rows) + _STOP,
            b"\x28" + _binary(b"floor"),
            _LIST + _list(columns) + b"\x1c\x00\x00" * columns + _STOP,  # orders: by the type
        )
    )
    body = b"".join(span.pages for span in spans)
    return b"".join((_START, body, footer, struct.pack("<I", len(footer)), _START))


def schema(columns: pa.Schema) -> bytes:
    """Return the schema of a file, for columns of strings, numbers, times, dates and lists."""
    root = b"\x48" + _binary(b"schema") + _I32 + zigzag(len(columns)) + _STOP
    nested = sum(pa.types.is_list(field.type) for field in columns)
    return _list(1 + len(columns) + 2 * nested) + root + b"".join(map(_element, columns))


def kind_of(column: pa.Field) -> int:
    """Return a column's physical type."""
    if pa.types.is_string(column.type):
        return BYTES
    if pa.types.is_floating(column.type):
        return DOUBLE
    return INT32 if column.type in (pa.int32(), pa.date32()) else INT64


def _element(column: pa.Field) -> bytes:
    name = _binary(column.name.encode())
    optional = b"\x25" + zigzag(1) + _BINARY + name
    if pa.types.is_list(column.type):
        return b"".join(
            (
                b"\x35" + zigzag(1) + _BINARY + name + _I32 + zigzag(1) + _I32 + zigzag(3),
                b"\x4c\x3c\x00\x00\x00",  # logical LIST
                b"\x35" + zigzag(2) + _BINARY + _binary(b"list") + _I32 + zigzag(1) + _STOP,
                _I32 + zigzag(BYTES) + b"\x25" + zigzag(1) + _BINARY + _binary(b"element"),
                b"\x25\x00\x4c\x1c\x00\x00\x00",
            )
        )
    head = _I32 + zigzag(kind_of(column)) + optional
    if pa.types.is_string(column.type):
        head += b"\x25" + zigzag(0) + b"\x4c\x1c\x00\x00"  # UTF8, logical STRING
    elif pa.types.is_timestamp(column.type):
        head += b"\x25" + zigzag(10) + b"\x4c\x8c\x11\x1c\x2c\x00\x00\x00\x00"  # UTC, microseconds
    elif pa.types.is_date(column.type):
        head += b"\x25" + zigzag(6) + b"\x4c\x6c\x00\x00"  # logical DATE
    return head + _STOP


def _coded(
    name: str,
    kind: int,
    entries: bytes,
    count: int,
    codes: npt.NDArray[np.int8] | None,
    rows: int,
    low: bytes,
    high: bytes,
) -> Chunk:
    """Encode a column as a dictionary page and runs of equal codes."""
    dictionary, first = _page(_DICTIONARY_PAGE, entries, count, _PLAIN, False)
    width = max(1, (count - 1).bit_length())
    if codes is None:
        runs = varint(rows << 1) + b"\x00"
    else:
        cuts: Ints = np.flatnonzero(codes[1:] != codes[:-1]) + 1
        ends = [*cuts.tolist(), rows]
        starts = [0, *ends[:-1]]
        runs = b"".join(
            varint((end - start) << 1) + bytes([codes[start]])
            for start, end in zip(starts, ends, strict=True)
        )
    coded = _levels(rows, 1) + bytes([width]) + runs
    data, second = _page(_DATA_PAGE, coded, rows, _DICTIONARY, False)
    head = _head(kind, name, True, rows, False)
    statistics = _statistics(0, low, high)
    return Chunk(dictionary + data, first + second, len(dictionary), head, statistics)


def _page(page: int, data: bytes, values: int, encoding: int, packed: bool) -> tuple[bytes, int]:
    """Return a page with its header, and its size before compression. packed: by snappy."""
    body = _SNAPPY.compress(data, asbytes=True) if packed else data
    sizes = _I32 + zigzag(page) + _I32 + zigzag(len(data)) + _I32 + zigzag(len(body))
    content = _I32 + zigzag(values) + _I32 + zigzag(encoding)
    if page == _DATA_PAGE:
        head = sizes + b"\x2c" + content + b"\x15\x06\x15\x06\x00\x00"  # levels: RLE
    else:
        head = sizes + b"\x4c" + content + b"\x00\x00"
    return head + body, len(head) + len(data)


@functools.cache
def _levels(rows: int, level: int) -> bytes:
    """Return definition levels that are all the same."""
    run = varint(rows << 1) + bytes([level])
    return struct.pack("<I", len(run)) + run


@functools.cache
def _head(
    kind: int, name: str, coded: bool, values: int, packed: bool, below: tuple[str, ...] = ()
) -> bytes:
    """Return the first fields of ColumnMetaData. below: the rest of the column's path."""
    path = b"".join(_binary(part.encode()) for part in (name, *below))
    encodings = b"\x35\x00\x06\x10" if coded else b"\x25\x00\x06"  # PLAIN, RLE, dictionary
    places = bytes([(1 + len(below)) << 4 | 8]) + path
    codec = _I32 + zigzag(int(packed))  # UNCOMPRESSED, SNAPPY
    return b"".join(
        (_I32 + zigzag(kind) + _LIST + encodings, _LIST + places + codec + _I64 + zigzag(values))
    )


def _statistics(null: int, low: bytes = b"", high: bytes = b"") -> bytes:
    bounds = b"\x28" + _binary(high) + _BINARY + _binary(low) if high else b""
    return b"\x36" + zigzag(null) + bounds + _STOP
