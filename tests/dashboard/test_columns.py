"""sim.dashboard.columns: numbers come back as they went in, and the block says where they lie."""

from __future__ import annotations

import base64
import json
import zlib

import numpy as np
import pytest

from sim.dashboard.columns import Column, block, column


def unpacked(text: str) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    """Columns and facts of a block, read as the page's script reads them."""
    whole = zlib.decompress(base64.b64decode(text), -15)
    length = int.from_bytes(whole[:4], "little")
    head = json.loads(whole[4 : 4 + length])
    found = {}
    for name, each in head["columns"].items():
        lines, steps = each["shape"]
        size = each["bytes"] * lines * steps
        body = whole[4 + length + each["at"] :][:size]
        planes = np.frombuffer(body, np.uint8).reshape(each["bytes"], lines * steps)
        differences = np.ascontiguousarray(planes.T).view(f"<i{each['bytes']}")
        values = np.cumsum(differences.reshape(lines, steps), axis=1, dtype=differences.dtype)
        missing = np.iinfo(differences.dtype).min
        found[name] = np.where(values == missing, np.nan, values * each["scale"])
    return found, head["facts"]


@pytest.mark.parametrize(
    ("numbers", "scale", "size"),
    [
        ([[0.0, 1.0, -3.0]], 1.0, 1),
        ([[127.0, -127.0, 127.0]], 1.0, 1),  # differences wrap around
        ([[128.0, np.nan, -128.0]], 1.0, 2),
        ([[3.001, 3.002, np.nan, -0.5]], 0.001, 2),
        ([[32767.0, -32767.0]], 1.0, 2),
        ([[1e9, -1e9, np.nan, 5.0]], 1.0, 4),
        ([[np.nan, np.nan]], 1.0, 1),
        ([[1.0, 2.0], [np.nan, 200.0]], 1.0, 2),
        (np.empty((2, 0)), 1.0, 1),
        (np.empty(0), 1.0, 1),
    ],
)
def test_numbers_come_back_in_the_smallest_type(numbers, scale: float, size: int) -> None:
    made = column(numbers, scale)
    assert made.values.dtype.itemsize == size
    found, facts = unpacked(block({"a": made, "b": column([[7.0]])}, {"name": "</script>"}))
    expected = np.atleast_2d(np.asarray(numbers, dtype=float))
    np.testing.assert_allclose(found["a"], expected, atol=scale / 2)
    np.testing.assert_allclose(np.atleast_2d(made.floats()), expected, atol=scale / 2)
    assert found["b"].tolist() == [[7.0]]
    assert facts == {"name": "</script>"}


def test_a_number_that_does_not_fit_is_refused() -> None:
    with pytest.raises(OverflowError, match="too large"):
        column([2.0**31])


def test_a_slow_signal_costs_about_a_byte_per_value() -> None:
    random = np.random.default_rng(1)
    signal = 8 + np.cumsum(random.normal(0, 0.05, (50, 2_000)), axis=1)
    made: Column = column(signal, 0.01)
    assert len(block({"wind": made}, {})) * 3 / 4 < 1.2 * signal.size
