"""Spark reads the pipeline's own Parquet files: equal rows, and bounds that prune rightly."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tests.support import parquet_world, spark_files

pytestmark = pytest.mark.campaign


def test_spark_reads_equal_rows_and_prunes_by_right_bounds(tmp_path: Path) -> None:
    table = parquet_world.odd_table()
    path = parquet_world.write(table, tmp_path)
    rows, counts = spark_files.read(path, parquet_world.CONDITIONS)
    assert rows.column_names == table.column_names
    assert parquet_world.exact(rows) == parquet_world.exact(table)
    with duckdb.connect() as connection:
        connection.register("rows_of_arrow", table)
        for condition, count in zip(parquet_world.CONDITIONS, counts, strict=True):
            sql = f"SELECT count(*) FROM rows_of_arrow WHERE {condition}"
            assert (count,) == connection.execute(sql).fetchone(), condition
