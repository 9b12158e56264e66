"""Manifests against the batches that must have one, and against the objects that they name.

`manifest.missing` (a batch without a manifest, or an object that its batch's manifest leaves out), `.dangling` (names
an object that is not there), `.disagrees` (says something else than the batch, the node or the object does, names an
object twice or one of another batch, or is another batch's altogether: then nothing more is said of its objects),
`.misplaced` (under another hour), `.unexpected` (of no batch), `.unreadable`. Each counts as one mismatch. An object
that no manifest names because it is itself a defect (a copy, a moved object) or because its manifest is missing is
not reported again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pipeline.records import RULES, SCHEMA_VERSION, TABLE
from sim.check.canon import NULL
from sim.check.expect import Expectation
from sim.check.findings import Finding, Findings, hour_text
from sim.check.keys import BatchKey, bucket_of, read_batch_key
from sim.check.lake import ObjectRef, Reads
from sim.check.objects import DataObject

STAGE: Final = "metadata"


def check_manifests(
    reader: Reads,
    refs: Sequence[ObjectRef],
    expected: Expectation,
    objects: Mapping[str, DataObject],
    blamed: set[str],
    findings: Findings,
) -> int:
    """The number of mismatches. `objects` maps `<bucket>/<key>` to the share's data objects; `blamed` are the names of
    those that have a finding of their own. Raises LakeError."""
    before = findings.counts.total()
    report = _Report(expected, findings)
    index = {node.turbine: i for i, node in enumerate(expected.nodes)}
    b = expected.batches
    batch_of = {k: i for i, k in enumerate(zip(b.owner.tolist(), b.first.tolist(), b.last.tolist(), strict=True))}
    right = {report.key(i): i for i in range(len(b.owner))}
    there = {ref.key for ref in refs}
    seen: set[int] = set()
    read: set[int] = set()
    named: set[str] = set()
    dangling: list[tuple[int, str, dict[str, Any]]] = []
    for ref, content in zip(refs, reader.read(refs), strict=True):
        place = read_batch_key(ref.bucket, ref.key)
        batch = batch_of.get((index[place.turbine], place.first, place.last)) if place else None
        if batch is None:
            report.add(
                "unexpected", None, ref.key, f"{place.turbine if place else ref.key}: the node has no such batch"
            )
            continue
        if ref.key not in right:
            original = report.key(batch)
            report.add("misplaced" if original not in there else "unexpected", batch, ref.key, f"belongs at {original}")
            if original in there:
                continue
        seen.add(batch)
        document = _parse(content)
        if document is None:
            report.add("unreadable", batch, ref.key, "not a JSON object with a list of objects")
            continue
        other = _other_batch(document, *report.batch(batch))
        if other:
            report.add("disagrees", batch, ref.key, f"it is the manifest of {other}")
            continue
        read.add(batch)
        differing = _differing(document, _header(expected, batch))
        if differing:
            report.add("disagrees", batch, ref.key, "; ".join(differing))
        own: set[str] = set()
        for entry in document["objects"]:
            name = f"{entry.get('bucket')}/{entry.get('key')}"
            if name in own:
                report.add("disagrees", batch, ref.key, f"it names {name} twice")
                continue
            own.add(name)
            named.add(name)
            place = read_batch_key(str(entry.get("bucket")), str(entry.get("key")))
            if place and (place.turbine, place.first, place.last) != report.batch(batch):
                report.add("disagrees", batch, ref.key, f"{name}: is an object of another batch")
            elif name not in objects:
                dangling.append((batch, ref.key, entry))
            elif wrong := _differing(entry, _facts(objects[name])):
                report.add("disagrees", batch, ref.key, f"{name}: " + "; ".join(wrong))
    moved = {item.sha256: name for name, item in objects.items() if name not in named}
    for batch, key, entry in dangling:
        now = moved.get(str(entry.get("sha256")))
        where = f"; the same bytes are at {now}" if now else ""
        report.add("dangling", batch, key, f"names {entry.get('bucket')}/{entry.get('key')}, which is not there{where}")
    for batch in sorted(set(range(len(b.owner))) - seen):
        rows = f"ids {b.first[batch]}-{b.last[batch]}"
        report.add("missing", batch, report.key(batch), f"the batch of {rows} has no manifest")
    for name in sorted(set(objects) - named - blamed):
        item = objects[name]
        batch = batch_of.get((index[item.place.turbine], item.place.first, item.place.last)) if item.place else None
        if batch in read:
            report.add(
                "missing", batch, name, f"the batch's manifest does not name this object of {item.rows} rows", ""
            )
    return findings.counts.total() - before


def _other_batch(document: Mapping[str, Any], turbine: str, first: int, last: int) -> str:
    """Which batch the manifest is of, if its turbine is another or both its ids are; else empty."""
    source = document.get("source")
    said = [source.get("first_id"), source.get("last_id")] if isinstance(source, dict) else [first, last]
    whose = document.get("turbine_id")
    strange = isinstance(whose, str) and whose != turbine
    if not strange and (None in said or first in said or last in said):
        return ""
    return f"{whose}, ids {said[0]}-{said[1]}"


class _Report:
    def __init__(self, expected: Expectation, findings: Findings) -> None:
        self.expected, self.findings = expected, findings

    def batch(self, batch: int) -> tuple[str, int, int]:
        """(turbine, first id, last id)."""
        b = self.expected.batches
        return self.expected.nodes[b.owner[batch]].turbine, int(b.first[batch]), int(b.last[batch])

    def key(self, batch: int) -> str:
        return BatchKey(STAGE, int(self.expected.batches.hour[batch]), *self.batch(batch)).text()

    def add(self, kind: str, batch: int | None, key: str, detail: str, bucket: str = f"{bucket_of(STAGE)}/") -> None:
        b = self.expected.batches
        node = None if batch is None else self.expected.nodes[b.owner[batch]]
        hour = "" if batch is None else hour_text(b.hour[batch])
        rows = 0 if batch is None else int(b.end[batch] - b.start[batch])
        farm, turbine = (node.farm, node.turbine) if node else ("", "")
        self.findings.add(Finding(f"manifest.{kind}", STAGE, farm, turbine, hour, f"{bucket}{key}", rows, detail))


def _parse(content: bytes | None) -> dict[str, Any] | None:
    try:
        document = json.loads(content or b"")
    except ValueError:
        return None
    good = isinstance(document, dict) and isinstance(document.get("objects"), list)
    return document if good and all(isinstance(entry, dict) for entry in document["objects"]) else None


def _header(expected: Expectation, batch: int) -> dict[str, Any]:
    """What a batch's manifest must say, apart from its objects, the version and the time of upload."""
    b = expected.batches
    rows = slice(int(b.start[batch]), int(b.end[batch]))
    node = expected.nodes[b.owner[batch]]
    times = expected.cells["timestamp"][rows]
    times = times[times != NULL]
    first, last = int(b.first[batch]), int(b.last[batch])
    broken = Counter(expected.rule[rows][expected.rule[rows] >= 0].tolist())
    return {
        "schema_version": SCHEMA_VERSION,
        **node.ids,
        "turbine_id": node.turbine,
        "farm_id": node.farm,
        "pipeline_stage": "batch",
        "rejected": {RULES[rule]: count for rule, count in broken.items()},
        "source": {
            "database": node.database,
            "table": TABLE,
            "record_count": rows.stop - rows.start,
            "first_id": first,
            "last_id": last,
            "time_range": {"min": int(times.min()), "max": int(times.max())} if len(times) else _NO_TIMES,
        },
    }


_NO_TIMES: Final = {"min": None, "max": None}


def _facts(item: DataObject) -> dict[str, Any]:
    """What a manifest must say of an object; of one that cannot be read, only what its bytes show."""
    facts: dict[str, Any] = {"sha256": item.sha256, "bytes": item.size}
    if not item.problem:
        facts |= {"rows": item.rows, "first_id": item.first_id, "last_id": item.last_id}
        facts |= {"min_event_us": item.min_event_us, "max_event_us": item.max_event_us}
    if item.place:
        facts["stage"] = item.place.stage
    return facts


def _differing(found: Mapping[str, Any], right: Mapping[str, Any]) -> list[str]:
    texts = []
    for name, value in right.items():
        said = found.get(name)
        if name == "rejected" and isinstance(said, dict):
            said = {rule: count for rule, count in said.items() if count}
        if said != value:
            texts.append(f"{name} is {said}, must be {value}")
    if "objects" in found:
        keys = [entry.get("key") for entry in found["objects"]]
        destination = found.get("destination")
        if not isinstance(destination, dict) or destination.get("data_path") != keys:
            texts.append("destination.data_path is not the keys of its objects")
    return texts
