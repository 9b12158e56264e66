"""Checkpoints after the drain: present, readable, at the node's last row and of the right node."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.records import CHANNELS
from sim.check.compare.checkpoints import _state, check_checkpoints
from sim.check.findings import Finding, Findings
from sim.check.read.lake import ObjectRef
from tests.support.check_world import SECOND as SECOND_US
from tests.support.check_world import START, Memory, Row, expected, good, node

PLAN = expected([good(1), good(7)], [good(1, "A-002"), good(2, "A-002")], [])
BUCKET = "expanso-databricks-checkpoints"
MINUTE = 60 * SECOND_US


def series(number: int, time: int) -> dict[str, list[float | int]]:
    """Series of a node whose last row is `good(number)`, at `time`, each one reading long."""
    rests = {channel.name for channel in CHANNELS if channel.stuck}
    return {name: [value, 1, time] for name, value in good(number).items() if name in rests}


def state(turbine: str, last_id: int, batches: int, newest: int) -> dict[str, Any]:
    """Return the checkpoint of a node whose last row is `good(last_id)`."""
    known = {
        "schema_version": 1,
        "turbine_id": turbine,
        "node_id": f"n-{turbine}",
        "last_id": last_id,
    }
    known |= {"anchor_us": newest, "batches": batches, "max_event_us": newest, "open_windows": {}}
    return known | {
        "closed_until_us": newest // MINUTE * MINUTE + MINUTE,
        "runs": series(last_id, newest),
    }


RIGHT, SECOND = state("A-001", 7, 2, START + MINUTE), state("A-002", 2, 1, START + 10 * SECOND_US)
MANGLED = "not a JSON object with an integer last_id"


def found(**contents: bytes | None) -> list[tuple[str, str, str]]:
    """Return (kind, turbine, detail) of each finding; `A_001` .. give each turbine's checkpoint."""
    objects = {
        f"{BUCKET}/checkpoints/A/{name.replace('_', '-')}.json": data
        for name, data in contents.items()
    }
    refs = [ObjectRef(*name.split("/", 1), 0) for name in objects]
    findings = Findings()
    findings.add(Finding("before"))
    count = check_checkpoints(Memory(objects), refs, PLAN, findings)
    told = findings.kept[1:]
    assert count == len(told)
    for one in told:
        key = f"{BUCKET}/checkpoints/A/{one.turbine}.json"
        assert one == Finding(
            one.kind, stage="checkpoints", farm="A", turbine=one.turbine, key=key, detail=one.detail
        )
    return [(one.kind.removeprefix("checkpoint."), one.turbine, one.detail) for one in told]


@pytest.mark.parametrize(
    ("content", "kind", "detail"),
    [
        (RIGHT, None, ""),
        (
            RIGHT | {"last_id": 6},
            "behind",
            "last_id is 6, must be 7, the id of the node's last row",
        ),
        (RIGHT | {"last_id": 8}, "ahead", "last_id is 8, must be 7, the id of the node's last row"),
        (RIGHT | {"schema_version": 2}, "disagrees", "schema_version is 2, must be 1"),
        (RIGHT | {"turbine_id": "A-002"}, "disagrees", 'turbine_id is "A-002", must be "A-001"'),
        (
            RIGHT | {"batches": 1, "node_id": "n"},
            "disagrees",
            'batches is 1, must be 2; node_id is "n", must be "n-A-001"',
        ),
        (RIGHT | {"batches": "2"}, "disagrees", 'batches is "2", must be 2'),
        (RIGHT | {"batches": 2.0}, "disagrees", "batches is 2.0, must be 2"),
        (RIGHT | {"schema_version": True}, "disagrees", "schema_version is true, must be 1"),
        (RIGHT | {"more": {}}, "disagrees", "more must not be present"),
        (RIGHT | {"anchor_us": None}, "disagrees", f"anchor_us is null, must be {START + MINUTE}"),
        (RIGHT | {"max_event_us": 5}, "disagrees", f"max_event_us is 5, must be {START + MINUTE}"),
        (
            RIGHT | {"closed_until_us": 5},
            "disagrees",
            f"closed_until_us is 5, must be {START + 2 * MINUTE}",
        ),
        (RIGHT | {"open_windows": []}, "disagrees", "open_windows is [], must be {}"),
        (RIGHT | {"open_windows": {"5": [1]}}, "disagrees", "open_windows.5 must not be present"),
        (
            RIGHT | {"runs": RIGHT["runs"] | {"wind_speed": [9.875, 2, START + MINUTE]}},
            "disagrees",
            (
                f"runs.wind_speed is [9.875, 2, {START + MINUTE}], "
                f"must be [9.875, 1, {START + MINUTE}]"
            ),
        ),
        (
            RIGHT | {"runs": RIGHT["runs"] | {"wind_speed": [9.875, 1]}},
            "disagrees",
            f"runs.wind_speed is [9.875, 1], must be [9.875, 1, {START + MINUTE}]",
        ),
        (
            {name: value for name, value in RIGHT.items() if name != "max_event_us"},
            "disagrees",
            f"max_event_us is missing, must be {START + MINUTE}",
        ),
        (None, "missing", "missing, the node has rows up to id 7"),
        (b"hello", "unreadable", None),
        (b"\xff", "unreadable", None),
        (b'{"last_id": 1e999}', "unreadable", None),
        (b'{"last_id": 7, "last_id": 7}', "unreadable", None),
        (b"\xef\xbb\xbf{}", "unreadable", None),
        (b"[" * 100_000, "unreadable", None),
        *(
            ({"last_id": cursor}, "unreadable", MANGLED)
            for cursor in (None, "7", 7.0, 7.5, True, [7])
        ),
        ({}, "unreadable", MANGLED),
        ([7], "unreadable", MANGLED),
    ],
)
def test_a_checkpoint_that_differs_from_its_rows_is_reported(
    content: object, kind: str | None, detail: str | None
) -> None:
    data = (
        content if content is None or isinstance(content, bytes) else json.dumps(content).encode()
    )
    says = found(A_001=data, A_002=json.dumps(SECOND).encode())
    if detail is None:  # the JSON parser's own message
        says = [(kind, turbine, None) for kind, turbine, _ in says]
    assert says == ([(kind, "A-001", detail)] if kind else [])


