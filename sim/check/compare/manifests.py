"""Manifests against the batches that must have one, and against the objects that they name.

`manifest.missing` (a batch without a manifest, or an object that its batch's manifest leaves out), `.dangling` (names
an object that is not there), `.disagrees` (says something else than the batch, the node or the object does, names an
object twice or one of another batch, or is another batch's altogether: then nothing more is said of its objects),
`.misplaced` (under another hour), `.unexpected` (of no batch), `.unreadable`. Each counts as one mismatch. An object
that no manifest names because it is itself a defect (a copy, a moved object) or because its manifest is missing is
not reported again.

Every name and value of a manifest is checked, types included (`true` and `1.0` are not 1), and a name that no manifest
has is reported. Free are the order of names and of objects, white space, and the value of `upload_timestamp`: it says
when this attempt was made, which differs between attempts. Its form is not free: UTC, ISO 8601, with milliseconds.
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
from sim.check.read.keys import BatchKey, bucket_of, read_batch_key
from sim.check.read.lake import ObjectRef, Reads
from sim.check.read.objects import DataObject, fetch

STAGE: Final = "metadata"
_NO_TIMES: Final = {"min": None, "max": None}
_UPLOADED: Final = "upload_timestamp"
_CHECKED_APART: Final = {_UPLOADED, "destination", "objects"}
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|\+00:00)", re.ASCII)
_ENTRY: Final = frozenset(
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
_SHOWN: Final = 300


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
    said = _read(reader, refs, objects, report)
    _dangling(said, objects, report)
    _missing(said, report)
    _left_out(said, objects, blamed, report)
    return findings.counts.total() - before


@dataclass
class _Said:
    """What the manifests say. `seen`: batches that have one; `read`: those whose manifest is sound and theirs; `named`:
    names of objects; `dangling`: (batch, the manifest's key, entry) of objects that are not there."""

    seen: set[int] = field(default_factory=set)
    read: set[int] = field(default_factory=set)
    named: set[str] = field(default_factory=set)
    dangling: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)


def _read(
    reader: Reads, refs: Sequence[ObjectRef], objects: Mapping[str, DataObject], report: _Report
) -> _Said:
    said = _Said()
    there = {ref.key for ref in refs}
    for ref, content in zip(refs, fetch(reader, refs), strict=True):
        batch = _batch(ref, there, report)
        if batch is None:
            continue
        said.seen.add(batch)
        document = _document(batch, ref.key, content, report)
        if document is not None:
            said.read.add(batch)
            _entries(batch, ref.key, document["objects"], objects, said, report)
    return said


def _batch(ref: ObjectRef, there: set[str], report: _Report) -> int | None:
    """The batch that has this manifest; None where there is no such batch, or where it has another at its place."""
    place = read_batch_key(ref.bucket, ref.key)
    batch = report.batch_at(place)
    if batch is None:
        report.add(
            "unexpected",
            None,
            ref.key,
            f"{place.turbine if place else ref.key}: the node has no such batch",
        )
        return None
    original = report.key(batch)
    if ref.key == original:
        return batch
    report.add(
        "misplaced" if original not in there else "unexpected",
        batch,
        ref.key,
        f"belongs at {original}",
    )
    return batch if original not in there else None


def _document(
    batch: int, key: str, content: bytes | None, report: _Report
) -> dict[str, Any] | None:
    """The manifest; None for one that cannot be read or is another batch's."""
    document, problem = _parse(content)
    if document is None:
        report.add("unreadable", batch, key, problem)
        return None
    if other := _other_batch(document, *report.batch(batch)):
        report.add("disagrees", batch, key, f"it is the manifest of {other}")
        return None
    if differing := [
        *_differing(document, _header(report.expected, batch), _CHECKED_APART),
        *_apart(document),
    ]:
        report.add("disagrees", batch, key, "; ".join(differing))
    return document


def _entries(
    batch: int,
    key: str,
    entries: Sequence[dict[str, Any]],
    objects: Mapping[str, DataObject],
    said: _Said,
    report: _Report,
) -> None:
    own: set[str] = set()
    for entry in entries:
        name = _name(entry)
        if name in own:
            report.add("disagrees", batch, key, f"it names {name} twice")
            continue
        own.add(name)
        place = read_batch_key(str(entry.get("bucket")), str(entry.get("key")))
        if place and (place.turbine, place.first, place.last) != report.batch(batch):
            report.add("disagrees", batch, key, f"{name}: is an object of another batch")
        elif name not in objects:
            said.dangling.append((batch, key, entry))
        elif wrong := _differing(entry, _facts(objects[name]), _ENTRY):
            report.add("disagrees", batch, key, f"{name}: " + "; ".join(wrong))
    said.named |= own


def _dangling(said: _Said, objects: Mapping[str, DataObject], report: _Report) -> None:
    moved = {item.sha256: name for name, item in objects.items() if name not in said.named}
    for batch, key, entry in said.dangling:
        now = moved.get(str(entry.get("sha256")))
        where = f"; the same bytes are at {now}" if now else ""
        report.add("dangling", batch, key, f"names {_name(entry)}, which is not there{where}")


def _missing(said: _Said, report: _Report) -> None:
    b = report.expected.batches
    for batch in sorted(set(range(len(b.owner))) - said.seen):
        rows = f"ids {b.first[batch]}-{b.last[batch]}"
        report.add("missing", batch, report.key(batch), f"the batch of {rows} has no manifest")


