"""The form of a Parquet footer: all of it but the numbers in which files of one writer differ.

Free are numbers of rows, sizes, offsets and statistics. Everything else is the same in all files of
a form: columns, types, codec, encodings, pages per chunk, the writer's name, key-value metadata. So
a file of a form that Arrow has opened once can be read without opening it.

A form is a regular expression of the Thrift structure, in the compact protocol, of one footer. What
it matches has the same fields at the same places.

https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.records import STATES
from sim.check.read.parquet import MOST_BYTES, MOST_EXPANDED, MOST_ROWS

MAGIC: Final = b"PAR1"
_END: Final = 8
"""Bytes behind a footer: its size, and `MAGIC`."""
_NUMBER: Final = rb"[\x80-\xff]{0,4}[\x00-\x7f]"
Place = tuple[int, ...]
"""Ids of the fields from FileMetaData down. Lists add none."""
_ROWS, _GROUPS, _CHUNKS, _GROUP_SIZE, _GROUP_ROWS = (3,), (4,), (4, 1), (4, 2), (4, 3)
_VALUES, _SIZE, _STORED, _DATA, _WORDS = ((4, 1, 3, id_) for id_ in (5, 6, 7, 9, 11))
_BOUNDS: Final = (4, 1, 3, 12)
_KEPT: Final = (_ROWS, _GROUP_SIZE, _GROUP_ROWS, _VALUES, _SIZE, _STORED, _DATA, _WORDS)
_SIZES: Final = (4, 1, 3, 16)
_IGNORED: Final = {
    (4, 1, 2), (4, 5), (4, 6), (*_BOUNDS, 3), (*_BOUNDS, 4),
    (*_SIZES, 1), (*_SIZES, 2), (*_SIZES, 3),
}  # fmt: skip
"""Numbers that no value depends on: where a chunk's metadata and a row group begin, statistics."""
_FILE: Final = (4, 1, 1)
"""Name of another file with the pages."""
_SCHEMA, _WRITER = (2,), (6,)
_TRUTHS, _INTEGERS, _INT64, _BINARY, _LIST, _STRUCT = (1, 2), (4, 5, 6), 6, 8, 9, 12
_PADDED_BY: Final = b"parquet-mr"
"""Writer whose old versions declared too small chunks: a reader takes the next bytes, too."""
_LONGEST_BOUND: Final = 64
_MOST_NUMBERS: Final = 1 << 16
_STATES: Final = [state.encode() for state in STATES]
_STATE: Final = b"(?:%b)" % b"|".join(re.escape(bytes([len(s)]) + s) for s in _STATES)
"""Any state of a turbine. The bounds of other columns keep their sizes within a lake."""
_DATA_PAGE: Final = re.compile(
    rb"\x15\x00\x15%b\x15%b(?:\x15%b\x1c|\x2c)\x15(%b)" % ((_NUMBER,) * 4), re.DOTALL
)
"""Head of a data page: its type, its sizes, perhaps a checksum, and its number of values."""
_WORD_PAGE: Final = re.compile(
    rb"\x15\x04\x15%b\x15(%b)\x4c\x15%b\x15%b[\x11\x12]?\x00\x00" % ((_NUMBER,) * 4), re.DOTALL
)
"""Head of a dictionary page, with the size of what is behind it."""


class _Numbers(dict[bytes, int]):
    """Signed numbers of the compact protocol, by their bytes."""

    def __missing__(self, data: bytes) -> int:
        number = 0
        for i, byte in enumerate(data):
            number |= (byte & 127) << 7 * i
        number = number >> 1 ^ -(number & 1)
        if len(self) < _MOST_NUMBERS:
            self[data] = number
        return number


_NUMBERS: Final = _Numbers()


@dataclass(frozen=True)
class _Chunk:
    """A column chunk's fields, as indices in the groups of a form's expression."""

    begin: int
    end: int
    values: int
    size: int
    stored: int
    data: int
    words: int | None
    offsets: list[int]


class Form:
    """The form of a footer with one row group."""

    def __init__(self, content: bytes) -> None:
        """Learn the form of a file. Raises ValueError for a footer with anything unusual."""
        walk = _Walk(content[_footer_at(content) : -_END])
        places = walk.places
        if any(places.count(place) != 1 for place in (_ROWS, _GROUP_SIZE, _GROUP_ROWS)):
            raise ValueError("not a footer of one row group")
        if not walk.writer or _PADDED_BY in walk.writer:
            raise ValueError("a writer whose chunks may be longer than it says")
        self._head, *pattern, self._tail = walk.pattern
        self._fullmatch = re.compile(b"".join(pattern), re.DOTALL).fullmatch
        self._elements, self.writer = walk.elements, walk.writer
        self.rows, self._size = places.index(_ROWS), places.index(_GROUP_SIZE)
        self._group_rows = places.index(_GROUP_ROWS)
        self.group = [i for i, place in enumerate(places) if place == _GROUPS]
        marks = [i for i, place in enumerate(places) if place == _CHUNKS]
        self.chunks = [_chunk(places, *b) for b in zip(marks[::2], marks[1::2], strict=True)]

    def elements(self, columns: int) -> bytes:
        """Return the schema's elements of the first columns, which are not nested."""
        return b"".join(self._elements[1 : columns + 1])

    def file(self, content: bytes) -> FormFile | None:
        """Return a file of this form, with bounded numbers; None for any other."""
        at = _footer_at(content)
        if not (at and content.startswith(self._head, at)):
            return None
        end = len(content) - _END - len(self._tail)
        match = self._fullmatch(content, at + len(self._head), end)
        if match is None or not content.startswith(self._tail, end):
            return None
        fields = match.groups()
        rows, size = _NUMBERS[fields[self.rows]], _NUMBERS[fields[self._size]]
        bounded = 0 < rows <= MOST_ROWS and 0 <= size <= MOST_BYTES
        if not bounded or rows * size > MOST_EXPANDED:
            return None
        if fields[self._group_rows] != fields[self.rows]:
            return None
        return FormFile(self, content, rows, at, fields, match.regs)


