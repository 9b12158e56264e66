"""Checkpoints against what they must be after the drain: present, readable, at the node's last row, and the node's."""

from __future__ import annotations

import json

import pytest
from check_world import Memory, expected, good

from sim.check.checkpoints import check_checkpoints
from sim.check.findings import Finding, Findings
from sim.check.lake import ObjectRef

PLAN = expected([good(1), good(7)], [good(1, "A-002"), good(2, "A-002")], [])
BUCKET = "expanso-databricks-checkpoints"
RIGHT = {"schema_version": 1, "turbine_id": "A-001", "last_id": 7, "batches": 2, "node_id": "n-A-001", "more": {}}
SECOND = {"schema_version": 1, "turbine_id": "A-002", "last_id": 2, "batches": 1, "node_id": "n-A-002"}
MANGLED = "not a JSON object with a last_id"


def found(**contents: bytes | None) -> list[tuple[str, str, str]]:
    """(kind, turbine, detail) of what is found; `A_001` .. hold the content of each turbine's checkpoint."""
    objects = {f"{BUCKET}/checkpoints/A/{name.replace('_', '-')}.json": data for name, data in contents.items()}
    refs = [ObjectRef(*name.split("/", 1), 0) for name in objects]
    findings = Findings()
    findings.add(Finding("before"))
    count = check_checkpoints(Memory(objects), refs, PLAN, findings)
    told = findings.kept[1:]
    assert count == len(told)
    for one in told:
        key = f"{BUCKET}/checkpoints/A/{one.turbine}.json"
        assert one == Finding(one.kind, "checkpoints", "A", one.turbine, "", key, 0, one.detail)
    return [(one.kind.removeprefix("checkpoint."), one.turbine, one.detail) for one in told]


@pytest.mark.parametrize(
    ("content", "kind", "detail"),
    [
        (RIGHT, None, ""),
        (RIGHT | {"last_id": 6}, "behind", "last_id is 6, the node's last row is 7"),
        (RIGHT | {"last_id": 8}, "ahead", "last_id is 8, the node's last row is 7"),
        (RIGHT | {"schema_version": 2}, "disagrees", "schema_version is 2, must be 1"),
        (RIGHT | {"turbine_id": "A-002"}, "disagrees", "turbine_id is A-002, must be A-001"),
        (RIGHT | {"batches": 1, "node_id": "n"}, "disagrees", "node_id is n, must be n-A-001; batches is 1, must be 2"),
        (None, "missing", "the node has rows up to id 7"),
        (b"hello", "unreadable", MANGLED),
        (b"\xff", "unreadable", MANGLED),
        (b'{"last_id": 1e999}', "unreadable", MANGLED),
        (b"[" * 100_000, "unreadable", MANGLED),
        *(({"last_id": cursor}, "unreadable", MANGLED) for cursor in (None, "7", 7.0, 7.5, True, [7])),
        ({}, "unreadable", MANGLED),
        ([7], "unreadable", MANGLED),
    ],
)  # fmt: skip
def test_what_a_checkpoint_must_be(content: object, kind: str | None, detail: str) -> None:
    data = content if content is None or isinstance(content, bytes) else json.dumps(content).encode()
    assert found(A_001=data, A_002=json.dumps(SECOND).encode()) == ([(kind, "A-001", detail)] if kind else [])


def test_a_node_without_rows_needs_none_and_may_not_be_beyond_them() -> None:
    one, two = json.dumps(RIGHT).encode(), json.dumps(SECOND).encode()
    start = SECOND | {"turbine_id": "A-003", "node_id": "n-A-003", "batches": 0}
    assert found(A_001=one, A_002=two, A_003=json.dumps(start | {"last_id": 0}).encode()) == []
    ahead = found(A_001=one, A_002=two, A_003=json.dumps(start | {"last_id": 1}).encode())
    assert ahead == [("ahead", "A-003", "last_id is 1, the node's last row is 0")]
    assert [(kind, turbine) for kind, turbine, _ in found(A_001=one)] == [("missing", "A-002")]