def _left_out(
    said: _Said, objects: Mapping[str, DataObject], blamed: set[str], report: _Report
) -> None:
    for name in sorted(set(objects) - said.named - blamed):
        batch = report.batch_at(objects[name].place)
        if batch in said.read:
            unnamed = f"the batch's manifest does not name this object of {objects[name].rows} rows"
            report.add("missing", batch, name, unnamed, "")


def _name(entry: Mapping[str, Any]) -> str:
    return f"{entry.get('bucket')}/{entry.get('key')}"


def _other_batch(document: Mapping[str, Any], turbine: str, first: int, last: int) -> str:
    """Which batch the manifest is of, if its turbine is another or both its ids are; else empty."""
    source = document.get("source")
    said = (
        [source.get("first_id"), source.get("last_id")]
        if isinstance(source, dict)
        else [first, last]
    )
    whose = document.get("turbine_id")
    strange = isinstance(whose, str) and whose != turbine
    if not strange and (None in said or first in said or last in said):
        return ""
    return f"{whose}, ids {said[0]}-{said[1]}"


class _Report:
    def __init__(self, expected: Expectation, findings: Findings) -> None:
        self.expected, self.findings = expected, findings
        self._index = {node.turbine: i for i, node in enumerate(expected.nodes)}
        b = expected.batches
        ranges = zip(b.owner.tolist(), b.first.tolist(), b.last.tolist(), strict=True)
        self._batch_of = {of: batch for batch, of in enumerate(ranges)}

    def batch_at(self, place: BatchKey | None) -> int | None:
        """The batch that has such a key, under whatever hour."""
        return (
            self._batch_of.get((self._index[place.turbine], place.first, place.last))
            if place
            else None
        )

    def batch(self, batch: int) -> tuple[str, int, int]:
        """(turbine, first id, last id)."""
        b = self.expected.batches
        return self.expected.nodes[b.owner[batch]].turbine, int(b.first[batch]), int(b.last[batch])

    def key(self, batch: int) -> str:
        return BatchKey(STAGE, int(self.expected.batches.hour[batch]), *self.batch(batch)).text()

    def add(
        self,
        kind: str,
        batch: int | None,
        key: str,
        detail: str,
        bucket: str = f"{bucket_of(STAGE)}/",
    ) -> None:
        b = self.expected.batches
        node = None if batch is None else self.expected.nodes[b.owner[batch]]
        hour = "" if batch is None else hour_text(b.hour[batch])
        rows = 0 if batch is None else int(b.end[batch] - b.start[batch])
        farm, turbine = (node.farm, node.turbine) if node else ("", "")
        self.findings.add(
            Finding(f"manifest.{kind}", STAGE, farm, turbine, hour, f"{bucket}{key}", rows, detail)
        )


def _parse(content: bytes | None) -> tuple[dict[str, Any] | None, str]:
    """(the manifest, problem), the manifest None where there is a problem."""
    document, problem = parse(content)
    if problem:
        return None, problem
    entries = document.get("objects") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        return None, "not a JSON object with a list of objects"
    return document, ""


def _header(expected: Expectation, batch: int) -> dict[str, Any]:
    """What a batch's manifest must say, apart from its objects and the time of upload."""
    b = expected.batches
    rows = slice(int(b.start[batch]), int(b.end[batch]))
    node = expected.nodes[b.owner[batch]]
    times = expected.cells["timestamp"][rows][~expected.null["timestamp"][rows]]
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


def _facts(item: DataObject) -> dict[str, Any]:
    """What a manifest must say of an object; of one that cannot be read, only what its bytes show."""
    facts: dict[str, Any] = {"sha256": item.sha256, "bytes": item.size}
    if not item.problem:
        facts |= {"rows": item.rows, "first_id": item.first_id, "last_id": item.last_id}
        facts |= {"min_event_us": item.min_event_us, "max_event_us": item.max_event_us}
    if item.place:
        facts["stage"] = item.place.stage
    return facts


def _differing(found: Mapping[str, Any], right: Mapping[str, Any], known: Set[str]) -> list[str]:
    """What `found` says otherwise than `right`, and its names that are in neither `right` nor `known`."""
    texts = [
        f"{name} is {_shown(found[name]) if name in found else 'missing'}, must be {_shown(value)}"
        for name, value in right.items()
        if name not in found or not same(found[name], value)
    ]
    return texts + [
        f"the name {_shown(name)} is unknown"
        for name in found
        if name not in right and name not in known
    ]


def _apart(document: Mapping[str, Any]) -> list[str]:
    """What is wrong with the parts of a manifest that do not follow from the batch alone."""
    texts = []
    keys = [entry.get("key") for entry in document["objects"]]
    if not same(document.get("destination"), {"data_path": keys}):
        texts.append("destination is not the data_path of its objects' keys alone")
    if not _is_time(document.get(_UPLOADED)):
        said = _shown(document.get(_UPLOADED))
        texts.append(
            f"{_UPLOADED} is {said}, must be a UTC time like 2024-01-15T00:00:00.000+00:00"
        )
    return texts


def _is_time(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(
            _TIME.fullmatch(value) and datetime.fromisoformat(value)
        )
    except ValueError:
        return False


def _shown(value: Any) -> str:
    """A value as JSON spells it, cut to what a person reads."""
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."
