"""The expected rows of a node: their hours, batches and stages, and the enriched columns."""

from __future__ import annotations

import hashlib
import hmac
import random

import numpy as np
import pyarrow as pa
import pytest

from pipeline import batch, source
from pipeline.records import GENERATION_IDS
from sim.check.expected import rows as expected_rows
from sim.check.expected.rows import MAX_BATCH_ROWS, Expectation, enrichment, expect, late
from sim.check.read.nodes import NODE_ROWS
from tests.support.check_world import ASSET, SECOND, START, Row, expected, good, node

HOUR = 473_688
SLOT = 60 * SECOND
YEAR_1, YEAR_10000 = -62_135_596_800 * SECOND, 253_402_300_800 * SECOND


def batches(plan: Expectation) -> list[tuple[int, int, int]]:
    """Return (owner, first id, last id) of each batch; check that rows refer to their batch."""
    b = plan.batches
    assert plan.batch.tolist() == np.repeat(np.arange(len(b.owner)), b.end - b.start).tolist()
    assert plan.id[b.start].tolist() == b.first.tolist()
    return list(zip(b.owner.tolist(), b.first.tolist(), b.last.tolist(), strict=True))


def recorded(*seconds: float | None, turbine: str = "A-001") -> list[Row]:
    """Rows recorded at these seconds; None: without a time."""
    times = [None if second is None else START + int(second * SECOND) for second in seconds]
    return [good(i, turbine, recorded_at=time) for i, time in enumerate(times, 1)]


@pytest.mark.parametrize(
    ("seconds", "ranges"),
    [
        ([], []),
        ([0, 59.999999, 60, 119, 120], [(0, 1, 2), (0, 3, 4), (0, 5, 5)]),
        ([-0.000001, 0], [(0, 1, 1), (0, 2, 2)]),
        ([0, 90, 30], [(0, 1, 1), (0, 2, 2), (0, 3, 3)]),  # a clock set back also ends a batch
        ([0, None, None, 30, None, 60, None], [(0, 1, 5), (0, 6, 7)]),
        ([None, None, 0, 30], [(0, 1, 2), (0, 3, 4)]),
        ([None, None], [(0, 1, 2)]),
        ([0, 600], [(0, 1, 1), (0, 2, 2)]),
    ],
)
def test_a_batch_ends_where_the_recording_time_crosses_a_flush(
    seconds: list[float | None], ranges: list[tuple[int, int, int]]
) -> None:
    assert batches(expected(recorded(*seconds))) == ranges


@pytest.mark.parametrize("first", [-(2**63), 2**63 - 1, 0])
def test_any_integer_is_a_recording_time_and_null_is_not(first: int) -> None:
    rows = [good(i, recorded_at=time) for i, time in enumerate((None, first, None, START), 1)]
    assert batches(expected(rows)) == [(0, 1, 1), (0, 2, 3), (0, 4, 4)]


def test_each_node_has_its_own_flush_and_its_own_batches() -> None:
    nodes = [node("A-001"), node("A-002", flush_every_s=300), node("A-003"), node("A-004")]
    series = [recorded(0, 60, 299, turbine=n.turbine) for n in nodes[:2]] + [
        [],
        recorded(None, 299, turbine="A-004"),
    ]
    assert batches(expected(*series, nodes=nodes)) == [
        (0, 1, 1), (0, 2, 2), (0, 3, 3), (1, 1, 3), (3, 1, 1), (3, 2, 2),
    ]  # fmt: skip


def test_a_fresh_file_begins_a_batch() -> None:
    rows = recorded(0, 1, 2, None, 4, 5)
    for i, number in enumerate(
        (1, GENERATION_IDS - 1, GENERATION_IDS, GENERATION_IDS + 1, GENERATION_IDS + 2)
    ):
        rows[i]["id"] = number
    rows[5]["id"] = 2 * GENERATION_IDS + 1
    rows[2]["recorded_at"] = None
    plan = expected(rows)
    assert batches(plan) == [
        (0, 1, GENERATION_IDS - 1),
        (0, GENERATION_IDS, GENERATION_IDS + 1),
        (0, GENERATION_IDS + 2, GENERATION_IDS + 2),
        (0, 2 * GENERATION_IDS + 1, 2 * GENERATION_IDS + 1),
    ]


