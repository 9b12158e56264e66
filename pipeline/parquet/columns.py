"""The encoder: the columns of a table of many nodes, part by part."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.parquet.chunk import (
    DELTA,
    DICTIONARY,
    PLAIN,
    STRING,
    TYPES,
    Chunk,
    Type,
    data_page,
    dictionary_page,
    entry,
    equal_levels,
    level_bytes,
    path_bytes,
    run_bytes,
    statistics_bytes,
    type_of,
    varint,
)
from pipeline.parquet.delta import Blocks, Deltas
from pipeline.parquet.file import Layout

Ints = npt.NDArray[np.int64]


def encode(table: pa.Table) -> bytes:
    """Return a file of a table's rows. Raises TypeError for a type that the lake does not have."""
    rows = table.num_rows
    chunks = Columns(table, np.array([0, rows])).chunks(0) if rows else []
    return Layout(table.schema).file(chunks, rows)


@lru_cache(4096)
def _nothing(name: str, kind: pa.DataType, rows: int) -> Chunk:
    page = data_page(rows, PLAIN, equal_levels(rows, 0))
    statistics = statistics_bytes(rows, None, None)
    return Chunk(path_bytes(name), TYPES[kind], rows, PLAIN, page, statistics)


@lru_cache(16384)
def _same_text(name: str, word: bytes, rows: int) -> Chunk:
    return _text_chunk(name, [word], [rows], [0], rows, equal_levels(rows, 1), 0)


@lru_cache(4096)
def _same_number(name: str, type_: Type, cell: bytes, rows: int) -> Chunk:
    value = np.frombuffer(cell, type_.cells)
    low, high = (bound.tobytes() for bound in _bounds(value, value))
    levels, statistics = equal_levels(rows, 1), statistics_bytes(0, low, high)
    if rows == 1:
        page = data_page(rows, PLAIN, levels + cell)
        return Chunk(path_bytes(name), type_, rows, PLAIN, page, statistics)
    page = data_page(rows, DICTIONARY, b"".join((levels, b"\x01", varint(rows << 1), b"\x00")))
    dictionary = dictionary_page(1, cell)
    return Chunk(path_bytes(name), type_, rows, DICTIONARY, page, statistics, dictionary)


def constant(field: pa.Field, value: str | float | None, rows: int) -> Chunk:
    """Return a chunk of texts or floats with one value, or null, in all rows.

    Chunks are kept: most facts of a node are the same in every batch.
    """
    if value is None:
        return _nothing(field.name, field.type, rows)
    if isinstance(value, str):
        return _same_text(field.name, value.encode(), rows)
    return _same_number(field.name, type_of(field), struct.pack("<d", value), rows)


def _bounds(
    low: npt.NDArray[Any], high: npt.NDArray[Any]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return bounds with the signs of zeros that the format asks for."""
    if low.dtype.kind != "f":
        return low, high
    return np.where(low == 0, -0.0, low), np.where(high == 0, 0.0, high)


def _text_chunk(
    name: str,
    words: Sequence[bytes],
    lengths: Sequence[int],
    codes: Sequence[int],
    rows: int,
    levels: bytes,
    nulls: int,
) -> Chunk:
    """Return a chunk of texts: runs of words."""
    statistics = statistics_bytes(nulls, min(words), max(words))
    entries = [entry(word) for word in words]
    if 2 * len(words) > rows - nulls:
        raw = levels + b"".join([entries[c] * n for n, c in zip(lengths, codes, strict=True)])
        page = data_page(rows, PLAIN, raw)
        return Chunk(path_bytes(name), STRING, rows, PLAIN, page, statistics)
    bits = max(1, (len(words) - 1).bit_length())
    raw = b"".join((levels, bytes([bits]), run_bytes(lengths, codes, (bits + 7) // 8)))
    page = data_page(rows, DICTIONARY, raw)
    dictionary = dictionary_page(len(words), b"".join(entries))
    return Chunk(path_bytes(name), STRING, rows, DICTIONARY, page, statistics, dictionary)


class Columns:
    """The columns of a table in parts. Part i is rows offsets[i]:offsets[i+1]; none is empty."""

    def __init__(self, table: pa.Table, offsets: Ints) -> None:
        parts, table = _Parts(offsets), table.combine_chunks()
        self._columns = [
            _column(field, column.chunk(0), parts)
            for field, column in zip(table.schema, table.columns, strict=True)
        ]

    def chunks(self, part: int) -> list[Chunk]:
        """Return the chunks of a part, in the order of the columns."""
        return [column.chunk(part) for column in self._columns]


class _Parts:
    """Bounds of the parts of a table, or of the parts of a column's cells that are not null."""

    def __init__(self, offsets: Ints) -> None:
        self.offsets, self.list = offsets, offsets.tolist()
        self.filled = np.flatnonzero(np.diff(offsets))
        self.starts = offsets[self.filled]

    @cached_property
    def blocks(self) -> Blocks:
        return Blocks(self.offsets)


class _Column:
    """A column in parts: the levels. Subclasses encode the cells that are not null."""

    def __init__(self, field: pa.Field, array: pa.Array, parts: _Parts) -> None:
        self.name, self.kind, self.type = field.name, field.type, type_of(field)
        self.path = path_bytes(field.name)
        self._rows = parts.list
        self._valid: npt.NDArray[np.bool_] | None = None
        if array.null_count:
            self._valid = np.asarray(array.is_valid())
            array = array.drop_null()
            parts = _Parts(np.append(0, np.cumsum(self._valid))[parts.offsets])
        self._cells = parts.list
        if len(array):
            self._prepare(array, parts)

    def _prepare(self, array: pa.Array, parts: _Parts) -> None:
        raise NotImplementedError

    def _encoded(self, part: int, low: int, high: int, rows: int, levels: bytes) -> Chunk:
        raise NotImplementedError

    def chunk(self, part: int) -> Chunk:
        first, stop = self._rows[part], self._rows[part + 1]
        low, high = self._cells[part], self._cells[part + 1]
        rows = stop - first
        if low == high:
            return _nothing(self.name, self.kind, rows)
        if self._valid is None or rows == high - low:
            levels = equal_levels(rows, 1)
        else:
            levels = level_bytes(self._valid[first:stop].view(np.int8))
        return self._encoded(part, low, high, rows, levels)


class _Numbers(_Column):
    """Cells of a fixed width in PLAIN."""

    encoding = PLAIN

    def _prepare(self, array: pa.Array, parts: _Parts) -> None:
        plain = {"<i4": pa.int32(), "<i8": pa.int64(), "<f8": pa.float64()}[self.type.cells]
        values = np.ascontiguousarray(array.view(plain), dtype=self.type.cells)
        filled, starts = parts.filled, parts.starts
        with np.errstate(invalid="ignore"):
            low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
            if np.isnan(low).any():
                low, high = np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts)
        lows, highs = np.zeros((2, len(parts.list) - 1), dtype=self.type.cells)
        lows[filled], highs[filled] = _bounds(low, high)
        self._low, self._high = lows.tobytes(), highs.tobytes()
        self._unknown = np.isnan(lows).tolist()
        self._same = (lows == highs).tolist()
        self.size = values.itemsize
        self._view = memoryview(values.view(np.uint8))  # type: ignore[arg-type]

    def _data(self, part: int, low: int, high: int) -> bytes | memoryview:
        return self._view[low * self.size : high * self.size]

    def _encoded(self, part: int, low: int, high: int, rows: int, levels: bytes) -> Chunk:
        size = self.size
        if self._same[part] and 1 < rows == high - low and self.encoding == PLAIN:
            cells = bytes(self._view[low * size : high * size])
            if cells == cells[:size] * rows:
                return _same_number(self.name, self.type, cells[:size], rows)
        data = data_page(rows, self.encoding, b"".join((levels, self._data(part, low, high))))
        at = slice(part * size, part * size + size)
        least, most = (None, None) if self._unknown[part] else (self._low[at], self._high[at])
        statistics = statistics_bytes(rows - (high - low), least, most)
        return Chunk(self.path, self.type, rows, self.encoding, data, statistics)


