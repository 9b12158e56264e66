"""Outcomes of injected faults: the rows of each, and the rules that caught them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sim.check.detection.truth import (
    COLUMNS,
    NO_FAULTS,
    TruthError,
    count_faults,
    read_truth,
    summary,
    with_detection,
)
from tests.support.check_world import expected, good

KINDS = (pa.string(), pa.string(), pa.int64(), pa.int64(), pa.int64())


def faults(*rows: tuple[object, ...]) -> pa.Table:
    """Return records (turbine, kind, first id, last id, rows)."""
    return pa.table(
        [pa.array(c, t) for c, t in zip(zip(*rows, strict=True), KINDS, strict=True)],
        names=list(COLUMNS),
    )


def test_each_fault_is_caught_by_the_rules_that_its_rows_broke() -> None:
    first = [good(i) for i in range(1, 9)]
    first[0] |= {"misfit": True}
    for i in (2, 3, 6):
        first[i] |= {"status": "dancing"}
    first[4] |= {"blade_pitch": None}
    second = [good(i, "A-002", misfit=i == 8) for i in range(1, 9)]
    truth = faults(
        ("A-001", "odd", 1, 3, 3),
        ("A-001", "odd", 4, 5, 2),
        ("A-001", "alone", 7, 7, 1),
        ("A-001", "beside", 8, 99, None),
        ("A-001", "nothing", None, None, 0),
        ("A-002", "other", 8, 8, 1),
        ("A-002", "other", 1, 7, 7),
        ("B-001", "elsewhere", 1, 8, 8),
    )
    assert count_faults(truth, expected(first, second)) == {
        "odd": {"injected": 2, "rows": 5, "type": 1, "state": 2, "null": 1},
        "alone": {"injected": 1, "rows": 1, "state": 1},
        "beside": {"injected": 1, "rows": 0},
        "nothing": {"injected": 1, "rows": 0},
        "other": {"injected": 2, "rows": 8, "type": 1},
        "elsewhere": {"injected": 1, "rows": 8},
    }
    assert count_faults(NO_FAULTS, expected(first)) == {}


def test_the_summary_adds_the_shares_in_the_order_of_kinds_and_rules() -> None:
    parts = [
        {
            "odd": {"injected": 1, "rows": 3, "state": 2, "type": 1},
            "late": {"injected": 2, "rows": 9},
        },
        {"odd": {"injected": 4, "rows": 5, "state": 3}},
    ]
    items = summary(parts)
    assert items == [
        {"kind": "late", "injected": 2, "rows": 9, "quarantined_by_rule": {}},
        {"kind": "odd", "injected": 5, "rows": 8, "quarantined_by_rule": {"type": 1, "state": 5}},
    ]
    assert list(items[1]["quarantined_by_rule"]) == ["type", "state"]  # type: ignore[call-overload]
    assert with_detection(
        items, [{"kind": "odd", "detectable": 5, "found": 4, "delay_s": 1.5, "more": 0}]
    ) == [
        items[0],
        items[1] | {"detectable": 5, "found": 4, "delay_s": 1.5},
    ]


def test_the_files_that_record_faults_are_read_together(tmp_path: Path) -> None:
    assert read_truth(tmp_path).equals(NO_FAULTS)
    pq.write_table(faults(("A-001", "odd", 1, 2, 2)), tmp_path / "a.parquet")
    more = faults(("B-001", "odd", None, None, 0)).append_column(
        "channel", pa.array(["temperature"])
    )
    pq.write_table(more, tmp_path / "b.parquet")
    pq.write_table(
        pa.table({"turbine_id": ["A-001"], "state": ["running"]}), tmp_path / "c.parquet"
    )
    assert read_truth(tmp_path).equals(
        faults(("A-001", "odd", 1, 2, 2), ("B-001", "odd", None, None, 0))
    )
    (tmp_path / "d.parquet").write_bytes(b"hello")
    with pytest.raises(TruthError, match=r"d\.parquet: cannot read"):
        read_truth(tmp_path)
