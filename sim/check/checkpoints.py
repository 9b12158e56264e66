"""Checkpoints after the drain: each node has one, it is the node's, and its cursor is the node's last row.

`checkpoint.missing`, `.unreadable`, `.behind`, `.ahead` (its cursor is beyond the node's last row, so rows to come
would be skipped) and `.disagrees` (identity or number of batches). What else a checkpoint holds is the pipeline's own
affair.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from pipeline.records import SCHEMA_VERSION
from sim.check.expect import Expectation
from sim.check.findings import Finding, Findings
from sim.check.keys import bucket_of, read_checkpoint_key
from sim.check.lake import ObjectRef, Reads

STAGE: Final = "checkpoints"


def check_checkpoints(reader: Reads, refs: Sequence[ObjectRef], expected: Expectation, findings: Findings) -> int:
    """The number of nodes whose checkpoint is not what it must be. Raises LakeError."""
    before = findings.counts.total()
    found = {read_checkpoint_key(ref.key): content for ref, content in zip(refs, reader.read(refs), strict=True)}
    batches = np.bincount(expected.batches.owner, minlength=len(expected.nodes))
    for i, node in enumerate(expected.nodes):
        key = f"{bucket_of(STAGE)}/checkpoints/{node.farm}/{node.turbine}.json"
        last = int(expected.batches.last[expected.batches.owner == i].max(initial=0))
        right = {
            "schema_version": SCHEMA_VERSION,
            "turbine_id": node.turbine,
            "node_id": node.ids["node_id"],
            "batches": int(batches[i]),
        }
        for kind, detail in _problem(found.get((node.farm, node.turbine)), last, right):
            findings.add(Finding(f"checkpoint.{kind}", STAGE, node.farm, node.turbine, "", key, 0, detail))
    return findings.counts.total() - before


def _problem(content: bytes | None, last: int, right: dict[str, Any]) -> list[tuple[str, str]]:
    """At most one (kind, detail). A node without rows needs no checkpoint."""
    if content is None:
        return [("missing", f"the node has rows up to id {last}")] if last else []
    try:
        document = json.loads(content)
        cursor = document["last_id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        cursor = None
    if type(cursor) is not int:
        return [("unreadable", "not a JSON object with a last_id")]
    if cursor != last:
        return [("ahead" if cursor > last else "behind", f"last_id is {cursor}, the node's last row is {last}")]
    wrong = [
        f"{name} is {document.get(name)}, must be {value}"
        for name, value in right.items()
        if document.get(name) != value
    ]
    return [("disagrees", "; ".join(wrong))] if wrong else []
