"""Writes a run's reports, and rebuilds them from the raw record: result.json, junit.xml, report.html.

Each file appears whole or not at all (temporary file, then rename). result.json first: all else can be made from it
and operations.parquet. Not covered: operations.parquet itself, which the driver writes while it runs.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from sim.report import html, junit
from sim.report.result import RESULT_FILE, Result, ResultError, load

JUNIT_FILE: Final = "junit.xml"
HTML_FILE: Final = "report.html"
OPERATIONS_FILE: Final = "operations.parquet"


def write_all(result: Result, run_dir: Path, operations: pa.Table | None) -> None:
    """Write the three files into an existing directory. `operations` has the columns of operations.parquet."""
    write_text(run_dir / RESULT_FILE, result.to_json())
    _derive(result, run_dir, operations)


def rebuild(run_dir: Path) -> Path:
    """Make junit.xml and report.html again; returns the path of the latter. Raises ResultError."""
    result = load(run_dir)
    raw = run_dir / OPERATIONS_FILE
    try:
        operations = pq.read_table(raw) if raw.exists() else None
        if operations is not None:
            _check(operations)
    except (OSError, ValueError) as error:  # pyarrow's too
        raise ResultError(f"{raw}: {error}; remove it to report without latencies") from error
    _derive(result, run_dir, operations)
    return run_dir / HTML_FILE


def _check(operations: pa.Table) -> None:
    """Whether the columns that latencies are made from are there. Raises ValueError."""
    text, time = (pa.types.is_string, pa.types.is_large_string), (pa.types.is_timestamp,)
    wanted = {"kind": text, "outcome": text, "intended_start": time, "start": time, "end": time}
    for name, kinds in wanted.items():
        if name not in operations.column_names:
            raise ValueError(f"no column '{name}'")
        column = operations.column(name)
        if column.null_count or not any(kind(column.type) for kind in kinds):
            raise ValueError(f"column '{name}' is {column.type} with {column.null_count} empty values")


def _derive(result: Result, run_dir: Path, operations: pa.Table | None) -> None:
    write_text(run_dir / JUNIT_FILE, junit.render(result))
    write_text(run_dir / HTML_FILE, html.render(result, operations))


def write_text(path: Path, text: str) -> None:
    """A file that appears whole or not at all. Raises OSError."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
