"""A chunk: one column of one part, as pages and the metadata for a footer."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_SNAPPY: Final = pa.Codec("snappy")
_LONGEST_BOUND: Final = 4096  # bytes
PLAIN, DELTA, DICTIONARY = 0, 5, 8
_ENCODINGS: Final = {  # field 2 of ColumnMetaData, with RLE (3) for the levels
    PLAIN: b"\x19\x25\x00\x06",
    DELTA: b"\x19\x25\x06\x0a",
    DICTIONARY: b"\x19\x35\x00\x06\x10",
}


def varint(n: int) -> bytes:
    """Return an unsigned number of up to 64 bits, seven bits a byte, the lowest first."""
    if n < 0x80:
        return n.to_bytes(1)
    if n < 0x4000:
        return bytes((n & 127 | 128, n >> 7))
    if n < 0x200000:
        return bytes((n & 127 | 128, n >> 7 & 127 | 128, n >> 14))
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


@lru_cache(1 << 15)
def zigzag(n: int) -> bytes:
    """Return a signed number of up to 64 bits in zigzag form, as Thrift and deltas have it."""
    return varint(n << 1 if n >= 0 else (-n << 1) - 1)


def blob(text: bytes) -> bytes:
    return varint(len(text)) + text


@dataclass(frozen=True)
class Type:
    """A column type: its Parquet type, the bytes of its logical type, the numpy type of cells."""

    physical: int
    logical: bytes = b""  # fields 6 and 10 of SchemaElement
    cells: str = ""


STRING: Final = Type(6, b"\x25\x00\x4c\x1c\x00\x00")
TYPES: Final = {
    pa.int64(): Type(2, cells="<i8"),
    pa.timestamp("us", tz="UTC"): Type(2, b"\x25\x14\x4c\x8c\x11\x1c\x2c" + bytes(4), "<i8"),
    pa.int32(): Type(1, cells="<i4"),
    pa.date32(): Type(1, b"\x25\x0c\x4c\x6c\x00\x00", "<i4"),
    pa.float64(): Type(5, cells="<f8"),
    pa.string(): STRING,
    pa.list_(pa.string()): STRING,  # of its elements
    pa.list_(pa.field("element", pa.string())): STRING,  # the same, as read from a file
}


def type_of(field: pa.Field) -> Type:
    found = TYPES.get(field.type)
    if found is None or not field.nullable:
        raise TypeError(f"column {field.name}: {field} is not a type that the lake's files have")
    return found


class Chunk:
    """One column of one part: its pages, and its metadata but for the offsets."""

    __slots__ = ("_after", "_before", "_dictionary", "pages", "raw_size")

    def __init__(
        self,
        path: bytes,
        type_: Type,
        values: int,
        encoding: int,
        data: tuple[bytes, int],
        statistics: bytes,
        dictionary: tuple[bytes, int] = (b"", 0),
    ) -> None:
        """path: field 3 of ColumnMetaData. data, dictionary: pages with their sizes before snappy.

        statistics: the struct of field 12.
        """
        self.pages = dictionary[0] + data[0]
        self.raw_size = dictionary[1] + data[1]
        self._dictionary = len(dictionary[0])
        self._before = b"".join(
            (
                b"\x26\x00\x1c\x15",  # ColumnChunk: 2, file_offset (0 since it went out of use); 3
                zigzag(type_.physical),
                _ENCODINGS[encoding],
                path,
                b"\x15\x02\x16",  # 4, codec snappy
                zigzag(values),
                b"\x16",
                zigzag(self.raw_size),
                b"\x16",
                zigzag(len(self.pages)),
                b"\x26",
            )
        )
        self._after = statistics + b"\x00\x00"

    def metadata(self, at: int) -> bytes:
        """Return the ColumnChunk struct of the chunk at this offset of a file."""
        if not self._dictionary:
            return b"".join((self._before, zigzag(at), b"\x3c", self._after))
        data = zigzag(at + self._dictionary)
        return b"".join((self._before, data, b"\x26", zigzag(at), b"\x1c", self._after))


def path_bytes(*names: str) -> bytes:
    """Return field 3 of ColumnMetaData."""
    return b"\x19" + bytes([len(names) << 4 | 8]) + b"".join(blob(n.encode()) for n in names)


def data_page(values: int, encoding: int, raw: bytes) -> tuple[bytes, int]:
    packed = _SNAPPY.compress(raw, asbytes=True)
    head = b"".join(
        (
            b"\x15\x00\x15",
            zigzag(len(raw)),
            b"\x15",
            zigzag(len(packed)),
            b"\x2c\x15",  # 5, DataPageHeader
            zigzag(values),
            b"\x15",
            zigzag(encoding),
            b"\x15\x06\x15\x06\x00\x00",  # levels are RLE
        )
    )
    return head + packed, len(head) + len(raw)


def dictionary_page(values: int, raw: bytes) -> tuple[bytes, int]:
    packed = _SNAPPY.compress(raw, asbytes=True)
    sizes = b"\x15\x04\x15" + zigzag(len(raw)) + b"\x15" + zigzag(len(packed))
    head = sizes + b"\x4c\x15" + zigzag(values) + b"\x15\x00\x00\x00"  # 7, DictionaryPageHeader
    return head + packed, len(head) + len(raw)


def statistics_bytes(nulls: int, low: bytes | None, high: bytes | None) -> bytes:
    """Return the Statistics struct. low, high: PLAIN without a length, None if there are none.

    Bounds longer than in Arrow's files are left out.
    """
    count = b"\x36" + zigzag(nulls)
    if low is None or high is None or max(len(low), len(high)) > _LONGEST_BOUND:
        return count + b"\x00"
    return b"".join((count, b"\x28", blob(high), b"\x18", blob(low), b"\x11\x11\x00"))  # exact


def run_bytes(lengths: Iterable[int], values: Iterable[int], width: int) -> bytes:
    """Return runs of values in RLE. width: bytes of a value."""
    return b"".join(
        [
            varint(n << 1) + value.to_bytes(width, "little")
            for n, value in zip(lengths, values, strict=True)
        ]
    )


def level_bytes(level: npt.NDArray[Any]) -> bytes:
    """Return definition or repetition levels, shape (values,)."""
    cuts = np.flatnonzero(level[1:] != level[:-1]) + 1
    starts = np.concatenate(([0], cuts))
    lengths = np.diff(np.append(starts, len(level)))
    runs = run_bytes(lengths.tolist(), level[starts].tolist(), 1)
    return struct.pack("<I", len(runs)) + runs


@lru_cache(1024)
def equal_levels(values: int, level: int) -> bytes:
    return level_bytes(np.full(values, level, dtype=np.int8))


def entry(text: bytes) -> bytes:
    return struct.pack("<I", len(text)) + text
