"""Manifests, compared with the batches that must have one and with the objects that they list.

`manifest.missing`     a batch without a manifest, or an object that its batch's manifest omits
`manifest.dangling`    lists an object that does not exist
`manifest.disagrees`   a field differs from the batch, the node or the object; or it lists an object
                       twice or one of another batch; or it is another batch's manifest (its list of
                       objects is then not checked)
`manifest.misplaced`   its key has another hour than the batch's manifest must have
`manifest.unexpected`  of no batch
`manifest.unreadable`

Each finding counts as one mismatch. An object that no manifest lists gets no finding here if it has
a finding of its own (a copy, a moved object) or if its batch has no manifest.

Verified:
- every name and value, types included (`true` and `1.0` are not 1)
- that there are no other names
- the form of `upload_timestamp`: UTC, ISO 8601, with milliseconds

Not verified:
- the order of names and of objects, and white space
- the value of `upload_timestamp`: it is the time of this attempt, and attempts differ
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from pipeline.records import PIPELINE_VERSION, RULES, SCHEMA_VERSION, TABLE
from sim.check.expected.rows import Expectation
from sim.check.findings import Finding, Findings, hour_text
from sim.check.read.json_document import parse, same
from sim.check.read.keys import BatchKey, Key, bucket_of, read_batch_key
from sim.check.read.lake import ObjectRef, Reads
from sim.check.read.objects import DataObject, fetch

STAGE: Final = "metadata"
_NO_TIMES: Final = {"min": None, "max": None}
_UPLOADED: Final = "upload_timestamp"
_CHECKED_ELSEWHERE: Final = {_UPLOADED, "destination", "objects"}
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|\+00:00)", re.ASCII)
ENTRY: Final = frozenset(
    (
        "stage",
        "bucket",
        "key",
        "rows",
        "bytes",
        "sha256",
        "min_event_us",
        "max_event_us",
        "first_id",
        "last_id",
    )
)
_LONGEST_VALUE: Final = 300


def check_manifests(
    reader: Reads,
    refs: Sequence[ObjectRef],
    expected: Expectation,
    objects: Mapping[str, DataObject],
    blamed: set[str],
    findings: Findings,
) -> int:
    """Report defects of manifests. Return the number of mismatches. Raises LakeError.

    objects: `<bucket>/<key>` -> data object of the share.
    blamed: names of the objects that have a finding of their own.
    """
    before = findings.counts.total()
    report = ManifestReport(expected, findings)
    listed = _read(reader, refs, objects, report)
    _dangling(listed, objects, report)
    _missing(listed, report)
    _omitted(listed, objects, blamed, report)
    return findings.counts.total() - before


@dataclass
class Listed:
    """Contents of all manifests.

    `seen`      batches that have a manifest
    `read`      batches with a readable manifest of their own
    `objects`   names of the objects that manifests list
    `dangling`  (batch, manifest's key, entry) of objects that do not exist
    """

    seen: set[int] = field(default_factory=set)
    read: set[int] = field(default_factory=set)
    objects: set[str] = field(default_factory=set)
    dangling: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)


def _read(
    reader: Reads,
    refs: Sequence[ObjectRef],
    objects: Mapping[str, DataObject],
    report: ManifestReport,
) -> Listed:
    listed = Listed()
    keys = {ref.key for ref in refs}
    for ref, content in zip(refs, fetch(reader, refs), strict=True):
        batch = _batch(ref, keys, report)
        if batch is None:
            continue
        listed.seen.add(batch)
        document = _document(batch, ref.key, content, report)
        if document is not None:
            listed.read.add(batch)
            _entries(batch, ref.key, document["objects"], objects, listed, report)
    return listed


def _batch(ref: ObjectRef, keys: set[str], report: ManifestReport) -> int | None:
    """Return a manifest's batch; None if it has none, or another manifest is at the batch's key."""
    place = read_batch_key(ref.bucket, ref.key)
    batch = report.batch_at(place)
    if batch is None:
        named = place.turbine if place else ref.key
        report.add("unexpected", None, ref.key, f"no such batch in the node files: {named}")
        return None
    right = report.key(batch)
    if ref.key == right:
        return batch
    kind = "unexpected" if right in keys else "misplaced"
    report.add(kind, batch, ref.key, f"belongs at {right}")
    return None if right in keys else batch


def _document(
    batch: int, key: str, content: bytes | None, report: ManifestReport
) -> dict[str, Any] | None:
    """Return the manifest. None if it cannot be read or is another batch's."""
    document, problem = parse_manifest(content)
    if document is None:
        report.add("unreadable", batch, key, problem)
        return None
    if other := _other_batch(document, *report.batch(batch)):
        report.add("disagrees", batch, key, f"manifest of another batch: {other}")
        return None
    if differing := [
        *differing_fields(document, _header(report.expected, batch), _CHECKED_ELSEWHERE),
        *_other_problems(document),
    ]:
        report.add("disagrees", batch, key, "; ".join(differing))
    return document


def _entries(
    batch: int,
    key: str,
    entries: Sequence[dict[str, Any]],
    objects: Mapping[str, DataObject],
    listed: Listed,
    report: ManifestReport,
) -> None:
    """Compare a manifest's list of objects with the objects."""
    own: set[str] = set()
    for entry in entries:
        name = object_name(entry)
        if name in own:
            report.add("disagrees", batch, key, f"lists {name} twice")
            continue
        own.add(name)
        item = objects.get(name)
        bucket, ending = str(entry.get("bucket")), str(entry.get("key"))
        place = item.place if item else read_batch_key(bucket, ending)
        if place and report.named(place) != report.batch(batch):
            report.add("disagrees", batch, key, f"lists {name}, an object of another batch")
        elif item is None:
            listed.dangling.append((batch, key, entry))
        elif wrong := differing_fields(entry, entry_facts(item), ENTRY):
            report.add("disagrees", batch, key, f"{name}: " + "; ".join(wrong))
    listed.objects |= own


def _dangling(listed: Listed, objects: Mapping[str, DataObject], report: ManifestReport) -> None:
    """Report listed objects that do not exist, and where the same bytes are."""
    moved = {item.sha256: name for name, item in objects.items() if name not in listed.objects}
    for batch, key, entry in listed.dangling:
        now = moved.get(str(entry.get("sha256")))
        moved_to = f"; the same bytes are at {now}" if now else ""
        report.add(
            "dangling", batch, key, f"lists {object_name(entry)}, which does not exist{moved_to}"
        )


def _missing(listed: Listed, report: ManifestReport) -> None:
    """Report batches without a manifest."""
    b = report.expected.batches
    for batch in sorted(set(range(len(b.owner))) - listed.seen):
        rows = f"ids {b.first[batch]}-{b.last[batch]}"
        report.add("missing", batch, report.key(batch), f"no manifest for the batch of {rows}")


def _omitted(
    listed: Listed, objects: Mapping[str, DataObject], blamed: set[str], report: ManifestReport
) -> None:
    """Report objects that their batch's manifest does not list."""
    for name in sorted(set(objects) - listed.objects - blamed):
        batch = report.batch_at(objects[name].place)
        if batch in listed.read:
            detail = f"not listed in its batch's manifest; rows: {objects[name].rows}"
            report.add("missing", batch, name, detail, "")


def object_name(entry: Mapping[str, Any]) -> str:
    return f"{entry.get('bucket')}/{entry.get('key')}"


def _other_batch(document: Mapping[str, Any], turbine: str, first: int, last: int) -> str:
    """Describe the manifest's batch if its turbine or both ids are another batch's; else empty."""
    source = document.get("source")
    ids = (
        [source.get("first_id"), source.get("last_id")]
        if isinstance(source, dict)
        else [first, last]
    )
    named = document.get("turbine_id")
    strange = isinstance(named, str) and named != turbine
    if not strange and (None in ids or first in ids or last in ids):
        return ""
    return f"{named}, ids {ids[0]}-{ids[1]}"


class ManifestReport:
    """Lookup of batches by key, and findings about their manifests."""

    def __init__(self, expected: Expectation, findings: Findings) -> None:
        self.expected, self.findings = expected, findings
        self._index = {node.turbine: i for i, node in enumerate(expected.nodes)}
        b = expected.batches
        ranges = zip(b.owner.tolist(), b.first.tolist(), b.last.tolist(), strict=True)
        self._batch_of = {of: batch for batch, of in enumerate(ranges)}

    def batch_at(self, place: Key | None) -> int | None:
        """Return the batch with this turbine and these ids; the hour of the key is ignored."""
        if not isinstance(place, BatchKey):
            return None
        return self._batch_of.get((self._index[place.turbine], place.first, place.last))

    def named(self, place: Key) -> tuple[str, int, int] | None:
        """Return turbine, first and last id of a key; None in the compacted layout."""
        return (place.turbine, place.first, place.last) if isinstance(place, BatchKey) else None

    def batch(self, batch: int) -> tuple[str, int, int]:
        """Return (turbine, first id, last id)."""
        b = self.expected.batches
        return self.expected.nodes[b.owner[batch]].turbine, int(b.first[batch]), int(b.last[batch])

    def key(self, batch: int) -> str:
        """Return the key of the batch's manifest."""
        return BatchKey(STAGE, int(self.expected.batches.hour[batch]), *self.batch(batch)).text()

    def add(
        self,
        kind: str,
        batch: int | None,
        key: str,
        detail: str,
        bucket: str = f"{bucket_of(STAGE)}/",
    ) -> None:
        """Add `manifest.<kind>`."""
        b = self.expected.batches
        node = None if batch is None else self.expected.nodes[b.owner[batch]]
        hour = "" if batch is None else hour_text(b.hour[batch])
        rows = 0 if batch is None else int(b.end[batch] - b.start[batch])
        farm, turbine = (node.farm, node.turbine) if node else ("", "")
        self.findings.add(
            Finding(
                f"manifest.{kind}",
                stage=STAGE,
                farm=farm,
                turbine=turbine,
                hour=hour,
                key=f"{bucket}{key}",
                rows=rows,
                detail=detail,
            )
        )


def parse_manifest(content: bytes | None) -> tuple[dict[str, Any] | None, str]:
    """Return (manifest, problem). The manifest is None if there is a problem."""
    document, problem = parse(content)
    if problem:
        return None, problem
    entries = document.get("objects") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        return None, "not a JSON object with a list of objects"
    return document, ""


def _header(expected: Expectation, batch: int) -> dict[str, Any]:
    """Expected fields of a batch's manifest, except its objects and its time of upload."""
    b = expected.batches
    rows = slice(int(b.start[batch]), int(b.end[batch]))
    node = expected.nodes[b.owner[batch]]
    times = expected.columns["timestamp"][rows][~expected.null["timestamp"][rows]]
    first, last = int(b.first[batch]), int(b.last[batch])
    broken = Counter(expected.rule[rows][expected.rule[rows] >= 0].tolist())
    return {
        "schema_version": SCHEMA_VERSION,
        "pipeline_version": PIPELINE_VERSION,
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
            "time_range": {"min": int(times.min()), "max": int(times.max())}
            if len(times)
            else _NO_TIMES,
        },
    }


