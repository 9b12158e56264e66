"""A Parquet file: the chunks of all columns, and a footer that says where they are."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from pipeline.parquet.chunk import Chunk, blob, type_of, varint, zigzag

_MAGIC: Final = b"PAR1"
_CREATED_BY: Final = b"windfleet version 0.1.0"


class Layout:
    """The fixed bytes of files of one schema. Raises TypeError as `encode`."""

    def __init__(self, schema: pa.Schema) -> None:
        if schema.metadata or any(field.metadata for field in schema):
            raise TypeError("a schema with metadata has no place in the lake's files")
        elements = [b"\x48" + blob(b"schema") + b"\x15" + zigzag(len(schema)) + b"\x00"]
        for field in schema:
            type_, name = type_of(field), blob(field.name.encode())
            if pa.types.is_list(field.type):
                elements.append(b"\x35\x02\x18" + name + b"\x15\x02\x15\x06\x4c\x3c\x00\x00\x00")
                elements.append(b"\x35\x04\x18" + blob(b"list") + b"\x15\x02\x00")
                name = blob(b"element")
            physical = b"\x15" + zigzag(type_.physical) + b"\x25\x02\x18"
            elements.append(physical + name + type_.logical + b"\x00")
        structs = _list_of_structs(len(elements)) + b"".join(elements)
        self._head = b"\x15\x04\x19" + structs + b"\x16"  # FileMetaData: 1, 2 and 3
        self._group = b"\x19\x1c\x19" + _list_of_structs(len(schema))  # 4; RowGroup: 1
        by_type = b"\x1c\x00\x00" * len(schema)  # ColumnOrder: without it, bounds are not used
        orders = b"\x19" + _list_of_structs(len(schema)) + by_type
        self._tail = b"\x28" + blob(_CREATED_BY) + orders + b"\x00"  # 6 and 7

    def file(self, chunks: Sequence[Chunk], rows: int) -> bytes:
        """Return a file of one part: the chunks of all columns. No row, no chunk."""
        at, size = len(_MAGIC), 0
        pages = [_MAGIC]
        footer = [self._head, zigzag(rows), self._group if rows else b"\x19\x0c"]
        for chunk in chunks:
            pages.append(chunk.pages)
            footer.append(chunk.metadata(at))
            at += len(chunk.pages)
            size += chunk.raw_size
        if rows:
            footer += [b"\x16", zigzag(size), b"\x16", zigzag(rows), b"\x00"]
        end = b"".join((*footer, self._tail))
        return b"".join((*pages, end, struct.pack("<I", len(end)), _MAGIC))


def _list_of_structs(size: int) -> bytes:
    return bytes([size << 4 | 12]) if size < 15 else b"\xfc" + varint(size)
