"""Borrowed columns and joined files: as if every object were opened and decoded on its own."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from pipeline.parquet.chunk import zigzag
from pipeline.parquet.columns import Columns
from pipeline.parquet.file import Layout
from pipeline.records import STATES
from pipeline.records.schemas import ENRICHED, INGESTION, VALIDATED
from sim.check.read import objects as reading
from sim.check.read import parquet as decode
from sim.check.read.form import Form, join
from sim.check.read.keys import BatchKey, bucket_of
from sim.check.read.lake import ObjectRef
from sim.check.read.lender import COLUMNS, Lenders
from sim.check.read.objects import StageRows, read_stage
from tests.support import examples
from tests.support.check_world import Memory, Row, good, parquet

STAGES = ("ingestion", "validated", "enriched")
SCHEMAS = dict(zip(STAGES, (INGESTION, VALIDATED, ENRICHED), strict=True))
EXTRA = {"job_id": "j-1", "rated_power": 4.2}
ROWS = [good(i, wind_speed=i / 7) for i in range(1, 6)]


@pytest.fixture(autouse=True)
def every_form_is_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_WORTH", 0)
    monkeypatch.setattr(reading, "_MOST_FORMS", 1000)


@contextmanager
def nothing_learned() -> Iterator[None]:
    """Let each object be opened and decoded on its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_MOST_FORMS", 0)
        patch.setattr(reading, "_forms", lambda stage: [])
        yield


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
    return bytes(sink.getvalue().to_pybytes())


def alone(contents: dict[str, bytes]) -> list[StageRows]:
    """Read each object on its own."""
    with nothing_learned():
        return read(contents, None)


def same(contents: dict[str, bytes]) -> None:
    """Assert that borrowing changes nothing."""
    for ours, right in zip(read(contents, Lenders()), alone(contents), strict=True):
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


