"""A small data set of `windfleet demo`: its options, its rows, and the snippets of its README."""

from __future__ import annotations

import io
import re
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.records import BUCKET_PREFIX

SMALL = ["--farms", "E,F", "--turbines", "4", "--days", "1", "--workers", "2"]
FAULTS = (
    "data_faults=[{kind: row.late, rate: 20 per turbine-day, duration: 30m, delay: 3h},"
    " {kind: row.duplicate, rate: 10 per turbine-day},"
    " {kind: sensor.dropout, rate: 10 per turbine-day},"
    " {kind: row.poisoned, rate: 10 per turbine-day}]"
)


def command(layout: str, folder: Path) -> list[str]:
    """Return the words that make the data set of the tests in a folder, whose name its pages bear.

    Flushes every six hours make late rows look back.
    """
    words = ["demo", "--to", str(folder), "--layout", layout, "--set", FAULTS, *SMALL]
    words += ["--set", "pipeline.flush_every=6h", "--nodes", "--inspect"]
    exports = ["--export", "openoa", "--export", "flasc"]
    return [*words, *(exports if layout == "farm" else ["--no-dashboard"])]


def snippet(folder: Path, heading: str) -> str:
    """Return the text to paste that stands below a heading of the data set's README."""
    readme = (folder / "README.md").read_text()
    section = readme.partition(f"### {heading}\n")[2]
    (first, *_) = re.findall(r"```\w+\n(.*?)```", section, re.DOTALL)
    return str(first)


def database(folder: Path) -> duckdb.DuckDBPyConnection:
    """DuckDB with the views that the folder's README makes."""
    views = snippet(folder, "DuckDB")
    connection = duckdb.connect(config={"file_search_path": str(folder)})
    connection.execute(views)
    return connection


def rows(folder: Path, stage: str, top: str = "") -> pa.Table:
    """Return all rows of a stage, in an order that does not depend on objects."""
    root = folder / "lake" / (BUCKET_PREFIX + stage) / (top or stage)
    files = sorted(root.rglob("*.parquet"))
    table = pa.concat_tables([pq.read_table(io.BytesIO(file.read_bytes())) for file in files])
    keys = (
        ["turbine_id", "window_start", "revision"]
        if stage == "aggregated"
        else ["turbine_id", "id"]
    )
    return table.sort_by([(key, "ascending") for key in keys])
