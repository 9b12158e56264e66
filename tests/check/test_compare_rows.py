"""Rows of a stage against the expected rows: a small lake, damaged in one place, all findings."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pytest

from pipeline.records.schemas import INGESTION
from sim.check.compare.owners import find_owners
from sim.check.compare.rows import Compared, RowVerdict, compare_rows
from sim.check.completeness import FATES, Completeness
from sim.check.expected.rows import enrichment
from sim.check.findings import Finding, Findings
from sim.check.read.keys import bucket_of
from tests.support.check_world import (
    ASSET,
    SECOND,
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
)

FIRST = [good(i) for i in range(1, 7)]
FIRST[0] |= dict.fromkeys(("timestamp", "recorded_at"), START - 20 * SECOND)
FIRST[1] |= {"recorded_at": START - 10 * SECOND}  # of the first batch, but of the second hour
FIRST[4] |= {"misfit": True, "wind_speed": None, "_rescued_data": '{"a": 1, "wind_speed": "x"}'}
FIRST[5] |= {"status": "dancing"}
SECOND_NODE = [good(i, "A-002", blade_pitch=float(i)) for i in (1, 2)]
NODES = [node("A-001", asset=ASSET | {"technician": "Ann", "hub_height": 80.0}), node("A-002")]
PLAN = expected(FIRST, SECOND_NODE, nodes=NODES)
RULES = {("A-001", 5): "type", ("A-001", 6): "state"}
SHARE = {"A-001": 0, "A-002": 0, "A-003": 1}

OLD, NEW = "year=2024/month=01/day=14/hour=23", "year=2024/month=01/day=15/hour=00"
OLD_HOUR, HOUR = 473_687, 473_688
AT_23, AT_0 = "2024-01-14T23:00:00Z", "2024-01-15T00:00:00Z"


def keys(stage: str) -> list[str]:
    """Keys of three objects: batches 1-2 (two hours) and 3-6 of A-001, batch 1-2 of A-002."""
    top = "_quarantine" if stage == "quarantine" else stage
    names = f"{OLD}/A-001-1-2", f"{NEW}/A-001-1-2", f"{NEW}/A-001-3-6", f"{NEW}/A-002-1-2"
    return [f"{top}/{name}.parquet" for name in names]


A, B, C, D = keys("ingestion")


def row(turbine: str, number: int, **cells: object) -> Row:
    """Return a row as the lake must hold it, in any stage, with some cells changed."""
    stored = (FIRST if turbine == "A-001" else SECOND_NODE)[number - 1]
    more = enrichment(NODES[int(turbine[-1]) - 1])
    return stored | more | {"farm_id": "A", "rule": RULES.get((turbine, number))} | cells


def right(stage: str = "ingestion") -> Objects:
    parts = zip(
        keys(stage),
        ([1], [2], [3, 4, 5, 6], [1, 2]),
        ("A-001", "A-001", "A-001", "A-002"),
        strict=True,
    )
    objects: Objects = {}
    for key, numbers, turbine in parts:
        held = [
            row(turbine, i)
            for i in numbers
            if stage == "ingestion" or ((turbine, i) in RULES) == (stage == "quarantine")
        ]
        if held:
            objects[key] = held
    return objects


def compared(
    stage: str, objects: Mapping[str, list[Row] | bytes], plan=PLAN
) -> tuple[RowVerdict, Findings, Completeness]:
    lake, findings, completeness = stage_rows(stage, objects), Findings(), Completeness()
    verdict = compare_rows(
        stage, plan, lake, find_owners(lake, plan, 0, SHARE), completeness, findings
    )
    return verdict, findings, completeness


@dataclass(frozen=True)
class Case:
    """One damage to the lake and its findings.

    - `says`: (kind, turbine, hour, key, rows, detail) of all findings.
    - `counts`: fate -> hour -> rows, beside the expected rows.
    - `absent`: indices of expected rows that are missing.
    - `besides`: indices of other rows that are present.
    """

    name: str
    change: Callable[[Objects], object]
    says: list[tuple[str, str, str, str, int, str]] = field(default_factory=list)
    counts: dict[str, dict[int, int]] = field(default_factory=dict)
    absent: tuple[int, ...] = ()
    besides: tuple[int, ...] = ()
    blamed: tuple[str, ...] = ()
    stage: str = "ingestion"


def cell(key: str, number: int, **cells: object) -> Callable[[Objects], object]:
    """Change cells of the row at an index of an object."""
    return lambda objects: objects[key][number].update(cells)


def altered(detail: str, number: int = 3, stage: str = "ingestion", **cells: object) -> Case:
    """Change cells of row 3, 4, 5 or 6 of A-001; `detail` lacks the row's number."""
    key = keys(stage)[2]
    at = number - 3 if stage != "quarantine" else number - 5
    says = [("altered", "A-001", AT_0, key, 1, f"id {number}: {detail}")]
    return Case(
        f"{stage}: {cells}", cell(key, at, **cells), says, {"altered": {HOUR: 1}}, stage=stage
    )


