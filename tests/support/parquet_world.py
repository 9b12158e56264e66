"""Tables with the types of the lake and difficult cells, and what each reader must find in them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from pipeline.parquet.columns import Columns
from pipeline.parquet.file import Layout

INT64 = 2**63
SECOND = 1_705_276_800_000_000  # 2024-01-15
TYPES = {
    "number": pa.int64(),
    "time": pa.timestamp("us", tz="UTC"),
    "count": pa.int32(),
    "day": pa.date32(),
    "reading": pa.float64(),
    "text": pa.string(),
    "kinds": pa.list_(pa.string()),
}
SCHEMA = pa.schema([pa.field(name, kind) for name, kind in TYPES.items()])
_STORED = {"time": pa.int64(), "day": pa.int32()}

_TEXTS = st.text(alphabet=st.characters(codec="utf-8"), max_size=6)
_CELLS: dict[str, st.SearchStrategy[Any]] = {
    "number": st.integers(-INT64, INT64 - 1) | st.sampled_from([-INT64, INT64 - 1, 0, 1]),
    "time": st.integers(-INT64, INT64 - 1)
    | st.integers(1_705_276_800_000_000, 1_705_276_900_000_000),
    "count": st.integers(-(2**31), 2**31 - 1),
    "day": st.integers(-(2**31), 2**31 - 1),
    "reading": st.floats() | st.sampled_from([0.0, -0.0, math.inf, -math.inf, math.nan]),
    "text": _TEXTS | st.sampled_from(["", "running", "ä", "風"]),
    "kinds": st.lists(st.none() | _TEXTS, max_size=3),
}


@st.composite
def parts(draw: st.DrawFn, name: str) -> list[list[Any]]:
    """Return cells of one column in parts: nulls, series of equal cells, arithmetic series."""
    cell = st.none() | _CELLS[name]
    found = []
    for _ in range(draw(st.integers(1, 3))):
        part = draw(st.lists(cell, min_size=1, max_size=8))
        part = [each for each in part for _ in range(draw(st.sampled_from([1, 1, 2, 40, 130])))]
        found.append(part)
    return found


def column(name: str, cells: list[Any]) -> pa.Array:
    stored = pa.array(cells, _STORED.get(name, TYPES[name]), from_pandas=False)
    return stored.view(TYPES[name])


def files(table: pa.Table, sizes: list[int]) -> list[bytes]:
    """Return a file of each part of a table, encoded together."""
    offsets = np.concatenate(([0], np.cumsum(sizes)))
    columns, layout = Columns(table, offsets), Layout(table.schema)
    return [layout.file(columns.chunks(i), rows) for i, rows in enumerate(sizes)]


def exact(table: pa.Table) -> list[list[Any]]:
    """Return the columns' cells such that equal means equal bits, but for the payload of a NaN."""
    return [[_exact(cell) for cell in _plain(table.column(i))] for i in range(table.num_columns)]


def _plain(cells: pa.ChunkedArray) -> list[Any]:
    kind = cells.type
    if pa.types.is_timestamp(kind):
        cells = cells.cast(pa.timestamp("us", tz=kind.tz)).cast(pa.int64())
    elif pa.types.is_date(kind):
        cells = cells.cast(pa.int32())
    return cells.to_pylist()


def _exact(cell: Any) -> Any:
    return repr(cell) if isinstance(cell, float) else cell


def odd_table(rows: int = 300) -> pa.Table:
    """Return rows for readers that take a second each: every type, nulls, extremes, long series.

    Times and dates are within what every reader can show.
    """
    rng = np.random.default_rng(11)
    cells: dict[str, list[Any]] = {
        "number": [INT64 - 1, -INT64, 0, None, *range(5, rows + 1)],
        "time": [SECOND + 1_000_000 * i + (i % 7) * 13 for i in range(rows)],
        "count": [None if i % 50 == 0 else i - 150 for i in range(rows)],
        "day": [19_000 + i // 24 for i in range(rows)],
        "reading": [
            math.inf,
            -math.inf,
            math.nan,
            -0.0,
            0.0,
            None,
            *rng.normal(size=rows - 6).tolist(),
        ],
        "text": [
            "",
            None,
            "ä風\n'\"",
            *(["running", "fault"][i % 37 == 0] for i in range(rows - 3)),
        ],
        "kinds": [None, [], ["a", None], *([["vibration"], []][i % 2] for i in range(rows - 3))],
    }
    more = {
        "apart": pa.array([f"{i:05}-{i * i}" for i in range(rows)]),
        "same_text": pa.array(["A-001"] * rows),
        "same_reading": pa.array([3.25] * rows),
        "same_count": pa.array([7] * rows, pa.int32()),
        "nothing": pa.nulls(rows, pa.float64()),
        "no_text": pa.nulls(rows, pa.string()),
        "no_time": pa.nulls(rows, pa.timestamp("us", tz="UTC")),
        "ids": pa.array(range(10**12, 10**12 + rows)),
    }
    return pa.table({name: column(name, values) for name, values in cells.items()} | more)


def write(table: pa.Table, folder: Path) -> Path:
    """Write a table as one file."""
    (path := folder / "odd.parquet").write_bytes(files(table, [table.num_rows])[0])
    return path


CONDITIONS = (
    "number = 9223372036854775807", "number < -5", "number IS NULL", "number BETWEEN 100 AND 120",
    "reading > 2", "reading <= 0", "reading = 0", "reading < -1e300", "reading IS NULL",
    "text = ''", "text > 'running'", "text IS NULL", "text = 'fault'", "apart = '00007-49'",
    "apart < '00003'", "count < -100", "count IS NULL", "same_text = 'A-001'",
    "same_text <> 'A-001'", "same_reading < 3.25", "same_count = 7", "nothing IS NULL",
    "no_text = 'x'", "ids >= 1000000000250", "day = DATE '2022-01-08'",
)  # fmt: skip
"""SQL conditions, legal in DuckDB and Spark. A reader that trusts wrong bounds counts too few."""