def test_a_batch_has_a_hundred_thousand_rows_at_most() -> None:
    ids = np.arange(1, 5 + 2 * MAX_BATCH_ROWS)
    columns = {
        "id": ids,
        "recorded_at": np.where(ids < 4, START - SECOND, START),
        "misfit": ids > 0,
    }
    rows = [
        pa.array(columns[f.name]) if f.name in columns else pa.nulls(len(ids), f.type)
        for f in NODE_ROWS
    ]
    plan = expect([node()], [pa.table(rows, schema=NODE_ROWS)])
    assert batches(plan) == [
        (0, 1, 3),
        (0, 4, 100_003),
        (0, 100_004, 200_003),
        (0, 200_004, 200_004),
    ]


@pytest.mark.parametrize("most", [3, 4])
def test_a_full_batch_is_followed_as_the_pipeline_follows_it(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Plant: a row without a recording time goes with a batch that is full already."""
    monkeypatch.setattr(expected_rows, "MAX_BATCH_ROWS", most)
    monkeypatch.setattr(batch, "MAX_BATCH_ROWS", most)
    monkeypatch.setattr(batch, "READ_ROWS", most + 1)
    draw = random.Random(most)
    for _ in range(60):
        times = [draw.choice((None, None, START, START, START + SLOT)) for _ in range(20)]
        _, found = expected_rows._batches(
            np.zeros(20, np.int64),
            np.arange(1, 21),
            np.array([each or 0 for each in times]),
            np.array([each is None for each in times]),
            [node()],
        )
        assert list(zip(found.first.tolist(), found.last.tolist(), strict=True)) == drained(times)


def test_a_full_batch_before_rows_without_a_time() -> None:
    """As above, with the number of rows that a batch may have, all recorded in one hour."""
    count = MAX_BATCH_ROWS + 10
    times = [START if i < MAX_BATCH_ROWS or i > MAX_BATCH_ROWS + 4 else None for i in range(count)]
    _, found = expected_rows._batches(
        np.zeros(count, np.int64),
        np.arange(1, count + 1),
        np.array([each or 0 for each in times]),
        np.array([each is None for each in times]),
        [node()],
    )
    ranges = list(zip(found.first.tolist(), found.last.tolist(), strict=True))
    assert ranges == drained(times) == [(1, 100_000), (100_001, 100_005), (100_006, 100_010)]


def drained(recorded: list[int | None]) -> list[tuple[int, int]]:
    """Return the ids of the batches that the pipeline delivers, read by read."""
    out: list[tuple[int, int]] = []
    while True:
        last = out[-1][1] if out else 0
        part = recorded[last:][: batch.READ_ROWS]
        columns = {
            "id": pa.array(range(last + 1, last + 1 + len(part)), pa.int64()),
            "recorded_at": pa.array(part, pa.int64()),
        }
        nothing = [columns.get(f.name, pa.nulls(len(part), f.type)) for f in source.RAW]
        found = batch.cut(pa.table(nothing, schema=source.RAW), node().flush_every_s, 1 << 62)
        out += [each.id_range for each in found]
        if not found or found[-1].final:
            return out


@pytest.mark.parametrize(
    ("timestamp", "recorded_at", "hour"),
    [
        (START, START - SECOND, HOUR),
        (START - 1, START, HOUR - 1),
        (None, START, HOUR),
        (None, None, 0),
        (YEAR_1, START, YEAR_1 // (3600 * SECOND)),
        (YEAR_1 - 1, START, HOUR),
        (YEAR_10000 - 1, START, YEAR_10000 // (3600 * SECOND) - 1),
        (YEAR_10000, START, HOUR),
        (YEAR_10000, YEAR_10000, 0),
        (YEAR_1 - 1, YEAR_1 - 1, 0),
    ],
)
def test_a_row_is_under_the_hour_of_its_event_or_its_recording(
    timestamp, recorded_at, hour
) -> None:
    plan = expected([good(1, timestamp=timestamp, recorded_at=recorded_at)])
    assert plan.hour.tolist() == [hour]
    assert plan.batches.hour.tolist() == [
        HOUR - (recorded_at == START - SECOND) if recorded_at in (START, START - SECOND) else 0
    ]


def test_each_stage_has_its_expected_rows() -> None:
    plan = expected([good(1), good(2, misfit=True), good(3, status="dancing"), good(4)])
    places = {
        stage: np.flatnonzero(plan.belongs(stage)).tolist()
        for stage in ("ingestion", "validated", "enriched")
    }
    assert places == {"ingestion": [0, 1, 2, 3], "validated": [0, 3], "enriched": [0, 3]}
    assert np.flatnonzero(plan.belongs("quarantine")).tolist() == [1, 2]


def test_cells_come_from_each_node() -> None:
    nodes = [node("A-001"), node("B-001"), node("A-002")]
    plan = expected(
        [], [good(1, "B-001")], [good(1, "A-002", blade_pitch=None), good(9, "A-001")], nodes=nodes
    )
    assert plan.owner.tolist() == [1, 2, 2]
    assert plan.id.tolist() == [1, 1, 9]
    assert plan.index.find(np.array([2, 1, 0]), np.array([9, 1, 1])).tolist() == [2, 0, -1]
    assert plan.vocabularies["farm_id"].take(pa.array(plan.columns["farm_id"])).to_pylist() == [
        "B",
        "A",
        "A",
    ]
    assert plan.vocabularies["turbine_id"].take(
        pa.array(plan.columns["turbine_id"])
    ).to_pylist() == [
        "B-001",
        "A-002",
        "A-001",
    ]
    assert plan.rule.tolist() == plan.columns["rule"].tolist() == [-1, 1, 2]


def test_a_late_row_is_valid_and_older_than_an_earlier_row() -> None:
    times = (0, 20, 10, 20, 15, 30, 29, 40)
    first = [
        good(i, timestamp=START + time * SECOND, recorded_at=START)
        for i, time in enumerate(times, 1)
    ]
    first[5] |= {"status": "dancing"}  # 30: does not count
    first[6] |= {"timestamp": START + 5 * SECOND, "misfit": True}  # neither does 5
    second = [good(1, "A-002", timestamp=START - SECOND), good(2, "A-002", timestamp=START)]
    assert late(expected(first)) == 2  # 10 and 15; the second 20 is a duplicate
    assert late(expected(first, second)) == 2
    assert late(expected(second, [], [row | {"turbine_id": "A-003"} for row in first])) == 2
    assert late(expected([], [])) == late(expected([good(1, misfit=True)])) == 0


def test_enrichment_leaves_out_persons_and_exact_coordinates() -> None:
    labels = {"region": "eu-west-1", "os_arch": "arm64", "version": "v1.7.0", "name": "A-001"}
    asset = ASSET | {"operator_contact": "ann@x.example", "latitude": 40.1234, "longitude": -0.06}
    asset |= {"turbine_type": "T3", "serial_number": "S-1", "hub_height": 100.0}
    values = enrichment(node(labels=labels, asset=asset, privacy_key="00ff"))
    secret = hmac.new(b"\x00\xff", b"ann@x.example", hashlib.sha256).hexdigest()
    assert values == {
        "job_id": "j-1",
        "execution_id": "e-1",
        "node_id": "n-A-001",
        "region": "eu-west-1",
        "os_arch": "arm64",
        "node_version": "v1.7.0",
        "operator_ref": "p-" + secret[:16],
        "technician_ref": None,
        "latitude_coarse": 40.1,
        "longitude_coarse": -0.1,
        "turbine_type": "T3",
        "serial_number": "S-1",
        "installation_date": None,
        "rated_power": 3.0,
        "hub_height": 100.0,
    }
    unknown = enrichment(node(labels={}, asset=asset | {"latitude": None}, privacy_key=""))
    assert (unknown["operator_ref"], unknown["latitude_coarse"], unknown["region"]) == (
        None,
        None,
        None,
    )
