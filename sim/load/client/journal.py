"""The journal of a client process: one fixed-width row per request, appended as it happens.

A request is written when it starts (`abandoned`, without an end) and again when it has ended. The
later row counts. So the file of a killed process still shows its requests, and the parent follows
all files while the phase runs. `requests` turns the rows of all workers into the REQUESTS table,
with arrivals that no worker made.

Times are ns since 1970 of one clock for all processes of this machine: CLOCK_MONOTONIC plus a fixed
offset.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.retry import Operation
from sim.arrays import Ints
from sim.load.phase import OUTCOMES, REQUESTS, Arrivals, Phase
from sim.load_schedule import REQUEST_KINDS
from sim.measure import operations

ROW: Final = np.dtype(
    [
        ("number", "<i8"),
        ("intended", "<i8"),
        ("start", "<i8"),
        ("end", "<i8"),  # 0: the request has not ended
        ("bytes", "<i8"),
        ("rows", "<i8"),
        ("node", "<i4"),
        ("objects", "<i4"),
        ("kind", "i1"),  # index in REQUEST_KINDS
        ("outcome", "i1"),  # index in OUTCOMES
        ("padding", "V6"),  # pads the record to 64 bytes
    ]
)
_PACKED: Final = struct.Struct("<6q2i2b6x")
"""The layout of ROW."""
ABANDONED: Final = OUTCOMES.index("abandoned")
NOT_MADE: Final = OUTCOMES.index("not-made")
Rows = npt.NDArray[np.void]


class Request(NamedTuple):
    """The record of one request. The defaults are those of a request that has not ended."""

    number: int
    kind: int
    node: int
    intended: int
    start: int
    end: int = 0
    outcome: int = ABANDONED
    size: int = 0
    objects: int = 0
    rows: int = 0

    def packed(self) -> bytes:
        """Return the record in its binary form, a ROW."""
        return _PACKED.pack(
            *(self.number, self.intended, self.start, self.end, self.size, self.rows),
            *(self.node, self.objects, self.kind, self.outcome),
        )


def path_of(folder: Path, worker: int) -> Path:
    """Return the path of a worker's journal."""
    return folder / f"requests-{worker}.bin"


def _operations_path(folder: Path, worker: int) -> Path:
    return folder / f"operations-{worker}.tsv"


def _open_for_append(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC, 0o644)


def wall_offset_ns() -> int:
    """Return the offset of the common clock to the monotonic clock. The parent calls this once."""
    return time.time_ns() - time.monotonic_ns()


class Journal:
    """The journal of one worker. `append` may be called from any thread: it is one write."""

    def __init__(self, folder: Path, worker: int) -> None:
        self._file = _open_for_append(path_of(folder, worker))

    def append(self, request: Request) -> None:
        """Write a row. Raises OSError."""
        os.write(self._file, request.packed())


class OperationLog:
    """The store operations of one worker, a line each. `append` may be called from any thread."""

    def __init__(self, folder: Path, worker: int) -> None:
        self._file = _open_for_append(_operations_path(folder, worker))
        self._worker = _name(worker)

    def append(self, operation: Operation) -> None:
        """Write a line. Raises OSError."""
        os.write(self._file, operations.line(operation, self._worker))


def read_operations(folder: Path, workers: int) -> pa.Table:
    """Return the store operations of all workers, in `sim.measure.operations.SCHEMA`."""
    paths = [_operations_path(folder, worker) for worker in range(workers)]
    return operations.merged(operations.read_lines(path) for path in paths if path.exists())


class Follower:
    """A reader of journals that workers still write."""

    def __init__(self, folder: Path, workers: int) -> None:
        self._paths = [path_of(folder, worker) for worker in range(workers)]
        self._offsets = [0] * workers

    def new_rows(self) -> Rows:
        """Return the rows that all workers wrote since the last call."""
        parts = []
        for i, path in enumerate(self._paths):
            if path.exists():
                part = np.fromfile(path, dtype=ROW, offset=self._offsets[i])
                self._offsets[i] += part.nbytes
                parts.append(part)
        return np.concatenate(parts) if parts else np.empty(0, dtype=ROW)


def read(folder: Path, worker: int) -> Rows:
    """Return the last row of each request that the worker started, in order of number."""
    path = path_of(folder, worker)
    rows: Rows = np.fromfile(path, dtype=ROW) if path.exists() else np.empty(0, dtype=ROW)
    order = np.lexsort((np.arange(len(rows)), rows["number"]))
    rows = rows[order]
    last = np.append(
        rows["number"][1:] != rows["number"][:-1], np.ones(min(1, len(rows)), dtype=bool)
    )
    return np.compress(last, rows)


def requests(phase: Phase, started_ns: int, by_worker: Mapping[int, Rows]) -> pa.Table:
    """Return the REQUESTS table of a phase, with the arrivals that no worker made."""
    parts = [_table(phase.name, rows, _name(worker)) for worker, rows in sorted(by_worker.items())]
    if phase.arrivals is not None:
        made = np.zeros(len(phase.arrivals), dtype=bool)
        for rows in by_worker.values():
            made[rows["number"]] = True
        missing = _not_made(phase.arrivals, np.flatnonzero(~made), started_ns)
        parts.append(_table(phase.name, missing, None))
    table = pa.concat_tables([REQUESTS.empty_table(), *parts])
    return table.sort_by(
        [("intended_start", "ascending"), ("number", "ascending"), ("worker", "ascending")]
    )


def intended_ns(arrivals: Arrivals, started_ns: int) -> Ints:
    """Return intended starts in ns since 1970, shape (m,)."""
    return started_ns + np.round(arrivals.intended_s * 1e9).astype(np.int64)


def _name(worker: int) -> str:
    return f"client-{worker}"


def _not_made(arrivals: Arrivals, numbers: Ints, started_ns: int) -> Rows:
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
