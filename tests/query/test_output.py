"""Forms of a query's rows."""

from __future__ import annotations

import datetime
import errno
import json
import math
import sys
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv
from rich.console import Console

from pipeline.terminal import OutputError
from sim.errors import QueryError
from sim.query.output import write

ROWS = pa.table(
    {
        "n": pa.array([Decimal(225), None], pa.decimal128(38, 0)),
        "kinds": [["vibration"], []],
        "day": [datetime.date(2024, 1, 15), None],
        "text": ["a,b", "\x1b[1mc"],
    }
)


def test_json_has_a_number_for_a_sum_of_integers(tmp_path: Path) -> None:
    write(ROWS, "json", tmp_path / "rows.json", Console())
    lines = [json.loads(line) for line in (tmp_path / "rows.json").read_text().splitlines()]
    assert lines == [
        {"n": 225, "kinds": ["vibration"], "day": "2024-01-15", "text": "a,b"},
        {"n": None, "kinds": [], "day": None, "text": "\x1b[1mc"},
    ]


def test_csv_and_parquet_are_read_back(tmp_path: Path) -> None:
    write(ROWS, "csv", tmp_path / "rows.csv", Console())
    assert csv.read_csv(tmp_path / "rows.csv")["text"].to_pylist()[0] == "a,b"
    write(ROWS, "parquet", tmp_path / "rows.parquet", Console())
    assert pq.read_table(tmp_path / "rows.parquet").equals(ROWS)


def test_a_table_shows_control_characters_as_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    write(ROWS, "table", None, Console(markup=False, width=120))
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "2 rows" in shown


def test_a_device_is_written_to_and_a_link_followed(tmp_path: Path) -> None:
    write(ROWS, "csv", Path("/dev/null"), Console())
    assert Path("/dev/null").is_char_device()
    (tmp_path / "link.csv").symlink_to(tmp_path / "rows.csv")
    write(ROWS, "csv", tmp_path / "link.csv", Console())
    assert (tmp_path / "link.csv").is_symlink()
    assert csv.read_csv(tmp_path / "rows.csv").num_rows == 2


def test_a_file_that_cannot_be_finished_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "rows.csv"
    out.write_text("before")

    def full(rows: pa.Table, file: BinaryIO) -> None:
        file.write(b"n,k")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(csv, "write_csv", full)
    with pytest.raises(OSError, match="No space"):
        write(ROWS, "csv", out, Console())
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]
    assert out.read_text() == "before"


def test_bytes_and_nanoseconds_are_written_in_every_form(tmp_path: Path) -> None:
    odd = pa.table({"b": pa.array([b"\xff", None]), "n": pa.array([1, None], pa.timestamp("ns"))})
    shown = {}
    for form in ("table", "csv", "json"):
        write(odd, form, tmp_path / form, Console(width=80))
        shown[form] = (tmp_path / form).read_text()
    assert all("FF" in text and "00:00:00.000000001" in text for text in shown.values()), shown
    assert json.loads(shown["json"].splitlines()[1]) == {"b": None, "n": None}


TWICE = pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"])


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_one_name_of_two_columns_is_refused(tmp_path: Path, form: str) -> None:
    with pytest.raises(QueryError, match="two columns are named a; give one another name with AS"):
        write(TWICE, form, tmp_path / "rows", Console())
    assert list(tmp_path.iterdir()) == []


def test_a_table_shows_both_columns_of_one_name(tmp_path: Path) -> None:
    write(TWICE, "table", tmp_path / "rows", Console())
    assert (tmp_path / "rows").read_text().split()[:4] == ["a", "a", "1", "2"]


def test_a_number_that_json_lacks_is_null_in_it(tmp_path: Path) -> None:
    odd = pa.table({"n": [math.nan, math.inf, 1.5], "l": [[-math.inf, 2.0], None, [0.5]]})
    write(odd, "json", tmp_path / "rows", Console())
    assert [json.loads(line) for line in (tmp_path / "rows").read_text().splitlines()] == [
        {"n": None, "l": [None, 2.0]},
        {"n": None, "l": None},
        {"n": 1.5, "l": [0.5]},
    ]
    write(odd, "csv", tmp_path / "rows", Console())
    lines = (tmp_path / "rows").read_text().splitlines()
    assert lines[1:] == ['nan,"[null, 2.0]"', "inf,", '1.5,"[0.5]"']


def test_a_narrow_console_hides_no_value(tmp_path: Path) -> None:
    wide = pa.table({f"a_long_name_{i}": [f"value {i}"] for i in range(20)})
    write(wide, "table", tmp_path / "rows", Console(width=40))
    head, row, count = (tmp_path / "rows").read_text().splitlines()
    assert head.split() == wide.column_names
    assert "value 0 " in row
    assert "value 19" in row
    assert count == "1 row"


def test_a_type_that_no_form_has_is_named(tmp_path: Path) -> None:
    kind = pa.opaque(pa.binary(), "bignum", "DuckDB")
    rows = pa.table({"n": pa.ExtensionArray.from_storage(kind, pa.array([b"1"]))})
    for form in ("table", "csv", "json", "parquet"):
        with pytest.raises(QueryError, match="column n is of DuckDB's type BIGNUM"):
            write(rows, form, tmp_path / "rows", Console())


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_a_full_standard_output_is_named(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(OutputError, match="standard output cannot be written: No space"):
            write(ROWS, form, None, Console())
