"""Rows of a query as table, CSV, JSON or Parquet."""

from __future__ import annotations

import datetime
import json
import math
import os
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv
from rich.console import Console
from rich.table import Table

from pipeline.terminal import OutputError, cause, discard_pending, one_line
from sim.errors import QueryError
from sim.special_file import is_special, open_in_place

ROWS_AT_ONCE: Final = 10_000
MOST_SHOWN: Final = 50
"""Rows of a table on the terminal; the other formats give all."""


def write(rows: pa.Table, form: str, out: Path | None, console: Console) -> None:
    """Write rows to a file, or to standard output. Raises OSError, OutputError, QueryError."""
    _require_forms(rows, form)
    if form != "parquet":
        rows = _plain(rows)
    if out is not None:
        _replace(out, rows, form, console)
    elif form == "table":
        _print(rows, console)
    else:
        _to_standard_output(rows, form, console)


def _require_forms(rows: pa.Table, form: str) -> None:
    """Raises QueryError for a type that no form has, and for one name of two columns.

    Spark writes no such file either. A table on the terminal may show a name twice.
    """
    for field in rows.schema:
        if isinstance(field.type, pa.OpaqueType):
            kind = field.type.type_name.upper()
            raise QueryError(
                f"SQL: column {one_line(field.name)} is of DuckDB's type {kind}, which no form of "
                "output has; cast it, for example to DOUBLE or STRING"
            )
    twice = [name for name, count in Counter(rows.column_names).items() if count > 1]
    if twice and form != "table":
        raise QueryError(
            f"SQL: two columns are named {one_line(twice[0])}; give one another name with AS"
        )


def _to_standard_output(rows: pa.Table, form: str, console: Console) -> None:
    sys.stdout.flush()
    try:
        _encode(rows, form, sys.stdout.buffer, console)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        discard_pending(sys.stdout)
        raise OutputError(f"standard output cannot be written: {cause(error)}") from error


def _replace(path: Path, rows: pa.Table, form: str, console: Console) -> None:
    """Write a file whole or not at all; one of `sim.special_file` in place."""
    if is_special(path):
        with open_in_place(path) as file:
            _encode(rows, form, file, console)
        return
    path = Path(os.path.realpath(path))
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            _encode(rows, form, file, console)
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


def _encode(rows: pa.Table, form: str, file: BinaryIO, console: Console) -> None:
    if form == "parquet":
        pq.write_table(rows, file)
    elif form == "csv":
        csv.write_csv(_flat(rows), file)
    elif form == "json":
        for batch in rows.to_batches(ROWS_AT_ONCE):
            file.write("".join(f"{_as_json(row)}\n" for row in batch.to_pylist()).encode())
    else:
        with console.capture() as captured:
            _print(rows, console)
        file.write(captured.get().encode())


def _flat(rows: pa.Table) -> pa.Table:
    """Return the rows with lists and structs as JSON, since CSV has none."""
    for place, field in enumerate(rows.schema):
        if pa.types.is_nested(field.type):
            values = rows.column(place).to_pylist()
            texts = [None if value is None else _as_json(value) for value in values]
            rows = rows.set_column(place, field.name, pa.array(texts, pa.string()))
    return rows


def _as_json(value: Any) -> str:
    """Return a value as JSON, which has no NaN and no infinity: those are null."""
    try:
        return _ENCODER.encode(value)
    except ValueError:
        return _ENCODER.encode(_finite(value))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


def _json(value: object) -> str | int | float:
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, Decimal):  # DuckDB's sum of integers
        return int(value) if value == value.to_integral_value() else float(value)
    return str(value)


_ENCODER: Final = json.JSONEncoder(default=_json, ensure_ascii=False, allow_nan=False)


def _print(rows: pa.Table, console: Console) -> None:
    table = Table(box=None, header_style="bold")
    for field in rows.schema:
        number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
        table.add_column(one_line(field.name), justify="right" if number else "left")
    shown = rows.slice(0, MOST_SHOWN)
    columns = [[_cell(value) for value in column.to_pylist()] for column in shown.columns]
    for row in zip(*columns, strict=True):
        table.add_row(*row)
    table.width = _width(table, console)
    console.print(table, crop=False)
    more = rows.num_rows - MOST_SHOWN
    end = f"; {more:,} more with --format csv, json or parquet" if more > 0 else ""
    console.print(f"{rows.num_rows:,} row{'s' * (rows.num_rows != 1)}{end}", highlight=False)


def _width(table: Table, console: Console) -> int:
    """Return the table's own width: a line that is cut short hides its values."""
    return console.measure(table, options=console.options.update(width=10_000)).maximum


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
