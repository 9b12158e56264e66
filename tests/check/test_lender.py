"""Borrowed columns: the same tables and facts as if every object were decoded on its own."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.records import ENRICHED, INGESTION, VALIDATED
from sim.check.read import parquet as decode
from sim.check.read.footer import Footers
from sim.check.read.keys import BatchKey, bucket_of
from sim.check.read.lake import ObjectRef
from sim.check.read.lender import COLUMNS, Lenders
from sim.check.read.objects import StageRows, read_stage
from tests.support.check_world import Memory, Row, good, parquet

STAGES = ("ingestion", "validated", "enriched")
SCHEMAS = dict(zip(STAGES, (INGESTION, VALIDATED, ENRICHED), strict=True))
EXTRA = {"job_id": "j-1", "rated_power": 4.2}
ROWS = [good(i, wind_speed=i / 7) for i in range(1, 6)]


def files(rows: Sequence[Row]) -> dict[str, bytes]:
    return {stage: parquet([row | EXTRA for row in rows], SCHEMAS[stage]) for stage in STAGES}


def read(contents: dict[str, bytes], lenders: Lenders | None) -> list[StageRows]:
    """Read one object of each stage, in order."""
    found = []
    for stage, content in contents.items():
        key = BatchKey(stage, 473_688, "A-001", 1, 5).text()
        ref = ObjectRef(bucket_of(stage), key, len(content))
        found.append(read_stage(Memory({ref.name: content}), stage, [ref], [], lenders))
    return found


@pytest.fixture
def borrowed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of columns that were borrowed, file by file."""
    seen: list[int] = []
    real = decode.read_columns

    def noted(file: object, schema: pa.Schema, first: int = 0) -> pa.Table:
        seen.append(first)
        return real(file, schema, first)

    monkeypatch.setattr(decode, "read_columns", noted)
    return seen


def written(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()


def same(contents: dict[str, bytes]) -> None:
    """Assert that borrowing changes nothing."""
    for ours, right in zip(read(contents, Lenders()), read(contents, None), strict=True):
        assert ours.objects == right.objects
        assert ours.table.schema.equals(right.table.schema)
        assert written(ours.table) == written(right.table)


def test_equal_columns_are_decoded_once(borrowed: list[int]) -> None:
    shared = len(COLUMNS)
    found = read(files(ROWS), Lenders())
    assert borrowed == [0, shared]  # validated has no other columns
    assert [stage.table.column_names for stage in found] == [SCHEMAS[s].names for s in STAGES]
    same(files(ROWS))


def test_other_rows_are_decoded_on_their_own(borrowed: list[int]) -> None:
    for changed, expected in (
        ({"validated": ROWS[:-1], "enriched": ROWS[:-1]}, [0, 0, len(COLUMNS)]),
        ({"enriched": [*ROWS[:-1], good(5, wind_speed=0.25)]}, [0, 0]),
        ({"validated": [*ROWS[:-1], good(5, status="standby")]}, [0, 0, 0]),
    ):
        borrowed.clear()
        contents = files(ROWS) | {s: files(rows)[s] for s, rows in changed.items()}
        read(contents, Lenders())
        assert borrowed == expected
        same(contents)


def test_only_objects_of_one_batch_and_hour_share(borrowed: list[int]) -> None:
    contents = files(ROWS)
    place = BatchKey("ingestion", 473_688, "A-001", 1, 5)
    for other in (
        replace(place, hour=473_689),
        replace(place, turbine="A-002"),
        replace(place, first=2),
        replace(place, last=6),
    ):
        lenders = Lenders()
        for stage, at in (("ingestion", place), ("validated", other)):
            ref = ObjectRef(bucket_of(stage), replace(at, stage=stage).text(), 0)
            read_stage(Memory({ref.name: contents[stage]}), stage, [ref], [], lenders)
    assert borrowed == [0] * 8


def test_a_changed_byte_is_found_as_without_borrowing() -> None:
    """A byte of the shared chunks changes in one of the three objects, or in all alike."""
    draw = random.Random(3)
    clean = files(ROWS)
    most = min(map(len, clean.values()))
    for number in range(120):
        at, change = draw.randrange(most), draw.randrange(1, 256)
        harmed = [STAGES[number % 4]] if number % 4 < 3 else STAGES
        contents = dict(clean)
        for stage in harmed:
            data = bytearray(clean[stage])
            data[at] ^= change
            contents[stage] = bytes(data)
        same(contents)


def test_every_byte_of_a_footer_counts() -> None:
    """Equal column chunks under another footer are not taken for equal columns."""
    draw = random.Random(5)
    clean = files(ROWS)
    content = clean["validated"]
    begin = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    for at in range(begin, len(content), 3):
        data = bytearray(content)
        data[at] ^= draw.randrange(1, 256)
        same({"ingestion": clean["ingestion"], "validated": bytes(data)})


@pytest.mark.parametrize("stage", ["validated", "enriched"])
def test_columns_of_another_writer_are_decoded_on_their_own(
    stage: str, borrowed: list[int]
) -> None:
    """A reader may treat the same bytes of another program in another way."""
    contents = files(ROWS)
    contents[stage] = contents[stage].replace(
        b"parquet-cpp-arrow version", b"parquet-cpp-other version"
    )
    assert contents[stage] != files(ROWS)[stage]
    read(contents, Lenders())
    assert borrowed == {"validated": [0, 0, 0], "enriched": [0, 0]}[stage]
    same(contents)


def test_equal_chunks_under_other_elements_are_decoded_on_their_own(borrowed: list[int]) -> None:
    """Field ids stand in the elements of a schema only: the chunks and their metadata are equal."""
    numbered = pa.schema(
        [f.with_metadata({"PARQUET:field_id": str(i)}) for i, f in enumerate(VALIDATED, 1)]
    )
    contents = files(ROWS) | {"validated": parquet(ROWS, numbered)}
    read(contents, Lenders())
    assert borrowed == [0, 0, 0]
    same(contents)


def test_chunks_are_cut_at_the_last_place_that_may_be_their_end() -> None:
    """Statistics may hold the bytes that stand behind the chunks: then more must be equal."""
    file = pq.ParquetFile(pa.BufferReader(files(ROWS)["validated"]))
    footers, group = Footers(len(COLUMNS)), file.metadata.row_group(0)
    found = footers.read(file.metadata)
    assert found is not None
    chunks = footers.own_chunks(found, group)
    sizes = found.chunks[len(chunks) :][:5]
    assert chunks[-1:] == b"\0"
    assert chunks.count(sizes) == 0
    twice = replace(found, chunks=chunks + sizes + b"..." + found.chunks[len(chunks) :])
    assert footers.own_chunks(twice, group) == chunks + sizes + b"..."
    none = replace(found, chunks=chunks)
    assert footers.own_chunks(none, group) == b""


def test_nothing_is_borrowed_from_chunks_of_an_unknown_end(
    borrowed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Footers, "own_chunks", lambda *_: b"")
    read(files(ROWS), Lenders())
    assert borrowed == [0, 0, 0]
    same(files(ROWS))
