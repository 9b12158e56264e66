"""Forms of Parquet footers: each bound and each agreement that a file must keep, one at a time."""

from __future__ import annotations

import io
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.parquet.chunk import blob, zigzag
from pipeline.parquet.columns import encode
from pipeline.records.schemas import INGESTION
from sim.check.read.form import Form, FormFile
from sim.check.read.lender import COLUMNS, Head
from sim.check.read.parquet import MOST_BYTES, MOST_EXPANDED, MOST_ROWS
from tests.support.check_world import Row, good

ROWS = [good(i, wind_speed=i / 7) for i in range(1, 6)]
NAMES = INGESTION.names
WRITER = b"windfleet version 0.1.0"


def lake_file(rows: list[Row]) -> bytes:
    return encode(pa.Table.from_pylist(rows, schema=INGESTION))


CONTENT = lake_file(ROWS)
FORM = Form(CONTENT)


def taken(content: bytes) -> FormFile:
    file = FORM.file(content)
    assert file is not None
    return file


FILE = taken(CONTENT)


def with_footer(footer: bytes) -> bytes:
    return CONTENT[: FILE.at] + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def edited(old: bytes, new: bytes) -> bytes:
    """Return the file with a part of its footer replaced, once."""
    footer = CONTENT[FILE.at : -8]
    assert old in footer
    return with_footer(footer.replace(old, new, 1))


def numbered(numbers: dict[int, int]) -> bytes:
    """Return the file with other numbers in its footer, by their groups of the form."""
    footer, end = b"", FILE.at
    for group, number in sorted(numbers.items()):
        begin, after = FILE.spans[group + 1]
        footer += CONTENT[end:begin] + zigzag(number)
        end = after
    return with_footer(footer + CONTENT[end:-8])


def of_rows(rows: int, size: int = 99) -> bytes:
    return numbered({FORM.rows: rows, FORM._size: size, FORM._group_rows: rows})


