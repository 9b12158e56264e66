"""Checkpoints read back: the state that was written, or one error that names the field."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.checkpoint import Checkpoint, CheckpointError
from pipeline.node import EdgeNode, Failed
from pipeline.sums import COLUMNS
from tests.support.pipeline_world import config, drain, drive, good, write


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"schema_version":1}',
        b'{"schema_version":9,"turbine_id":"A-001"}',
        b"null",
    ],
)
def test_a_document_that_is_no_checkpoint_is_refused(body: bytes) -> None:
    with pytest.raises(CheckpointError):
        Checkpoint.from_json(body, "A-001")


NOW = 1_705_276_800_000_000
OPEN = tuple(float(i) for i in range(1, COLUMNS + 1))
STATE = Checkpoint(
    9,
    2,
    NOW,
    NOW - 7,
    {"wind_speed": (-0.0, 3, NOW), "temperature": (0.1, 1, NOW)},
    {NOW - 5: OPEN},
    NOW + 1,
)


def test_a_checkpoint_survives_json() -> None:
    state = STATE
    body = state.to_json("A-001", "n-1")
    again = Checkpoint.from_json(body, "A-001")
    assert again == state
    assert again.to_json("A-001", "n-1") == body
    document = json.loads(body)
    document["turbine_id"] = "A-002"
    with pytest.raises(CheckpointError, match="A-002"):
        Checkpoint.from_json(json.dumps(document).encode(), "A-001")
    document |= {"turbine_id": "A-001", "runs": [1]}
    with pytest.raises(CheckpointError):
        Checkpoint.from_json(json.dumps(document).encode(), "A-001")


SUMS = list(OPEN)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        *(({name: value}, name)
          for name in ("last_id", "batches") for value in (True, 9.0, "9", None, -1, 2**63, [9])),
        ({"last_id": 1}, "batches is 2"),
        *(({"max_event_us": value}, "max_event_us")
          for value in (True, 1.0, "x", NOW * 10, 0, None)),
        *(({"closed_until_us": value}, "closed_until_us")
          for value in (True, 1.0, "x", 2**63, NOW * 2, None)),
        *(({"anchor_us": value}, "anchor_us") for value in (True, 1.0, "x", 2**63)),
        ({"schema_version": True}, "schema True"),
        ({"schema_version": 1.0}, "schema 1.0"),
        ({"node_id": 7}, "node_id"),
        ({"more": 1}, "unknown field 'more'"),
        *(({"runs": value}, "runs is") for value in ([], None, "x", 1)),
        ({"runs": {"humidity": [1.0, 1, NOW]}}, "runs.humidity"),
        ({"runs": {"blade_pitch": [1.0, 1, NOW]}}, "runs.blade_pitch"),
        *(({"runs": {"wind_speed": v}}, "runs.wind_speed is")
          for v in ([1.0, 1], [1.0, 1, NOW, 1], None, "abc")),
        *(({"runs": {"wind_speed": [v, 1, NOW]}}, "runs.wind_speed[0]")
          for v in (True, "1", None, -1.0, 76, 10**400)),
        *(({"runs": {"wind_speed": [1.0, n, NOW]}}, "runs.wind_speed[1]")
          for n in (True, 0, 1.0, "1")),
        *(({"runs": {"wind_speed": [1.0, 1, t]}}, "runs.wind_speed[2]")
          for t in (True, 5, 1.7e15, None)),
        *(({"open_windows": value}, "open_windows is") for value in ([], None, 1)),
        *(({"open_windows": {at: SUMS}}, "open_windows." + at[:9])
          for at in ("x", "-1", "01", "1.0", "9" * 30)),
        ({"open_windows": {str(NOW + 1): SUMS}}, "after max_event_us"),
        *(({"open_windows": {"7": value}}, "open_windows.7 is")
          for value in (SUMS[1:], [*SUMS, 1.0], {}, None, [])),
        *(({"open_windows": {"7": [n, *SUMS[1:]]}}, "open_windows.7[0]")
          for n in (0, 1.5, True, -1.0)),
        ({"open_windows": {"7": [*SUMS[:3], "x", *SUMS[4:]]}}, "open_windows.7[3]"),
        ({"open_windows": {"7": [*SUMS[:6], -1.0, *SUMS[7:]]}}, "open_windows.7[6]"),
        ({"open_windows": {"7": [*SUMS[:11], 99.0, *SUMS[12:]]}}, "above its maximum"),
    ],
)  # fmt: skip
def test_an_invalid_field_is_named(changes: dict[str, object], place: str) -> None:
    document = json.loads(STATE.to_json("A-001", "n-1")) | changes
    with pytest.raises(CheckpointError, match=re.escape(place)):
        Checkpoint.from_json(json.dumps(document).encode(), "A-001")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda body: b"\xef\xbb\xbf" + body, "BOM"),
        (lambda body: body.decode().encode("utf-16"), "utf-8"),
        (lambda body: body[:-1] + b',"batches":2}', "duplicate field 'batches'"),
        (lambda body: body.replace(b"0.1", b"NaN"), "NaN"),
        (lambda body: body.replace(b"0.1", b"-Infinity"), "-Infinity"),
        (lambda body: body.replace(b"0.1", b"1e999"), "runs.temperature[0]"),
        (lambda body: body.replace(b"0.1", b"9" * 5000), "digits"),
        (lambda body: body.replace(b"0.1", b"[" * 100_000), "nested too deep"),
        (lambda body: body.replace(b"0.1", b"[" * 500 + b"]" * 500), "runs.temperature[0]"),
        (lambda body: body.replace(b'"runs"', b'"sums"'), "unknown field 'sums'"),
        (lambda body: body.replace(b'"node_id":"n-1",', b""), "missing field 'node_id'"),
        (lambda body: body[:-9], "not a checkpoint"),
    ],
)
def test_ambiguous_json_is_refused(change: Callable[[bytes], bytes], expected: str) -> None:
    with pytest.raises(CheckpointError, match=re.escape(expected)):
        Checkpoint.from_json(change(STATE.to_json("A-001", "n-1")), "A-001")


def test_a_window_may_be_closed_as_far_ahead_as_windows_are_long() -> None:
    ahead = replace(STATE, closed_until_us=NOW + 86_400_000_001)
    body = ahead.to_json("A-001", "n-1")
    assert Checkpoint.from_json(body, "A-001", 86_401) == ahead
    with pytest.raises(CheckpointError, match="closed_until_us"):
        Checkpoint.from_json(body, "A-001", 86_400)


def test_a_node_with_an_invalid_checkpoint_stops_and_names_it(tmp_path: Path) -> None:
    database = tmp_path / "n.db"
    store = drain(database, [good(1), good(2)])
    (place,) = [place for place in store.objects if place[0].endswith("checkpoints")]
    store.objects[place] = store.objects[place].replace(
        b'"closed_until_us":', b'"closed_until_us":0.'
    )
    before = dict(store.objects)
    write(database, [good(3)])
    node = EdgeNode(config(), database)
    (failed,) = drive([node], store)
    assert isinstance(failed, Failed)
    assert isinstance(node.stopped, CheckpointError)
    assert "/".join(place) in str(failed.error)
    assert "closed_until_us is 0." in str(failed.error)
    assert "remove it" in str(failed.error)
    assert store.objects == before
