"""The strict JSON reader: it rejects documents that two readers could read differently."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sim.check.read.json_document import DEPTH, parse, same

NESTED = b'{"a":' * 5_000 + b"1" + b"}" * 5_000


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "could not be read"),
        (b"", "not JSON"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        ("{}".encode("utf-16"), "byte order mark"),
        ("{}".encode("utf-16-le"), "not JSON"),
        (b'{"a":"\xff"}', "not UTF-8 at byte 6"),
        (b'{"a":1,"a":1}', "'a' is twice"),
        (b'[{"b":{"a":1,"a":2}}]', "'a' is twice"),
        (b'{"a":NaN}', "the constant NaN"),
        (b'{"a":-Infinity}', "the constant -Infinity"),
        (b'{"a":1e999}', "1e999 is too large for a float"),
        (b'{"a":' + b"9" * 5_000 + b"}", "an integer of 5000 characters"),
        (b'{"a":9223372036854775808}', "an integer of 19 characters"),
        (b'{"a":"\\ud800"}', "half a surrogate pair"),
        (b'{"\\uDC00":1}', "half a surrogate pair"),
        (b'{"\\ud800":1,"\\ud800":1}', "ud800' is twice"),
        (b'{"a":1}x', "not JSON"),
        (b'{"a":1}\0', "not JSON"),
        (NESTED, "nested deeper"),
        (b"[" * 100_000, "nested deeper"),
        (b"[" * 2_000 + b"]" * 2_000, "nested deeper"),
        (b'"' + b"[" * (1 << 25) + b'"', "bytes, more than"),
    ],
)
def test_an_ambiguous_document_is_rejected(content: bytes | None, problem: str) -> None:
    value, why = parse(content)
    assert value is None
    assert problem in why
    why.encode()
    assert len(why) < 150


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"a": [1, 1.0, True, None, "\N{PILE OF POO}", "[{" * 100], "b": {"a": -(2**63)}},
        [{"a": [i]} for i in range(100)],
        json.loads("[" * DEPTH + "]" * DEPTH),
        ['\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[['],
        "text",
        0,
    ],
)
def test_a_valid_document_is_read_unchanged(value: Any) -> None:
    assert parse(json.dumps(value).encode()) == (value, "")
    assert parse(json.dumps(value, ensure_ascii=False, indent=2).encode()) == (value, "")


def test_one_level_more_than_the_bound_is_too_deep() -> None:
    assert parse(b"[" * DEPTH + b"]" * DEPTH)[1] == ""
    assert "deeper" in parse(b"[" * (DEPTH + 1) + b"]" * (DEPTH + 1))[1]


@pytest.mark.parametrize(
    ("a", "b"), [(1, True), (1, 1.0), (0, False), ([1], [1, 1]), ({"a": 1}, {"a": True}), ({}, [])]
)
def test_equal_values_of_other_types_are_not_the_same(a: Any, b: Any) -> None:
    assert not same(a, b)
    assert not same({"x": [a]}, {"x": [b]})


def test_the_order_of_names_is_ignored_and_all_are_compared() -> None:
    assert same({"a": 1, "b": [None, "x"]}, {"b": [None, "x"], "a": 1})
    assert not same({"a": 1, "b": 2}, {"a": 1})
    assert not same({"a": 1}, {"a": 1, "b": 2})