@dataclass(frozen=True)
class FormFile:
    """A file of a form. `at`: offset of its footer. `fields`, `spans`: groups of the match."""

    form: Form
    content: bytes
    rows: int
    at: int
    fields: tuple[bytes, ...]
    spans: tuple[tuple[int, int], ...]

    def described(self, columns: int) -> bytes:
        """Return the footer's bytes about the first columns' chunks."""
        chunks = self.form.chunks[:columns]
        return self.content[self.spans[chunks[0].begin + 1][0] : self.spans[chunks[-1].end + 1][0]]

    def pages_end(self, columns: int) -> int:
        """Return the offset behind the first columns' pages; 0 if the file does not begin so."""
        at = len(MAGIC)
        for chunk in self.form.chunks[:columns]:
            stored = _NUMBERS[self.fields[chunk.stored]]
            if self._begin(chunk) != at or stored < 0:
                return 0
            at += stored
        return at if at <= self.at else 0

    def is_even(self, first: int) -> bool:
        """Return True if each chunk from column `first` on has one page, with a value per row.

        A reader cannot take more rows out of such a chunk than the file has.
        """
        fields, content, rows = self.fields, self.content, self.fields[self.form.rows]
        for chunk in self.form.chunks[first:]:
            data, begin = _NUMBERS[fields[chunk.data]], self._begin(chunk)
            stored, size = _NUMBERS[fields[chunk.stored]], _NUMBERS[fields[chunk.size]]
            inside = len(MAGIC) <= begin <= data < begin + stored <= self.at
            if not inside or not 0 <= size <= MOST_BYTES:
                return False
            if chunk.words is not None:
                words = _WORD_PAGE.match(content, begin)
                if words is None or words.end() + _NUMBERS[words[1]] != data:
                    return False
            page = _DATA_PAGE.match(content, data)
            if page is None or page[1] != rows or fields[chunk.values] != rows:
                return False
        return True

    def _begin(self, chunk: _Chunk) -> int:
        return _NUMBERS[self.fields[chunk.data if chunk.words is None else chunk.words]]

    def group(self, by: int, first: int) -> list[bytes]:
        """Return the row group in pieces. Offsets from column `first` on are moved."""
        content, fields, spans = self.content, self.fields, self.spans
        at, end = (spans[mark + 1][0] for mark in self.form.group)
        pieces: list[bytes] = []
        for chunk in self.form.chunks[first:]:
            for field in chunk.offsets:
                pieces += content[at : spans[field + 1][0]], _moved(_NUMBERS[fields[field]] + by)
                at = spans[field + 1][1]
        pieces.append(content[at:end])
        return pieces


def join(files: Sequence[FormFile], first: int) -> bytes:
    """Return a file with the row groups of all, which are of one form.

    Only its columns from `first` on can be read.
    """
    form, content = files[0].form, files[0].content
    (begin, end), group = (
        files[0].spans[form.rows + 1],
        [files[0].spans[i + 1][0] for i in form.group],
    )
    count = len(files)
    rows = _varint(sum(file.rows for file in files) << 1)
    of = bytes([count << 4 | _STRUCT]) if count < 15 else b"\xfc" + _varint(count)
    footer, base = [content[files[0].at : begin], rows, content[end : group[0] - 1], of], 0
    for file in files:
        footer += file.group(base, first)
        base += len(file.content)
    footer.append(content[group[1] : -_END])
    size = sum(map(len, footer)).to_bytes(4, "little")
    return b"".join([*(file.content for file in files), *footer, size, MAGIC])


def digests(content: bytes, end: int) -> tuple[str, bytes]:
    """Return SHA-256 of an object, in hexadecimal, and of its first `end` bytes."""
    whole = hashlib.sha256(memoryview(content)[:end])
    first = whole.digest()
    whole.update(memoryview(content)[end:])
    return whole.hexdigest(), first


