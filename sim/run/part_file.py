"""The record of one part of a run: `part.json` and `objects.parquet`, beside its operations.

`windfleet merge` makes one result of the parts' records (`sim.merge`). They hold all that a result
needs and that adds up: what each shard did, what each share of the oracle found, the sha256 of
every data object.

A part that did not come to its verdict has no such record.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter, ValidationError

from pipeline.terminal import cause
from sim.chaos.faults import InjectionCounts
from sim.errors import PartError
from sim.run.environment import program_versions
from sim.run.record import Record, ShardResult
from sim.run_directory import OBJECTS_FILE, PART_FILE
from sim.scenario import Scenario
from sim.verify.judge import Judgement
from sim.whole_file import write_text

SCHEMA_VERSION: Final = 1
Kind = Literal["run", "verify"]
_OBJECTS: Final = pa.schema(
    [
        pa.field("share", pa.int32()),
        pa.field("name", pa.string()),
        pa.field("sha256", pa.string()),
    ]
)


@dataclass
class PartFile:
    """One part of a run. Wall seconds, bytes.

    kind: `run`, or `verify` for a part that was only judged again.
    scenario_sha256: of the resolved scenario. fired: (kind of fault, point, times).
    """

    index: int
    count: int
    scenario: str
    scenario_sha256: str
    seed: int
    versions: dict[str, str]
    workers: int
    store: dict[str, str]
    shards: list[ShardResult]
    judgement: Judgement
    schema_version: int = SCHEMA_VERSION
    kind: Kind = "run"
    started: str | None = None
    total_s: float | None = None
    verify_s: float | None = None
    node_bytes: int | None = None
    ceiling_per_s: float | None = None
    memory_peak_bytes: int | None = None
    fired: list[tuple[str, str, int]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    stopped_by: int | None = None


_ADAPTER: Final = TypeAdapter(PartFile)


def fingerprint(scenario: Scenario) -> str:
    """Return the sha256 of the resolved scenario."""
    return hashlib.sha256(scenario.text.encode()).hexdigest()


def write(run_dir: Path, scenario: Scenario, record: Record, kind: Kind = "run") -> None:
    """Write the record of a part, if it came to its verdict. Raises OSError."""
    if record.part is None or record.judgement is None:
        return
    part = PartFile(
        record.part.index,
        record.part.count,
        scenario.name,
        fingerprint(scenario),
        scenario.seed,
        program_versions(),
        record.workers,
        dict(record.store),
        record.shards,
        record.judgement,
        kind=kind,
        started=record.started,
        total_s=record.total_s,
        verify_s=record.verify_s,
        node_bytes=record.node_bytes,
        ceiling_per_s=record.ceiling_per_s,
        memory_peak_bytes=record.memory_peak_bytes,
        fired=[(*point, times) for point, times in record.injections.by_point.items()],
        errors=record.errors,
        stopped_by=record.stopped_by,
    )
    shares = record.judgement.oracle.shares
    found = [(i, *pair) for i, share in enumerate(shares) for pair in sorted(share.hashes.items())]
    columns = zip(*found, strict=True) if found else ((), (), ())
    table = pa.table(
        [pa.array(column, kind) for column, kind in zip(columns, _OBJECTS.types, strict=True)],
        schema=_OBJECTS,
    )
    # An open file, since pyarrow may take a path for a URI.
    with (run_dir / OBJECTS_FILE).open("wb") as file:
        pq.write_table(table, file, compression="zstd")
    # The last file: a directory with it is complete.
    write_text(run_dir / PART_FILE, json.dumps(_plain(part), sort_keys=True) + "\n")


def _plain(part: PartFile) -> dict[str, Any]:
    """Return the record as JSON can hold it: without hashes, and without tuples as keys."""
    plain: dict[str, Any] = _ADAPTER.dump_python(part)
    for share in plain["judgement"]["oracle"]["shares"]:
        share["hashes"] = {}
        share["completeness"]["rows"] = [
            [*place, fates] for place, fates in share["completeness"]["rows"].items()
        ]
    return plain


def read(run_dir: Path) -> PartFile:
    """Read the record of a part. Raises PartError for a directory that has none."""
    path = run_dir / PART_FILE
    try:
        raw = json.loads(path.read_bytes())
        if raw.get("schema_version") != SCHEMA_VERSION:
            version = raw.get("schema_version")
            raise PartError(
                f"{path}: schema_version is {version!r}, this windfleet reads {SCHEMA_VERSION}"
            )
        for share in raw["judgement"]["oracle"]["shares"]:
            rows = share["completeness"]["rows"]
            share["completeness"]["rows"] = {(stage, hour): fates for stage, hour, fates in rows}
        part = _ADAPTER.validate_python(raw)
        with (run_dir / OBJECTS_FILE).open("rb") as file:
            objects = pq.read_table(file, schema=_OBJECTS)
        shares = part.judgement.oracle.shares
        for number, name, sha256 in zip(*(each.to_pylist() for each in objects), strict=True):
            shares[number].hashes[name] = sha256
        return part
    except FileNotFoundError as error:
        missing = "is not a finished part of a run: run it again with --shard, until it has"
        raise PartError(f"{run_dir}: {missing} a {Path(error.filename).name}") from error
    except OSError as error:
        raise PartError(f"{run_dir}: cannot be read: {cause(error)}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise PartError(f"{path}: {where}: {first['msg']}; run the part again") from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise PartError(f"{path}: not a record of a part: {error}; run the part again") from error


def injections(part: PartFile) -> InjectionCounts:
    """Return the faults that fired in a part."""
    return InjectionCounts(Counter({(row, point): times for row, point, times in part.fired}))
