"""The record of one part of a run: `part.json` and `objects.parquet`, beside its operations.

`windfleet merge` makes one result of the parts' records (`sim.merge`). They hold all that a result
needs and that adds up: what each shard did, what each share of the oracle found, the sha256 of
every data object.

A part that did not come to its verdict has no such record.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from sim.chaos.faults import InjectionCounts
from sim.record_json import fields_of
from sim.run.part_head import Kind, PartHead, head_of, read_json, readable
from sim.run.part_index import PartIndex
from sim.run.record import Record, ShardResult
from sim.run_directory import OBJECTS_FILE, PART_FILE
from sim.scenario import Scenario
from sim.verify.judge import Judgement
from sim.whole_file import write_text

_OBJECTS: Final = pa.schema(
    [
        pa.field("share", pa.int32()),
        pa.field("name", pa.binary()),
        pa.field("sha256", pa.string()),
    ]
)
_FILE: Final = -1
"""In place of a share: a file of a data set, by its path in the part."""


@dataclass
class PartFile(PartHead):
    """One part of a run or of a data set. Wall seconds, bytes.

    began, notes: see `Record`. replay: the command that makes the whole, for a data set.
    fired: (kind of fault, point, times).
    files: sha256 of each file of a part of a data set, by its path in the part.
    """

    workers: int
    store: dict[str, str]
    shards: list[ShardResult]
    judgement: Judgement
    started: str | None = None
    total_s: float | None = None
    verify_s: float | None = None
    node_bytes: int | None = None
    ceiling_per_s: float | None = None
    memory_peak_bytes: int | None = None
    fired: list[tuple[str, str, int]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    began: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    stopped_by: int | None = None
    replay: str = ""
    files: dict[str, str] = field(default_factory=dict)


def write(
    run_dir: Path,
    scenario: Scenario,
    record: Record,
    kind: Kind = "run",
    common: Mapping[str, str] | None = None,
    replay: str = "",
    files: Mapping[str, str] | None = None,
) -> None:
    """Write the record of a part, if it came to its verdict. Raises OSError.

    common: see `PartHead`. replay, files: see `PartFile`.
    """
    if record.part is None or record.judgement is None:
        return
    part = PartFile(
        **head_of(PartIndex(record.part.index, record.part.count), scenario, scenario.seed),
        kind=kind,
        common=dict(common or {}),
        replay=replay,
        workers=record.workers,
        store=dict(record.store),
        shards=record.shards,
        judgement=record.judgement,
        started=record.started,
        total_s=record.total_s,
        verify_s=record.verify_s,
        node_bytes=record.node_bytes,
        ceiling_per_s=record.ceiling_per_s,
        memory_peak_bytes=record.memory_peak_bytes,
        fired=[(*point, times) for point, times in record.injections.by_point.items()],
        errors=record.errors,
        began=list(record.began),
        notes=record.notes,
        stopped_by=record.stopped_by,
    )
    shares = record.judgement.oracle.shares
    # A file's name is bytes, and need not be UTF-8.
    found = [
        (i, name.encode("utf-8", "surrogateescape"), sha256)
        for i, share in enumerate(shares)
        for name, sha256 in sorted(share.hashes.items())
    ]
    found += [
        (_FILE, name.encode("utf-8", "surrogateescape"), sha256)
        for name, sha256 in sorted((files or {}).items())
    ]
    columns = zip(*found, strict=True) if found else ((), (), ())
    table = pa.table(
        [pa.array(column, kind) for column, kind in zip(columns, _OBJECTS.types, strict=True)],
        schema=_OBJECTS,
    )
    # An open file, since pyarrow may take a path for a URI.
    with (run_dir / OBJECTS_FILE).open("wb") as file:
        pq.write_table(table, file, compression="zstd")
    # The last file: a directory with it is complete.
    text = json.dumps(_plain(part), sort_keys=True, default=fields_of)
    write_text(run_dir / PART_FILE, text + "\n")


def _plain(part: PartFile) -> dict[str, Any]:
    """Return the record as JSON can hold it: without hashes, and without tuples as keys."""
    shares = []
    for share in part.judgement.oracle.shares:
        rows = [[*place, fates] for place, fates in share.completeness.rows.items()]
        completeness = fields_of(share.completeness) | {"rows": rows}
        shares.append(fields_of(share) | {"hashes": {}, "completeness": completeness})
    oracle = fields_of(part.judgement.oracle) | {"shares": shares}
    judgement = fields_of(part.judgement) | {"oracle": oracle}
    return fields_of(part) | {"files": {}, "judgement": judgement}


@cache
def _adapter() -> TypeAdapter[PartFile]:
    """Return the reader of records. It takes a while to make, and a part reads none."""
    return TypeAdapter(PartFile)


def read(run_dir: Path) -> PartFile:
    """Read the record of a part. Raises PartError for a directory that has none."""
    path = run_dir / PART_FILE
    with readable(path):
        raw = read_json(path)
        for share in raw["judgement"]["oracle"]["shares"]:
            rows = share["completeness"]["rows"]
            share["completeness"]["rows"] = {(stage, hour): fates for stage, hour, fates in rows}
        part = _adapter().validate_python(raw)
        with (run_dir / OBJECTS_FILE).open("rb") as file:
            objects = pq.read_table(file, schema=_OBJECTS)
        shares = part.judgement.oracle.shares
        for number, name, sha256 in zip(*(each.to_pylist() for each in objects), strict=True):
            if number < _FILE:
                raise ValueError(f"{OBJECTS_FILE} names a share {number}")
            hashes = part.files if number == _FILE else shares[number].hashes
            hashes[name.decode("utf-8", "surrogateescape")] = sha256
        return part


def injections(part: PartFile) -> InjectionCounts:
    """Return the faults that fired in a part."""
    return InjectionCounts(Counter({(row, point): times for row, point, times in part.fired}))