def test_every_byte_of_a_footer_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal column chunks under another footer are not taken for equal columns."""
    same(files(ROWS))
    monkeypatch.setattr(reading, "_MOST_FORMS", 0)  # no form of a harmed footer
    draw = random.Random(5)
    clean = files(ROWS)
    content = clean["validated"]
    begin = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    for at in range(begin, len(content), 3 if examples.ALL else 11):
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


def stage(contents: Sequence[bytes]) -> StageRows:
    """Read ingestion objects of as many turbines."""
    keys = [BatchKey("ingestion", 473_688, f"A-{i:03}", 1, 5) for i in range(len(contents))]
    refs = [ObjectRef(bucket_of("ingestion"), key.text(), 0) for key in keys]
    found = {ref.name: content for ref, content in zip(refs, contents, strict=True)}
    return read_stage(Memory(found), "ingestion", refs, [])


def same_joined(contents: Sequence[bytes]) -> StageRows:
    """Assert that joined files are read as each on its own. Return their rows."""
    ours = stage(contents)
    with nothing_learned():
        right = stage(contents)
    assert ours.objects == right.objects
    assert ours.object.tolist() == right.object.tolist()
    assert written(ours.table) == written(right.table)
    return ours


def lake_file(rows: Sequence[Row], short: int = 0) -> bytes:
    """Return a file by the pipeline. short: rows that one of its columns lacks, or has too many."""
    table = pa.Table.from_pylist(list(rows), schema=INGESTION)
    chunks = Columns(table, np.array([0, len(rows)])).chunks(0)
    at = INGESTION.get_field_index("wind_speed")
    other = [good(i, wind_speed=float(i)) for i in range(1, len(rows) + 1 - short)]
    uneven = Columns(pa.Table.from_pylist(other, schema=INGESTION), np.array([0, len(other)]))
    if short:
        chunk = uneven.chunks(0)[at]
        chunk._before = chunk._before.replace(b"\x02\x16" + zigzag(len(other)), b"\x02\x16\x0a")
        chunks[at] = chunk
    return Layout(INGESTION).file(chunks, len(rows))


def many(number: int) -> list[bytes]:
    return [
        lake_file([good(i, f"A-{n:03}", wind_speed=i / 7 + n) for i in range(1, 4 + n % 5)])
        for n in range(number)
    ]


def test_files_of_one_form_are_read_as_one(borrowed: list[int]) -> None:
    contents = many(12)
    found = stage(contents)
    assert borrowed == [0]
    assert [item.rows for item in found.objects] == [3 + n % 5 for n in range(12)]
    same_joined(contents)


def test_states_of_any_length_are_of_one_form(borrowed: list[int]) -> None:
    stage([lake_file([good(1, status=state), good(2)]) for state in STATES[1:]])
    assert borrowed == [0]


def test_files_of_other_forms_keep_their_places() -> None:
    contents = many(6)
    contents[1] = parquet([good(1)], INGESTION)
    contents[3] = lake_file([good(1, wind_speed=None), good(2, status=None)])
    contents[4] = parquet([], INGESTION)
    assert len(same_joined(contents).table) == 3 + 1 + 5 + 2 + 0 + 3


def test_a_changed_byte_in_one_of_many_files_harms_no_other() -> None:
    draw = random.Random(11)
    clean = many(5)
    for _ in range(150):
        contents = list(clean)
        harmed = draw.randrange(1, 5)  # the form is learned from the first
        data = bytearray(clean[harmed])
        data[draw.randrange(len(data))] ^= draw.randrange(1, 256)
        contents[harmed] = bytes(data)
        same_joined(contents)


def test_a_text_that_is_not_utf_8_harms_no_other() -> None:
    contents = many(5)
    contents[2] = contents[2].replace(b"running", b"runn\xffng")
    found = same_joined(contents)
    assert [bool(item.problem) for item in found.objects] == [False, False, True, False, False]


def test_a_row_that_stands_in_the_next_file_is_missed() -> None:
    """A column lacks a value in one file and has one more in the next: their sum is right."""
    rows = [good(i) for i in range(1, 6)]
    contents = [lake_file(rows), lake_file(rows, short=1), lake_file(rows, short=-1)]
    found = same_joined(contents)
    assert [bool(item.problem) for item in found.objects] == [False, True, False]


def test_every_bit_of_a_footer_is_of_the_form_or_a_bounded_number() -> None:
    """A file that a form takes opens in Arrow with the same schema and number of rows."""
    draw = random.Random(7)
    content = lake_file(ROWS)
    form = Form(content)
    begin = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    taken = 0
    for at in range(begin, len(content)):
        data = bytearray(content)
        data[at] ^= 1 << draw.randrange(8)
        file = form.file(bytes(data))
        if file is not None and file.is_even(0):
            taken += 1
            opened = pa.parquet.ParquetFile(pa.BufferReader(bytes(data)))
            assert opened.metadata.num_rows == file.rows == len(ROWS)
            assert opened.schema_arrow == INGESTION
    assert taken > 50  # statistics and sizes


@pytest.mark.parametrize(
    "harm",
    [
        lambda content: content[:-1] + b"2",
        lambda content: b"PAR2" + content[4:],
        lambda content: content[:-8] + b"\xff\xff\xff\xff" + content[-4:],
        lambda content: content[:-8] + bytes(4) + content[-4:],
        lambda content: content[-12:],
        lambda content: b"",
    ],
)
def test_bytes_of_no_form(harm: object) -> None:
    content = lake_file(ROWS)
    form = Form(content)
    harmed = harm(content)  # type: ignore[operator]
    assert form.file(harmed) is None
    with pytest.raises(ValueError):
        Form(harmed)


def test_many_row_groups_are_joined_in_order() -> None:
    contents = many(40)
    form = Form(contents[0])
    found = [form.file(content) for content in contents]
    table = pa.parquet.read_table(pa.BufferReader(join([file for file in found if file], 0)))
    assert table.column("wind_speed").to_pylist() == [
        i / 7 + n for n in range(40) for i in range(1, 4 + n % 5)
    ]
