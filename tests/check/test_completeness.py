"""Counts per hour: the same for hours in a row and for hours far apart."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from sim.check.completeness import Completeness


@pytest.mark.parametrize("hours", [[], [7], [473_688, 473_690, 473_688], [0, 473_688, 0, 473_689]])
def test_rows_are_counted_hour_by_hour(hours: list[int]) -> None:
    found = Completeness()
    for _ in range(2):
        found.add("ingestion", "expected", np.array(hours, dtype=np.int64))
    counted = {hour: of_hour["expected"] for (_, hour), of_hour in found.rows.items()}
    assert counted == {hour: 2 * rows for hour, rows in Counter(hours).items()}
    assert list(counted) == sorted(counted)