def test_a_node_without_rows_needs_no_checkpoint() -> None:
    one, two = json.dumps(RIGHT).encode(), json.dumps(SECOND).encode()
    nothing = dict.fromkeys(("anchor_us", "max_event_us", "closed_until_us"))
    start = SECOND | {
        "turbine_id": "A-003",
        "node_id": "n-A-003",
        "batches": 0,
        "runs": {},
        **nothing,
    }
    assert found(A_001=one, A_002=two, A_003=json.dumps(start | {"last_id": 0}).encode()) == []
    ahead = found(A_001=one, A_002=two, A_003=json.dumps(start | {"last_id": 1}).encode())
    assert ahead == [("ahead", "A-003", "last_id is 1, must be 0, the id of the node's last row")]
    assert [(kind, turbine) for kind, turbine, _ in found(A_001=one)] == [("missing", "A-002")]


def of_rows(*rows: Row, **changes: Any) -> dict[str, Any]:
    """Return the checkpoint of a node with these rows."""
    return _state(expected(list(rows), nodes=[node(**changes)]), 0, slice(0, len(rows)), 1)


def test_the_newest_event_comes_from_a_valid_row_and_closes_its_windows() -> None:
    rows = [good(1), good(9), good(3), good(4, timestamp=START + MINUTE * 4, status="dancing")]
    found = of_rows(*rows, window_s=50)
    assert (found["max_event_us"], found["closed_until_us"]) == (
        START + 80 * SECOND_US,
        START + 100 * SECOND_US,
    )
    assert (found["anchor_us"], found["last_id"], found["runs"]) == (START + 30 * SECOND_US, 4, {})
    none = of_rows(good(1, status="dancing"), good(2, recorded_at=None, misfit=True))
    assert [none[name] for name in ("max_event_us", "closed_until_us", "anchor_us", "runs")] == [
        None,
        None,
        None,
        {},
    ]


@pytest.mark.parametrize(
    ("values", "count"),
    [
        ([1.0], 1),
        ([1.0, 2.0, 2.0], 2),
        ([2.0] * 5, 5),
        ([2.0] * 16, 16),
        ([2.0] * 17, 17),
        ([1.0] + [2.0] * 100, 100),
    ],
)
def test_a_series_goes_back_to_the_first_equal_reading(values: list[float], count: int) -> None:
    rows = [good(i, wind_speed=value) for i, value in enumerate(values, 1)]
    first = rows[-count]["timestamp"]
    assert of_rows(*rows)["runs"]["wind_speed"] == [values[-1], count, first]
    rows[-1] |= {
        "timestamp": rows[-2]["timestamp"] if len(rows) > 1 else START
    }  # a repeated row ends no series
    assert of_rows(*rows)["runs"]["wind_speed"] == [values[-1], count, rows[-count]["timestamp"]]


def test_a_rejected_row_ends_every_series() -> None:
    rows = [good(i, wind_speed=8.0, status="dancing" if i == 3 else "running") for i in range(1, 8)]
    assert of_rows(*rows)["runs"]["wind_speed"] == [8.0, 4, rows[3]["timestamp"]]


def test_channels_that_may_stay_constant_have_no_series() -> None:
    assert of_rows(good(1))["runs"].keys() == {
        channel.name for channel in CHANNELS if channel.stuck
    }


def test_a_checkpoint_under_another_farm_is_reported() -> None:
    key = "checkpoints/B/A-001.json"
    findings, right = Findings(), json.dumps(RIGHT).encode()
    objects = {f"{BUCKET}/{key}": right, f"{BUCKET}/checkpoints/A/A-001.json": right}
    objects[f"{BUCKET}/checkpoints/A/A-002.json"] = json.dumps(SECOND).encode()
    assert (
        check_checkpoints(
            Memory(objects), [ObjectRef(*n.split("/", 1), 0) for n in objects], PLAN, findings
        )
        == 1
    )
    (one,) = findings.kept
    assert (one.kind, one.turbine, one.key) == ("checkpoint.unexpected", "A-001", f"{BUCKET}/{key}")
    assert one.detail == "the farm is B, must be A"
