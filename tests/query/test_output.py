"""Forms of a query's rows."""

from __future__ import annotations

import datetime
import errno
import json
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv
from rich.console import Console

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

    def full(path: Path, body: bytes) -> int:
        path.open("wb").write(body[:3])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
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