def entry_facts(item: DataObject) -> dict[str, Any]:
    """Expected fields of an object's entry. An unreadable object has only sha256 and bytes."""
    facts: dict[str, Any] = {"sha256": item.sha256, "bytes": item.size}
    if not item.problem:
        facts |= {"rows": item.rows, "first_id": item.first_id, "last_id": item.last_id}
        facts |= {"min_event_us": item.min_event_us, "max_event_us": item.max_event_us}
    if item.place:
        facts["stage"] = item.place.stage
    return facts


def differing_fields(
    found: Mapping[str, Any], right: Mapping[str, Any], known: Set[str]
) -> list[str]:
    """List fields of `found` that differ from `right`, and names neither in `right` nor `known`."""
    wrong = [
        f"{name} is {json_text(found[name]) if name in found else 'missing'}, "
        f"must be {json_text(value)}"
        for name, value in right.items()
        if name not in found or not same(found[name], value)
    ]
    unknown = [name for name in found if name not in right and name not in known]
    return wrong + [f"{json_text(name)} must not be present" for name in unknown]


def _other_problems(document: Mapping[str, Any]) -> list[str]:
    """List problems of `destination` and of the time of upload."""
    texts = []
    keys = [entry.get("key") for entry in document["objects"]]
    if not same(document.get("destination"), {"data_path": keys}):
        texts.append("destination must have only data_path, the keys of the objects in order")
    if not _is_time(document.get(_UPLOADED)):
        found = json_text(document.get(_UPLOADED))
        texts.append(
            f"{_UPLOADED} is {found}, must be a UTC time like 2024-01-15T00:00:00.000+00:00"
        )
    return texts


def _is_time(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(
            _TIME.fullmatch(value) and datetime.fromisoformat(value)
        )
    except ValueError:
        return False


def json_text(value: Any) -> str:
    """Return a value as JSON, shortened."""
    text = json.dumps(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]} ..."