@pytest.mark.parametrize(
    ("rows", "size", "known"),
    [
        (1, 0, True),
        (MOST_ROWS, MOST_EXPANDED // MOST_ROWS, True),
        (MOST_EXPANDED // MOST_BYTES, MOST_BYTES, True),
        (0, 99, False),
        (-1, 99, False),
        (MOST_ROWS + 1, 1, False),
        (1, -1, False),
        (1, MOST_BYTES + 1, False),
        (MOST_ROWS, MOST_EXPANDED // MOST_ROWS + 1, False),
    ],
)
def test_rows_and_sizes_are_bounded(rows: int, size: int, known: bool) -> None:
    assert (FORM.file(of_rows(rows, size)) is not None) == known


@pytest.mark.parametrize("rows", [0, 4, 6])
def test_a_row_group_has_the_rows_of_its_file(rows: int) -> None:
    assert FORM.file(numbered({FORM._group_rows: rows})) is None


@pytest.mark.parametrize(
    ("name", "field", "number"),
    [
        *(("status", "values", number) for number in (4, 6, 0)),
        *(("status", "size", number) for number in (-1, MOST_BYTES + 1)),
        *(("status", "stored", number) for number in (-1, 0, len(CONTENT))),
        ("status", "words", 0),
        ("status", "words", len(CONTENT)),
        ("status", "data", 0),
        ("status", "data", len(CONTENT)),
        ("wind_speed", "data", 0),
        ("wind_speed", "data", FILE.at),
        (NAMES[-1], "stored", 26),  # one byte of the footer
    ],
)
def test_a_chunk_of_other_numbers_is_not_even(name: str, field: str, number: int) -> None:
    at = NAMES.index(name)
    chunk = FORM.chunks[at]
    file = taken(numbered({getattr(chunk, field): number}))
    assert FILE.is_even(0)
    assert not file.is_even(0)
    assert file.is_even(at + 1), "only the columns that are read"


def harmed(at: int, was: bytes, now: bytes) -> bytes:
    """Return the file with other bytes in a page's head, at or after an offset."""
    at = CONTENT.index(was, at)
    return CONTENT[:at] + now + CONTENT[at + len(was) :]


@pytest.mark.parametrize(
    "content",
    [
        harmed(4, b"\x15\x00", b"\x15\x06"),  # no data page
        harmed(4, b"\x2c\x15" + zigzag(5), b"\x2c\x15" + zigzag(4)),
        harmed(4, b"\x2c\x15" + zigzag(5), b"\x2c\x15" + zigzag(6)),
        harmed(4, b"\x15\x04\x15", b"\x15\x00\x15"),  # no dictionary
        # Between a shorter dictionary and the page there would be room for a page of other rows.
        harmed(4, b"\x15\x04\x15\x12\x15\x16", b"\x15\x04\x15\x12\x15\x14"),
        harmed(4, b"\x15\x04\x15\x12\x15\x16", b"\x15\x04\x15\x12\x15\x18"),
    ],
)
def test_a_chunk_of_other_pages_is_not_even(content: bytes) -> None:
    assert not taken(content).is_even(0)


def test_shared_columns_begin_the_file_one_after_the_other() -> None:
    count, chunks = len(COLUMNS), FORM.chunks
    stored = [pq.ParquetFile(io.BytesIO(CONTENT)).metadata.row_group(0).column(i) for i in (0, 1)]
    end = FILE.pages_end(count)
    assert 0 < end <= FILE.at
    assert FILE.pages_end(1) == 4 + stored[0].total_compressed_size
    for numbers in (
        {chunks[0].data: 5},
        {chunks[1].data: 4 + stored[0].total_compressed_size + 1},
        {chunks[count - 1].stored: len(CONTENT)},
    ):
        assert taken(numbered(numbers)).pages_end(count) == 0
    both = {chunks[0].stored: -1, chunks[1].data: 3}
    assert taken(numbered(both)).pages_end(2) == 0


def groups_of(size: int) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS, schema=INGESTION), sink, row_group_size=size)
    return sink.getvalue()


EXACT, META = b"\x11\x11\x00\x00\x00", b"\x26\x00\x1c"
"""End of a chunk with its statistics, and the begin of its metadata."""


@pytest.mark.parametrize(
    "content",
    [
        edited(WRITER, b"parquet-mr version 1.8."),
        edited(b"\x28" + blob(WRITER), b"\x28\x00"),
        edited(META, b"\x18\x01x\x16\x00\x1c"),  # pages in a file x
        edited(EXACT, b"\x11\x11\x00\x00\x16\x02\x00"),  # an offset of an index
        edited(EXACT, b"\x11\x11\x00\x26\x02\x00\x00"),  # an offset of a Bloom filter
        with_footer(CONTENT[FILE.at : -8] + b"\x00"),
        with_footer(CONTENT[FILE.at : -9]),
        groups_of(3),
        lake_file([]),
        lake_file([good(1, status="x" * 65)]),
    ],
)
def test_a_footer_with_anything_unusual_has_no_form(content: bytes) -> None:
    with pytest.raises(ValueError):
        Form(content)


def test_usual_footers_have_a_form() -> None:
    assert Form(groups_of(5)).writer.startswith(b"parquet-cpp-arrow")
    assert Form(lake_file([good(1, status="x" * 64)])).writer == WRITER


def head(content: bytes, pages: bytes = b"p") -> Head:
    file = Form(content).file(content)
    assert file is not None
    return Head.of(file, pages)


OTHERS: list[Callable[[], Head]] = [
    lambda: head(CONTENT, b"q"),
    lambda: head(of_rows(4)),
    lambda: head(edited(WRITER, WRITER.replace(b"0.1", b"0.2"))),
    lambda: head(edited(blob(b"id"), blob(b"Id"))),  # the first element
    lambda: head(edited(blob(COLUMNS[-1].encode()), blob(b"x"))),  # the last
    *(lambda n=n: head(numbered({FORM.chunks[n].values: 6})) for n in (0, 5, len(COLUMNS) - 1)),
]


@pytest.mark.parametrize("other", OTHERS)
def test_all_that_decoding_depends_on_tells_heads_apart(other: Callable[[], Head]) -> None:
    assert head(CONTENT) == head(CONTENT)
    assert other() != head(CONTENT)
