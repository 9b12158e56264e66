"""The floors give the tables of the product, refuse other rows, and notice a difference."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.batch import READ_ROWS
from pipeline.commit import Commit
from pipeline.generations import read
from pipeline.process import process
from pipeline.records import CHANNEL_NAMES, STATES
from pipeline.records.schemas import INGESTION
from sim.bench import agreement, workload
from sim.bench.floors import columns, nodefiles, objects, parquet, sockets
from sim.bench.floors import lake as lake_floor
from sim.bench.workload import Workload
from sim.errors import INVALID, LAKE_WRONG, BenchError, TargetError
from tests.support.servers import Reply, served

ROWS = 1303  # three windows, the last one partial; no multiple of the rows of an INSERT


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    return workload.make(tmp_path_factory.mktemp("work") / "nodes", 3, ROWS, 7)


@pytest.fixture(scope="module")
def commits(work: Workload) -> list[Commit]:
    return list(process(work.works(), 0))


@pytest.fixture(scope="module")
def batches(work: Workload) -> list[objects.Batch]:
    return objects.batches(nodefiles.read(work.paths, READ_ROWS), work.configs)


def table_of(body: bytes) -> pa.Table:
    return pq.read_table(pa.BufferReader(body), partitioning=None)


def test_batches_equal_the_product(commits: list[Commit], batches: list[objects.Batch]) -> None:
    agreement.require_equal(commits, batches)
    assert [len(each.objects) for each in batches] == [4, 4, 4]
    assert table_of(batches[0].objects["ingestion"]).num_rows == ROWS


def changed(table: pa.Table, name: str, by: float = 1e-12) -> pa.Table:
    """The table with another last value in one column. by: relative, of a floating-point one."""
    values = table.column(name).to_pylist()
    last = values[-1]
    other = {str: "another", int: 1_000_000}.get(type(last))
    values[-1] = last * (1 + by) + (by if last == 0 else 0) if other is None else other
    place = table.schema.get_field_index(name)
    field = table.schema.field(place)
    return table.set_column(place, field, pa.array(values, field.type))


def with_body(commits: list[Commit], stage: str, name: str, by: float) -> list[Commit]:
    """The commits with another value in an object of the second one."""
    items = list(commits[1].objects)
    at = next(i for i, item in enumerate(items) if item.stage == stage)
    sink = pa.BufferOutputStream()
    pq.write_table(changed(table_of(items[at].body), name, by), sink)
    items[at] = replace(items[at], body=sink.getvalue().to_pybytes())
    return [commits[0], replace(commits[1], objects=tuple(items)), commits[2]]


@pytest.mark.parametrize(
    ("stage", "name", "by"),
    [
        ("ingestion", "id", 1.0),
        ("validated", "temperature", 1e-12),
        ("enriched", "operator_ref", 1.0),
        ("enriched", "hub_height", 1e-12),
        ("aggregated", "rows", 1.0),
        ("aggregated", "wind_speed_std", 1e-6),
    ],
)
def test_a_difference_in_one_cell_is_named(
    commits: list[Commit], batches: list[objects.Batch], stage: str, name: str, by: float
) -> None:
    spoilt = with_body(commits, stage, name, by)
    with pytest.raises(BenchError, match=rf"A-002, {stage}: .* in {name};") as found:
        agreement.require_equal(spoilt, batches)
    assert found.value.exit_code == LAKE_WRONG


def test_sums_of_windows_may_be_taken_in_another_order(
    commits: list[Commit], batches: list[objects.Batch]
) -> None:
    spoilt = with_body(commits, "aggregated", "wind_speed_std", 1e-12)
    agreement.require_equal(spoilt, batches)
    before, after = (
        table_of(each.objects[-1].body).column("wind_speed_std") for each in (commits[1], spoilt[1])
    )
    assert before != after


def test_a_missing_object_is_named(commits: list[Commit], batches: list[objects.Batch]) -> None:
    fewer = replace(commits[2], objects=commits[2].objects[1:])
    with pytest.raises(BenchError, match=r"A-003, objects: "):
        agreement.require_equal([*commits[:2], fewer], batches)
    with pytest.raises(ValueError):
        agreement.require_equal(commits[:2], batches)


def test_a_difference_in_the_manifest_is_named(
    commits: list[Commit], batches: list[objects.Batch]
) -> None:
    spoilt = replace(
        commits[0],
        manifest=commits[0].manifest.replace(b'"record_count":1303', b'"record_count":1301'),
    )
    with pytest.raises(BenchError, match=r"A-001, manifest: .* in source;"):
        agreement.require_equal([spoilt, *commits[1:]], batches)


def test_tables_of_other_columns_or_lengths_differ() -> None:
    one = pa.table({"id": [1, 2]})
    assert agreement.differences(one, one) == []
    assert agreement.differences(one, pa.table({"id": [1.0, 2.0]}))
    assert agreement.differences(one, one.slice(1)) == ["2 rows, 1 in the floor's"]
    more = one.append_column("b", pa.array([1, 2]))
    assert agreement.differences(one, more) == agreement.differences(more, one)
    assert "pyarrow.Field<b: int64>" in agreement.differences(one, more)
    assert agreement.differences(one, pa.table({"id": pa.array([1, 2], pa.int32())})) == [
        "pyarrow.Field<id: int32>",
        "pyarrow.Field<id: int64>",
    ]


@pytest.mark.parametrize(
    ("product", "floor", "equal"),
    [
        ([math.nan, 1.0], [math.nan, 1.0 + 1e-12], True),
        ([1.0, None], [1.0, None], True),
        ([1.0, None], [1.0, math.nan], False),
        ([0.0], [1e-12], False),  # relative to the values themselves
        ([10**12], [10**12 + 1], False),  # of integers, every one counts
    ],
)
def test_only_sums_of_windows_may_be_almost_equal(
    product: list[object], floor: list[object], equal: bool
) -> None:
    found = agreement.differences(pa.table({"x": product}), pa.table({"x": floor}))
    assert found == ([] if equal else ["x"])


def test_written_and_read_files_are_the_product_s(work: Workload, tmp_path: Path) -> None:
    nodefiles.write(work.block, tmp_path, nodefiles.template(tmp_path), work.farm.turbine_ids)
    for path, table in zip(work.paths, nodefiles.read(work.paths, READ_ROWS), strict=True):
        expected = read(path, 0, READ_ROWS)
        assert read(tmp_path / path.name, 0, READ_ROWS).equals(expected)
        assert table.num_rows == ROWS
        assert table.column("id").to_pylist() == expected.column("id").to_pylist()


def stale(rows: columns.Rows) -> None:
    rows.numbers["timestamp"][5] += 10**9


def late(rows: columns.Rows) -> None:
    rows.numbers["timestamp"][5] = rows.numbers["timestamp"][4]


def out_of_range(rows: columns.Rows) -> None:
    rows.numbers["temperature"][5] = 81.0


def unknown(rows: columns.Rows) -> None:
    rows.numbers["vibration_level"][5] = np.nan


def stuck(rows: columns.Rows) -> None:
    rows.numbers["temperature"][5:80] = 20.0


def becalmed(rows: columns.Rows) -> None:
    rows.numbers["power_output"][5], rows.numbers["wind_speed"][5] = 3.0, 0.5


@pytest.mark.parametrize("spoil", [stale, late, out_of_range, unknown, stuck, becalmed])
def test_other_rows_are_refused(work: Workload, spoil: Callable[[columns.Rows], None]) -> None:
    rows = columns.joined(nodefiles.read(work.paths, READ_ROWS))
    writable = replace(rows, numbers={name: each.copy() for name, each in rows.numbers.items()})
    columns.require_clean(writable, work.configs)
    spoil(writable)
    with pytest.raises(BenchError, match="take another --seed") as found:
        columns.require_clean(writable, work.configs)
    assert found.value.exit_code == INVALID


def test_a_parquet_file_reads_as_written() -> None:
    fields = pa.schema(
        [
            ("id", pa.int64()),
            ("state", pa.string()),
            ("none", pa.string()),
            ("power", pa.float64()),
            ("kinds", pa.list_(pa.string())),
            ("day", pa.date32()),
        ]
    )
    ids, codes = np.arange(300), np.repeat(np.array([2, 0, 1], np.int8), 100)
    kinds = [["a", "b"], [], ["b"]] * 100
    words = [b"run", b"stop", b"wait"]
    days = np.full(300, 19_000, np.int32)
    bounds = ids[0].tobytes(), ids[-1].tobytes()
    chunks = [
        parquet.numbers("id", parquet.INT64, ids.data.cast("B"), 300, *bounds),
        parquet.words("state", words, codes, 300),
        parquet.nulls("none", parquet.BYTES, 300),
        parquet.constant("power", 2.5, 300),
        parquet.lists("kinds", kinds),
        parquet.numbers(
            "day", parquet.INT32, days.data.cast("B"), 300, days[0].tobytes(), days[0].tobytes()
        ),
    ]
    body = parquet.file(parquet.schema(fields), [parquet.laid(chunks, parquet.FIRST_AT)], 300)
    table = table_of(body)
    assert table.schema == fields
    assert table.column("id").to_pylist() == list(range(300))
    assert table.column("state").to_pylist() == ["wait"] * 100 + ["run"] * 100 + ["stop"] * 100
    assert table.column("none").null_count == 300
    assert set(table.column("power").to_pylist()) == {2.5}
    assert table.column("kinds").to_pylist() == kinds
    statistics = pq.ParquetFile(pa.BufferReader(body)).metadata.row_group(0)
    assert statistics.column(1).statistics.max == "wait"
    assert statistics.column(2).statistics.null_count == 300


@pytest.mark.parametrize("threads", [1, 3])
def test_sockets_send_and_receive_whole_bodies(threads: int) -> None:
    body = bytes(range(256)) * 4096  # longer than one piece
    with served(Reply(200, body)) as server:
        port = int(server.url.rpartition(":")[2])
        names = [("bucket", f"hour=05/{i}") for i in range(5)]
        assert sockets.exchange(port, sockets.gets(port, names), threads) == [body] * 5
        sent = [("bucket", "hour=05/key", b"content")]
        sockets.exchange(port, sockets.puts(port, sent), 1)
    verb, path, headers = server.requests[-1]
    assert (verb, path) == ("PUT", "/bucket/hour%3D05/key")
    assert headers["if-none-match"] == "*"
    assert headers["content-length"] == "7"
    assert server.connections <= threads + 1, "a connection is kept"


def test_an_answer_other_than_200_ends_the_measurement() -> None:
    with served(Reply(412)) as server:
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(TargetError, match=r"PUT /bucket/key: http/1.1 412"):
            sockets.exchange(port, sockets.puts(port, [("bucket", "key", b"")]), 1)


def test_a_closed_port_ends_the_measurement() -> None:
    with served(Reply(200)) as server:
        port = int(server.url.rpartition(":")[2])
    with pytest.raises(TargetError, match=r"127\.0\.0\.1"):
        sockets.exchange(port, sockets.gets(port, [("bucket", "key")]), 2)


@pytest.mark.parametrize("spoilt", [None, "power_output", "id"])
def test_the_lake_is_compared_with_the_node_files(
    work: Workload, commits: list[Commit], monkeypatch: pytest.MonkeyPatch, spoilt: str | None
) -> None:
    items = [item for commit in commits for item in commit.objects if item.stage != "aggregated"]
    bodies = [item.body for item in items]
    if spoilt is not None:
        sink = pa.BufferOutputStream()
        pq.write_table(changed(table_of(bodies[3]), spoilt), sink)
        bodies[3] = sink.getvalue().to_pybytes()
    monkeypatch.setattr(sockets, "exchange", lambda *_: bodies)
    names = [(item.bucket, item.key) for item in items]
    if spoilt is None:
        lake_floor.compare(work.paths, READ_ROWS, 1, names)
        assert set(CHANNEL_NAMES) < set(INGESTION.names)
    else:
        with pytest.raises(BenchError, match=f"A-002-1-{ROWS}.parquet: {spoilt} differs"):
            lake_floor.compare(work.paths, READ_ROWS, 1, names)


def test_states_fit_their_codes() -> None:
    assert len(STATES) < 2**7, "floors.columns keeps them in one byte"
