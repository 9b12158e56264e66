"""Findings: all are counted, few are kept, each rare kind stays; completeness by stage and hour."""

from __future__ import annotations

import numpy as np
import pytest

from sim.check.completeness import FATES, Completeness, actual_rows
from sim.check.findings import KEPT, Finding, Findings, hour_text, id_ranges


@pytest.mark.parametrize(
    ("hour", "text"),
    [
        (473352, "2024-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:00:00Z"),
        (-(2**63) // 3_600_000_000, "0001-01-01T00:00:00Z"),
        (2**63 // 3_600_000_000, "9999-12-31T23:00:00Z"),
    ],
)
def test_an_hour_outside_the_calendar_is_reported_as_the_nearest(hour: int, text: str) -> None:
    assert hour_text(hour) == text


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        ([7], "id 7"),
        ([7, 8], "ids 7-8"),
        ([9, 7, 8], "ids 7-9"),
        ([7, 9], "ids 7, 9"),
        ([12, 3, 7], "ids 3, 7, 12"),
        ([12, 3, 7, 20], "ids 3, 7, 12 ..."),
        ([4, 4], "ids 4, 4"),
        ([-1, 1], "ids -1, 1"),
        (range(1, 601), "ids 1-600"),
    ],
)
def test_ids_are_reported_as_a_range_or_the_first_few(ids: list[int], text: str) -> None:
    assert id_ranges(ids) == text


def test_a_flood_of_findings_does_not_hide_a_rare_one() -> None:
    part, findings = Findings(), Findings()
    for i in range(KEPT * 2):
        part.add(Finding("lost", turbine=f"{i:05}"))
    part.add(Finding("altered"))
    part.add(Finding("unexpected"))
    assert part.counts == {"lost": KEPT * 2, "altered": 1, "unexpected": 1}
    assert [one.turbine for one in part.kept] == [*(f"{i:05}" for i in range(KEPT)), "", ""]
    findings.merge(part)
    findings.merge(part)
    kept = findings.bounded()
    assert findings.counts == {"lost": KEPT * 4, "altered": 2, "unexpected": 2}
    assert len(kept) == KEPT
    assert [f.kind for f in kept] == ["altered"] * 2 + ["lost"] * (KEPT - 4) + ["unexpected"] * 2
    assert [f.turbine for f in kept[2:6]] == ["00000", "00001", "00002", "00003"]


def test_fields_of_a_finding_are_empty_by_default() -> None:
    assert vars(Finding("lost")) == {
        **dict.fromkeys(("stage", "farm", "turbine", "hour", "key", "detail"), ""),
        "kind": "lost",
        "rows": 0,
    }


def test_few_findings_are_all_reported_in_order_of_place() -> None:
    findings = Findings()
    for kind, turbine in (("lost", "B-001"), ("lost", "A-001"), ("altered", "C-001")):
        findings.add(Finding(kind, turbine=turbine))
    told = [(one.kind, one.turbine) for one in findings.bounded()]
    assert told == [("altered", "C-001"), ("lost", "A-001"), ("lost", "B-001")]


def test_completeness_counts_rows_by_stage_hour_and_fate() -> None:
    completeness = Completeness()
    completeness.add("ingestion", "expected", np.array([5, 3, 5, 5]))
    completeness.add("ingestion", "lost", np.array([5]))
    completeness.add("ingestion", "lost", np.array([5]))
    completeness.add("validated", "lost", np.array([5, 5, 5]))
    completeness.add("enriched", "lost", np.array([], dtype=np.int64))
    nothing = dict.fromkeys(FATES, 0)
    assert completeness.rows == {
        ("ingestion", 5): nothing | {"expected": 3, "lost": 2},
        ("ingestion", 3): nothing | {"expected": 1},
        ("validated", 5): nothing | {"lost": 3},
    }
    assert completeness.total("lost", ("ingestion", "enriched")) == 2
    assert completeness.total("lost", ("ingestion", "validated")) == 5


def test_present_rows_are_expected_less_lost_plus_extra() -> None:
    assert actual_rows(dict(zip(FATES, (100, 1, 20, 300, 4000, 50000), strict=True))) == 50119
