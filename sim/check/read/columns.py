"""Columns as integers, so that two tables can be compared cell by cell with `==`, bit for bit.

floats              bit patterns; one pattern for every NaN, another for null
integers and times  themselves; null is the smallest int64. A node's time may equal that number, so
                    a comparison of times needs `nulls`, too
strings             index in a shared vocabulary; null is -1, a string not in it is -2

`RowIndex` is the lookup of (owner, number) pairs that matches rows and windows.
"""

from __future__ import annotations

import json
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

NULL: Final = int(np.iinfo(np.int64).min)
NAN_BITS: Final = 0x7FF8_0000_0000_0000
NULL_BITS: Final = 0x7FF8_0000_0000_DEAD
"""A NaN that no arithmetic produces."""
ABSENT: Final = -1
FOREIGN: Final = -2


def one(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """The column as a single array, without a copy of one that has a single chunk."""
    if isinstance(column, pa.ChunkedArray):
        return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return column


def integers(column: pa.ChunkedArray | pa.Array) -> Ints:
    """Integers and times as int64, shape (rows,), null as `NULL`."""
    array = one(column)
    if not pa.types.is_int64(array.type):
        array = (
            array.view(pa.int64()) if pa.types.is_timestamp(array.type) else array.cast(pa.int64())
        )
    return np.asarray(array.fill_null(NULL) if array.null_count else array)


def nulls(column: pa.ChunkedArray | pa.Array) -> Bools:
    """Mask of the null cells, shape (rows,)."""
    return (
        np.asarray(one(column).is_null())
        if column.null_count
        else np.zeros(len(column), dtype=bool)
    )


def float_bits(column: pa.ChunkedArray | pa.Array) -> Ints:
    """Bit patterns of float64 values, shape (rows,)."""
    array = one(column)
    values = np.asarray(array)  # null becomes NaN
    bits = values.view(np.int64)
    nan = np.isnan(values)
    if nan.any():
        bits = np.where(nan, NAN_BITS, bits)
        bits[np.asarray(array.is_null())] = NULL_BITS
    return bits


def codes(column: pa.ChunkedArray | pa.Array, vocabulary: pa.Array) -> Ints:
    """Index of each string in the vocabulary, (rows,); `ABSENT` for null, else `FOREIGN`."""
    array = one(column)
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    place = np.asarray(pc.index_in(array.dictionary, vocabulary).fill_null(FOREIGN), dtype=np.int64)
    place = np.append(place, ABSENT)  # null indices refer to this last entry
    indices = array.indices.fill_null(len(place) - 1) if array.null_count else array.indices
    return place[np.asarray(indices, dtype=np.int64)]


def plain_json(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """JSON texts with sorted names and canonical numbers: equal documents become equal strings.

    Fast if nearly all are null.
    """
    array = one(column)
    if array.null_count == len(array):
        return pa.nulls(len(array), pa.string())
    return pa.array(
        [None if text is None else _plain(text) for text in array.to_pylist()], pa.string()
    )


def _plain(text: str) -> str:
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except (ValueError, RecursionError):
        return text


def cell_text(cell: pa.Scalar) -> str:
    """Return a cell for a person to read. A time outside the years 1 to 9999 is its number."""
    try:
        return str(cell.as_py())
    except (ValueError, OverflowError):
        return str(cell.value)


class RowIndex:
    """Lookup of (owner, number) pairs, which must be sorted by both and distinct.

    owner: indices from 0.
    """

    def __init__(self, owner: Ints, number: Ints) -> None:
        self._owner, self._number = owner, number
        owners = np.arange(int(owner[-1]) + 2 if len(owner) else 1)
        self._starts = np.searchsorted(owner, owners)  # one more than owners, for owner -1
        self._firsts = np.append(number, 0)[np.minimum(self._starts, len(number) - 1)]

    def find(self, owner: Ints, number: Ints) -> Ints:
        """Return each pair's index, (pairs,); -1 for an unknown pair or a negative owner."""
        if len(self._number) == 0:
            return np.full(len(owner), -1, dtype=np.int64)
        # Numbers of an owner mostly have no gaps, so a place can be guessed.
        known = (owner >= 0) & (owner < len(self._starts) - 1)
        of = np.where(known, owner, 0)
        place = self._starts[of] + (number - self._firsts[of])
        inside = known & (place >= 0) & (place < len(self._number))
        place[~inside] = 0
        hit = inside & (self._number[place] == number) & (self._owner[place] == owner)
        place[~hit] = -1
        other = np.flatnonzero(known & ~hit)
        if len(other):
            place[other] = self._searched(owner[other], number[other])
        found: Ints = place
        return found

    def _searched(self, owner: Ints, number: Ints) -> Ints:
        """Return the same for known owners, without guesses."""
        numbers, pairs = self._sorted
        at = np.minimum(np.searchsorted(numbers, number), len(numbers) - 1)
        pair = owner * len(numbers) + at
        place = np.minimum(np.searchsorted(pairs, pair), len(pairs) - 1)
        return np.where((numbers[at] == number) & (pairs[place] == pair), place, -1)

    @cached_property
    def _sorted(self) -> tuple[Ints, Ints]:
        """Distinct numbers, and every pair as one number."""
        numbers = np.unique(self._number)
        return numbers, self._owner * len(numbers) + np.searchsorted(numbers, self._number)
