"""Rows of a query as table, CSV, JSON or Parquet."""

from __future__ import annotations

import datetime
import io
import json
import os
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv
from rich.console import Console
from rich.table import Table

from pipeline.terminal import one_line

MOST_SHOWN: Final = 50
"""Rows of a table on the terminal; the other formats give all."""


def write(rows: pa.Table, form: str, out: Path | None, console: Console) -> None:
    """Write rows to a file, or to standard output. Raises OSError."""
    if form != "parquet":
        rows = _plain(rows)
    if form == "table" and out is None:
        _print(rows, console)
        return
    body = _text(rows, console).encode() if form == "table" else _encoded(rows, form)
    if out is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(body)
        sys.stdout.buffer.flush()
    else:
        _replace(Path(os.path.realpath(out)), body)


def _replace(path: Path, body: bytes) -> None:
    """Write a file whole or not at all. A pipe or device is written to, and never replaced."""
    if path.exists() and not path.is_file():
        path.write_bytes(body)
        return
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(body)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _plain(rows: pa.Table) -> pa.Table:
    """Return the rows in types that texts have: bytes as hexadecimal, nanoseconds as text."""
    for place, field in enumerate(rows.schema):
        column = rows.column(place)
        if pa.types.is_binary(field.type):
            values = [each and each.hex().upper() for each in column.to_pylist()]
            rows = rows.set_column(place, field.name, pa.array(values, pa.string()))
        elif pa.types.is_timestamp(field.type) and field.type.unit == "ns":
            rows = rows.set_column(place, field.name, column.cast(pa.string()))
    return rows


def _encoded(rows: pa.Table, form: str) -> bytes:
    sink = io.BytesIO()
    if form == "parquet":
        pq.write_table(rows, sink)
    elif form == "csv":
        csv.write_csv(_flat(rows), sink)
    else:
        lines = (json.dumps(row, default=_json, ensure_ascii=False) for row in rows.to_pylist())
        sink.write("".join(f"{line}\n" for line in lines).encode())
    return sink.getvalue()


def _flat(rows: pa.Table) -> pa.Table:
    """Return the rows with lists and structs as JSON, since CSV has none."""
    for place, field in enumerate(rows.schema):
        if pa.types.is_nested(field.type):
            texts = [json.dumps(value, default=_json) for value in rows.column(place).to_pylist()]
            rows = rows.set_column(place, field.name, pa.array(texts, pa.string()))
    return rows


def _json(value: object) -> str | int | float:
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, Decimal):  # DuckDB's sum of integers
        return int(value) if value == value.to_integral_value() else float(value)
    return str(value)


def _text(rows: pa.Table, console: Console) -> str:
    with console.capture() as captured:
        _print(rows, console)
    return captured.get()


def _print(rows: pa.Table, console: Console) -> None:
    table = Table(box=None, header_style="bold")
    for field in rows.schema:
        number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
        table.add_column(one_line(field.name), justify="right" if number else "left")
    for row in rows.slice(0, MOST_SHOWN).to_pylist():
        table.add_row(*(_cell(value) for value in row.values()))
    console.print(table)
    more = rows.num_rows - MOST_SHOWN
    end = f"; {more:,} more with --format csv, json or parquet" if more > 0 else ""
    console.print(f"{rows.num_rows:,} row{'s' * (rows.num_rows != 1)}{end}", highlight=False)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.1f}"
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ", timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, list):
        return ", ".join(str(each) for each in value)
    return one_line(str(value))
