"""The footer of a Parquet file as bytes: where the descriptions of its first columns lie.

A footer is one Thrift structure in the compact protocol. Two files whose footers hold the same
bytes here describe these columns alike: types, nullability, encodings, codec, values, offsets. The
walk refuses field numbers in the long form, so none occurs twice: later fields cannot replace
earlier ones.

https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

LONGEST: Final = 1 << 16
"""Bytes of the longest footer that is walked. The pipeline's have a few thousand."""
_SCHEMA, _GROUPS, _WRITER = 2, 4, 6  # fields of FileMetaData
_BINARY, _LIST, _STRUCT = 8, 9, 12
_NUMBERS: Final = (4, 5, 6)
_TRUTHS: Final = (1, 2)


@dataclass(frozen=True)
class Footer:
    """Parts of a footer as bytes, in a file of one row group.

    `elements`  of the first columns in the schema
    `chunks`    of the same columns in the row group
    `writer`    the program that wrote the file
    """

    elements: bytes
    chunks: bytes
    writer: bytes


def read_footer(content: bytes, columns: int, likely: bytes = b"") -> Footer | None:
    """Return the descriptions of the first columns; None if the footer has another form.

    likely: chunks of another file, which are not walked again if they are here, too.
    """
    size = int.from_bytes(content[-8:-4], "little")
    if size > LONGEST or size + 8 > len(content):
        return None
    try:
        return _walked(content[-8 - size : -8], columns, likely)
    except (IndexError, ValueError, RecursionError):
        return None


def _walked(data: bytes, columns: int, likely: bytes) -> Footer:
    elements = chunks = writer = b""
    at = field = 0
    while head := data[at]:
        at += 1
        field += _step(head)
        if field == _SCHEMA:
            begin = at
            at = _skip(head & 15, data, at)
            elements = _elements(data[begin:at], columns)
        elif field == _GROUPS:
            kind, count, at = _list(data, at)
            if (kind, count) != (_STRUCT, 1) or data[at] != 0x10 | _LIST:
                raise ValueError("not one row group that begins with its columns")
            kind, count, at = _list(data, at + 1)
            if kind != _STRUCT or count < columns:
                raise ValueError("too few columns")
            begin = at
            rest = count - columns
            if likely and data.startswith(likely, at):
                at += len(likely)
            else:
                for _ in range(columns):
                    at = _skip_struct(data, at)
            chunks = data[begin:at]
            for _ in range(rest):
                at = _skip_struct(data, at)
            at = _skip_struct(data, at)  # the other fields of the row group
        else:
            begin, at = at, _skip(head & 15, data, at)
            writer = data[begin:at] if field == _WRITER else writer
    if at != len(data) - 1 or not elements or not chunks:
        raise ValueError("bytes after the footer, or no columns")
    return Footer(elements, chunks, writer)


@lru_cache(maxsize=64)
def _elements(schema: bytes, columns: int) -> bytes:
    """Return the elements of the first columns. Most files of a stage have the same schema."""
    kind, count, at = _list(schema, 0)
    if kind != _STRUCT or count <= columns:
        raise ValueError("too few columns")
    begin = at = _skip_struct(schema, at)  # the root
    for _ in range(columns):
        at = _skip_struct(schema, at)
    return schema[begin:at]


def _step(head: int) -> int:
    """Return how much higher a field's number is than the number before it."""
    if step := head >> 4:
        return step
    raise ValueError("a field number in the long form")


def _skip_struct(data: bytes, at: int) -> int:
    """Return the offset behind a structure."""
    while head := data[at]:
        at += 1
        kind = head & 15
        if head < 16:
            raise ValueError("a field number in the long form")
        if kind == 6 or kind == 5:  # the usual ones first
            while data[at] > 127:
                at += 1
            at += 1
        else:
            at = _skip(kind, data, at)
    return at + 1


def _skip(kind: int, data: bytes, at: int) -> int:
    """Return the offset behind a field's value."""
    if kind in _NUMBERS:
        while data[at] > 127:
            at += 1
        return at + 1
    if kind == _BINARY:
        size, at = _varint(data, at)
        return at + size
    if kind == _STRUCT:
        return _skip_struct(data, at)
    if kind in _TRUTHS:
        return at
    if kind == _LIST:
        kind, count, at = _list(data, at)
        for _ in range(count):
            at = at + 1 if kind in _TRUTHS else _skip(kind, data, at)
        return at
    raise ValueError("a kind of field that Parquet does not use")


def _list(data: bytes, at: int) -> tuple[int, int, int]:
    """Return (kind of the elements, their number, offset of the first)."""
    head = data[at]
    count, at = (head >> 4, at + 1) if head < 0xF0 else _varint(data, at + 1)
    return head & 15, count, at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return (number, offset behind it)."""
    number = shift = 0
    while (byte := data[at]) > 127:
        number |= (byte & 127) << shift
        shift += 7
        at += 1
    return number | byte << shift, at + 1
