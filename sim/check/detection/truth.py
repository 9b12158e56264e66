"""What became of the injected faults: per kind, how many, how many rows, and which rule caught how many of those rows.

Read from `truth/*.parquet` (those files that have the columns of faults). The rows of a fault (none, if its ids are
null) are taken to be the id range it names; a range may include rows between the affected ones, so the sum over the
rules may exceed what the fault spoiled.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.records import RULES
from sim.check.expected.rows import Expectation
from sim.check.read.columns import ABSENT
from sim.check.read.databases import shown

COLUMNS: Final = ("turbine_id", "kind", "first_id", "last_id", "rows")
NO_FAULTS: Final = pa.table(
    {name: pa.array([], pa.string() if i < 2 else pa.int64()) for i, name in enumerate(COLUMNS)}
)


class TruthError(Exception):
    """A ground truth file cannot be read; the text names it."""


def read_truth(folder: Path) -> pa.Table:
    """All fault records (columns `COLUMNS`). Raises TruthError."""
    tables = []
    for path in sorted(folder.glob("*.parquet")):
        try:
            with path.open("rb") as file:  # pyarrow may take a path for a URI
                if set(COLUMNS) <= set(pq.read_schema(file).names):
                    tables.append(pq.read_table(file, columns=list(COLUMNS)))
        except (pa.ArrowException, OSError) as error:
            raise TruthError(
                f"{shown(path)}: cannot read the ground truth: {str(error).splitlines()[0]}"
            ) from error
    return pa.concat_tables(tables, promote_options="permissive") if tables else NO_FAULTS


def caught(truth: pa.Table, expected: Expectation) -> dict[str, dict[str, int]]:
    """Kind -> {"injected", "rows", and per rule the rows of these faults that it puts into quarantine}."""
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
    """The parts of all shares as `[{kind, injected, rows, quarantined_by_rule}]`, sorted by kind."""
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
    """The summary, with how many of the faults could be found, how many were, and the median delay where known."""
    by_kind = {entry["kind"]: entry for entry in detection}
    names = ("detectable", "found", "delay_s")
    return [
        entry | {n: by_kind[entry["kind"]][n] for n in names if entry["kind"] in by_kind}
        for entry in truth
    ]
