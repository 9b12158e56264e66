"""Windows in the lake against recomputed windows: a small lake, damaged in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest

from pipeline.records.schemas import AGGREGATED
from sim.check.compare.owners import find_owners
from sim.check.compare.windows import compare_windows
from sim.check.completeness import FATES, Completeness
from sim.check.expected.windows import expect_windows
from sim.check.findings import Finding, Findings
from tests.support.check_world import (
    START,
    Objects,
    Row,
    add,
    drop,
    expected,
    good,
    move,
    node,
    parquet,
    put,
    stage_rows,
    window_rows,
)

MINUTE_US = 60_000_000
NODES = [node("A-001"), node("A-002", farm="B")]  # of minutes 59 to 62; of 0 and 1
LATE = good(374, timestamp=START + 60 * MINUTE_US + 1)  # its window belongs to the batch before
PLAN = expected(
    [*(good(i) for i in range(358, 374)), LATE], [good(i, "A-002") for i in (1, 2, 7)], nodes=NODES
)
WINDOWS = expect_windows(PLAN)
FARMS = {"A-001": "A", "A-002": "B"}
SHARE = {"A-001": 0, "A-002": 0, "A-003": 1}
FOLDER = "aggregated/year=2024/month=01/day=15/hour="
A, B, C = (
    f"{FOLDER}00/A-001-361-366.parquet",
    f"{FOLDER}01/A-001-373-374.parquet",
    f"{FOLDER}00/A-002-7-7.parquet",
)
FIRST_TRY, BETWEEN = f"{FOLDER}01/A-001-367-372.parquet", f"{FOLDER}00/A-001-367-372.parquet"
HOUR = 473_688


def right() -> Objects:
    """A-001: windows 00:59, 01:00 (a second revision), 01:01 and 01:02; A-002: two windows."""
    first, tried, second, third, fourth, *others = window_rows(PLAN)
    return {A: [first], FIRST_TRY: [tried], B: [second, third, fourth], C: others}


def row(at: int, **cells: object) -> Row:
    """Return the latest revision of a window."""
    return window_rows(PLAN)[WINDOWS.last[at]] | cells


@dataclass(frozen=True)
class Case:
    """One damage to the lake and its findings.

    - `says`: (kind, turbine, minute of the day, key, detail) of all findings.
    - `counts`: fate -> hour -> windows, beside the expected windows.
    - `wrong`: number of wrong windows.
    """

    name: str
    change: Callable[[Objects], object]
    says: list[tuple[str, str, int, str, str]] = field(default_factory=list)
    counts: dict[str, dict[int, int]] = field(default_factory=dict)
    wrong: int = 0
    blamed: tuple[str, ...] = ()
    revised: int = 1


def both(*changes: Callable[[Objects], object]) -> Callable[[Objects], object]:
    return lambda objects: [change(objects) for change in changes]


def cell(key: str, at: int, **cells: object) -> Callable[[Objects], object]:
    return lambda objects: objects[key][at].update(cells)


MIDDLE, LAST = "the batch of ids 367-372", "the batch of ids 373-374"
BY_LAST = f"revision 1 was made by {LAST}"
NO_HOUR = "its key names another hour, turbine or batch"
NO_ROWS = "the node has no valid row in this window"
OTHER_HOUR, OTHER_BATCH = A.replace("hour=00", "hour=02"), A.replace("361-366", "361-367")
OTHER_NODE, NO_NODE, NO_KEY = (
    A.replace("A-001-361-366", "A-002-1-2"),
    A.replace("A-001", "B-001"),
    "aggregated/x.parquet",
)

CASES = [
    Case("nothing", lambda objects: None),
    Case(
        "the objects in another order, and the rows",
        lambda objects: [
            objects.update({key: objects.pop(key)[::-1]}) for key in (C, B, FIRST_TRY, A)
        ],
    ),
    Case(
        "of another share",
        put(A.replace("A-001", "A-003"), row(0, turbine_id="A-003", window_start=START)),
    ),
    # missing
    Case(
        "missing, of both nodes",
        both(drop(C), put(B, row(1, revision=1), row(3))),
        [
            ("missing", "A-001", 61, "", "missing from the lake; valid rows in it: 6"),
            ("missing", "A-002", 0, "", "missing from the lake; valid rows in it: 2"),
            ("missing", "A-002", 1, "", "missing from the lake; valid rows in it: 1"),
        ],
        {"lost": {HOUR: 2, HOUR + 1: 1}},
        3,
    ),
    Case(
        "windows of an unreadable object count as lost and have no finding here",
        both(lambda objects: objects.update({B: b"hello"}), drop(A)),
        [
            ("missing", "A-001", 59, "", "missing from the lake; valid rows in it: 3"),
            (
                "stale-revision",
                "A-001",
                60,
                FIRST_TRY,
                "the latest revision counts 6 of 7 valid rows",
            ),
        ],
        {"lost": {HOUR: 1, HOUR + 1: 2}, "altered": {HOUR + 1: 1}},
        4,
        revised=0,
    ),
    Case(
        "an unreadable object of no known form", lambda objects: objects.update({NO_KEY: b"hello"})
    ),
    # duplicated
    Case(
        "a revision twice in its object",
        add(B, row(2)),
        [("duplicated", "A-001", 61, B, f"revision 0 is already in {B}")],
        {"duplicated": {HOUR + 1: 1}},
        1,
        (B,),
    ),
    Case(
        "a revision in another object, listed first: the copy is the duplicate",
        both(add(A, row(1, revision=1)), lambda objects: objects.update({B: objects.pop(B)})),
        [("duplicated", "A-001", 60, A, f"revision 1 is already in {B}")],
        {"duplicated": {HOUR + 1: 1}},
        1,
        (A, B),
    ),
    Case(
        "a window in an object of another batch too",
        put(A.replace("361-366", "367-372"), row(0)),
        [
            (
                "duplicated",
                "A-001",
                59,
                A.replace("361-366", "367-372"),
                f"revision 0 is already in {A}",
            )
        ],
        {"duplicated": {HOUR: 1}},
        1,
        (A, A.replace("361-366", "367-372")),
    ),
    # misplaced
    *(
        Case(
            f"moved to {to.rsplit('/', 1)[-1]}, {to.split('/')[-2]}",
            move(A, to),
            [("misplaced", "A-001", 59, to, NO_HOUR)],
            {"misplaced": {HOUR: 1}},
            1,
            (to,),
        )
        for to in (OTHER_HOUR, OTHER_BATCH, OTHER_NODE, NO_NODE, NO_KEY)
    ),
    Case(
        "both revisions moved",
        both(
            move(FIRST_TRY, FIRST_TRY.replace("hour=01", "hour=02")),
            move(B, B.replace("374", "375")),
        ),
        [
            ("misplaced", "A-001", 60, FIRST_TRY.replace("hour=01", "hour=02"), NO_HOUR),
            *(
                ("misplaced", "A-001", minute, B.replace("374", "375"), NO_HOUR)
                for minute in (60, 61, 62)
            ),
        ],
        {"misplaced": {HOUR + 1: 4}},
        3,
        (FIRST_TRY.replace("hour=01", "hour=02"), B.replace("374", "375")),
    ),
    # revisions
    Case(
        "the first revision gone",
        drop(FIRST_TRY),
        [("revision-gap", "A-001", 60, B, "revisions in the lake: 1; number of the latest: 1")],
        wrong=1,
    ),
    Case(
        "a revision skipped",
        cell(B, 0, revision=2),
        [("revision-gap", "A-001", 60, B, "revisions in the lake: 2; number of the latest: 2")],
        wrong=1,
    ),
    Case(
        "a gap in the middle is none at the end",
        add(B, row(2, revision=1), row(0, turbine_id="A-001", revision=1)),
        [
            ("misplaced", "A-001", 59, B, NO_HOUR),
            ("needless-revision", "A-001", 61, B, f"{BY_LAST}, and changes no value"),
        ],
        {"misplaced": {HOUR: 1}},
        2,
        (B,),
        revised=3,
    ),
    Case(
        "the latest revision gone",
        put(B, row(2), row(3)),
        [
            (
                "stale-revision",
                "A-001",
                60,
                FIRST_TRY,
                "the latest revision counts 6 of 7 valid rows",
            )
        ],
        {"altered": {HOUR + 1: 1}},
        1,
        revised=0,
    ),
    # wrong
    Case(
        "a value",
        cell(B, 1, power_output=2.5),
        [
            (
                "wrong",
                "A-001",
                61,
                B,
                "power_output is 2.5, must be 1.25; columns that differ: power_output",
            )
        ],
        {"altered": {HOUR + 1: 1}},
        1,
    ),
    Case(
        "a value of the last window",
        cell(C, 1, efficiency=None),
        [("wrong", "A-002", 1, C, "efficiency is None; columns that differ: efficiency")],
        {"altered": {HOUR: 1}},
        1,
    ),
    Case(
        "a count",
        cell(C, 0, rows=3, power_output=2.5),
        [("wrong", "A-002", 0, C, "rows is 3; columns that differ: rows, power_output")],
        {"altered": {HOUR: 1}},
        1,
    ),
    Case(
        "the first revision covers the rows up to its batch",
        cell(FIRST_TRY, 0, rows=7, farm_id=None),
        [
            (
                "wrong",
                "A-001",
                60,
                FIRST_TRY,
                "revision 0: farm_id is None; columns that differ: farm_id, rows",
            )
        ],
        {"altered": {HOUR + 1: 1}},
        1,
    ),
    # the batch
    Case(
        "written by the next batch",
        move(A, BETWEEN),
        [
            (
                "late",
                "A-001",
                59,
                BETWEEN,
                f"revision 0 was made by {MIDDLE}, must be by the batch of ids 361-366",
            )
        ],
        wrong=1,
    ),
    Case(
        "written by the previous batch",
        both(put(B, row(1), row(3)), add(FIRST_TRY, row(2))),
        [("early", "A-001", 61, FIRST_TRY, f"revision 0 was made by {MIDDLE}, must be by {LAST}")],
        wrong=1,
    ),
    Case(
        "written too early, and again",
        both(cell(B, 1, revision=1), add(FIRST_TRY, row(2, rows=1))),
        [
            (
                "early",
                "A-001",
                61,
                FIRST_TRY,
                f"revision 0 was made by {MIDDLE}, the first must be by {LAST}",
            )
        ],
        wrong=1,
        revised=2,
    ),
    Case(
        "a revision that changes no value",
        put(BETWEEN, row(0, revision=1)),
        [
            (
                "needless-revision",
                "A-001",
                59,
                BETWEEN,
                f"revision 1 was made by {MIDDLE}, and changes no value",
            )
        ],
        wrong=1,
        revised=2,
    ),
    Case(
        "a revision that matches no rows",
        put(BETWEEN, row(0, revision=1, rows=9)),
        [
            (
                "invented-revision",
                "A-001",
                59,
                BETWEEN,
                f"revision 1 was made by {MIDDLE}, and matches no rows up to that batch",
            )
        ],
        {"altered": {HOUR: 1}},
        1,
        revised=2,
    ),
    Case(
        "a late row is in the first revision, without a second",
        both(put(FIRST_TRY, row(1, revision=0)), put(B, row(2), row(3))),
        [("missing-revision", "A-001", 60, "", f"revision 1 is missing, must be made by {LAST}")],
        wrong=1,
        revised=0,
    ),
    Case(
        "the same with an unreadable object of the hour",
        both(
            put(FIRST_TRY, row(1, revision=0)),
            put(B, row(2), row(3)),
            lambda objects: objects.update({FIRST_TRY.replace("367-372", "361-366"): b"hello"}),
        ),
        revised=0,
    ),
    Case(
        "revisions against the order of batches",
        both(put(FIRST_TRY, row(1)), cell(B, 0, revision=0)),
        [
            (
                "revision-order",
                "A-001",
                60,
                FIRST_TRY,
                f"revision 1 is of {MIDDLE}, the one before of a later one",
            )
        ],
        wrong=1,
    ),
    Case(
        "a column missing from the schema counts as altered and has no finding here",
        both(
            lambda objects: objects.update({A: parquet(objects[A], AGGREGATED.remove(1))}),
            cell(C, 0, farm_id="A"),
        ),
        [("wrong", "A-002", 0, C, "farm_id is A; columns that differ: farm_id")],
        {"altered": {HOUR: 2}},
        2,
    ),
    # unexpected
    Case(
        "a window without rows, in two revisions",
        both(
            add(B, *(row(2, window_start=START + 70 * MINUTE_US, revision=i) for i in (0, 1))),
            add(C, row(4, window_start=START + 70 * MINUTE_US)),
        ),
        [
            *[("unexpected", "A-001", 70, B, NO_ROWS)] * 2,
            ("unexpected", "A-002", 70, C, NO_ROWS),
        ],
        {"unexpected": {HOUR + 1: 3}},
        2,
        (B, C),
    ),
]


def compared(
    objects: Mapping[str, list[Row] | bytes], plan=PLAN
) -> tuple[tuple[int, int, set[str]], Findings, Completeness]:
    lake, findings, completeness = stage_rows("aggregated", objects), Findings(), Completeness()
    owners = find_owners(lake, plan, 0, SHARE)
    return (
        compare_windows(plan, expect_windows(plan), lake, owners, completeness, findings),
        findings,
        completeness,
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_damaged_windows_are_reported(case: Case) -> None:
    objects = right()
    case.change(objects)
    (wrong, revised, blamed), findings, completeness = compared(objects)
    bucket = "expanso-databricks-aggregated"
    said = [
        Finding(
            f"window.{kind}",
            stage="aggregated",
            farm=FARMS[turbine],
            turbine=turbine,
            hour=f"2024-01-15T{minute // 60:02}:00:00Z",
            key=key and f"{bucket}/{key}",
            rows=1,
            detail=f"window 2024-01-15T{minute // 60:02}:{minute % 60:02}:00Z: {detail}",
        )
        for kind, turbine, minute, key, detail in case.says
    ]
    assert sorted(findings.kept, key=str) == sorted(said, key=str)
    assert completeness.rows.keys() == {("aggregated", hour) for hour in (HOUR, HOUR + 1)}
    assert {
        fate: {hour: cell[fate] for (_, hour), cell in completeness.rows.items() if cell[fate]}
        for fate in FATES
    } == {fate: {} for fate in FATES} | {"expected": {HOUR: 3, HOUR + 1: 3}} | case.counts
    assert (wrong, revised, blamed) == (
        case.wrong,
        case.revised,
        {f"{bucket}/{key}" for key in case.blamed},
    )


def test_without_objects_all_windows_are_missing() -> None:
    (wrong, revised, blamed), findings, completeness = compared({})
    assert (wrong, revised, blamed, findings.counts) == (6, 0, set(), {"window.missing": 6})
    assert completeness.total("lost", ("aggregated",)) == 6


def test_nodes_without_rows_have_no_expected_windows() -> None:
    plan = expected([], [])
    (wrong, revised, blamed), findings, _ = compared({C: [row(4)]}, plan)
    assert (wrong, revised, len(blamed), findings.counts) == (1, 0, 1, {"window.unexpected": 1})
    assert compared({}, plan)[0] == (0, 0, set())