def _chunk(places: Sequence[Place], begin: int, end: int) -> _Chunk:
    """Return the chunk between two marks. Raises ValueError if it lacks a field."""
    at = {place: i for i, place in enumerate(places[begin:end], begin)}
    if any(place not in at for place in (_VALUES, _SIZE, _STORED, _DATA)):
        raise ValueError("a column chunk without its numbers")
    words = at.get(_WORDS)
    offsets = sorted(i for i in (at[_DATA], words) if i is not None)
    return _Chunk(begin, end, at[_VALUES], at[_SIZE], at[_STORED], at[_DATA], words, offsets)


def _footer_at(content: bytes) -> int:
    """Return the offset of a file's footer; 0 if this is no Parquet file."""
    at = len(content) - _END - int.from_bytes(content[-_END:-4], "little")
    whole = content.startswith(MAGIC) and content.endswith(MAGIC)
    return at if whole and at >= len(MAGIC) else 0


class _Walk:
    """A walk through a footer, which makes a pattern of it.

    `pattern`   pieces; a group for each kept number, and empty ones around row groups and chunks.
                The first and the last are bytes, and no expressions
    `places`    the field of each group
    `elements`  of the schema, the root first
    `writer`    name of the program that wrote the file
    """

    def __init__(self, data: bytes) -> None:
        """Raises ValueError for types that a footer need not have, and for one that ends early."""
        self._data, self._at, self._same = data, 0, bytearray()
        self.pattern: list[bytes] = []
        self.places: list[Place] = []
        self.elements: list[bytes] = []
        self.writer = b""
        try:
            self._struct(())
        except IndexError:
            raise ValueError("a footer that ends early") from None
        self.pattern.append(bytes(self._same))
        if self._at != len(data):
            raise ValueError("bytes behind a footer")

    def _struct(self, place: Place) -> None:
        field = 0
        while True:
            head = self._data[self._at]
            self._literal(1)
            if head == 0:
                return
            if head < 16:
                raise ValueError("a field with its id in full")
            field += head >> 4
            self._value(head & 15, (*place, field))

    def _value(self, kind: int, place: Place) -> None:
        if kind in _INTEGERS:
            self._number(place, kind)
        elif kind == _BINARY:
            self._binary(place)
        elif kind == _LIST:
            self._list(place)
        elif kind == _STRUCT:
            self._struct(place)
        elif kind not in _TRUTHS:  # a truth is part of its field's head
            raise ValueError(f"a field of type {kind}")

    def _number(self, place: Place, kind: int) -> None:
        if kind != _INT64:
            self._literal(self._varint_size())
        elif place in _KEPT or place in _IGNORED:
            self._at += self._varint_size()
            if place in _KEPT:
                self._add(b"(%b)" % _NUMBER, place)
            else:
                self._add(_NUMBER)
        else:
            raise ValueError("a number that may be an offset")

    def _binary(self, place: Place) -> None:
        if place == _FILE:
            raise ValueError("pages in another file")
        head = self._varint_size()
        size = self._read_varint(head)
        if self._at + head + size > len(self._data):
            raise IndexError
        if place == _WRITER:
            self.writer = self._data[self._at + head : self._at + head + size]
        if place[:-1] != _BOUNDS:
            self._literal(head + size)
        elif size > _LONGEST_BOUND:
            raise ValueError("long statistics")
        else:
            text = self._data[self._at + head : self._at + head + size]
            self._at += head + size
            self._add(_STATE if text in _STATES else re.escape(bytes([size])) + b".{%d}" % size)

    def _list(self, place: Place) -> None:
        head = self._data[self._at]
        kind, count, size = head & 15, head >> 4, 1
        if count == 15:
            self._at += 1
            more = self._varint_size()
            count, size = self._read_varint(more), more + 1
            self._at -= 1
        self._literal(size)
        if kind in _TRUTHS:
            raise ValueError("a list that is not supported")
        for _ in range(count):
            begin = self._at
            if place in (_GROUPS, _CHUNKS):
                self._add(b"()", place)
            self._value(kind, place)
            if place in (_GROUPS, _CHUNKS):
                self._add(b"()", place)
            elif place == _SCHEMA:
                self.elements.append(self._data[begin : self._at])

    def _add(self, pattern: bytes, place: Place | None = None) -> None:
        """Add an expression. place: the field of its group."""
        same = bytes(self._same)
        self.pattern += re.escape(same) if self.pattern else same, pattern
        self._same.clear()
        if place is not None:
            self.places.append(place)

    def _literal(self, size: int) -> None:
        self._same += self._data[self._at : self._at + size]
        self._at += size

    def _varint_size(self) -> int:
        at = self._at
        while self._data[at] > 127:
            at += 1
        return at + 1 - self._at

    def _read_varint(self, size: int) -> int:
        return sum((self._data[self._at + i] & 127) << 7 * i for i in range(size))


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _moved(offset: int) -> bytes:
    """Return an offset in five bytes, which need not be the fewest."""
    n = offset << 1
    return bytes(
        (n & 127 | 128, n >> 7 & 127 | 128, n >> 14 & 127 | 128, n >> 21 & 127 | 128, n >> 28)
    )
