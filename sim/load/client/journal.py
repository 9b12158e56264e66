"""What a client process did, request by request, as it happens: an append-only file of fixed-width rows.

A request is noted when it starts (`abandoned`, without an end) and again when it ended; the later row counts. So the
file of a process that was killed still says what it had done, and the parent follows all files while the phase runs,
without asking anybody. `requests` turns the rows of all workers into the REQUESTS table, arrivals never made included.

Times are ns since 1970 of one clock for all processes of this machine: CLOCK_MONOTONIC plus a fixed difference.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import csv

from pipeline.retry import Operation
from sim.arrays import Ints
from sim.load.phase import OUTCOMES, REQUESTS, Arrivals, Phase
from sim.load_schedule import REQUEST_KINDS
from sim.measure.operations import SCHEMA as OPERATIONS

ROW: Final = np.dtype(
    [
        ("number", "<i8"),
        ("intended", "<i8"),
        ("start", "<i8"),
        ("end", "<i8"),  # 0: it has not ended
        ("bytes", "<i8"),
        ("rows", "<i8"),
        ("node", "<i4"),
        ("objects", "<i4"),
        ("kind", "i1"),
        ("outcome", "i1"),  # index in OUTCOMES
        ("spare", "i2"),
        ("spare2", "i4"),
    ]
)
ABANDONED: Final = OUTCOMES.index("abandoned")
NOT_MADE: Final = OUTCOMES.index("not-made")
Rows = npt.NDArray[np.void]


def path_of(folder: Path, worker: int) -> Path:
    return folder / f"requests-{worker}.bin"


def _operations_path(folder: Path, worker: int) -> Path:
    return folder / f"operations-{worker}.tsv"


def _appending(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC, 0o644)


def wall_offset_ns() -> int:
    """What `now_ns` adds to the monotonic clock: asked once, by the parent."""
    return time.time_ns() - time.monotonic_ns()


class Journal:
    """The file of one worker. `note` may be called from any thread: one append is one write."""

    def __init__(self, folder: Path, worker: int) -> None:
        self._file = _appending(path_of(folder, worker))

    def note(
        self,
        number: int,
        kind: int,
        node: int,
        intended: int,
        start: int,
        end: int = 0,
        outcome: int = ABANDONED,
        size: int = 0,
        objects: int = 0,
        rows: int = 0,
    ) -> None:
        row = (number, intended, start, end, size, rows, node, objects, kind, outcome, 0, 0)
        os.write(self._file, np.array(row, dtype=ROW).tobytes())


class OperationLog:
    """The store operations of one worker, a line each. `append` may be called from any thread."""

    def __init__(self, folder: Path, worker: int) -> None:
        self._file = _appending(_operations_path(folder, worker))

    def append(self, operation: Operation) -> None:
        os.write(self._file, ("\t".join(map(str, operation)) + "\n").encode())


def read_operations(folder: Path, worker: int) -> pa.Table:
    """What one worker did to the store, in `sim.measure.operations.SCHEMA`."""
    path = _operations_path(folder, worker)
    if not path.exists() or path.stat().st_size == 0:
        return OPERATIONS.empty_table()
    types = {f.name: pa.int64() if pa.types.is_timestamp(f.type) else f.type for f in OPERATIONS}
    lines = csv.read_csv(
        path,
        csv.ReadOptions(column_names=list(Operation._fields)),
        csv.ParseOptions(delimiter="\t", quote_char=False),
        csv.ConvertOptions(column_types=types),
    )
    worker_name = pa.array([f"client-{worker}"] * lines.num_rows, pa.string())
    return lines.append_column("worker", worker_name).cast(OPERATIONS)


class Follower:
    """Reads what workers have written so far, again and again."""

    def __init__(self, folder: Path, workers: int) -> None:
        self._paths = [path_of(folder, worker) for worker in range(workers)]
        self._offsets = [0] * workers

    def news(self) -> Rows:
        """Rows written since the last call, of all workers."""
        parts = []
        for i, path in enumerate(self._paths):
            if path.exists():
                part = np.fromfile(path, dtype=ROW, offset=self._offsets[i])
                self._offsets[i] += part.nbytes
                parts.append(part)
        return np.concatenate(parts) if parts else np.empty(0, dtype=ROW)


def read(folder: Path, worker: int) -> Rows:
    """One row per request that the worker started, the last that was noted of each, in order of number."""
    path = path_of(folder, worker)
    rows: Rows = np.fromfile(path, dtype=ROW) if path.exists() else np.empty(0, dtype=ROW)
    order = np.lexsort((np.arange(len(rows)), rows["number"]))
    rows = rows[order]
    last = np.append(
        rows["number"][1:] != rows["number"][:-1], np.ones(min(1, len(rows)), dtype=bool)
    )
    return np.compress(last, rows)


def requests(phase: Phase, started_ns: int, by_worker: Mapping[int, Rows]) -> pa.Table:
    """The REQUESTS table of a phase: what the workers did, and for an open phase what nobody did."""
    parts = [
        _table(phase.name, rows, f"client-{worker}") for worker, rows in sorted(by_worker.items())
    ]
    if phase.arrivals is not None:
        made = np.zeros(len(phase.arrivals), dtype=bool)
        for rows in by_worker.values():
            made[rows["number"]] = True
        parts.append(
            _table(phase.name, _never(phase.arrivals, np.flatnonzero(~made), started_ns), None)
        )
    table = pa.concat_tables([REQUESTS.empty_table(), *parts])
    return table.sort_by(
        [("intended_start", "ascending"), ("number", "ascending"), ("worker", "ascending")]
    )


def intended_ns(arrivals: Arrivals, started_ns: int) -> Ints:
    """Intended starts as ns since 1970, shape (m,)."""
    return started_ns + np.round(arrivals.intended_s * 1e9).astype(np.int64)


def _never(arrivals: Arrivals, numbers: Ints, started_ns: int) -> Rows:
    rows = np.zeros(len(numbers), dtype=ROW)
    rows["number"], rows["outcome"] = numbers, NOT_MADE
    rows["kind"], rows["node"] = arrivals.kind[numbers], arrivals.node[numbers]
    rows["intended"] = intended_ns(arrivals, started_ns)[numbers]
    return rows


def _table(phase: str, rows: Rows, worker: str | None) -> pa.Table:
    def time(name: str) -> pa.Array:
        return pa.array(rows[name], REQUESTS.field("start").type, mask=rows[name] == 0)

    columns: dict[str, Any] = {
        "phase": pa.array([phase] * len(rows), pa.string()),
        "kind": pa.array(REQUEST_KINDS).take(pa.array(rows["kind"])),
        "node": pa.array(rows["node"]),
        "intended_start": time("intended"),
        "start": time("start"),
        "end": time("end"),
        "bytes": pa.array(rows["bytes"]),
        "objects": pa.array(rows["objects"]),
        "rows": pa.array(rows["rows"]),
        "outcome": pa.array(OUTCOMES).take(pa.array(rows["outcome"])),
        "worker": pa.array([worker] * len(rows), pa.string()),
        "number": pa.array(rows["number"]),
    }
    return pa.table(columns, schema=REQUESTS)
