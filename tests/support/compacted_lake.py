"""The lake of `lakebuilder` in the compacted layout: one object per farm, stage, flush and hour.

Made from its objects alone: flush k has the k-th batch of each node of the farm.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from pipeline import records
from tests.support import lakebuilder
from tests.support.lakesurgery import Changes, Objects, facts, read, write

UPLOADED_US = lakebuilder.START_US + 4 * lakebuilder.HOUR_US
Change = Callable[[Objects], Changes]


def build() -> Objects:
    """Every object of the lake by `<bucket>/<key>`."""
    lake = lakebuilder.build()
    out = {name: body for name, body in lake.items() if "-checkpoints/" in name}
    for farm in sorted({turbine[0] for turbine in lakebuilder.TURBINES}):
        for number, manifests in enumerate(_flushes(lake, farm)):
            out |= _flush(lake, farm, number, manifests)
    return out


def _flushes(lake: Objects, farm: str) -> list[list[dict[str, Any]]]:
    """Return the manifests of each flush, by turbine."""
    flushes: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for turbine in (name for name in lakebuilder.TURBINES if name[0] == farm):
        found = [
            json.loads(body)
            for name, body in lake.items()
            if f"/{turbine}-" in name and "-metadata/" in name
        ]
        found.sort(key=lambda manifest: manifest["source"]["first_id"])
        for number, manifest in enumerate(found):
            flushes[number].append(manifest)
    return [flushes[number] for number in sorted(flushes)]


def _flush(lake: Objects, farm: str, number: int, manifests: list[dict[str, Any]]) -> Objects:
    first = min(manifest["source"]["first_id"] for manifest in manifests)
    name = f"{farm}-compact-{number:06d}-{manifests[0]['turbine_id']}-{first}"
    parts: dict[tuple[str, str, str], list[pa.Table]] = defaultdict(list)
    rejected: dict[str, int] = defaultdict(int)
    for manifest in manifests:
        for rule, count in manifest["rejected"].items():
            rejected[rule] += count
        for entry in manifest["objects"]:
            folder = entry["key"].rpartition("/")[0]
            body = lake[f"{entry['bucket']}/{entry['key']}"]
            parts[entry["stage"], entry["bucket"], folder].append(read(body))
    out, entries = {}, []
    for (stage, bucket, folder), tables in parts.items():
        key = f"{folder}/{name}.parquet"
        body = out[f"{bucket}/{key}"] = write(pa.concat_tables(tables))
        entries.append({"stage": stage, "bucket": bucket, "key": key} | _facts(body, stage))
    document = {
        "schema_version": 1,
        "pipeline_version": records.PIPELINE_VERSION,
        "layout": "compact",
        "farm_id": farm,
        "job_id": "j-1",
        "rows": sum(manifest["source"]["record_count"] for manifest in manifests),
        "nodes": {
            manifest["turbine_id"]: [manifest["source"]["first_id"], manifest["source"]["last_id"]]
            for manifest in manifests
        },
        "rejected": rejected,
        "objects": entries,
        "upload_timestamp_us": UPLOADED_US,
    }
    folder = lakebuilder.hour_folder(UPLOADED_US // lakebuilder.HOUR_US)
    out[f"{records.BUCKET_PREFIX}metadata/metadata/{folder}/{name}.json"] = json.dumps(
        document
    ).encode()
    return out


def _facts(body: bytes, stage: str) -> dict[str, Any]:
    return facts(body, stage) | {"first_id": None, "last_id": None}


def flushes_as_one() -> Changes:
    """Return the changes that put the first two flushes of farm A into the second one's objects.

    The manifest names each node once, with its later batch.
    """
    plain = lakebuilder.build()
    flushes = _flushes(plain, "A")[:2]
    gone: Changes = {}
    for number, manifests in enumerate(flushes):
        gone |= dict.fromkeys(_flush(plain, "A", number, manifests))
    return gone | _flush(plain, "A", 1, [*flushes[0], *flushes[1]])


def sealed(change: Change) -> Change:
    """Return the change with manifests that match the changed and removed objects."""

    def with_manifests(lake: Objects) -> Changes:
        changes = change(lake)
        out = dict(changes)
        for name in [name for name in lake if "-metadata/" in name]:
            document = json.loads(out.get(name) or lake[name])
            for entry in list(document["objects"]):
                key = f"{entry['bucket']}/{entry['key']}"
                if key not in changes:
                    continue
                body = changes[key]
                if body is None:
                    document["objects"].remove(entry)
                else:
                    entry |= _facts(body, entry["stage"])
                out[name] = json.dumps(document).encode()
        return out

    return with_manifests


def rows_of(name: str, change: Callable[[pa.Table], pa.Table]) -> Change:
    """Return a change of an object's rows."""
    return lambda lake: {name: write(change(read(lake[name])))}


def document_of(name: str, change: Callable[[dict[str, Any]], object]) -> Change:
    """Return a change of a JSON object."""

    def changed(lake: Objects) -> Changes:
        document = json.loads(lake[name])
        change(document)
        return {name: json.dumps(document).encode()}

    return changed
