"""Small lakes for the lakehouse's tests: objects of every stage, with rows that can be counted."""

from __future__ import annotations

import datetime
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.catalog.tables import TABLES, Table
from pipeline.records import BUCKET_NAMES, BUCKET_PREFIX

START = datetime.datetime(2024, 1, 15, tzinfo=datetime.UTC)
HOUR = "year=2024/month=01/day=15/hour=00"


def rows(schema: pa.Schema, turbine: str, first: int, count: int) -> pa.Table:
    """Rows first..first+count-1 of a turbine: every value is a function of the row's number."""
    numbers = np.arange(first, first + count)
    start_us = int(START.timestamp()) * 1_000_000
    columns = []
    for field in schema:
        if field.name == "turbine_id":
            columns.append(pa.array([turbine] * count))
        elif field.name == "farm_id":
            columns.append(pa.array([turbine[0]] * count))
        elif field.name == "_rescued_data":
            columns.append(pa.nulls(count, pa.string()))
        elif field.name == "status":
            columns.append(pa.array(["running"] * count))
        elif pa.types.is_timestamp(field.type):
            columns.append(pa.array(start_us + numbers * 1_000_000, field.type))
        elif pa.types.is_date(field.type):
            columns.append(pa.array([START.date()] * count))
        elif pa.types.is_list(field.type):
            columns.append(pa.array([[]] * count, field.type))
        elif pa.types.is_string(field.type):
            columns.append(pa.array([f"{field.name}-{turbine}"] * count))
        else:
            columns.append(pa.array(numbers).cast(field.type))
    return pa.table(columns, schema=schema)


def path_of(lake: Path, table: Table, turbine: str, first: int, count: int) -> Path:
    """The file of an object, its folders made."""
    name = f"{turbine}-{first}-{first + count - 1}.parquet"
    path = lake / (BUCKET_PREFIX + table.bucket) / table.prefix / HOUR / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def objects(*parts: tuple[str, int, int]) -> dict[tuple[str, str], bytes]:
    """One object of each table and part (turbine, first, count), by bucket and key."""
    made = {}
    for table in TABLES:
        for turbine, first, count in parts:
            key = f"{table.prefix}{HOUR}/{turbine}-{first}-{first + count - 1}.parquet"
            body = io.BytesIO()
            pq.write_table(rows(table.source, turbine, first, count), body)
            made[BUCKET_PREFIX + table.bucket, key] = body.getvalue()
    return made


def add(
    lake: Path, turbine: str, first: int, count: int, tables: tuple[Table, ...] = TABLES
) -> None:
    """Write one object of each table."""
    for bucket in BUCKET_NAMES:
        (lake / (BUCKET_PREFIX + bucket)).mkdir(parents=True, exist_ok=True)
    for table in tables:
        made = rows(table.source, turbine, first, count)
        pq.write_table(made, path_of(lake, table, turbine, first, count))