class _Integers(_Numbers):
    """64-bit integers in DELTA_BINARY_PACKED."""

    encoding = DELTA

    def _prepare(self, array: pa.Array, parts: _Parts) -> None:
        super()._prepare(array, parts)
        self._deltas = Deltas(np.asarray(array.view(pa.int64())), parts.blocks)

    def _data(self, part: int, low: int, high: int) -> bytes:
        return self._deltas.part(part)


class _Texts(_Column):
    """Texts as runs of words."""

    def _prepare(self, array: pa.Array, parts: _Parts) -> None:
        begins = np.ones(len(array), dtype=bool)
        begins[1:] = pc.not_equal(array[1:], array[:-1])
        begins[parts.starts] = True
        starts = np.flatnonzero(begins)
        encoded = array.take(pa.array(starts)).dictionary_encode()
        self._words: list[bytes] = encoded.dictionary.cast(pa.binary()).to_pylist()
        self._codes = encoded.indices.to_pylist()
        self._lengths = np.diff(np.append(starts, len(array))).tolist()
        self._runs = np.searchsorted(starts, parts.offsets).tolist()

    def _encoded(self, part: int, low: int, high: int, rows: int, levels: bytes) -> Chunk:
        runs = slice(self._runs[part], self._runs[part + 1])
        codes, lengths = self._codes[runs], self._lengths[runs]
        if len(codes) == 1 and rows == high - low:
            return _same_text(self.name, self._words[codes[0]], rows)
        own = {code: i for i, code in enumerate(dict.fromkeys(codes))}
        words = [self._words[code] for code in own]
        nulls = rows - (high - low)
        return _text_chunk(
            self.name, words, lengths, [own[code] for code in codes], rows, levels, nulls
        )


class _Lists(_Column):
    """Lists of texts in PLAIN: levels 0 for no list, 1 for an empty one, 2 for a null, 3."""

    def __init__(self, field: pa.Field, array: pa.Array, parts: _Parts) -> None:
        self.name, self.kind, self.type = field.name, field.type, type_of(field)
        self.path = path_bytes(field.name, "list", "element")
        self._array, self._rows = array, parts.list

    def chunk(self, part: int) -> Chunk:
        definition: list[int] = []
        repetition: list[int] = []
        texts: list[bytes] = []
        for row in self._array[self._rows[part] : self._rows[part + 1]].to_pylist():
            if not row:
                definition.append(0 if row is None else 1)
                repetition.append(0)
                continue
            definition += [2 if text is None else 3 for text in row]
            repetition += [0] + [1] * (len(row) - 1)
            texts += [text.encode() for text in row if text is not None]
        values = len(definition)
        levels = level_bytes(np.array(repetition)) + level_bytes(np.array(definition))
        page = data_page(values, PLAIN, levels + b"".join(map(entry, texts)))
        low, high = (min(texts), max(texts)) if texts else (None, None)
        statistics = statistics_bytes(values - len(texts), low, high)
        return Chunk(self.path, self.type, values, PLAIN, page, statistics)


def _column(field: pa.Field, array: pa.Array, parts: _Parts) -> _Column:
    if pa.types.is_list(field.type):
        return _Lists(field, array, parts)
    if pa.types.is_string(field.type):
        return _Texts(field, array, parts)
    return (_Integers if type_of(field).cells == "<i8" else _Numbers)(field, array, parts)
