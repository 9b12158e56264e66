"""The Parquet writer against the readers and the writer of others."""

from __future__ import annotations

import io
from itertools import chain
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.parquet.columns import constant, encode
from pipeline.parquet.file import Layout
from pipeline.records import schemas
from tests.support import parquet_world
from tests.support.examples import examples
from tests.support.parquet_world import INT64, SCHEMA, TYPES, column, exact, files

ANY = st.sampled_from(sorted(TYPES)).flatmap(
    lambda name: st.tuples(st.just(name), parquet_world.parts(name))
)


def read(body: bytes) -> pa.Table:
    table = pq.ParquetFile(io.BytesIO(body), page_checksum_verification=True).read()
    table.validate(full=True)
    return table


def statistics(body: bytes) -> list[tuple[Any, ...]]:
    """Nulls, bounds as they are stored, values and kinds of encoding of each column."""
    (group,) = [pq.read_metadata(io.BytesIO(body)).row_group(0)]
    found = []
    for i in range(group.num_columns):
        chunk = group.column(i)
        known = chunk.statistics
        bounds = (repr(known.min_raw), repr(known.max_raw)) if known.has_min_max else None
        found.append((chunk.path_in_schema, chunk.num_values, known.null_count, bounds))
    return found


def by_arrow(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, version="2.6", store_schema=False, use_dictionary=False)
    return sink.getvalue()


@given(ANY)
@settings(max_examples=examples(600), deadline=None)
@example(("reading", [[-0.0, 0.0], [0.0], [-0.0, -0.0], [None], [float("nan")] * 2]))
@example(("number", [[-INT64, INT64 - 1] * 70, [None] * 3, [5], list(range(257))]))
@example(("text", [["a"] * 9, [None], [""], [str(i) for i in range(300)], ["b", None] * 200]))
@example(("text", [[str(i % 300) for i in range(1200)]]))
@example(("text", [["x" * 4097, "y"], ["x" * 4096]]))
@example(("kinds", [[None], [[]], [[None]], [["a", "b"], [], None, ["a"]]]))
def test_a_file_reads_as_its_rows_whatever_is_encoded_beside_it(
    found: tuple[str, list[list[Any]]],
) -> None:
    name, cells = found
    schema = pa.schema([pa.field(name, TYPES[name])])
    table = pa.table([column(name, list(chain(*cells)))], schema=schema)
    bodies = files(table, [len(part) for part in cells])
    for part, body in zip(cells, bodies, strict=True):
        alone = pa.table([column(name, part)], schema=schema)
        back, of_arrow = read(body), by_arrow(alone)
        assert back.schema.equals(read(of_arrow).schema, check_metadata=True)
        assert exact(back) == exact(alone)
        assert body == encode(alone)
        assert encode(back) == body
        assert statistics(body) == statistics(of_arrow)


@pytest.mark.parametrize("schema", [*schemas.SCHEMAS.values(), schemas.REJECTED, SCHEMA])
@pytest.mark.parametrize("rows", [0, 1, 3, 1000])
def test_every_schema_of_the_lake_is_read_as_arrows_own_file(schema: pa.Schema, rows: int) -> None:
    table = pa.table({f.name: pa.nulls(rows, f.type) for f in schema}, schema=schema)
    body, other = encode(table), by_arrow(table)
    ours, theirs = pq.ParquetFile(io.BytesIO(body)), pq.ParquetFile(io.BytesIO(other))
    assert ours.schema.equals(theirs.schema)
    assert ours.schema_arrow.equals(schema)
    assert ours.schema_arrow.equals(theirs.schema_arrow, check_metadata=True)
    assert ours.metadata.metadata is None
    assert ours.read().equals(table)


@given(
    st.sampled_from([pa.string(), pa.float64()]).flatmap(
        lambda kind: st.tuples(
            st.just(kind),
            st.none()
            | (st.text(max_size=9) if kind == pa.string() else st.floats(allow_nan=False)),
        )
    ),
    st.integers(1, 700),
)
@settings(max_examples=examples(150), deadline=None)
@example((pa.float64(), -0.0), 1)
@example((pa.float64(), 0.0), 2)
def test_a_constant_is_the_column_of_equal_cells(
    found: tuple[pa.DataType, str | float | None], rows: int
) -> None:
    kind, value = found
    field = pa.field("fact", kind)
    table = pa.table([pa.array([value] * rows, kind)], schema=pa.schema([field]))
    assert Layout(table.schema).file([constant(field, value, rows)], rows) == encode(table)


def test_integers_take_few_bytes_and_repeated_texts_and_numbers_almost_none() -> None:
    n = 3600
    jitter = np.random.default_rng(1).integers(0, 1000, n)
    second = 1_705_276_800_000_000
    table = pa.table(
        {
            "id": pa.array(range(10**12, 10**12 + n)),
            "at": pa.array(second + 1_000_000 * np.arange(n) + jitter),
            "farm": pa.array(["A"] * n),
            "rated": pa.array([3.0] * n),
        }
    )
    group = pq.read_metadata(io.BytesIO(encode(table))).row_group(0)
    sizes = [group.column(i).total_compressed_size for i in range(4)]
    assert [
        size < most for size, most in zip(sizes, (250, n * 11 // 8 + 700, 90, 90), strict=True)
    ] == [True] * 4, sizes
    kinds = [set(group.column(i).encodings) - {"RLE"} for i in range(4)]
    assert kinds == [{"DELTA_BINARY_PACKED"}] * 2 + [{"PLAIN", "RLE_DICTIONARY"}] * 2


@pytest.mark.parametrize(
    ("field", "metadata"),
    [
        (pa.field("x", pa.float32()), None),
        (pa.field("x", pa.timestamp("ns")), None),
        (pa.field("x", pa.int64(), nullable=False), None),
        (pa.field("x", pa.int64(), metadata={"unit": "m"}), None),
        (pa.field("x", pa.int64()), {"k": "v"}),
    ],
)
def test_what_a_file_would_lose_is_refused(
    field: pa.Field, metadata: dict[str, str] | None
) -> None:
    schema = pa.schema([field], metadata=metadata)
    with pytest.raises(TypeError, match="lake's files"):
        encode(schema.empty_table())


def test_duckdb_reads_equal_rows_and_prunes_by_right_bounds(tmp_path: Path) -> None:
    table = parquet_world.odd_table()
    path = parquet_world.write(table, tmp_path)
    with duckdb.connect() as connection:
        found = connection.sql(f"FROM read_parquet('{path}')").to_arrow_table()
        assert found.column_names == table.column_names
        assert exact(found) == exact(table)
        connection.register("rows_of_arrow", table)
        for condition in parquet_world.CONDITIONS:
            counts = [
                connection.execute(f"SELECT count(*) FROM {source} WHERE {condition}").fetchone()
                for source in (f"read_parquet('{path}')", "rows_of_arrow")
            ]
            assert counts[0] == counts[1], condition


def test_polars_reads_equal_rows(tmp_path: Path) -> None:
    import polars  # here, or every test worker imports it

    table = parquet_world.odd_table()
    path = parquet_world.write(table, tmp_path)
    found = polars.read_parquet(path).to_arrow()
    assert exact(found) == exact(table)
    low = polars.scan_parquet(path).filter(polars.col("ids") < 10**12 + 5).collect()
    assert low.height == 5