QUARANTINED, VALIDATED = keys("quarantine"), keys("validated")
NOT_THERE = "no such row in the node files"
AT_20, ANN = START + 20 * SECOND, row("A-001", 1)["technician_ref"]

CASES = [
    Case("nothing", lambda objects: None),
    Case(
        "the objects in another order, and the rows",
        lambda objects: [objects.update({key: objects.pop(key)[::-1]}) for key in (C, A, B)],
    ),
    # lost
    Case(
        "objects of two hours of a batch, and rows of another",
        lambda objects: (drop(A, B)(objects), put(C, row("A-001", 4), row("A-001", 6))(objects)),
        [
            ("lost", "A-001", AT_23, A, 1, "missing from the lake: id 1"),
            ("lost", "A-001", AT_0, B, 1, "missing from the lake: id 2"),
            ("lost", "A-001", AT_0, C, 2, "missing from the lake: ids 3, 5"),
        ],
        {"lost": {OLD_HOUR: 1, HOUR: 3}},
        (0, 1, 2, 4),
    ),
    Case(
        "batches of the same ids of two nodes",
        drop(B, D),
        [
            ("lost", "A-001", AT_0, B, 1, "missing from the lake: id 2"),
            ("lost", "A-002", AT_0, D, 2, "missing from the lake: ids 1-2"),
        ],
        {"lost": {HOUR: 3}},
        (1, 6, 7),
    ),
    Case(
        "rows of an unreadable object count as lost and have no finding here",
        lambda objects: (objects.update({C: b"hello"}), drop(A)(objects)),
        [("lost", "A-001", AT_23, A, 1, "missing from the lake: id 1")],
        {"lost": {OLD_HOUR: 1, HOUR: 4}},
        (0, 2, 3, 4, 5),
    ),
    Case(
        "from quarantine",
        put(QUARANTINED[2], row("A-001", 6)),
        [("lost", "A-001", AT_0, QUARANTINED[2], 1, "missing from the lake: id 5")],
        {"lost": {HOUR: 1}},
        (4,),
        stage="quarantine",
    ),
    # duplicated
    Case(
        "twice in its object",
        add(C, row("A-001", 4)),
        [("duplicated", "A-001", AT_0, C, 1, f"already in {bucket_of('ingestion')}/{C}: id 4")],
        {"duplicated": {HOUR: 1}},
        blamed=(C,),
    ),
    Case(
        "three times",
        add(C, row("A-001", 4), row("A-001", 4)),
        [("duplicated", "A-001", AT_0, C, 2, f"already in {bucket_of('ingestion')}/{C}: ids 4, 4")],
        {"duplicated": {HOUR: 2}},
        blamed=(C,),
    ),
    Case(
        "copies in another batch, listed first: the copies are the duplicates",
        add(A, row("A-001", 4), row("A-001", 5)),
        [("duplicated", "A-001", AT_0, A, 2, f"already in {bucket_of('ingestion')}/{C}: ids 4-5")],
        {"duplicated": {HOUR: 2}},
        blamed=(A,),
    ),
    Case(
        "of two copies in place the unaltered one is the original",
        put(A, row("A-001", 1, blade_pitch=2.0), row("A-001", 1)),
        [("duplicated", "A-001", AT_23, A, 1, f"already in {bucket_of('ingestion')}/{A}: id 1")],
        {"duplicated": {OLD_HOUR: 1}},
        blamed=(A,),
    ),
    Case(
        "an altered row in place stays the original",
        lambda objects: (
            put(A, row("A-001", 1, blade_pitch=2.5))(objects),
            add(B, row("A-001", 1))(objects),
        ),
        [
            ("duplicated", "A-001", AT_23, B, 1, f"already in {bucket_of('ingestion')}/{A}: id 1"),
            ("altered", "A-001", AT_23, A, 1, "id 1: blade_pitch is 2.5, the node has 9.125"),
        ],
        {"duplicated": {OLD_HOUR: 1}, "altered": {OLD_HOUR: 1}},
        blamed=(B,),
    ),
    # misplaced
    Case(
        "under another hour",
        move(A, A.replace("hour=23", "hour=22")),
        [
            (
                "misplaced",
                "A-001",
                AT_23,
                A.replace("hour=23", "hour=22"),
                1,
                f"belongs in {A}: id 1",
            )
        ],
        {"misplaced": {OLD_HOUR: 1}},
        blamed=(A.replace("hour=23", "hour=22"),),
    ),
    *(
        Case(
            f"under {name}",
            move(C, C.replace("A-001-3-6", name)),
            [
                (
                    "misplaced",
                    "A-001",
                    AT_0,
                    C.replace("A-001-3-6", name),
                    4,
                    f"belongs in {C}: ids 3-6",
                )
            ],
            {"misplaced": {HOUR: 4}},
            blamed=(C.replace("A-001-3-6", name),),
        )
        for name in ("A-001-3-7", "A-001-2-6", "A-001-copy", "A-002-3-6")
    ),
    Case(
        "rows of two hours in an object of another batch",
        lambda objects: (drop(A, B)(objects), add(C, row("A-001", 1), row("A-001", 2))(objects)),
        [("misplaced", "A-001", AT_23, C, 2, f"belongs in {A}: ids 1-2")],
        {"misplaced": {OLD_HOUR: 1, HOUR: 1}},
        blamed=(C,),
    ),
    # altered
    altered(
        f"timestamp is 2024-01-15 00:00:21+00:00, the node has {AT_20}", timestamp=AT_20 + SECOND
    ),
    altered(f"recorded_at is None, the node has {AT_20}", recorded_at=None),
    altered(f"timestamp is {-(2**63)}, the node has {AT_20}", timestamp=-(2**63)),
    altered("turbine_id is A-003, must be A-001", turbine_id="A-003"),
    altered("turbine_id is None, must be A-001", turbine_id=None),
    altered("farm_id is B, must be A", farm_id="B"),
    altered("status is dancing, must be running", status="dancing"),
    altered("status is standby, must be dancing", 6, status="standby"),
    altered("blade_pitch is 9.5, the node has 9.375", blade_pitch=9.5),
    altered("blade_pitch is nan, the node has 9.375", blade_pitch=math.nan),
    altered("wind_speed is 0.0, the node has null", 5, wind_speed=0.0),
    altered("_rescued_data is {}, must be None", _rescued_data="{}"),
    altered(
        '_rescued_data is {"a": 1}, must be {"a": 1, "wind_speed": "x"}',
        5,
        _rescued_data='{"a": 1}',
    ),
    altered(
        "rotor_rpm is 1.0, the node has 9.5; also blade_pitch", 4, rotor_rpm=1.0, blade_pitch=1.0
    ),
    altered(
        "rotor_rpm is 1.0, the node has 9.5; also blade_pitch, power_output, temperature",
        4,
        **dict.fromkeys(("rotor_rpm", "blade_pitch", "power_output", "temperature"), 1.0),
    ),
    altered(
        "rotor_rpm is 1.0, the node has 9.5; also blade_pitch, power_output, temperature ...",
        4,
        **dict.fromkeys(
            ("rotor_rpm", "blade_pitch", "power_output", "temperature", "ambient_temperature"), 1.0
        ),
    ),
    altered(
        "node_id is n-A-002, the node's configuration has n-A-001",
        stage="enriched",
        node_id="n-A-002",
    ),
    altered("os_arch is x, the node's configuration has None", stage="enriched", os_arch="x"),
    altered(
        f"technician_ref is None, the node's configuration has {ANN}",
        stage="enriched",
        technician_ref=None,
    ),
    altered(
        "hub_height is 81.0, the node's configuration has 80.0", stage="enriched", hub_height=81.0
    ),
    altered(
        "latitude_coarse is 1.0, the node's configuration has None",
        stage="enriched",
        latitude_coarse=1.0,
    ),
    altered(
        "turbine_id is A-002, must be A-001; also rule",
        5,
        "quarantine",
        turbine_id="A-002",
        rule="null",
    ),
    *(
        Case(
            f"the rule alone: {wrong}",
            cell(QUARANTINED[2], number - 5, rule=wrong),
            [
                (
                    "quarantine.wrong-rule",
                    "A-001",
                    AT_0,
                    QUARANTINED[2],
                    1,
                    f"id {number}: rule is {wrong}, {must}",
                )
            ],
            {"altered": {HOUR: 1}},
            stage="quarantine",
        )
        for number, wrong, must in ((5, "null", "must be type"), (6, "type", "must be state"))
    ),
    Case(
        "two rows of an object and one of another",
        lambda objects: (
            cell(C, 1, temperature=1.0)(objects),
            cell(C, 3, rotor_rpm=1.0)(objects),
            cell(D, 1, farm_id=None)(objects),
        ),
        [
            (
                "altered",
                "A-001",
                AT_0,
                C,
                2,
                "ids 4, 6: rotor_rpm is 1.0, the node has 9.75; also temperature",
            ),
            ("altered", "A-002", AT_0, D, 1, "id 2: farm_id is None, must be A"),
        ],
        {"altered": {HOUR: 3}},
    ),
    Case(
        "other names of the same document",
        cell(C, 2, _rescued_data='{"wind_speed":"x","a":1}'),
    ),
    Case(
        "a column missing from the schema counts as altered and has no finding here",
        lambda objects: (
            objects.update(
                {A: parquet(objects[A], INGESTION.remove(INGESTION.get_field_index("blade_pitch")))}
            ),
            cell(C, 0, blade_pitch=1.0)(objects),
        ),
        [("altered", "A-001", AT_0, C, 1, "id 3: blade_pitch is 1.0, the node has 9.375")],
        {"altered": {OLD_HOUR: 1, HOUR: 1}},
    ),
    # unexpected
    Case(
        "rows that the node does not have",
        add(A, row("A-001", 1, id=99), row("A-001", 1, id=7)),
        [("unexpected", "", "", A, 2, f"{NOT_THERE}: ids 7, 99")],
        {"unexpected": {OLD_HOUR: 2}},
        blamed=(A,),
    ),
    Case(
        "in an object of no known form",
        put("ingestion/x.parquet", row("A-001", 1, id=99)),
        [("unexpected", "", "", "ingestion/x.parquet", 1, f"{NOT_THERE}: id 99")],
        {"unexpected": {0: 1}},
        blamed=("ingestion/x.parquet",),
    ),
    Case(
        "rejected rows in a later stage",
        lambda objects: (
            add(VALIDATED[0], row("A-001", 5))(objects),
            add(VALIDATED[2], row("A-001", 6))(objects),
        ),
        [
            (
                "unexpected",
                "A-001",
                AT_0,
                VALIDATED[0],
                1,
                "violates rule `type`, belongs in quarantine: id 5",
            ),
            (
                "unexpected",
                "A-001",
                AT_0,
                VALIDATED[2],
                1,
                "violates rule `state`, belongs in quarantine: id 6",
            ),
        ],
        {"unexpected": {HOUR: 2}},
        besides=(4, 5),
        blamed=(VALIDATED[0], VALIDATED[2]),
        stage="validated",
    ),
    Case(
        "a valid row in quarantine",
        add(QUARANTINED[2], row("A-001", 1)),
        [
            (
                "unexpected",
                "A-001",
                AT_23,
                QUARANTINED[2],
                1,
                "valid, does not belong in quarantine: id 1",
            )
        ],
        {"unexpected": {OLD_HOUR: 1}},
        besides=(0,),
        blamed=(QUARANTINED[2],),
        stage="quarantine",
    ),
    Case(
        "rows of another share",
        put(A.replace("A-001", "A-003"), row("A-001", 1, turbine_id="A-003", id=99)),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_damaged_rows_are_reported(case: Case) -> None:
    objects = right(case.stage)
    case.change(objects)
    verdict, findings, completeness = compared(case.stage, objects)
    bucket = bucket_of(case.stage)
    said = [
        Finding(
            kind,
            stage=case.stage,
            farm=turbine[:1],
            turbine=turbine,
            hour=hour,
            key=f"{bucket}/{key}",
            rows=rows,
            detail=detail,
        )
        for kind, turbine, hour, key, rows, detail in case.says
    ]
    assert sorted(findings.kept, key=str) == sorted(said, key=str)
    belongs = [i for i, belongs in enumerate(PLAN.belongs(case.stage)) if belongs]
    there = {fate: {} for fate in FATES[1:]} | case.counts
    at_23 = 0 in belongs
    there["expected"] = {HOUR: len(belongs) - at_23} | ({OLD_HOUR: 1} if at_23 else {})
    assert completeness.rows.keys() == {
        (case.stage, hour) for hours in there.values() for hour in hours
    }
    assert {
        fate: {hour: cell[fate] for (_, hour), cell in completeness.rows.items() if cell[fate]}
        for fate in FATES
    } == there
    assert verdict.present.nonzero()[0].tolist() == sorted(
        {*belongs, *case.besides} - {*case.absent}
    )
    assert verdict.blamed == {f"{bucket}/{key}" for key in case.blamed}


def test_a_result_is_found_for_the_same_table_and_rows_only() -> None:
    one, at, wrong = pa.table({"id": [1, 2]}), np.array([4, 7]), {"id": np.array([True, False])}
    compared = Compared()
    assert compared.find(None, np.zeros(0, dtype=np.int64)) == {}
    compared.add(one, at, wrong)
    found = wrong.copy()
    wrong["status"] = wrong["id"]
    assert compared.find(one, at.copy()) == found
    for other in (pa.table({"id": [1, 2]}), None):
        assert compared.find(other, at) == {}
    for rows in ([4], [7, 4], [4, 8], []):
        assert compared.find(one, np.array(rows, dtype=np.int64)) == {}


@pytest.mark.parametrize("stage", ["ingestion", "validated", "quarantine", "enriched"])
def test_an_undamaged_stage_passes_and_an_empty_one_has_lost_all(stage: str) -> None:
    assert compared(stage, right(stage))[1].counts == {}
    verdict, findings, completeness = compared(stage, {})
    assert findings.counts == {"lost": len(right(stage))}
    assert completeness.total("lost", (stage,)) == PLAN.belongs(stage).sum()
    assert not verdict.present.any()


def test_nodes_without_rows_have_no_expected_rows() -> None:
    plan = expected([], [])
    verdict, findings, completeness = compared("ingestion", {B: [row("A-001", 2)]}, plan)
    assert [(found.kind, found.detail) for found in findings.kept] == [
        ("unexpected", f"{NOT_THERE}: id 2")
    ]
    assert completeness.rows[("ingestion", HOUR)]["unexpected"] == 1
    assert len(verdict.present) == 0
    assert compared("ingestion", {}, plan)[1].kept == []


@pytest.mark.parametrize(
    ("node_has", "lake_has"), [(None, -(2**63)), (-(2**63), None), (None, 0), (0, None)]
)
@pytest.mark.parametrize("name", ["timestamp", "recorded_at"])
def test_null_equals_no_time(name: str, node_has: int | None, lake_has: int | None) -> None:
    """Keep the smallest integer a time: numpy reads it as NaT, a node's file may hold it."""
    plan = expected([good(1, **{name: node_has})])
    key = f"ingestion/{NEW}/A-001-1-1.parquet"
    for cell_, counted in ((node_has, 0), (lake_has, 1)):
        stored = good(1, farm_id="A", **{name: node_has}) | {name: cell_}
        _, _, completeness = compared("ingestion", {key: [stored]}, plan)
        assert completeness.total("altered", ("ingestion",)) == counted
