"""Comparable forms of columns: equal exactly where lake and node agree bit for bit; pair lookup."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable

import numpy as np
import pyarrow as pa
import pytest

from sim.check.read.columns import (
    ABSENT,
    FOREIGN,
    NAN_BITS,
    NULL,
    NULL_BITS,
    RowIndex,
    codes,
    float_bits,
    integers,
    nulls,
    one,
    plain_json,
)

VOCABULARY = pa.array(["b", "a"])


@pytest.mark.parametrize("column", [pa.array, lambda *given: pa.chunked_array([pa.array(*given)])])
def test_integers_and_times_keep_their_value_and_null_is_distinct(column) -> None:
    for kind in (pa.int64(), pa.int32(), pa.timestamp("us", tz="UTC")):
        assert integers(column([3, None, -1], kind)).tolist() == [3, NULL, -1]
        assert integers(column([3, -1], kind)).tolist() == [3, -1]
        assert nulls(column([3, None, -1], kind)).tolist() == [False, True, False]
    assert nulls(column([NULL, 0, None], pa.int64())).tolist() == [False, False, True]
    assert nulls(column([NULL, 0], pa.int64())).tolist() == [False, False]


def test_floats_compare_by_their_bits_and_all_nans_are_equal() -> None:
    (odd,) = struct.unpack("<d", struct.pack("<q", NAN_BITS + 7))
    values = [1.5, 0.0, -0.0, math.nextafter(1.5, 9), math.inf]
    bits = [struct.unpack("<q", struct.pack("<d", value))[0] for value in values]
    assert float_bits(pa.array(values)).tolist() == bits
    assert float_bits(pa.array([*values, odd, -math.nan])).tolist() == [*bits, NAN_BITS, NAN_BITS]
    assert float_bits(pa.array([*values, odd, None])).tolist() == [*bits, NAN_BITS, NULL_BITS]
    assert float_bits(pa.array([1.5, None])).tolist() == [bits[0], NULL_BITS]
    assert NAN_BITS != NULL_BITS
    assert {
        math.isnan(struct.unpack("<d", struct.pack("<q", one))[0]) for one in (NAN_BITS, NULL_BITS)
    } == {True}


@pytest.mark.parametrize("encoded", [False, True])
def test_a_text_becomes_its_index_in_the_vocabulary(encoded) -> None:
    for texts, places in (
        (["a", "b", "c", None, "a"], [1, 0, FOREIGN, ABSENT, 1]),
        (["a", "b", "c"], [1, 0, FOREIGN]),
        ([None], [ABSENT]),
        ([], []),
    ):
        column = pa.array(texts, pa.string())
        assert (
            codes(column.dictionary_encode() if encoded else column, VOCABULARY).tolist() == places
        )
    assert len({ABSENT, FOREIGN, 0, 1}) == 4


TEXTS = pa.array(["x", None, "b", "a", None, "c", "a"])
NUMBERS = [9, None, 3, None, -1, 7, 8]


@pytest.mark.parametrize(
    ("column", "read"),
    [
        *((pa.array(NUMBERS, kind), integers) for kind in (pa.int64(), pa.int32())),
        (pa.array(NUMBERS, pa.timestamp("us", tz="UTC")), integers),
        (pa.array(NUMBERS, pa.int64()), nulls),
        (pa.array(NUMBERS, pa.float64()), float_bits),
        *(
            (column, lambda c: codes(c, VOCABULARY))
            for column in (TEXTS, TEXTS.dictionary_encode())
        ),
        (TEXTS.dictionary_encode(), nulls),
        (TEXTS, plain_json),
        (pa.array([["x"], None, ["a", "b"], [], ["c"], ["d"], []]), one),
    ],
)
def test_parts_of_a_column_are_read_as_a_copy(
    column: pa.Array, read: Callable[[pa.Array | pa.ChunkedArray], Iterable[object]]
) -> None:
    """Slices with and without nulls, and a column in several chunks."""
    for begin, end in ((0, 7), (2, 7), (2, 3), (5, 7), (7, 7)):
        part, middle = column[begin:end], (begin + end) // 2
        right = list(read(part.take(pa.array(range(end - begin), pa.int64()))))
        chunks = [column[begin:middle], column[middle:end]]
        for form in (part, pa.chunked_array([part]), pa.chunked_array(chunks)):
            assert str(list(read(form))) == str(right)


def test_equal_documents_become_the_same_text() -> None:
    texts = ['{"b": 1.50, "a": "x"}', '{"a":"x","b":1.5}', '{"a":"x","b":1}', None, "no JSON"]
    same, again, other, nothing, odd = plain_json(pa.array(texts)).to_pylist()
    assert same == again != other
    assert (nothing, odd) == (None, "no JSON")
    deep = "[" * 100_000
    assert plain_json(pa.array([deep])).to_pylist() == [deep]
    assert plain_json(pa.array([None, None], pa.string())).to_pylist() == [None, None]
    assert plain_json(pa.array([None, None], pa.string())).type == pa.string()


def test_an_existing_pair_is_found_and_others_are_not() -> None:
    pairs = [(0, 7), (0, 9), (1, 3), (1, 7), (3, 3), (3, 12)]
    places = RowIndex(*(np.array(part) for part in zip(*pairs, strict=True)))
    asked = [(owner, number) for owner in range(-1, 5) for number in range(15)]
    found = places.find(*(np.array(part) for part in zip(*asked, strict=True)))
    assert dict(zip(asked, found.tolist(), strict=True)) == {
        pair: pairs.index(pair) if pair in pairs else -1 for pair in asked
    }


def test_lookup_among_no_pair_and_one_pair() -> None:
    one = np.array([0])
    assert RowIndex(one[:0], one[:0]).find(one, one).tolist() == [-1]
    assert RowIndex(one, one).find(np.array([0, 0, 1, -1]), np.array([0, 1, 0, 0])).tolist() == [
        0,
        -1,
        -1,
        -1,
    ]


def test_a_pair_is_found_with_and_without_gaps_before_it() -> None:
    """Against a dictionary, for numbers in a row, with gaps, and at the ends of 64 bits."""
    draw = np.random.default_rng(5)
    ends = [np.iinfo(np.int64).min, np.iinfo(np.int64).max]
    for gaps in (1, 2, 50):
        pairs = [
            (owner, int(number))
            for owner in (0, 1, 3)
            for number in np.cumsum(draw.integers(1, gaps + 1, 40)) - 20
        ]
        owner, number = (np.array(each, dtype=np.int64) for each in zip(*pairs, strict=True))
        asked = [(o, n) for o in (-2, -1, 0, 1, 2, 3, 4, 99) for n in [*range(-30, 60), *ends]]
        place = {pair: i for i, pair in enumerate(pairs)}
        found = RowIndex(owner, number).find(*(np.array(e) for e in zip(*asked, strict=True)))
        assert found.tolist() == [place.get(pair, -1) for pair in asked]
