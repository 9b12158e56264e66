"""Checkpoints after the drain, compared with the state that follows from the node's rows.

`checkpoint.missing`
`checkpoint.unreadable`
`checkpoint.behind`      its cursor (`last_id`) is before the node's last row
`checkpoint.ahead`       its cursor is beyond the node's last row, so later rows would be skipped
`checkpoint.disagrees`   any other field: identity, number of batches, newest event, end of the last
                         window made, current series, open windows, time of the last row
`checkpoint.unexpected`  its key names a farm that is not the node's

Fields are compared as JSON: `true` and `1.0` are not 1.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from pipeline.records import CHANNELS, RULES, SCHEMA_VERSION
from sim.check.expected.rows import SECOND_US, Expectation
from sim.check.findings import Finding, Findings
from sim.check.read.columns import NULL, Floats
from sim.check.read.json_document import parse, same
from sim.check.read.keys import bucket_of, read_checkpoint_key
from sim.check.read.lake import ObjectRef, Reads

STAGE: Final = "checkpoints"
_ENDS_SERIES: Final = RULES.index("stuck")
"""A row that violates a rule before this one ends every series."""


def check_checkpoints(
    reader: Reads, refs: Sequence[ObjectRef], expected: Expectation, findings: Findings
) -> int:
    """Report defects of checkpoints. Return the number of findings. Raises LakeError."""
    before = findings.counts.total()
    found = {
        read_checkpoint_key(ref.key): content
        for ref, content in zip(refs, reader.read(refs), strict=True)
    }
    bounds = np.searchsorted(expected.owner, np.arange(len(expected.nodes) + 1)).tolist()
    batches = np.bincount(expected.batches.owner, minlength=len(expected.nodes)).tolist()
    for i, node in enumerate(expected.nodes):
        right = _state(expected, i, slice(bounds[i], bounds[i + 1]), batches[i])
        key = f"{bucket_of(STAGE)}/checkpoints/{node.farm}/{node.turbine}.json"
        for kind, detail in _problem(found.get((node.farm, node.turbine)), right):
            findings.add(
                Finding(
                    f"checkpoint.{kind}",
                    stage=STAGE,
                    farm=node.farm,
                    turbine=node.turbine,
                    key=key,
                    detail=detail,
                )
            )
    farms = {node.turbine: node.farm for node in expected.nodes}
    for ref in refs:
        farm, turbine = read_checkpoint_key(ref.key) or ("", "")
        if turbine in farms and farm != farms[turbine]:
            findings.add(
                Finding(
                    "checkpoint.unexpected",
                    stage=STAGE,
                    farm=farms[turbine],
                    turbine=turbine,
                    key=ref.name,
                    detail=f"the farm is {farm}, must be {farms[turbine]}",
                )
            )
    return findings.counts.total() - before


def _state(expected: Expectation, owner: int, rows: slice, batches: int) -> dict[str, Any]:
    """Expected checkpoint of a node after all of its rows are delivered and its windows made."""
    node = expected.nodes[owner]
    time = expected.columns["timestamp"][rows]
    untimed = expected.null["recorded_at"][rows]
    newest = time[expected.rule[rows] < 0].max(initial=NULL).item()
    window_us = node.window_s * SECOND_US
    return {
        "schema_version": SCHEMA_VERSION,
        "turbine_id": node.turbine,
        "node_id": node.ids["node_id"],
        "last_id": int(expected.id[rows.stop - 1]) if len(time) else 0,
        "anchor_us": int(expected.columns["recorded_at"][rows.stop - 1])
        if len(time) and not untimed[-1]
        else None,
        "batches": batches,
        "max_event_us": None if newest == NULL else newest,
        "closed_until_us": None if newest == NULL else newest // window_us * window_us + window_us,
        "runs": _series(expected, rows),
        "open_windows": {},
    }


def _series(expected: Expectation, rows: slice) -> dict[str, list[float | int]]:
    """Series of equal readings up to the last row: channel -> value, rows, time of the first.

    Only channels that can be stuck have one.
    """
    rule = expected.rule[rows]
    broken = np.flatnonzero((rule >= 0) & (rule < _ENDS_SERIES))
    sound = slice(rows.start + int(broken[-1]) + 1 if len(broken) else rows.start, rows.stop)
    if sound.start == sound.stop:
        return {}
    out: dict[str, list[float | int]] = {}
    for channel in CHANNELS:
        if channel.stuck:
            values = expected.readings.channels[channel.name][sound]
            count = _equal_at_the_end(values)
            out[channel.name] = [
                float(values[-1]),
                count,
                int(expected.columns["timestamp"][sound.stop - count]),
            ]
    return out


def _equal_at_the_end(values: Floats) -> int:
    """Number of equal values at the end. Looks back in steps of growing size."""
    size = 16
    while True:
        others = np.flatnonzero(values[-size:] != values[-1])
        if len(others) or size >= len(values):
            return min(size, len(values)) - (int(others[-1]) + 1 if len(others) else 0)
        size *= 4


def _problem(content: bytes | None, right: dict[str, Any]) -> list[tuple[str, str]]:
    """Return at most one (kind, detail). A node without rows needs no checkpoint."""
    last = right["last_id"]
    if content is None:
        return [("missing", f"missing, the node has rows up to id {last}")] if last else []
    document, problem = parse(content)
    if problem:
        return [("unreadable", problem)]
    cursor = document.get("last_id") if isinstance(document, dict) else None
    if type(cursor) is not int:
        return [("unreadable", "not a JSON object with an integer last_id")]
    if cursor != last:
        kind = "ahead" if cursor > last else "behind"
        return [(kind, f"last_id is {cursor}, must be {last}, the id of the node's last row")]
    wrong = _differences("", document, right)
    return [("disagrees", "; ".join(wrong))] if wrong else []


def _differences(path: str, found: Any, right: Any) -> list[str]:
    """List the fields that differ: path, actual value, expected value."""
    if isinstance(found, dict) and isinstance(right, dict):
        out = [
            f"{path}{name} is missing, must be {_short(right[name])}"
            for name in right.keys() - found.keys()
        ]
        out += [f"{path}{name} must not be present" for name in found.keys() - right.keys()]
        for name in right.keys() & found.keys():
            out += _differences(f"{path}{name}.", found[name], right[name])
        return sorted(out)
    if same(found, right):
        return []
    return [f"{path.removesuffix('.')} is {_short(found)}, must be {_short(right)}"]


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 100 else text[:97] + "..."
