"""`windfleet query` inside the test: the answers of `--follow`, and arguments that are refused."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from rich.console import Console

from pipeline.catalog import ledger
from pipeline.terminal import discard_pending
from sim.errors import QueryError
from sim.query import command
from sim.query.command import QueryOptions, run
from sim.query.loader import LoadOptions
from tests.support import lakehouse, runs


def test_follow_answers_at_once_and_after_each_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lakehouse.add(tmp_path / "lake", "A-001", 1, 5)
    waits = iter(["nothing new", "another object", "end"])

    def wait(seconds: float) -> None:
        event = next(waits)
        if event == "another object":
            lakehouse.add(tmp_path / "lake", "A-002", 1, 3)
        elif event == "end":
            raise KeyboardInterrupt

    monkeypatch.setattr(command.time, "sleep", wait)
    sql = "SELECT COUNT(*) AS n FROM wind_turbine_raw"
    options = QueryOptions(sql, run=tmp_path, form="csv", follow=True)
    run_once = QueryOptions(sql, run=tmp_path, form="csv")
    assert run(run_once, Console(), Console(stderr=True)) == 0  # loads, so that nothing is new
    with pytest.raises(KeyboardInterrupt):
        run(options, Console(), Console(stderr=True))
    assert capsys.readouterr().out.split() == ['"n"', "5", '"n"', "5", '"n"', "8"]


def chosen(**options: str) -> LoadOptions:
    return command._load_options([f"{name}={value}" for name, value in options.items()])


def test_each_option_with_a_choice_reaches_the_loader() -> None:
    """The ledger's other options have one value, which is the loader's own behaviour."""
    assert chosen(schemaEvolutionMode="rescue") == LoadOptions("rescue")
    assert chosen(ignoreCorruptFiles="true") == LoadOptions(skip_bad=True)
    assert chosen(ignoreCorruptFiles="false") == LoadOptions()
    assert chosen(maxFilesPerTrigger="7") == LoadOptions(batch_objects=7)
    assert chosen(maxBytesPerTrigger="7") == LoadOptions(batch_bytes=7)
    fixed = {o.name: o.values[0] for o in ledger.OPTIONS if o.values and len(o.values) == 1}
    assert len(fixed) > 8
    assert chosen(**fixed) == LoadOptions()
    choices = [o.name for o in ledger.OPTIONS if o.values is None or len(o.values) > 1]
    assert sorted(choices) == [
        *("ignoreCorruptFiles", "maxBytesPerTrigger", "maxFilesPerTrigger", "schemaEvolutionMode")
    ]


@pytest.mark.parametrize("engine", ledger.ENGINES)
def test_each_option_without_effect_is_refused_by_name(engine: str) -> None:
    for option in ledger.OPTIONS:
        if option.accepts(engine) == ():
            with pytest.raises(QueryError, match=f"^--option {option.name}: is ") as refused:
                command._accepted([f"{option.name}=true"], engine)
            assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--endpoint-url", "nonsense"], "is not a URL"),
        (["--endpoint-url", "http://u:p@127.0.0.1:9"], "user name"),
        (["--now", "yesterday"], "is not a time"),
        (["--now", "0001-01-01T00:00:00+14:00"], "is not a time"),
        (["--set", "x"], "write NAME=VALUE"),
        (["--set", "a.b=1"], "a free name of SQL has no dot"),
        (["--set", "x=1", "--set", "X=2"], "X is set twice"),
        (["--option", "maxFilesPerTriger=1"], "nearest name: maxFilesPerTrigger"),
        (["--option", "cleanSource=DELETE"], "cleanSource"),
        (["--engine", "hive"], "--engine"),
        (["--warehouse", "s3://bucket/w"], "is a URL; write a path"),
        (["--out", "s3://bucket/x.csv"], "is a URL; write a path"),
        (["--out", "/"], "is a folder; name a file"),
        (["--out", "none/x.csv"], "no folder none"),
    ],
)
def test_a_bad_argument_is_2_and_named(tmp_path: Path, arguments: list[str], words: str) -> None:
    lakehouse.add(tmp_path / "lake", "A-001", 1, 5)
    place = [] if "--endpoint-url" in arguments else ["--lake", tmp_path / "lake"]
    done = runs.inside("query", "SELECT 1 AS a", *place, *arguments)
    assert done.code == 2, done.text
    assert words in done.err
    assert "u:p" not in done.text
    assert not Path("s3:").exists()


@pytest.mark.parametrize("options", [["--out", "x"], ["--format", "parquet"]])
def test_rows_of_two_statements_do_not_fit_one_file(tmp_path: Path, options: list[str]) -> None:
    lakehouse.add(tmp_path / "lake", "A-001", 1, 5)
    done = runs.inside("query", "SELECT 1 AS a; SELECT 2 AS b", tmp_path, *options)
    assert (done.code, done.out) == (2, "")
    assert "the rows of one statement; the SQL has 2" in done.err
    assert not (tmp_path / "warehouse").exists()


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (b"\xef\xbb\xbfSELECT 1 AS a", 0, "1 row"),
        (b"SELECT \xff", 2, "q.sql: is not UTF-8 (byte 7)"),
        (b"-- " + b"x" * 2**20, 2, "q.sql: is larger than 1 MiB"),
        (b"  ", 2, "no statement"),
        (None, 2, "q.sql: neither SQL nor a file of it: Is a directory"),
    ],
)
def test_a_file_of_sql(tmp_path: Path, body: bytes | None, code: int, words: str) -> None:
    lakehouse.add(tmp_path / "lake", "A-001", 1, 5)
    file = tmp_path / "q.sql"
    if body is None:
        file.mkdir()
    else:
        file.write_bytes(body)
    done = runs.inside("query", file, tmp_path)
    assert done.code == code
    assert words in done.text
    assert (tmp_path / "warehouse").exists() == (code == 0)


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_a_reader_that_ends_early_is_no_error_of_the_query(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        options = QueryOptions("SELECT 1 AS a", form=form)
        try:
            with pytest.raises(BrokenPipeError):
                command._write(pa.table({"a": [1]}), options, Console())
        finally:
            discard_pending(closed)


@pytest.mark.parametrize("place", ["expanso-databricks-validated", "warehouse", "link"])
def test_the_rows_never_replace_a_file_of_the_lake_or_of_the_tables(
    tmp_path: Path, place: str
) -> None:
    lakehouse.add(tmp_path, "A-001", 1, 5)
    (tmp_path / "warehouse").mkdir()
    (tmp_path / "link").symlink_to("expanso-databricks-validated")
    out = tmp_path / place / "rows.csv"
    with pytest.raises(QueryError, match=r"^--out .*: lies in "):
        run(QueryOptions("SELECT 1", run=tmp_path, out=out), Console(), Console())
    assert not out.exists()
    (tmp_path / "warehouse").rmdir()
    beside = QueryOptions("SELECT 1", run=tmp_path, out=tmp_path / "rows.csv")
    assert run(beside, Console(), Console()) == 0


@pytest.mark.parametrize(
    ("sql", "now", "hint"),
    [
        ("SELECT 1 AS a WHERE current_date() < '2000-01-01'", (), True),
        ("SELECT 1 AS a WHERE current_date() < '2000-01-01'", ("--now", "2024-01-15"), False),
        ("SELECT 1 AS a WHERE current_date() > '2000-01-01'", (), False),
        ("SELECT 1 AS a WHERE 1 = 2", (), False),
    ],
)
def test_no_row_at_todays_date_names_the_option_for_the_clock(
    tmp_path: Path, sql: str, now: tuple[str, ...], hint: bool
) -> None:
    lakehouse.add(tmp_path / "lake", "A-001", 1, 5)
    done = runs.inside("query", sql, tmp_path, *now)
    assert done.code == 0, done.text
    assert ("--now 2024-01-15T06:00:00Z" in done.err) is hint
