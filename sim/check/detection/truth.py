"""Ground truth: the injected faults, and how many of their rows each rule put into quarantine.

Read from the files in `truth/*.parquet` that have the columns of faults. The rows of a fault are
its id range, or none if its ids are null. A range may include rows between the affected ones, so
the sum over the rules may exceed the number of rows that the fault altered.
"""

from __future__ import annotations

import glob
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.records import RULES
from sim.check.detection.signals import MACHINE_FAULT
from sim.check.expected.rows import Expectation
from sim.check.read.columns import ABSENT, one
from sim.check.read.databases import path_text

COLUMNS: Final = ("turbine_id", "kind", "first_id", "last_id", "rows")
NO_FAULTS: Final = pa.table(
    {name: pa.array([], pa.string() if i < 2 else pa.int64()) for i, name in enumerate(COLUMNS)}
)
EVENTS: Final = (
    "turbine_id",
    "kind",
    "channel",
    "from",
    "to",
    "first_id",
    "last_id",
    "rows",
    "offset_us",
)
_TEXTS: Final = ("turbine_id", "kind", "channel")
_OPTIONAL: Final = {"first_id", "last_id", "offset_us"}
"""Wear has no ids. Ground truth from before clock faults were added has no offset."""


class TruthError(Exception):
    """A ground truth file cannot be read. The text names the file."""


def _files(farm: str) -> str:
    return "*.parquet" if farm == "*" else f"*-{glob.escape(farm)}.parquet"


def read_truth(folder: Path, farm: str = "*") -> pa.Table:
    """Read all fault records (columns `COLUMNS`), or those of a farm. Raises TruthError."""
    tables = []
    for path in sorted(folder.glob(_files(farm))):
        try:
            with path.open("rb") as file:  # pyarrow takes some paths for URIs
                if set(COLUMNS) <= set(pq.read_schema(file).names):
                    tables.append(pq.read_table(file, columns=list(COLUMNS)))
        except (pa.ArrowException, OSError) as error:
            raise TruthError(
                f"{path_text(path)}: cannot read the ground truth: {str(error).splitlines()[0]}"
            ) from error
    return pa.concat_tables(tables, promote_options="permissive") if tables else NO_FAULTS


def read_events(folder: Path, farm: str = "*") -> pa.Table | None:
    """Read faults with times, and machines' fault states (columns `EVENTS`, times in us).

    farm: only the files of this one. Returns None if the folder has no file of faults with times.
    Raises TruthError.
    """
    schema = pa.schema((name, pa.string() if name in _TEXTS else pa.int64()) for name in EVENTS)
    tables = []
    timed = False
    for path in sorted(folder.glob(_files(farm))):
        try:
            with path.open("rb") as file:  # pyarrow takes some paths for URIs
                table = pq.read_table(file)
        except (pa.ArrowException, OSError) as error:
            raise TruthError(
                f"{path_text(path)}: cannot read the ground truth: {str(error).splitlines()[0]}"
            ) from error
        if {"turbine_id", "state", "from", "to"} <= set(table.column_names):
            table = table.filter(pc.equal(table.column("state"), "fault"))
            table = table.append_column("kind", pa.array([MACHINE_FAULT] * len(table), pa.string()))
            table = table.append_column("rows", pa.array([1] * len(table), pa.int64()))
        elif set(EVENTS) - _OPTIONAL <= set(table.column_names):
            timed |= "first_id" in table.column_names
        else:
            continue
        for name in set(EVENTS) - set(table.column_names):
            table = table.append_column(name, pa.nulls(len(table), schema.field(name).type))
        tables.append(
            pa.table(
                [_plain(table.column(name)).cast(schema.field(name).type) for name in EVENTS],
                schema=schema,
            )
        )
    return pa.concat_tables(tables) if timed else None


def _plain(column: pa.ChunkedArray) -> pa.Array:
    array = one(column)
    return (
        array.cast(pa.timestamp("us", array.type.tz)).view(pa.int64())
        if pa.types.is_timestamp(array.type)
        else array
    )


def count_faults(truth: pa.Table, expected: Expectation) -> dict[str, dict[str, int]]:
    """Count faults by kind: kind -> {"injected", "rows", rule: rows rejected by it, ...}."""
    index = pa.array([node.turbine for node in expected.nodes], pa.string())
    owner = np.asarray(pc.index_in(truth.column("turbine_id"), index).fill_null(-1), dtype=np.int64)
    out: dict[str, dict[str, int]] = {}
    starts = np.append(np.searchsorted(expected.owner, np.arange(len(index))), len(expected.owner))
    bounds = [
        (starts[o] + np.searchsorted(expected.id[starts[o] : starts[o + 1]], (first, last + 1)))
        for o, first, last in zip(
            owner,
            *(truth.column(c).fill_null(ABSENT).to_pylist() for c in ("first_id", "last_id")),
            strict=True,
        )
    ]
    kinds, rows = truth.column("kind").to_pylist(), truth.column("rows").to_pylist()
    for kind, affected, (start, end) in zip(kinds, rows, bounds, strict=True):
        entry = out.setdefault(kind, {"injected": 0, "rows": 0})
        entry["injected"] += 1
        entry["rows"] += affected or 0
        found, counts = np.unique(expected.rule[start:end], return_counts=True)
        for rule, count in zip(found.tolist(), counts.tolist(), strict=True):
            if rule >= 0:
                entry[RULES[rule]] = entry.get(RULES[rule], 0) + count
    return out


def summary(parts: list[Mapping[str, Mapping[str, int]]]) -> list[dict[str, object]]:
    """Merge the counts of all shares: `[{kind, injected, rows, quarantined_by_rule}]`, by kind."""
    kinds = sorted({kind for part in parts for kind in part})
    out: list[dict[str, object]] = []
    for kind in kinds:
        total: dict[str, int] = {}
        for part in parts:
            for name, count in part.get(kind, {}).items():
                total[name] = total.get(name, 0) + count
        by_rule = {rule: total[rule] for rule in RULES if rule in total}
        out.append(
            {
                "kind": kind,
                "injected": total["injected"],
                "rows": total["rows"],
                "quarantined_by_rule": by_rule,
            }
        )
    return out


def with_detection(
    truth: list[dict[str, object]], detection: list[dict[str, object]]
) -> list[dict[str, object]]:
    """Add to a summary, where known: detectable faults, found faults, median delay in seconds."""
    by_kind = {entry["kind"]: entry for entry in detection}
    names = ("detectable", "found", "delay_s")
    return [
        entry | {n: by_kind[entry["kind"]][n] for n in names if entry["kind"] in by_kind}
        for entry in truth
    ]
