"""Manifests in the compacted layout: one of each flush of a farm.

Findings as in `compare.manifests`, with the batches of a flush in place of a batch. The batches are
those whose rows the lake has in the flush's objects (`compare.places`).

Verified: every name and value, that there are no others, and that the key has the hour of upload
and the highest number, a turbine and the lowest id of the flush's batches.

Not verified: the order of names, turbines and objects; the value of `upload_timestamp_us`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from pipeline.records import PIPELINE_VERSION, RULES, SCHEMA_VERSION
from sim.check.compare.manifests import (
    ENTRY,
    STAGE,
    differing_fields,
    entry_facts,
    json_text,
    object_name,
    parse_manifest,
)
from sim.check.compare.places import FarmPlaces
from sim.check.expected.emission import node_bounds
from sim.check.expected.rows import HOUR_US, Expectation
from sim.check.findings import Finding, Findings, hour_text
from sim.check.read.columns import Ints
from sim.check.read.keys import FarmKey, bucket_of, read_farm_key
from sim.check.read.lake import ObjectRef, Reads
from sim.check.read.objects import DataObject, fetch

_UPLOADED: Final = "upload_timestamp_us"
_OF_NODES: Final = ("nodes", "rows", "rejected")


@dataclass(frozen=True)
class FlushManifest:
    """One manifest. `key`: None for a key of another form. `document`: None with a `problem`."""

    ref: ObjectRef
    key: FarmKey | None
    document: dict[str, Any] | None
    problem: str

    @property
    def nodes(self) -> dict[str, tuple[int, int]]:
        """First and last id of each turbine, as far as it says them."""
        found = (self.document or {}).get("nodes")
        return {
            turbine: (ids[0], ids[1])
            for turbine, ids in (found.items() if isinstance(found, dict) else ())
            if isinstance(ids, list) and [type(each) for each in ids] == [int, int]
        }


def read_flush_manifests(reader: Reads, refs: Sequence[ObjectRef]) -> list[FlushManifest]:
    """Read manifests. Raises LakeError."""
    return [
        FlushManifest(ref, read_farm_key(ref.bucket, ref.key), *parse_manifest(content))
        for ref, content in zip(refs, fetch(reader, refs), strict=True)
    ]


def named_batches(
    manifests: Sequence[FlushManifest],
) -> dict[FarmKey, dict[str, tuple[int, int]]]:
    """Return the turbines and ids that each manifest names."""
    return {each.key: each.nodes for each in manifests if each.key is not None}


def check_flush_manifests(
    manifests: Sequence[FlushManifest],
    expected: Expectation,
    places: FarmPlaces,
    complete: bool,
    objects: Mapping[str, DataObject],
    blamed: set[str],
    findings: Findings,
) -> int:
    """Report defects of a farm's manifests. Return the number of mismatches.

    complete: all nodes of the farm are judged. objects, blamed: see `compare.manifests`.
    """
    before = findings.counts.total()
    report = _Report(expected, places, complete, objects, findings)
    for each in manifests:
        report.check(each, {other.ref.key for other in manifests})
    report.dangling()
    report.missing()
    report.omitted(blamed)
    return findings.counts.total() - before


class _Report:
    """Findings about the manifests of a farm.

    `seen`    names of flushes that have a manifest
    `read`    names of those with a readable one
    `listed`  names of the objects that manifests list
    """

    def __init__(
        self,
        expected: Expectation,
        places: FarmPlaces,
        complete: bool,
        objects: Mapping[str, DataObject],
        findings: Findings,
    ) -> None:
        self._expected, self._places, self._complete = expected, places, complete
        self._objects, self._findings = objects, findings
        self._seen: set[str] = set()
        self._read: set[str] = set()
        self._listed: set[str] = set()
        self._absent: list[tuple[FarmKey, dict[str, Any]]] = []
        owner = expected.batches.owner
        self._number = np.arange(len(owner)) - node_bounds(expected)[owner]

    def check(self, manifest: FlushManifest, keys: set[str]) -> None:
        """Check one manifest and its list of objects. keys: of all manifests."""
        key = manifest.key
        batches = self._places.batches_of(key) if key else np.zeros(0, np.int64)
        if key is None or len(batches) == 0:
            text = "no batch of the farm is in this flush" if key else "key of another layout"
            self._add("unexpected", key, manifest.ref.key, text)
            return
        if manifest.document is None:
            self._seen.add(key.name)
            self._add("unreadable", key, key.text(), manifest.problem)
            return
        document = manifest.document
        right = self._right_key(key, batches, document.get(_UPLOADED))
        if right != key:
            away = right.text() in keys
            kind = "unexpected" if away else "misplaced"
            self._add(kind, key, key.text(), f"belongs at {right.text()}")
            if away:
                return
        self._seen.add(key.name)
        self._read.add(key.name)
        if wrong := self._wrong_fields(key, batches, document):
            self._add("disagrees", key, key.text(), "; ".join(wrong))
        self._entries(key, document["objects"])

    def dangling(self) -> None:
        """Report listed objects that do not exist, and where the same bytes are."""
        moved = {
            item.sha256: name for name, item in self._objects.items() if name not in self._listed
        }
        for key, entry in self._absent:
            now = moved.get(str(entry.get("sha256")))
            moved_to = f"; the same bytes are at {now}" if now else ""
            detail = f"lists {object_name(entry)}, which does not exist{moved_to}"
            self._add("dangling", key, key.text(), detail)

    def missing(self) -> None:
        """Report flushes without a manifest."""
        for key in self._places.flushes:
            if key.name not in self._seen and len(self._places.batches_of(key)):
                self._add("missing", key, f"{STAGE}/*/{key.name}.json", "no manifest of the flush")
        none = np.flatnonzero(self._places.flush < 0)
        if len(none):
            b = self._expected.batches
            turbine = self._expected.nodes[b.owner[none[0]]].turbine
            ids = f"ids {b.first[none[0]]}-{b.last[none[0]]} of {turbine}"
            detail = f"no manifest names them: batches {len(none)}, the first {ids}"
            self._add("missing", None, "", detail)

    def omitted(self, blamed: set[str]) -> None:
        """Report objects that their flush's manifest does not list."""
        for name in sorted(set(self._objects) - self._listed - blamed):
            key = self._objects[name].place
            if isinstance(key, FarmKey) and key.name in self._read:
                detail = f"not listed in its flush's manifest; rows: {self._objects[name].rows}"
                self._add("missing", key, name, detail, "")

    def _right_key(self, key: FarmKey, batches: Ints, uploaded: Any) -> FarmKey:
        """Return the key that a manifest of these batches must have."""
        b = self._expected.batches
        right = key
        if type(uploaded) is int:
            right = replace(right, hour=uploaded // HOUR_US)
        if self._complete:
            turbines = [self._expected.nodes[i].turbine for i in b.owner[batches].tolist()]
            right = replace(
                right,
                flush=int(self._number[batches].max()),
                turbine=key.turbine if key.turbine in turbines else turbines[0],
                first=int(b.first[batches].min()),
            )
        return right

    def _wrong_fields(self, key: FarmKey, batches: Ints, document: dict[str, Any]) -> list[str]:
        """List the fields of a manifest, apart from its objects, that are wrong."""
        right = self._header(key, batches)
        unjudged = set() if self._complete else set(_OF_NODES)
        known = {"objects", _UPLOADED} | unjudged
        checked = {name: value for name, value in right.items() if name not in known}
        wrong = []
        nodes = document.get("nodes")
        if isinstance(nodes, dict):
            checked.pop("nodes", None)
            others = set() if self._complete else set(nodes)
            wrong = differing_fields(nodes, right["nodes"], others)
        b = self._expected.batches
        owners, times = np.unique(b.owner[batches], return_counts=True)
        for owner in owners[times > 1].tolist():
            wrong.append(f"two batches of {self._expected.nodes[owner].turbine} in one flush")
        wrong += differing_fields(document, checked, known | {"nodes"})
        if type(document.get(_UPLOADED)) is not int:
            found = json_text(document.get(_UPLOADED))
            wrong.append(f"{_UPLOADED} is {found}, must be a time in us since 1970")
        return wrong

    def _header(self, key: FarmKey, batches: Ints) -> dict[str, Any]:
        """Expected fields of a flush's manifest, except its objects and its time of upload."""
        expected, b = self._expected, self._expected.batches
        inside = np.isin(expected.batch, batches)
        broken = Counter(expected.rule[inside & (expected.rule >= 0)].tolist())
        nodes = [expected.nodes[i] for i in b.owner[batches].tolist()]
        first = next((node for node in nodes if node.turbine == key.turbine), nodes[0])
        ids = zip(b.first[batches].tolist(), b.last[batches].tolist(), strict=True)
        return {
            "schema_version": SCHEMA_VERSION,
            "pipeline_version": PIPELINE_VERSION,
            "layout": "compact",
            "farm_id": key.farm,
            "job_id": first.ids["job_id"],
            "rows": int(inside.sum()),
            "nodes": {node.turbine: list(each) for node, each in zip(nodes, ids, strict=True)},
            "rejected": {RULES[rule]: count for rule, count in broken.items()},
        }

    def _entries(self, key: FarmKey, entries: Sequence[dict[str, Any]]) -> None:
        """Compare a manifest's list of objects with the objects."""
        own: set[str] = set()
        for entry in entries:
            name = object_name(entry)
            if name in own:
                self._add("disagrees", key, key.text(), f"lists {name} twice")
                continue
            own.add(name)
            item = self._objects.get(name)
            place = read_farm_key(str(entry.get("bucket")), str(entry.get("key")))
            if place and place.name != key.name:
                text = f"lists {name}, an object of another flush"
                self._add("disagrees", key, key.text(), text)
            elif item is None:
                self._absent.append((key, entry))
            else:
                # Ids are a turbine's own: an object of several has no first and last one.
                facts = entry_facts(item) | {"first_id": None, "last_id": None}
                if wrong := differing_fields(entry, facts, ENTRY):
                    self._add("disagrees", key, key.text(), f"{name}: " + "; ".join(wrong))
        self._listed |= own

    def _add(
        self,
        kind: str,
        key: FarmKey | None,
        name: str,
        detail: str,
        bucket: str = f"{bucket_of(STAGE)}/",
    ) -> None:
        """Add `manifest.<kind>`."""
        b = self._expected.batches
        batches = self._places.batches_of(key) if key else np.zeros(0, np.int64)
        farm = self._expected.nodes[0].farm
        self._findings.add(
            Finding(
                f"manifest.{kind}",
                stage=STAGE,
                farm=farm,
                hour=hour_text(key.hour) if key else "",
                key=f"{bucket}{name}" if name else "",
                rows=int((b.end[batches] - b.start[batches]).sum()),
                detail=detail,
            )
        )
